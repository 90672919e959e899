"""Linear models that are solved instead of trained: least squares, ridge and penalised logistic regression.

With a `degree` of 2 or more they see products of so many inputs too.
"""

from __future__ import annotations

from typing import Any

from chainrule.models.classical import above, at_least, with_products

MOST_ITERATIONS = 1000  # of the solver; it says so where they were not enough


def least_squares(*, degree: int = 1) -> Any:
    """Solve linear regression exactly: the weights with the least squared error on the training rows.

    `linear-regression` is the same model, trained by gradient descent.
    """
    from sklearn.linear_model import LinearRegression

    return with_products(LinearRegression(), degree)


def ridge_regression(*, strength: float = 1.0, degree: int = 1) -> Any:
    """Solve least squares with `strength` times the sum of squared weights added to the sum of squared errors."""
    from sklearn.linear_model import Ridge

    at_least(0, strength=strength)
    return with_products(Ridge(alpha=strength), degree)


def penalised_logistic_regression(
    *,
    class_weight: str | None,
    C: float = 1.0,  # noqa: N803
    degree: int = 1,
) -> Any:
    """Solve logistic regression, for several classes softmax regression, with an L2 penalty.

    `C` is how much the loss of the rows counts against the penalty: large C, weak penalty. `logistic-regression` and
    `softmax-regression` are the same models without the penalty, trained by gradient descent.
    """
    from sklearn.linear_model import LogisticRegression

    above(0, C=C)
    return with_products(LogisticRegression(C=C, class_weight=class_weight, max_iter=MOST_ITERATIONS), degree)
