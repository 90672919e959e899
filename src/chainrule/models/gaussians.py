"""Classes as normal distributions: naive Bayes and Gaussian discriminant analysis."""

from __future__ import annotations

from typing import Any

from chainrule.core.errors import SettingError
from chainrule.models.classical import at_least, one_of


def naive_bayes() -> Any:
    """Take every input of a class as normally distributed and independent of the others; Bayes' rule does the rest.

    Counted among the linear techniques: with equal variances in all classes the boundary is a hyperplane. Variances are
    estimated per class here, and bend it.
    """
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


def gaussian_discriminant_analysis(*, covariance: str = "shared", shrinkage: float | None = None) -> Any:
    """Take each class as one normal distribution; Bayes' rule does the rest.

    With a `shared` covariance the boundary is a hyperplane (linear discriminant analysis), with its `own` for each class
    a curved one (quadratic). `shrinkage` from 0 to 1 pulls covariances to a multiple of the identity: needed for `own`
    where inputs depend on each other or rows are few.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis

    at_least(0, shrinkage=shrinkage)
    if shrinkage is not None and shrinkage > 1:
        raise SettingError(f"shrinkage takes a number from 0 to 1; got {shrinkage:g}")
    if not one_of({"shared": True, "own": False}, covariance=covariance):
        return QuadraticDiscriminantAnalysis(reg_param=shrinkage or 0.0)
    if shrinkage is None:
        return LinearDiscriminantAnalysis()
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
