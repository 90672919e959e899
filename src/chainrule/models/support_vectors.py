"""Support vector machines: the boundary that is farthest from all rows, straight or in the space of a kernel.

For values they fit a tube: errors up to `tube` (in standard deviations of the target) cost nothing.
"""

from __future__ import annotations

from typing import Any

from chainrule.catalog import CLASSES
from chainrule.models.classical import above, at_least, one_of, whole, with_products

KERNELS = {"rbf": "rbf", "polynomial": "poly", "sigmoid": "sigmoid", "linear": "linear"}
MOST_ITERATIONS = 10_000  # passes of the linear solver; it says so where they were not enough
TOLERANCE = 1e-6  # of its gradient: the margin of two points comes out to as many digits
FOLDS = 5  # of Platt's scaling


def linear_svm(
    *,
    question: str,
    seed: int,
    class_weight: str | None,
    C: float = 1.0,  # noqa: N803
    probabilities: bool = False,
    tube: float = 0.1,
    degree: int = 1,
) -> Any:
    """Choose the straight boundary with the widest margin; rows within it cost `C` times how far they reach in.

    It decides and gives no probabilities, unless `probabilities` fits them to its distances on further folds (Platt's
    scaling). Several classes are each told from all others. `tube` is for values; with a `degree` of 2 or more the
    boundary is straight in the products of so many inputs.
    """
    from sklearn.svm import LinearSVC, LinearSVR

    above(0, C=C)
    at_least(0, tube=tube)
    solver: dict[str, Any] = {
        "C": C,
        "random_state": seed % 2**32,
        "max_iter": MOST_ITERATIONS,
        "tol": TOLERANCE,
    }
    if question != CLASSES:
        return with_products(LinearSVR(epsilon=tube, **solver), degree)
    machine = LinearSVC(loss="hinge", class_weight=class_weight, **solver)
    return _with(probabilities, with_products(machine, degree))


def kernel_svm(
    *,
    question: str,
    class_weight: str | None,
    kernel: str = "rbf",
    C: float = 1.0,  # noqa: N803
    gamma: float | None = None,
    degree: int = 3,
    constant: float = 0.0,
    probabilities: bool = False,
    tube: float = 0.1,
) -> Any:
    """Choose the boundary with the widest margin in the space of a kernel, in which curved boundaries are straight.

    `kernel` is rbf, exp(−gamma |x − z|²); polynomial, (gamma x·z + constant)^degree; sigmoid, tanh(gamma x·z + constant);
    or linear, x·z. Without `gamma` it is 1 over the number of inputs times their variance. `probabilities` fits them to
    the distances on further folds (Platt's scaling). Work grows with the square of the rows.
    """
    from sklearn.svm import SVC, SVR

    above(0, C=C, gamma=gamma)
    at_least(0, tube=tube)
    whole(1, degree=degree)
    chosen = {
        "C": C,
        "kernel": one_of(KERNELS, kernel=kernel),
        "gamma": "scale" if gamma is None else gamma,
        "degree": degree,
        "coef0": constant,
    }
    if question != CLASSES:
        return SVR(epsilon=tube, **chosen)
    return _with(probabilities, SVC(class_weight=class_weight, **chosen))


def _with(probabilities: bool, machine: Any) -> Any:
    """Fit probabilities to distances, if they are wanted: on rows that each fold's machine did not see."""
    from sklearn.calibration import CalibratedClassifierCV

    return CalibratedClassifierCV(machine, cv=FOLDS, ensemble=False) if probabilities else machine
