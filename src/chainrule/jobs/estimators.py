"""Estimators with scikit-learn's interface: a network for tables of numbers, trained in memory without a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from torch import nn

from chainrule.core.errors import DataError, SettingError
from chainrule.data.target import Target
from chainrule.jobs.array_training import Order
from chainrule.jobs.estimator_base import NeuralEstimator, checked_weights
from chainrule.nn.losses import loss as loss_named
from chainrule.train.task import LossFunction


def _gives_probabilities(estimator: NeuralClassifier) -> bool:
    """Whether the loss makes outputs that can be read as probabilities; one that only decides does not."""
    name = estimator.loss
    if name is None and hasattr(estimator, "settings_"):
        name = estimator.settings_.loss  # a perceptron's is chosen with the model
    return not (isinstance(name, str) and loss_named(name).only_decides)


class NeuralClassifier(ClassifierMixin, NeuralEstimator):  # type: ignore[misc]
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
    >>> network = NeuralClassifier(hidden=(16,), random_state=0).fit(inputs, species)
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
        self._take(self._train(self.order(X, y, sample_weight)))
        return self

    def order(self, X: Any, y: Any, sample_weight: Any = None) -> Order:  # noqa: N803
        """Check rows and settings, and return the network that `fit` trains. Raises: as `fit`"""
        inputs, labels = self._checked(X, y)
        check_classification_targets(labels)
        weights = checked_weights(sample_weight, inputs)
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
        return self._order(inputs, codes, target, weights, self._class_weights(codes, weights))

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


class NeuralRegressor(RegressorMixin, NeuralEstimator):  # type: ignore[misc]
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
        self._take(self._train(self.order(X, y, sample_weight)))
        return self

    def order(self, X: Any, y: Any, sample_weight: Any = None) -> Order:  # noqa: N803
        """Check rows and settings, and return the network that `fit` trains. Raises: as `fit`"""
        inputs, values = self._checked(X, y, multi_output=True, y_numeric=True)
        weights = checked_weights(sample_weight, inputs)
        self._one_value = values.ndim == 1
        values = values.reshape(len(values), -1).astype(np.float64)
        target = Target(kind="regression", names=tuple(f"value {k}" for k in range(values.shape[1])))
        return self._order(inputs, values, target, weights)

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
