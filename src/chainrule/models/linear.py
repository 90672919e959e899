"""Single layers: perceptron, linear, logistic and softmax regression.

They share one network, outputs = W x + b, and differ in the question they may be asked and in their loss, which
stand beside them in `suggestions.py`.
"""

from __future__ import annotations

import math

from torch import nn

from chainrule.core.errors import SettingError


def _layer(inputs: int | tuple[int, ...], units: int) -> nn.Sequential:
    if isinstance(inputs, int):
        return nn.Sequential(nn.Linear(inputs, units))
    flat: list[nn.Module] = [nn.Flatten()] if len(inputs) > 1 else []
    return nn.Sequential(*flat, nn.Linear(math.prod(inputs), units))


def perceptron(*, inputs: int | tuple[int, ...], units: int) -> nn.Sequential:
    """Build threshold units: fire where W x + b ≥ 0. Trained with the loss `perceptron`, by the perceptron rule.

    Shapes: (B, *inputs) -> (B, units)
    Source: Rosenblatt 1958; several classes compete, the largest output wins.
    """
    return _layer(inputs, units)


def linear_regression(*, inputs: int | tuple[int, ...], units: int) -> nn.Sequential:
    """Build one linear unit per value. Shapes: (B, *inputs) -> (B, units)."""
    return _layer(inputs, units)


def logistic_regression(*, inputs: int | tuple[int, ...], units: int) -> nn.Sequential:
    """Build one unit whose sigmoid is the probability of the second class. Shapes: (B, *inputs) -> (B, 1)."""
    if units != 1:
        raise SettingError(
            f"logistic-regression tells two classes apart; this target has {units} (use softmax-regression)"
        )
    return _layer(inputs, units)


def softmax_regression(*, inputs: int | tuple[int, ...], units: int) -> nn.Sequential:
    """Build one linear unit per class, read through a softmax. Shapes: (B, *inputs) -> (B, units)."""
    return _layer(inputs, units)
