"""The decks' numbers for losses. Classes are given as logits: log p, or log p/(1−p) for one of two."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import Tensor

from chainrule.data.read import read
from chainrule.nn.losses import (
    ABSOLUTE_ERROR,
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    HALF_SQUARED_ERROR,
    PER_CLASS_CROSS_ENTROPY,
    PERCEPTRON,
    SQUARED_ERROR,
)

EXACT = 1e-6  # the curriculum's verified values are rounded to six digits


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def logit(p: Tensor) -> Tensor:
    return (p / (1 - p)).log()


@pytest.mark.curriculum("OUT-15")
def test_half_squared_error() -> None:
    losses = HALF_SQUARED_ERROR(numbers(16, 16.08)[:, None], numbers(7, 7)[:, None])
    assert losses.tolist() == pytest.approx([40.5, 41.2232], abs=EXACT)


@pytest.mark.curriculum("OUT-16")
def test_half_sum_of_squares_of_the_study_table(fixtures: Path) -> None:
    """D23; what least squares leaves of it is proven with the table itself."""
    frame = read(fixtures / "study.csv").frame
    assert frame is not None
    quiz, exam = (
        torch.from_numpy(frame[name].cast(pl.Float64).to_numpy() / 100)[:, None] for name in ("quiz", "exam")
    )
    assert HALF_SQUARED_ERROR.cost(quiz, exam, "sum").item() == pytest.approx(0.1354, abs=EXACT)
    assert exam.mean().item() == pytest.approx(0.785)
    mean = exam.mean().expand_as(exam)
    assert HALF_SQUARED_ERROR.cost(mean, exam, "sum").item() == pytest.approx(0.1078, abs=EXACT)


@pytest.mark.curriculum("OUT-17", "OUT-18")
def test_squared_and_absolute_error() -> None:
    """D14."""
    p, t = numbers(0.2, 0.3, 0.5), numbers(1, 0, 0)
    assert SQUARED_ERROR(p, t).item() == pytest.approx(0.326667, abs=EXACT)
    assert ABSOLUTE_ERROR(p, t).item() == pytest.approx(0.533333, abs=EXACT)
    # The decks' mean runs over n examples of one value each: there it is the cost.
    assert SQUARED_ERROR.cost(p[:, None], t[:, None]).item() == pytest.approx(0.326667, abs=EXACT)
    assert ABSOLUTE_ERROR.cost(p[:, None], t[:, None]).item() == pytest.approx(0.533333, abs=EXACT)


@pytest.mark.curriculum("OUT-19")
def test_binary_cross_entropy() -> None:
    p = numbers(0.9, 0.5, 0.9)
    losses = BINARY_CROSS_ENTROPY(logit(p)[:, None], torch.tensor([1, 1, 0]))
    assert losses.tolist() == pytest.approx([0.105361, 0.693147, -math.log(0.1)], abs=EXACT)


@pytest.mark.curriculum("OUT-20")
def test_cost_is_the_mean_of_losses_and_positive() -> None:
    """The printed J has lost its minus sign (E16)."""
    one = BINARY_CROSS_ENTROPY.cost(logit(numbers(0.9))[:, None], torch.tensor([1]))
    assert one.item() == pytest.approx(+0.105361, abs=EXACT)
    several = BINARY_CROSS_ENTROPY.cost(logit(numbers(0.9, 0.5))[:, None], torch.tensor([1, 1]))
    assert several.item() == pytest.approx((0.105361 + 0.693147) / 2, abs=EXACT)


@pytest.mark.curriculum("OUT-22")
def test_per_class_and_categorical_cross_entropy() -> None:
    """D14."""
    p = numbers(0.2, 0.3, 0.5)[None]
    per_class = PER_CLASS_CROSS_ENTROPY(logit(p), numbers(1, 0, 0)[None])
    assert per_class.item() == pytest.approx(2.659260, abs=EXACT)
    assert CROSS_ENTROPY(p.log(), torch.tensor([0])).item() == pytest.approx(1.609438, abs=EXACT)


@pytest.mark.curriculum("OUT-23")
def test_categorical_cross_entropy_worked() -> None:
    """G18. −ln 0.775; the deck's 0.3677 is the same in bits, and its S₂ = 0.126 is 0.116, so that S sums to 1 (E15)."""
    shares = numbers(0.775, 0.116, 0.039, 0.070)[None]
    assert shares.sum().item() == pytest.approx(1)
    found = CROSS_ENTROPY(shares.log(), torch.tensor([0])).item()
    assert found == pytest.approx(0.254892, abs=EXACT)
    assert found / math.log(2) == pytest.approx(0.367732, abs=EXACT)
    logits = numbers(3.2, 1.3, 0.2, 0.8)[None]
    target = torch.nn.functional.one_hot(torch.tensor([0]), 4)
    softmax = CROSS_ENTROPY.derivative(logits, torch.tensor([0])) + target
    assert softmax[0].tolist() == pytest.approx(shares[0].tolist(), abs=0.0005)


