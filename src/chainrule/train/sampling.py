"""Monte-Carlo dropout: a network asked many times with dropout on; how far its answers spread says how sure it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.data.prepared import PreparedRows
from chainrule.models.ensemble import put_together
from chainrule.nn.losses import Loss
from chainrule.nn.noise import Dropout, Noise
from chainrule.train.loop import EVALUATION_ROWS
from chainrule.train.task import Predictions, Task

FEWEST = 2


def sample_predictions(
    model: nn.Module, task: Task, inputs: Tensor | PreparedRows, samples: int, *, seed: int = 0
) -> Predictions:
    """Predict as the average over masks of dropout, and say how far single masks lie from it.

    The same seed draws the same masks. Source: Gal and Ghahramani 2016, without their term for the noise of the data.
    Raises: SettingError for fewer than two samples, or a network without dropout
    """
    if samples < FEWEST:
        raise SettingError(f"--samples must be at least {FEWEST}; got {samples}")
    layers = [layer for layer in model.modules() if isinstance(layer, Dropout) and any(layer.rates)]
    if not layers:
        raise SettingError(
            "this model has no dropout, so that all samples would be equal; --samples is for a network that was trained with "
            "it (chainrule fit … --model mlp --dropout 0.2)"
        )
    noise, rows = Noise(model, seed), torch.split(torch.arange(len(inputs)), EVALUATION_ROWS)
    was_training = model.training
    model.eval()
    for layer in layers:
        layer.train()
    try:
        with torch.inference_mode():
            parts = []
            for place, some in enumerate(rows):
                taken, drawn = inputs.index_select(0, some), []
                for number in range(samples):
                    noise.at(place * samples + number)
                    drawn.append(model(taken))
                parts.append(_answered(task, torch.stack(drawn)))
    finally:
        model.train(was_training)
    return Predictions(
        classes=parts[0].classes,
        labels=_joined([part.labels for part in parts]),
        probabilities=_joined([part.probabilities for part in parts]),
        values=_joined([part.values for part in parts]),
        spread=_joined([part.spread for part in parts]),
    )


def _answered(task: Task, outputs: Tensor) -> Predictions:
    """Return the predictions of some rows with their spread. Shapes: outputs (samples, B, units)"""
    only_decides = isinstance(task.loss, Loss) and task.loss.only_decides
    shares = torch.full((len(outputs),), 1 / len(outputs), dtype=torch.float64)
    mean = task.decode(put_together(outputs, shares, kind=task.kind, only_decides=only_decides))
    each = [task.decode(found) for found in outputs]
    if mean.values is not None:
        spread = torch.stack([found.values for found in each if found.values is not None]).std(0)
    else:
        assert mean.labels is not None
        sure = torch.stack([found.probabilities for found in each if found.probabilities is not None])
        spread = sure[:, torch.arange(len(mean.labels)), mean.labels].std(0).unsqueeze(1)
    return Predictions(
        classes=mean.classes,
        labels=mean.labels,
        probabilities=mean.probabilities,
        values=mean.values,
        spread=spread,
    )


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None
