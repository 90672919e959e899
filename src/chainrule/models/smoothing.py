"""Values as weighted means of the training rows near by: kernel regression and local regression, by statsmodels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.core.errors import missing_extra
from chainrule.models.classical import above

SPREAD = 1.06  # times deviation and rows^(-1/(4 + inputs)): the width for normally distributed rows (Silverman 1986)


class Smoother(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Training rows, and the width of the Gaussian around each; `degree` 0 is a mean near by, 1 a line."""

    def __init__(self, degree: int, bandwidth: float | None = None) -> None:
        self.degree = degree
        self.bandwidth = bandwidth

    def fit(self, x: np.ndarray, y: np.ndarray) -> Smoother:
        """Keep the rows, and settle the widths."""
        self.x_, self.y_ = validate_data(self, x, y, y_numeric=True)
        rows, inputs = self.x_.shape
        spread = self.x_.std(0)
        usual = SPREAD * np.where(spread > 0, spread, 1.0) * rows ** (-1 / (4 + inputs))
        self.widths_ = usual if self.bandwidth is None else np.full(inputs, float(self.bandwidth))
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the weighted mean, or line, of the rows near each row; far from all of them, the nearest row's value."""
        from statsmodels.nonparametric.kernel_regression import KernelReg

        check_is_fitted(self)
        rows = validate_data(self, x, reset=False)
        kind = "lc" if self.degree == 0 else "ll"
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # Of a source of chance that given widths never ask
            warnings.simplefilter("ignore", FutureWarning)
            smoothed = KernelReg(self.y_, self.x_, "c" * self.x_.shape[1], reg_type=kind, bw=self.widths_)
            found = np.asarray(smoothed.fit(rows)[0], np.float64)
        for place in np.flatnonzero(self._is_far(rows) | ~np.isfinite(found)):
            found[place] = self.y_[self._distances(rows[place]).argmin()]
        return found

    def _is_far(self, rows: np.ndarray) -> np.ndarray:
        """Whether no training row has a weight that a number can hold: a Gaussian at 38 widths is 0."""
        return np.array([self._distances(row).min() > 37.0**2 for row in rows])

    def _distances(self, row: np.ndarray) -> np.ndarray:
        found: np.ndarray = (((self.x_ - row) / self.widths_) ** 2).sum(1)
        return found


def kernel_regression(*, bandwidth: float | None = None) -> Any:
    """Answer with the mean of the training rows, each weighted by a Gaussian of its distance (Nadaraya and Watson 1964).

    `bandwidth` is its width in prepared inputs; without it, from their spread and number. Every answer compares with all
    training rows: for some thousands of rows of few inputs.
    """
    return _smoother(0, bandwidth, "kernel-regression")


def local_regression(*, bandwidth: float | None = None) -> Any:
    """Fit a line to the training rows around each row that is asked for, weighted as in kernel-regression.

    Less biased than a mean where rows end or lie unevenly.
    """
    return _smoother(1, bandwidth, "local-regression")


def _smoother(degree: int, bandwidth: float | None, name: str) -> Smoother:
    above(0, bandwidth=bandwidth)
    try:
        import statsmodels.nonparametric.kernel_regression  # noqa: F401
    except ImportError as error:
        raise missing_extra("statsmodels", "statsmodels", f"the model {name}") from error
    return Smoother(degree, bandwidth)
