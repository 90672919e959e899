"""The question asked: what the output layer is, what counts as error, and how outputs are read.

| question            | units   | read through | loss                  |
|---------------------|---------|--------------|-----------------------|
| one or more values  | values  | identity     | squared error         |
| two classes         | 1       | sigmoid      | binary cross-entropy  |
| several classes     | classes | softmax      | cross-entropy         |
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.catalog import load, names
from chainrule.core.errors import SettingError, ShapeError
from chainrule.nn.losses import Loss
from chainrule.nn.losses import loss as loss_named
from chainrule.train.metrics import QUESTIONS, Answers, check_metric, measure
from chainrule.train.settings import check_setting

ROWS_AT_ONCE = 1 << 18  # decoded together; keeps what is made on the way small

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a network says about N rows: classes with probabilities, or values in the target's own units.

    `spread` is the standard deviation over samples, where some were drawn: of each value, or of the probability of the
    class that is answered.
    Shapes: labels (N,) indices into `classes`, probabilities (N, classes), values (N, values), spread (N, values) or (N, 1)
    """

    classes: tuple[str, ...] = ()
    labels: Tensor | None = None
    probabilities: Tensor | None = None
    values: Tensor | None = None
    spread: Tensor | None = None

    @property
    def names(self) -> list[str]:
        """The predicted class of every row, by name."""
        assert self.labels is not None
        return [self.classes[label] for label in self.labels.tolist()]


class Task(nn.Module):
    """A question with its output layer, loss and metrics; `kind` names it in a recipe.

    `metric` is the score that tables show; `watched` are those that cost little and are taken after every epoch.
    """

    kind: str
    metric: str
    watched: tuple[str, ...]
    units: int
    default_loss: str

    def __init__(self, loss: str | LossFunction | None) -> None:
        super().__init__()
        self.loss: LossFunction = loss if callable(loss) else self._named(loss or self.default_loss)

    def judge_by_(self, metric: str) -> None:
        """Make a metric the one that tables show. Raises: SettingError for one of another kind of task."""
        self.metric = check_metric(metric, self.kind).name
        self.watched = tuple(dict.fromkeys([*self.watched, metric]))

    def _named(self, name: str) -> Loss:
        loss = loss_named(name)
        if self.kind not in loss.tasks:
            fitting = [other for other in names("loss") if self.kind in load("loss", other).tasks]
            raise SettingError(
                f"the loss {name} is not for {QUESTIONS[self.kind]}; those that are: {', '.join(fitting)}"
            )
        return loss

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return one loss per example. Shapes: outputs (…, B, units), targets from `encode` -> (…, B)."""
        losses = self.loss(outputs, targets)
        if losses.shape == outputs.shape[:-1]:
            return losses
        if losses.dim() == 0:  # a callable of the user's that has averaged already
            return self._spread(losses, outputs.shape[:-1])
        raise ShapeError(
            f"the loss must return one number per example, {tuple(outputs.shape[:-1])}, or one in all; "
            f"got {tuple(losses.shape)}"
        )

    def derivative(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the gradient of each example's loss by its outputs, as the loss declares it. Shapes: as outputs."""
        assert isinstance(self.loss, Loss)
        return self.loss.derivative(outputs, targets)

    def _spread(self, mean: Tensor, shape: torch.Size) -> Tensor:
        return mean.expand(shape)

    def encode(self, targets: np.ndarray) -> Tensor:
        """Turn targets as the schema gives them into what `losses` takes."""
        raise NotImplementedError

    def decode(self, outputs: Tensor) -> Predictions:
        """Turn a network's outputs into predictions."""
        raise NotImplementedError

    def answers(self, outputs: Tensor, targets: Tensor) -> Answers:
        """Return what outputs answer and what is true, for metrics: values in the target's own units."""
        raise NotImplementedError

    def measure(
        self,
        outputs: Tensor,
        targets: Tensor,
        weights: np.ndarray | None = None,
        metrics: Sequence[str] | None = None,
    ) -> dict[str, float]:
        """Return metrics of outputs against targets, those that are watched where none are named; an undefined one is not there.

        Shapes: weights (N,)
        """
        return measure(self.answers(outputs, targets), metrics or self.watched, weights)


