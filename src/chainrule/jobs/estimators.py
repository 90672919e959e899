"""Estimators with scikit-learn's interface: a network for tables of numbers, trained in memory without a run folder."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from torch import Tensor, nn

from chainrule.core.errors import DataError, SettingError, unknown_name
from chainrule.core.text import listed
from chainrule.data.distinct import distinct_rows
from chainrule.data.target import Target
from chainrule.jobs.array_training import train_on_arrays
from chainrule.nn.losses import loss as loss_named
from chainrule.train.settings import Settings
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
FURTHER = (
    "initial",
    "pretrain",
    "momentum",
    "beta1",
    "beta2",
    "rho",
    "epsilon",
    "warmup_epochs",
    "drop_epochs",
    "drop_factor",
    "decay_rate",
    "schedule_patience",
    "lowest_rate",
    "l1",
    "penalty",
    "label_smoothing",
    "decay_with_loss",
    "clip_norm",
    "clip_value",
    "metric",
    "stop_tolerance",
    "stop_on_no_decrease",
)


class _NeuralEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: parameters, checks of what comes in, and training."""

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

    def _train(
        self, inputs: np.ndarray, targets: np.ndarray, target: Target, weights: np.ndarray | None,
        class_weight: Any = None,
    ) -> None:  # fmt: skip
        """Train, and keep what was learnt and how."""
        rows = distinct_rows(inputs, targets, weights)
        trained = train_on_arrays(
            rows,
            target,
            self._asked(),
            self._asked_of_model(),
            model=self.model if isinstance(self.model, nn.Module) else None,
            loss=None if self.loss is None or isinstance(self.loss, str) else self.loss,
            class_weight=class_weight,
        )
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


def _gives_probabilities(estimator: NeuralClassifier) -> bool:
    """Whether the loss makes outputs that can be read as probabilities; one that only decides does not."""
    name = estimator.loss
    if name is None and hasattr(estimator, "settings_"):
        name = estimator.settings_.loss  # a perceptron's is chosen with the model
    return not (isinstance(name, str) and loss_named(name).only_decides)


