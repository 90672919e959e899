"""What every loss of the catalogue promises."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chainrule.catalog import LOSSES
from chainrule.core.errors import ShapeError
from chainrule.nn.losses import loss

NUMBERED = ("huber:0.3", "focal:0", "focal:0.5", "focal:3")
BATCHES = [(6,), (3, 6), (2, 3, 6)]  # examples alone; members × examples; and one axis more


def cases() -> list[tuple[str, str]]:
    """Return every loss with every kind of outputs and targets that it takes."""
    found = [(name, task) for name in (*LOSSES, *NUMBERED) for task in loss(name).tasks]
    return [*found, *((name, "labels") for name in LOSSES if not loss(name).tasks)]


pytestmark = pytest.mark.parametrize(("name", "task"), cases())


def pair(
    task: str, batch: tuple[int, ...] = (6,), dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Return outputs and targets of a kind of task."""
    generator = torch.Generator().manual_seed(1)
    units = 1 if task == "binary" else 4
    outputs = 2 * torch.randn(*batch, units, generator=generator, dtype=dtype)
    if task == "regression":
        return outputs, torch.randn(*batch, units, generator=generator, dtype=dtype)
    if task == "labels":
        return outputs, torch.randint(0, 2, (*batch, units), generator=generator).to(dtype)
    return outputs, torch.randint(0, max(2, units), batch, generator=generator)


def test_the_battery_covers_the_catalogue(name: str, task: str) -> None:
    assert {name for name, _ in cases()} == {*LOSSES, *NUMBERED}
    assert {name.partition(":")[0] for name in NUMBERED} == {k for k, e in LOSSES.items() if e.number}
    assert loss(name).name == name


@pytest.mark.parametrize("batch", BATCHES)
def test_one_number_per_example(name: str, task: str, batch: tuple[int, ...]) -> None:
    outputs, targets = pair(task, batch)
    assert loss(name)(outputs, targets).shape == batch
    assert loss(name).derivative(outputs, targets).shape == outputs.shape


@pytest.mark.parametrize("batch", BATCHES)
def test_derivative_equals_autograd(name: str, task: str, batch: tuple[int, ...]) -> None:
    outputs, targets = pair(task, batch)
    outputs.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(name)(outputs, targets).sum(), outputs)
    torch.testing.assert_close(
        loss(name).derivative(outputs, targets).detach(), gradient, atol=1e-12, rtol=1e-12
    )


def test_derivative_equals_the_numerical_one(name: str, task: str) -> None:
    outputs, targets = pair(task)
    derivative, h = loss(name).derivative(outputs, targets), 1e-6
    for unit in range(outputs.shape[-1]):
        step = torch.zeros_like(outputs)
        step[..., unit] = h
        numerical = (loss(name)(outputs + step, targets) - loss(name)(outputs - step, targets)) / (2 * h)
        torch.testing.assert_close(derivative[..., unit], numerical, atol=1e-8, rtol=1e-7)


def test_members_equal_members_alone(name: str, task: str) -> None:
    outputs, targets = pair(task, (3, 6))
    together = loss(name)(outputs, targets)
    for member in range(3):
        alone = loss(name)(outputs[member], targets[member])
        torch.testing.assert_close(together[member], alone, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_dtype(name: str, task: str, dtype: torch.dtype) -> None:
    outputs, targets = pair(task, dtype=dtype)
    assert loss(name)(outputs, targets).dtype == dtype
    assert loss(name).derivative(outputs, targets).dtype == dtype


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_is_stable_far_out(name: str, task: str, size: float) -> None:
    outputs, targets = pair(task, dtype=torch.float32)
    outputs = (outputs.sign() * size).requires_grad_()
    value = loss(name)(outputs, targets)
    (gradient,) = torch.autograd.grad(value.sum(), outputs)
    assert torch.isfinite(value).all() and torch.isfinite(gradient).all() and (value >= 0).all()
    torch.testing.assert_close(loss(name).derivative(outputs, targets).detach(), gradient)
    # At ±1000 a cross-entropy is the distance itself, not the infinity of log 0.
    if "entropy" in name:
        assert 0.99 * size <= value.max() <= 4 * size


@pytest.mark.curriculum("OUT-14")
def test_agreement_is_smallest(name: str, task: str) -> None:
    """DIV(a, a) ≤ DIV(a, b): no other output is nearer to a target than the one that agrees with it."""
    generator = torch.Generator().manual_seed(2)
    _, targets = pair(task, (200,))
    agreeing = agreeing_outputs(task, targets)
    least = loss(name)(agreeing, targets)
    for spread in (1e-3, 0.1, 1.0, 30.0):
        others = agreeing + spread * torch.randn(agreeing.shape, generator=generator, dtype=torch.float64)
        assert (least <= loss(name)(others, targets) + 1e-12).all()
    shuffled = agreeing[torch.randperm(200, generator=generator)]
    assert loss(name).cost(agreeing, targets) < loss(name).cost(shuffled, targets)


def agreeing_outputs(task: str, targets: Tensor) -> Tensor:
    """Return the outputs that say exactly what the targets say; for classes as sure as float64 allows."""
    if task == "regression":
        return targets.clone()
    if task == "multi-class":
        return 1000.0 * torch.nn.functional.one_hot(targets, 4).double()
    signs = 1000.0 * (2 * targets.double() - 1)
    return signs.unsqueeze(-1) if task == "binary" else signs


@pytest.mark.curriculum("OUT-13", "OUT-21")
def test_sum_is_mean_times_examples(name: str, task: str) -> None:
    """Σ over the examples and their mean differ by the factor N, and so has each its minimum where the other has it."""
    outputs, targets = pair(task, (3, 7))
    outputs.requires_grad_()
    mean, total = loss(name).cost(outputs, targets), loss(name).cost(outputs, targets, reduction="sum")
    assert mean.shape == total.shape == (3,)
    torch.testing.assert_close(total, 7 * mean)
    torch.testing.assert_close(mean, loss(name)(outputs, targets).mean(-1))
    gradients = [torch.autograd.grad(cost.sum(), outputs, retain_graph=True)[0] for cost in (mean, total)]
    torch.testing.assert_close(gradients[1], 7 * gradients[0])


def test_shapes_that_do_not_fit(name: str, task: str) -> None:
    outputs, targets = pair(task)
    if task == "multi-class":
        return  # torch itself refuses these
    with pytest.raises(ShapeError, match="must have one shape"):
        loss(name)(outputs, targets[..., None].expand(*targets.shape, 2))
    with pytest.raises(ShapeError, match="must have one shape"):
        loss(name)(outputs[:-1], targets)  # would broadcast, or be summed over too few


def test_says_what_it_is_for(name: str, task: str) -> None:
    found = loss(name)
    for said in (found.formula, found.derivative_formula, found.purpose, found.drawbacks):
        assert said and said.isprintable() and not said.endswith(".")
