"""Classical models by name: scikit-learn's estimators behind chainrule's names and settings.

A builder takes the `question` (classes or values), the `seed` and the `class_weight` where they change what it builds,
and settings of its own; it returns an estimator that is not fitted yet.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from chainrule.catalog import CLASSICAL, load
from chainrule.core.errors import SettingError, unknown_name
from chainrule.core.text import visible

KIND = "classical-model"
TOLD = ("question", "seed", "class_weight")  # by the run, not by settings of the model


def build_classical(
    name: str,
    settings: Mapping[str, Any],
    *,
    question: str,
    seed: int = 0,
    class_weight: str | None = None,
) -> Any:
    """Build the estimator called `name`, not fitted yet.

    Raises: UnknownNameError for a name or a setting; SettingError for a value, or a question that it does not answer
    """
    builder = load(KIND, name)
    if question not in CLASSICAL[name].questions:
        fitting = [other for other, entry in CLASSICAL.items() if question in entry.questions]
        raise SettingError(f"{name} is not for {question}; those that are: {', '.join(fitting)}")
    accepted = inspect.signature(builder).parameters
    for key in settings:
        if key not in accepted or key in TOLD:
            raise unknown_name(f"setting of {name}", key, [k for k in accepted if k not in TOLD])
    if class_weight is not None and "class_weight" not in accepted:
        weighing = [
            other for other in CLASSICAL if "class_weight" in inspect.signature(load(KIND, other)).parameters
        ]
        raise SettingError(
            f"{name} cannot weigh classes (--class-weight {class_weight}); those that can: {', '.join(weighing)}"
        )
    told = {"question": question, "seed": seed, "class_weight": class_weight}
    return builder(**{k: v for k, v in told.items() if k in accepted}, **settings)


def classical_settings(name: str) -> dict[str, inspect.Parameter]:
    """Return the settings that a classical model takes. Raises: UnknownNameError"""
    return {k: p for k, p in inspect.signature(load(KIND, name)).parameters.items() if k not in TOLD}


def with_products(estimator: Any, degree: int) -> Any:
    """Let a linear model see products of inputs too, so that curved boundaries and fits are straight to it.

    Degree 2 turns (x₁, x₂) into (x₁, x₂, x₁², x₁x₂, x₂²); degree 1 leaves inputs as they are.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    whole(1, degree=degree)
    return (
        estimator if degree == 1 else make_pipeline(PolynomialFeatures(degree, include_bias=False), estimator)
    )


def at_least(low: float, **settings: float | None) -> None:
    """Refuse a number below a limit, or what is no number; None is left to the model. Raises: SettingError"""
    for name, value in settings.items():
        _check(
            name,
            value,
            value is None or (_is_number(value) and value >= low),
            f"a number of at least {low:g}",
        )


def whole(low: int, **settings: int | None) -> None:
    """Refuse what is no whole number, or below a limit; None is left to the model. Raises: SettingError"""
    for name, value in settings.items():
        fits = value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= low)
        _check(name, value, fits, f"a whole number of at least {low}")


def above(low: float, **settings: float | None) -> None:
    """Refuse a number that is not above a limit; None is left to the model. Raises: SettingError"""
    for name, value in settings.items():
        _check(name, value, value is None or (_is_number(value) and value > low), f"a number above {low:g}")


def one_of(words: Mapping[str, Any], **settings: str) -> Any:
    """Return what a word stands for. Raises: SettingError with the words that there are"""
    ((name, value),) = settings.items()
    if value not in words:
        raise SettingError(f"{name} takes {' or '.join(words)}; got {visible(value, 40)!r}")
    return words[value]


def _check(name: str, value: Any, fits: bool, wanted: str) -> None:
    if not fits:
        raise SettingError(f"{name} takes {wanted}; got {visible(value, 40)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