class NeuralClassifier(ClassifierMixin, _NeuralEstimator):  # type: ignore[misc]
    """A neural network that tells classes apart, with scikit-learn's interface.

    Parameters are named as the settings of `chainrule.fit`, and what is None is chosen from the data as there; so
    ``NeuralClassifier().fit(X, y)`` is a good start. Columns are scaled inside by the training rows (`scaling`: standard,
    range, symmetric or none), so no StandardScaler is needed before it. All is in memory and nothing is written.

    model : name of a model for rows of numbers (mlp, softmax-regression, …, package.module:Name) or a torch module
    hidden, activation : units of each hidden layer, and the activation of all or of each; for other settings that a
        model has, `model_settings` takes a dictionary
    epochs, batch_size, optimizer, learning_rate, schedule, weight_decay, dropout, loss : as in `chainrule.fit`
    validation, patience : share of the rows that validates, and epochs without a better validation loss before training
        stops. With patience alone the share is 0.1; with neither all rows train. The weights of the best epoch are kept.
    class_weight : "balanced", or a dictionary from class to weight; multiplies the weights of rows
    settings : further settings of the training by name, such as {"clip_norm": 1.0}
    plan : auto takes explicit backprop where it applies and measures nothing; plain, dense, bfloat16, compiled as in `fit`
    device : cpu, cuda, mps or auto
    random_state : an integer gives the same network for the same rows every time

    A row of weight k counts exactly as one that stands there k times, and the order of rows has no influence: equal rows
    are put together and rows without weight left out before training. Sparse matrices are made dense.

    After `fit`: classes_, n_features_in_, feature_names_in_, n_iter_ (epochs), history_ (a dictionary per epoch),
    loss_curve_, best_epoch_, settings_ (with nothing left open), plan_, network_.module (the torch module, on scaled rows).

    >>> from sklearn.datasets import load_iris
    >>> inputs, species = load_iris(return_X_y=True, as_frame=True)
    >>> network = NeuralClassifier(hidden=(16,), epochs=30, random_state=0).fit(inputs, species)
    >>> network.score(inputs, species) > 0.9, network.predict_proba(inputs).shape
    (True, (150, 3))
    """

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
        class_weight: str | Mapping[Any, float] | None = None,
        settings: Mapping[str, Any] | None = None,
        plan: str = "auto",
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            model,
            hidden=hidden,
            activation=activation,
            model_settings=model_settings,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            weight_decay=weight_decay,
            dropout=dropout,
            loss=loss,
            scaling=scaling,
            validation=validation,
            patience=patience,
            settings=settings,
            plan=plan,
            device=device,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralClassifier:  # noqa: N803
        """Train on rows X (N, D) and their classes y (N,). Shapes: sample_weight (N,), 1 without.

        Raises: ValueError for what is not a table of finite numbers, fewer than two classes, or an unusable setting
        """
        inputs, labels = self._checked(X, y)
        check_classification_targets(labels)
        weights = _checked_weights(sample_weight, inputs)
        counted = slice(None) if weights is None else weights > 0
        inputs, labels = inputs[counted], labels[counted]
        weights = None if weights is None else weights[counted]
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"a classifier needs rows of at least 2 classes; all rows that count are of one class, {self.classes_.tolist()[0]!r}"
            )
        names = tuple(map(str, self.classes_))
        target = Target(kind="binary" if len(names) == 2 else "multi-class", names=("class",), classes=names)
        self._train(inputs, codes, target, weights, self._class_weights(codes, weights))
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the class of each row. Shapes: (N, D) -> (N,)"""
        labels = self._predictions(X).labels
        assert labels is not None
        found: np.ndarray = self.classes_[labels.numpy()]
        return found

    @available_if(_gives_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the probability of each class of `classes_`. Shapes: (N, D) -> (N, classes)"""
        found = self._predictions(X).probabilities
        assert found is not None
        return found.numpy()

    def decision_function(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the outputs before sigmoid or softmax: the larger, the surer. Shapes: (N, D) -> (N, classes), (N,) for two."""
        outputs: np.ndarray = self._outputs(X).numpy()
        return outputs[:, 0] if len(self.classes_) == 2 else outputs

    def _class_weights(self, codes: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """Return what multiplies the weights of each class: N/(K n) for balanced, n the rows of a class. Shapes: (classes,)"""
        if self.class_weight is None:
            return None
        if isinstance(self.class_weight, str):
            if self.class_weight != "balanced":
                raise SettingError(
                    f"class_weight takes balanced or a dictionary from class to weight; got {self.class_weight!r}"
                )
            counts = np.bincount(codes, weights)
            balanced: np.ndarray = counts.sum() / (len(counts) * counts)
            return balanced
        given = dict(self.class_weight)
        found = np.array([given.get(name, 1.0) for name in self.classes_.tolist()], dtype=np.float64)
        if not (np.isfinite(found) & (found > 0)).all():
            raise SettingError("class_weight must give every class a positive weight")
        return found


class NeuralRegressor(RegressorMixin, _NeuralEstimator):  # type: ignore[misc]
    """A neural network that predicts one value or several, with scikit-learn's interface.

    Parameters, attributes and the meaning of weights are those of `NeuralClassifier`, without what is about classes.
    Targets are scaled inside by the training rows, and predictions come back in their own units.

    >>> from sklearn.datasets import load_diabetes
    >>> inputs, progression = load_diabetes(return_X_y=True)
    >>> network = NeuralRegressor(hidden=16, epochs=40, random_state=0).fit(inputs, progression)
    >>> network.predict(inputs).shape, network.score(inputs, progression) > 0.4
    ((442,), True)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralRegressor:  # noqa: N803
        """Train on rows X (N, D) and their values y (N,) or (N, values). Shapes: sample_weight (N,), 1 without.

        Raises: ValueError for what is not a table of finite numbers, or an unusable setting
        """
        inputs, values = self._checked(X, y, multi_output=True, y_numeric=True)
        weights = _checked_weights(sample_weight, inputs)
        self._one_value = values.ndim == 1
        values = values.reshape(len(values), -1).astype(np.float64)
        target = Target(kind="regression", names=tuple(f"value {k}" for k in range(values.shape[1])))
        self._train(inputs, values, target, weights)
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the values of each row. Shapes: (N, D) -> (N,) or (N, values), as y was in `fit`"""
        values = self._predictions(X).values
        assert values is not None
        found: np.ndarray = values.numpy()
        return found[:, 0] if self._one_value else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _dense(inputs: Any) -> np.ndarray:
    found: np.ndarray = inputs.toarray() if sparse.issparse(inputs) else inputs
    return found


def _plain(value: Any) -> Any:
    """Return a number of NumPy, which grids and distributions draw, as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _checked_weights(weights: Any, inputs: np.ndarray) -> np.ndarray | None:
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
