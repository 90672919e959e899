"""PyTorch as a good engineer writes it for data in memory: batches by index, the fused optimizer."""

from __future__ import annotations

import numpy as np
import torch
import torch._dynamo  # the first optimizer imports it: imports are not timed
from torch.nn import functional as F

from .networks import Answer, Network, Scaled, Work
from .torch_model import answers, torch_model


def train(network: Network, x: np.ndarray, y: np.ndarray, work: Work) -> Answer:
    """Train on raw rows."""
    torch.manual_seed(work.seed)
    scaled = Scaled(network, x)
    inputs, targets = torch.from_numpy(scaled(x)), torch.from_numpy(y)
    model = torch_model(network).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=work.learning_rate, fused=True)
    for _ in range(work.epochs):
        for rows in torch.randperm(len(inputs)).split(work.batch_size):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()
    return answers(model, scaled)
