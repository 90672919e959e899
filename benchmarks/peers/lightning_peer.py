"""Lightning: a LightningModule and a Trainer; what it writes and prints is switched off in its favour."""

from __future__ import annotations

import logging
import warnings

import lightning
import numpy as np
import torch
import torch._dynamo  # the first optimizer imports it: imports are not timed
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from .networks import Answer, Network, Scaled, Work
from .torch_model import answers, torch_model


class Classifier(lightning.LightningModule):
    """The network with its loss and its optimizer."""

    def __init__(self, network: Network, learning_rate: float) -> None:
        super().__init__()
        self.model, self.learning_rate = torch_model(network), learning_rate

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        inputs, targets = batch
        return F.cross_entropy(self.model(inputs), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def train(network: Network, x: np.ndarray, y: np.ndarray, work: Work) -> Answer:
    """Train on raw rows."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(work.seed)
    scaled = Scaled(network, x)
    data = TensorDataset(torch.from_numpy(scaled(x)), torch.from_numpy(y))
    classifier = Classifier(network, work.learning_rate)
    trainer = lightning.Trainer(
        max_epochs=work.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, DataLoader(data, batch_size=work.batch_size, shuffle=True))
    return answers(classifier.model, scaled)
