"""What the estimators share: parameters, checks of what comes in, training and outputs."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from torch import Tensor, nn

from chainrule.core.errors import DataError, SettingError, unknown_name
from chainrule.core.text import listed
from chainrule.data.target import Target
from chainrule.jobs.array_training import Order, Trained, train_on_arrays
from chainrule.train.settings import SEARCHED, Settings
from chainrule.train.task import LossFunction, Predictions

DIRECT = (
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "weight_decay",
    "dropout",
    "scaling",
    "patience",
    "validation",
    "plan",
    "device",
)
# Said otherwise here, or without a meaning for rows of numbers
ELSEWHERE = ("loss", "class_weight", "shuffle", "augment")
FURTHER = tuple(sorted((SEARCHED | {"metric"}) - {*DIRECT, *ELSEWHERE}))


class NeuralEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: parameters, checks of what comes in, and training."""

    _train: Callable[[Order], Trained] = staticmethod(train_on_arrays)  # a search puts its own here

    def __init__(
        self,
        model: str | nn.Module = "mlp",
        *,
        hidden: Sequence[int] | int | None = None,
        activation: str | Sequence[str] | None = None,
        model_settings: Mapping[str, Any] | None = None,
        epochs: int | None = None,
        batch_size: int | str | None = None,
        optimizer: str | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        loss: str | LossFunction | None = None,
        scaling: str = "standard",
        validation: float | None = None,
        patience: int | None = None,
        settings: Mapping[str, Any] | None = None,
        plan: str = "auto",
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.hidden = hidden
        self.activation = activation
        self.model_settings = model_settings
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.loss = loss
        self.scaling = scaling
        self.validation = validation
        self.patience = patience
        self.settings = settings
        self.plan = plan
        self.device = device
        self.random_state = random_state

    @property
    def loss_curve_(self) -> list[float]:
        """The mean training loss of each epoch."""
        check_is_fitted(self)
        return [row["train_loss"] for row in self.history_]

    def __sklearn_clone__(self) -> Any:
        """Return an estimator with the same parameters, trained by whoever trains this one."""
        made = super().__sklearn_clone__()
        vars(made).update({name: value for name, value in vars(self).items() if name == "_train"})
        return made

    def _order(
        self, inputs: np.ndarray, targets: np.ndarray, target: Target, weights: np.ndarray | None,
        class_weight: np.ndarray | None = None,
    ) -> Order:  # fmt: skip
        """Return the network that is asked for. Raises: SettingError; UnknownNameError for a further setting"""
        return Order(
            inputs=inputs,
            targets=targets,
            weights=weights,
            target=target,
            asked=self._asked(),
            of_model=self._asked_of_model(),
            model=self.model if isinstance(self.model, nn.Module) else None,
            loss=None if self.loss is None or isinstance(self.loss, str) else self.loss,
            class_weight=class_weight,
        )

    def _take(self, trained: Trained) -> None:
        """Keep what was learnt and how."""
        self.network_ = trained.network
        self.scaling_ = trained.scaling
        self.settings_ = trained.settings
        self.plan_ = trained.plan
        self.history_ = trained.history
        self.n_iter_ = len(trained.history)
        self.best_epoch_ = trained.best_epoch

    def _asked(self) -> Settings:
        """Return what was asked of the training. Raises: SettingError; UnknownNameError for a further setting"""
        further = dict(self.settings or {})
        for name in further:
            if name in DIRECT or name in ("model", "loss", "hidden", "activation"):
                raise SettingError(f"{name} is a parameter of its own: {type(self).__name__}({name}=…)")
            if name not in FURTHER:
                raise unknown_name(f"setting of {type(self).__name__}", name, FURTHER)
        said = {name: _plain(getattr(self, name)) for name in DIRECT}
        return Settings(
            model=self.model if isinstance(self.model, str) else None,
            loss=self.loss if isinstance(self.loss, str) else None,
            seed=self._seed(),
            **said,
            **{name: _plain(value) for name, value in further.items()},
        )

    def _asked_of_model(self) -> dict[str, Any]:
        said = {"hidden": self.hidden, "activation": self.activation}
        found = {**(self.model_settings or {}), **{k: v for k, v in said.items() if v is not None}}
        if found and isinstance(self.model, nn.Module):
            raise SettingError(
                f"{listed(sorted(found))} cannot be set on a network that was handed over: it is built already"
            )
        hidden = found.get("hidden")
        if isinstance(hidden, int | np.integer):
            hidden = (hidden,)
        return found if hidden is None else {**found, "hidden": tuple(int(width) for width in hidden)}

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _checked(self, inputs: Any, targets: Any, **how: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and targets as arrays. Raises: ValueError as scikit-learn words it"""
        found, targets = validate_data(
            self, inputs, targets, accept_sparse="csr", dtype=(np.float64, np.float32), **how
        )
        return _dense(found), targets

    def _outputs(self, inputs: Any) -> Tensor:
        """Return what the network gives for rows. Shapes: (N, D) -> (N, units) float64"""
        check_is_fitted(self)
        found = validate_data(self, inputs, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        return self.network_.outputs(self.scaling_(_dense(found)))

    def _predictions(self, inputs: Any) -> Predictions:
        outputs = self._outputs(inputs)
        found: Predictions = self.network_.task.decode(outputs)
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _dense(inputs: Any) -> np.ndarray:
    found: np.ndarray = inputs.toarray() if sparse.issparse(inputs) else inputs
    return found


def _plain(value: Any) -> Any:
    """Return a number of NumPy, which grids and distributions draw, as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def checked_weights(weights: Any, inputs: np.ndarray) -> np.ndarray | None:
    """Return weights of rows as an array. Raises: DataError for weights that no mean can be taken with"""
    if weights is None:
        return None
    if isinstance(weights, numbers.Number):
        weights = np.full(len(inputs), weights)
    found: np.ndarray = check_array(
        weights, ensure_2d=False, dtype=np.float64, input_name="sample_weight", ensure_min_samples=0
    )
    if found.ndim != 1:
        raise DataError(f"sample_weight must be one weight per row, 1D; got the shape {found.shape}")
    check_consistent_length(inputs, found)
    if (found < 0).any():
        row = int((found < 0).argmax())
        raise DataError(f"sample_weight must not be below 0; row {row} has {found[row]:g}")
    if not found.any():
        raise DataError("sample_weight gives every row the weight zero: there is nothing to train on")
    return found