@pytest.mark.curriculum("OUT-09")
def test_target_is_one_hot_at_the_digit() -> None:
    """G48. What cross-entropy compares with is 1 at the index of the digit: p − t names the target (E06)."""
    logits = torch.randn(3, 10, dtype=torch.float64)
    digits = torch.tensor([0, 1, 4])
    target = torch.softmax(logits, -1) - CROSS_ENTROPY.derivative(logits, digits)
    expected = [
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
    ]
    torch.testing.assert_close(target, torch.tensor(expected, dtype=torch.float64))
    by_hand = -(target * torch.log_softmax(logits, -1)).sum(-1)
    torch.testing.assert_close(CROSS_ENTROPY(logits, digits), by_hand)


@pytest.mark.curriculum("OUT-26")
def test_signed_error_is_predicted_minus_actual() -> None:
    predicted, actual = numbers(16, 16, 16.08)[:, None], numbers(5, 7, 7)[:, None]
    error = HALF_SQUARED_ERROR.derivative(predicted, actual)[:, 0]
    assert error.tolist() == pytest.approx([11, 9, 9.08], abs=EXACT)


def test_derivative_is_p_minus_t_for_the_three_pairs() -> None:
    z, t = torch.randn(5, 1, dtype=torch.float64), torch.randint(0, 2, (5,))
    torch.testing.assert_close(BINARY_CROSS_ENTROPY.derivative(z, t), torch.sigmoid(z) - t[:, None])
    torch.testing.assert_close(HALF_SQUARED_ERROR.derivative(z, t[:, None].double()), z - t[:, None])


def test_perceptron_moves_only_on_mistakes() -> None:
    """Right side: no loss, no gradient. Wrong side: the distance, and ∓1. On the line: fires, so class 1 is right."""
    z, t = numbers(2, 2, -2, -2, 0, 0)[:, None].requires_grad_(), torch.tensor([1, 0, 0, 1, 1, 0])
    losses = PERCEPTRON(z, t)
    assert losses.tolist() == [0, 2, 0, 2, 0, 0]
    assert PERCEPTRON.derivative(z, t)[:, 0].tolist() == [0, 1, 0, -1, 0, 1]
    losses.sum().backward()
    assert z.grad[:, 0].tolist() == [0, 1, 0, -1, 0, 1]
    several = torch.tensor([[1.0, 3.0, 2.0]])
    assert PERCEPTRON(several, torch.tensor([2])).tolist() == [1.0]
    assert PERCEPTRON.derivative(several, torch.tensor([2])).tolist() == [[0, 1, -1]]
    alike = torch.zeros(1, 3, requires_grad=True)
    PERCEPTRON(alike, torch.tensor([2])).sum().backward()
    assert alike.grad.tolist() == [[1, 0, -1]], "of equal outputs the first wins, and it alone is corrected"
