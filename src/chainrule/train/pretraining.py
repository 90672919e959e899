"""Unsupervised pre-training: each hidden layer first learns to keep what reaches it, without any targets."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from chainrule.core.errors import SettingError
from chainrule.core.seeds import mix
from chainrule.data.batches import Batches
from chainrule.nn.initial import initialise_
from chainrule.optim.rules import optimizer

RATE = 1e-3  # of Adam


def check_can_pretrain(model: nn.Module) -> None:
    """See that a network is a chain of dense layers with a hidden one. Raises: SettingError"""
    weighted = [layer for layer in model.modules() if next(layer.parameters(recurse=False), None) is not None]
    is_chain = isinstance(model, nn.Sequential) and not any(
        isinstance(layer, nn.Conv2d) for layer in weighted
    )
    if not is_chain or len(_dense(model)) < 2:
        raise SettingError(
            "pre-training goes layer by layer through a chain of dense layers with at least one hidden layer (--model mlp); "
            "leave out pretrain"
        )


def pretrain_(model: nn.Module, batches: Batches, *, epochs: int, seed: int) -> None:
    """Train each hidden layer as the encoder of an autoencoder, from the first to the last.

    A layer and a decoder of its own, thrown away after, learn to give back what reaches the layer; the layers before it
    stay as they are, and targets are not looked at. Noise is off.
    Source: Bengio et al. 2007, Greedy layer-wise training. Differs: the decoder's weights are not the encoder's transposed.
    """
    assert isinstance(model, nn.Sequential)
    was_training = model.training
    model.eval()
    places = _dense(model)
    for begin, end in itertools.pairwise(places):
        before, encoder = model[:begin], model[begin:end]
        layer = model[begin]
        assert isinstance(layer, nn.Linear)
        decoder = nn.Linear(layer.out_features, layer.in_features).to(layer.weight.device)
        initialise_(decoder, mix(seed, "pretraining", begin))
        trained = [*layer.parameters(), *decoder.parameters()]
        rule = optimizer("adam", trained, learning_rate=RATE)
        for epoch in range(epochs):
            for inputs, *_ in batches.epoch(epoch):
                with torch.no_grad():
                    reaching = before(inputs)
                loss = F.mse_loss(decoder(encoder(reaching)), reaching)
                for parameter in trained:
                    parameter.grad = None
                loss.backward()  # type: ignore[no-untyped-call]
                rule.step()
    for parameter in model.parameters():
        parameter.grad = None
    model.train(was_training)


def _dense(model: nn.Module) -> list[int]:
    """Return the places of the dense layers in a chain."""
    return [place for place, layer in enumerate(model.children()) if isinstance(layer, nn.Linear)]
