"""skorch: a PyTorch module as a scikit-learn estimator."""

from __future__ import annotations

import numpy as np
import torch
import torch._dynamo  # the first optimizer imports it: imports are not timed
from skorch import NeuralNetClassifier
from torch import nn

from .networks import Answer, Network, Scaled, Work
from .torch_model import torch_model


def train(network: Network, x: np.ndarray, y: np.ndarray, work: Work) -> Answer:
    """Train on raw rows."""
    torch.manual_seed(work.seed)
    scaled = Scaled(network, x)
    net = NeuralNetClassifier(
        torch_model(network),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=work.learning_rate,
        batch_size=work.batch_size,
        max_epochs=work.epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    net.fit(scaled(x), y)
    return lambda rows: net.predict(scaled(rows))