class Regression(Task):
    """One or more values: linear outputs, squared error on standardised targets (rows OUT-01, OUT-02).

    `mean` and `scale` are buffers, fitted on training rows and undone by `decode`.
    """

    kind = "regression"
    metric = "r2"
    watched = ("r2", "mae", "rmse")
    default_loss = "squared-error"

    def __init__(self, names: Sequence[str], loss: str | LossFunction | None = None) -> None:
        super().__init__(loss)
        self.names = tuple(names)
        self.units = len(self.names)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(self.units, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(self.units, dtype=torch.float64))

    def fit(self, values: np.ndarray, weights: np.ndarray | None = None) -> Regression:
        """Take mean and standard deviation from the values of the training rows. Shapes: values (N, values), weights (N,)."""
        mean, deviation = values.mean(0), values.std(0)
        if weights is not None:
            shares = weights / weights.sum()
            mean = shares @ values
            # A sum of shares rounds, and equal values would seem to differ
            varies = np.ptp(values, axis=0) > 0
            deviation = np.where(varies, np.sqrt(shares @ np.square(values - mean)), 0.0)
        self.mean.copy_(torch.from_numpy(mean))
        spread = torch.from_numpy(deviation)
        self.scale.copy_(torch.where(spread > 0, spread, 1.0))
        return self

    def encode(self, targets: np.ndarray) -> Tensor:
        return ((torch.from_numpy(targets) - self.mean.cpu()) / self.scale.cpu()).float()

    def decode(self, outputs: Tensor) -> Predictions:
        return Predictions(values=outputs.double() * self.scale + self.mean)

    def answers(self, outputs: Tensor, targets: Tensor) -> Answers:
        values = self.decode(outputs).values
        assert values is not None
        true = targets.double() * self.scale + self.mean
        return Answers(true=true.cpu().numpy(), values=values.cpu().numpy())


