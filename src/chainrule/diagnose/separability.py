"""Whether straight boundaries tell classes apart: how far rows lie from those of a network, and whether there are any.

Classes are linearly separable if weights exist with wₜ·x + bₜ > wⱼ·x + bⱼ for every row x, its class t and every other
class j. A linear program decides it: the largest δ by which all of these can hold with weights between −1 and 1 is
above 0, or it is 0 and the program's dual values are a proof, since they mix the rows of the classes into one point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

MOST_NUMBERS = 1_000_000  # other than 0 in the linear program
MOST_SECONDS = 5.0
TIME_IS_UP = 1  # as scipy numbers the ends of a linear program
ROUNDING = 1e-9  # of what is computed from columns between −1 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether classes are linearly separable: proven (True, False) or not decided (None), and then why.

    `margin` is that of the boundary which proves it: the distance of the row that lies nearest to it.
    """

    is_separable: bool | None
    margin: float | None = None
    why: str = ""


def distances(outputs: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Return how far each row lies inside the region of its class; below 0 on a wrong side of a boundary, and how far.

    Where two classes have equal weights there is no boundary between them, and the distance is 0.
    Shapes: outputs (N, units), targets (N,), weight (units, inputs) -> (N,); one unit tells two classes apart
    """
    outputs, weight = _per_class(outputs.double()), _per_class(weight.double().T).T
    ahead = outputs.gather(1, targets[:, None]) - outputs
    lengths = torch.cdist(weight, weight)[targets]
    apart = torch.where(lengths > 0, ahead / lengths, torch.zeros_like(ahead))
    apart = apart.scatter(1, targets[:, None], torch.inf)
    return apart.amin(1)


def _per_class(values: Tensor) -> Tensor:
    """Give two classes a column each where one unit stands for both: the first class is 0 by definition."""
    return torch.cat([torch.zeros_like(values), values], 1) if values.shape[1] == 1 else values


def decide(x: np.ndarray, classes: np.ndarray, seconds: float = MOST_SECONDS) -> Decision:
    """Decide whether classes are linearly separable. Shapes: x (N, inputs), classes (N,)."""
    present, classes = np.unique(classes, return_inverse=True)
    count = len(present)
    if count == 1:
        return Decision(is_separable=True)
    numbers = 2 * len(x) * (count - 1) * (x.shape[1] + 1)
    if numbers > MOST_NUMBERS:
        return Decision(is_separable=None, why=too_many(numbers))
    centre = (x.max(0) + x.min(0)) / 2
    reach = np.maximum(np.abs(x - centre).max(0), np.finfo(np.float64).tiny)
    scaled = (x - centre) / reach
    found = _solve(scaled, classes, count, seconds)
    if found.status != 0:
        ended = f"in {seconds:g} s" if found.status == TIME_IS_UP else f"({found.message})"
        return Decision(is_separable=None, why=f"the linear program that decides it was not solved {ended}")
    weight, bias = found.x[:-1].reshape(count, -1)[:, :-1], found.x[:-1].reshape(count, -1)[:, -1]
    if _margin(scaled, classes, weight, bias) > ROUNDING:
        own = weight / reach
        return Decision(is_separable=True, margin=_margin(x, classes, own, bias - own @ centre))
    if _mixes_classes(scaled, classes, count, -found.ineqlin.marginals):
        return Decision(is_separable=False)
    return Decision(
        is_separable=None, why="the classes lie too close together for the numbers of this machine"
    )


def too_many(numbers: int) -> str:
    """Say why so many numbers are not asked."""
    return f"the linear program that decides it would hold {numbers:,} numbers, more than {MOST_NUMBERS:,}"


def _solve(x: np.ndarray, classes: np.ndarray, count: int, seconds: float) -> Any:
    """Maximise δ so that every row is ahead by δ in its class. The unknowns: weights and bias of each class, and δ."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, hstack

    rows, others = _rivals(classes, count)
    wide = np.hstack([x, np.ones((len(x), 1))])[rows]
    width = wide.shape[1]
    at = np.arange(width)
    columns = np.concatenate([others[:, None] * width + at, classes[rows][:, None] * width + at], 1)
    values = np.concatenate([wide, -wide], 1)
    starts = np.arange(len(rows) + 1) * 2 * width
    behind = csr_array((values.ravel(), columns.ravel(), starts), shape=(len(rows), count * width))
    matrix = hstack([behind, np.ones((len(rows), 1))]).tocsr()
    bounds = [*([(-1, 1)] * (width - 1) + [(None, None)]) * count, (None, None)]
    wanted = np.zeros(count * width + 1)
    wanted[-1] = -1
    return linprog(
        wanted,
        matrix,
        np.zeros(len(rows)),
        bounds=bounds,
        method="highs",
        options={"time_limit": seconds},
    )


def _rivals(classes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pair every row with every class that is not its own."""
    rows, others = np.divmod(np.arange(len(classes) * count), count)
    wrong = others != classes[rows]
    return rows[wrong], others[wrong]


def _margin(x: np.ndarray, classes: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> float:
    outputs = torch.from_numpy(x @ weight.T + bias)
    return float(distances(outputs, torch.from_numpy(classes), torch.from_numpy(weight)).min())


def _mixes_classes(x: np.ndarray, classes: np.ndarray, count: int, shares: np.ndarray) -> bool:
    """Whether the shares prove that nothing separates: weighed with them, all conditions add up to 0 > 0."""
    rows, others = _rivals(classes, count)
    total = np.zeros((count, x.shape[1] + 1))
    wide = np.hstack([x, np.ones((len(x), 1))])[rows] * shares[:, None]
    np.add.at(total, classes[rows], wide)
    np.add.at(total, others, -wide)
    return bool(shares.min() >= 0 and abs(shares.sum() - 1) < ROUNDING and np.abs(total).max() < ROUNDING)
