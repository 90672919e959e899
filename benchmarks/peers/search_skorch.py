"""skorch: a PyTorch module under scikit-learn's grid search, as its documentation combines them."""

from __future__ import annotations

import itertools

import numpy as np
import torch
import torch._dynamo  # the first optimizer imports it: imports are not timed
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from .searching import Found, Search


class Network(nn.Module):
    """Dense layers with ReLU between."""

    def __init__(self, inputs: int, hidden: tuple[int, ...], units: int) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layers(x.float())
        return outputs


def search(asked: Search, x: np.ndarray, y: np.ndarray) -> Found:
    """Search from raw rows to the refitted winner."""
    torch.set_num_threads(1)
    network = NeuralNetClassifier(
        Network,
        module__inputs=x.shape[1],
        module__hidden=asked.hidden,
        module__units=int(y.max()) + 1,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        batch_size=asked.batch_size,
        max_epochs=asked.epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    prefix = "neuralnetclassifier__"
    grid = {f"{prefix}lr": asked.rates, f"{prefix}optimizer__weight_decay": asked.decays}
    folds = StratifiedKFold(asked.folds, shuffle=True, random_state=0)
    found = GridSearchCV(make_pipeline(StandardScaler(), network), grid, cv=folds, n_jobs=asked.cores)
    found.fit(x.astype(np.float32), y)
    best = found.best_params_
    return Found(
        found.best_score_, best[f"{prefix}lr"], best[f"{prefix}optimizer__weight_decay"], found.predict
    )