class Classification(Task):
    """What both kinds of classification share.

    `label_smoothing` ε gives the true class 1 − ε of the target and spreads ε over all classes, while training only
    (Szegedy et al. 2016, section 7).

    With `weigh_` the loss of a row is multiplied by the weight of its true class, and the mean over the rows of a
    batch stays the plain mean: losses * class_weights[targets], then .mean(). That is what counts as error from then
    on, so the validation loss and the loss of test rows are weighted too; metrics are not.
    """

    metric = "accuracy"
    watched = ("accuracy",)

    def __init__(
        self, classes: Sequence[str], loss: str | LossFunction | None, label_smoothing: float
    ) -> None:
        super().__init__(loss)
        self.classes = tuple(classes)
        self.label_smoothing = label_smoothing if loss in (None, self.default_loss) else 0.0
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", None)  # not in the state until there are some

    def weigh_(self, targets: np.ndarray | None = None) -> None:
        """Weigh classes from now on: with N/(K n_c) from the rows of training, or with what is loaded later.

        All classes then count alike, and the weights of the training rows have the mean 1.
        Shapes: targets (N,)
        """
        weights = torch.ones(len(self.classes))
        if targets is not None:
            counts = torch.bincount(torch.from_numpy(targets.astype(np.int64)), minlength=len(self.classes))
            weights = (len(targets) / (len(self.classes) * counts.double())).float()
        self.class_weights = weights

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.class_weights is None:
            return self._unweighted(outputs, targets)
        return self._unweighted(outputs, targets) * self.class_weights[targets]

    def _unweighted(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().losses(outputs, targets)

    def derivative(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.class_weights is None:
            return self._unweighted_derivative(outputs, targets)
        return self._unweighted_derivative(outputs, targets) * self.class_weights[targets].unsqueeze(-1)

    def _unweighted_derivative(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().derivative(outputs, targets)

    def _spread(self, mean: Tensor, shape: torch.Size) -> Tensor:
        if self.class_weights is not None:
            raise SettingError("--class-weight needs a loss of one number per row; this one gives their mean")
        return super()._spread(mean, shape)

    def encode(self, targets: np.ndarray) -> Tensor:
        return torch.from_numpy(targets.astype(np.int64, copy=False))

    def measure(
        self,
        outputs: Tensor,
        targets: Tensor,
        weights: np.ndarray | None = None,
        metrics: Sequence[str] | None = None,
    ) -> dict[str, float]:
        wanted = tuple(metrics or self.watched)
        if wanted != ("accuracy",):
            return super().measure(outputs, targets, weights, wanted)
        # Enough, and of many rows far less than their probabilities
        labels = self.labels(outputs).cpu().numpy()
        return measure(Answers(true=targets.cpu().numpy(), labels=labels), wanted, weights)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of every class. Shapes: outputs (N, units) -> (N, classes)."""
        raise NotImplementedError

    def labels(self, outputs: Tensor) -> Tensor:
        """Return the predicted class. Shapes: outputs (N, units) -> (N,)."""
        raise NotImplementedError

    def decode(self, outputs: Tensor) -> Predictions:
        labels = self.labels(outputs)
        if isinstance(self.loss, Loss) and self.loss.only_decides:
            shares = nn.functional.one_hot(labels, len(self.classes)).double()
        else:
            shares = self.probabilities(outputs.double())
        return Predictions(classes=self.classes, labels=labels, probabilities=shares)

    def answers(self, outputs: Tensor, targets: Tensor) -> Answers:
        labels = np.empty(len(outputs), np.int64)
        shares = np.empty((len(outputs), len(self.classes)))
        for start in range(0, len(outputs), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            found = self.decode(outputs[part])
            assert found.labels is not None and found.probabilities is not None
            labels[part], shares[part] = found.labels.cpu(), found.probabilities.cpu()
        return Answers(true=targets.cpu().numpy(), labels=labels, probabilities=shares)


class Binary(Classification):
    """Two classes: one unit read through a sigmoid, the second class from 0.5 (rows OUT-03, ACT-05).

    At exactly 0.5 it is the second class too, as row ACT-05 wants it; scikit-learn's own classifiers take the first there.
    """

    kind = "binary"
    units = 1
    default_loss = "binary-cross-entropy"

    def __init__(
        self, classes: Sequence[str], loss: str | LossFunction | None = None, label_smoothing: float = 0.0
    ) -> None:
        if len(classes) != 2:
            raise SettingError(f"{QUESTIONS[self.kind]} needs two of them; got {len(classes)}")
        super().__init__(classes, loss, label_smoothing)

    def _unweighted(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super()._unweighted(outputs, self._smoothed(targets))

    def _unweighted_derivative(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super()._unweighted_derivative(outputs, self._smoothed(targets))

    def _smoothed(self, targets: Tensor) -> Tensor:
        if not (self.label_smoothing and self.training):
            return targets
        return targets * (1 - self.label_smoothing) + self.label_smoothing / 2

    def probabilities(self, outputs: Tensor) -> Tensor:
        second = torch.sigmoid(outputs)
        return torch.cat([torch.sigmoid(-outputs), second], -1)

    def labels(self, outputs: Tensor) -> Tensor:
        return (outputs.squeeze(-1) >= 0).long()


class MultiClass(Classification):
    """Several classes that exclude each other: one unit per class, softmax, the largest wins (rows OUT-04, OUT-08)."""

    kind = "multi-class"
    default_loss = "cross-entropy"

    def __init__(
        self, classes: Sequence[str], loss: str | LossFunction | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(classes, loss, label_smoothing)
        self.units = len(self.classes)

    def _unweighted(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.label_smoothing and self.training:
            smoothed = functools.partial(
                nn.functional.cross_entropy, reduction="none", label_smoothing=self.label_smoothing
            )
            if outputs.dim() == 2:
                return smoothed(outputs, targets)
            return smoothed(outputs.flatten(0, -2), targets.flatten()).view(targets.shape)
        return super()._unweighted(outputs, targets)

    def _unweighted_derivative(self, outputs: Tensor, targets: Tensor) -> Tensor:
        found = super()._unweighted_derivative(outputs, targets)
        if not (self.label_smoothing and self.training):
            return found
        true = nn.functional.one_hot(targets, self.units).to(outputs.dtype)
        return found + self.label_smoothing * (true - 1 / self.units)  # p − t, with (1 − ε) t + ε/K for t

    def probabilities(self, outputs: Tensor) -> Tensor:
        return torch.softmax(outputs, -1)

    def labels(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(-1)


KINDS: dict[str, Callable[..., Task]] = {
    "regression": Regression,
    "binary": Binary,
    "multi-class": MultiClass,
}


def build_task(
    kind: str,
    names: Sequence[str],
    loss: str | LossFunction | None = None,
    *,
    label_smoothing: float = 0.0,
    metric: str | None = None,
    class_weight: str | None = None,
) -> Task:
    """Return the task of a recipe: its kind, with the names of its classes or values.

    Raises: SettingError for a metric of another kind of task, or class weights where there are no classes
    """
    if kind not in KINDS:
        raise SettingError(f"a task is one of regression, binary, multi-class; got {kind!r}")
    task = Regression(names, loss) if kind == "regression" else KINDS[kind](names, loss, label_smoothing)
    if metric is not None:
        task.judge_by_(metric)
    if class_weight is not None:
        check_setting("class_weight", class_weight)
        if not isinstance(task, Classification):
            raise SettingError("--class-weight is for classes; this target holds values (a regression)")
        task.weigh_()
    return task
