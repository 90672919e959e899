"""PyTorch as its tutorial writes it: a DataLoader, zero_grad, forward, backward, step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch._dynamo  # the first optimizer imports it: imports are not timed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from .networks import Answer, Network, Scaled, Work
from .torch_model import answers, torch_model


def train(network: Network, x: np.ndarray, y: np.ndarray, work: Work) -> Answer:
    """Train on raw rows."""
    torch.manual_seed(work.seed)
    scaled = Scaled(network, x)
    data = TensorDataset(torch.from_numpy(scaled(x)), torch.from_numpy(y))
    loader = DataLoader(data, batch_size=work.batch_size, shuffle=True)
    model = torch_model(network)
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=work.learning_rate)
    for _ in range(work.epochs):
        model.train()
        for inputs, targets in loader:
            loss = loss_function(model(inputs), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return answers(model, scaled)


def updates(
    network: Network, x: np.ndarray, y: np.ndarray, rate: float, count: int, **settings: Any
) -> Callable[[], object]:
    """Return `count` updates on one prepared batch: gradient descent with momentum."""
    torch.manual_seed(0)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    model, loss_function = torch_model(network), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, **settings)

    def run() -> None:
        for _ in range(count):
            optimizer.zero_grad()
            loss_function(model(inputs), targets).backward()
            optimizer.step()

    return run
