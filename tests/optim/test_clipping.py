"""Clipping by length and by value, together and per member."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chainrule.optim.clipping import clip_norm_, clip_norm_per_member_, clip_value_


def with_gradients(*gradients: torch.Tensor) -> list[nn.Parameter]:
    found = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for parameter, gradient in zip(found, gradients, strict=True):
        parameter.grad = gradient.clone()
    return found


@pytest.mark.curriculum("GEN-10")
def test_length_over_all_parameters_is_measured_and_bounded() -> None:
    a, b = with_gradients(torch.tensor([3.0, 0.0]), torch.tensor([[4.0]]))
    assert clip_norm_([a, b], 1.0).item() == pytest.approx(5)
    assert a.grad.tolist() == pytest.approx([0.6, 0]) and b.grad.item() == pytest.approx(0.8)


def test_clipping_does_not_help_gradients_that_vanish() -> None:
    """A deck lists it as a remedy for vanishing gradients; it lengthens none (E26)."""
    (short,) = with_gradients(torch.tensor([1e-9, -2e-9]))
    clip_norm_([short], 1.0)
    clip_value_([short], 1.0)
    clip_norm_per_member_([short], 1.0)  # two members
    assert torch.equal(short.grad, torch.tensor([1e-9, -2e-9]))


def test_entries_are_cut_one_by_one() -> None:
    (cut,) = with_gradients(torch.tensor([3.0, -0.5, -7.0]))
    clip_value_([cut], 1.0)
    assert cut.grad.tolist() == [1, -0.5, -1]


@pytest.mark.parametrize("longest", [1.0, torch.tensor([0.1, 100.0, 2.0])], ids=["one", "each"])
def test_members_are_clipped_as_each_alone(longest: float | torch.Tensor) -> None:
    gradients = torch.randn(3, 4, 2), torch.randn(3, 5)
    together = with_gradients(*gradients)
    lengths = clip_norm_per_member_(together, longest)
    for member in range(3):
        alone = with_gradients(*(g[member] for g in gradients))
        own = longest if isinstance(longest, float) else longest[member].item()
        assert clip_norm_(alone, own).item() == pytest.approx(lengths[member].item(), rel=1e-6)
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours.grad[member], theirs.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("parameters", [1, 6, 10, 11])
def test_a_member_is_clipped_to_the_same_bits_beside_others(parameters: int) -> None:
    gradients = [torch.randn(40, 16) for _ in range(parameters)]
    together = with_gradients(*gradients)
    lengths = clip_norm_per_member_(together, 1.0)
    for member in range(40):
        alone = with_gradients(*(g[member : member + 1] for g in gradients))
        assert clip_norm_per_member_(alone, 1.0).item() == lengths[member].item()
        for ours, theirs in zip(together, alone, strict=True):
            assert torch.equal(ours.grad[member], theirs.grad[0])


def test_a_parameter_without_a_gradient_stays_without() -> None:
    used, unused = *with_gradients(torch.tensor([[3.0, 4.0]])), nn.Parameter(torch.zeros(1, 2))
    assert clip_norm_per_member_([used, unused], 1.0).tolist() == pytest.approx([5.0])
    assert unused.grad is None
