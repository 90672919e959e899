"""The gradient checker finds a wrong derivative, says where it is, and is silent where nothing is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import chainrule as cr
from chainrule.core.errors import SettingError


class WrongSquare(torch.autograd.Function):
    """x² whose derivative lacks the factor 2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * ctx.saved_tensors[0]


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return WrongSquare.apply(x)  # type: ignore[no-any-return]


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_wrong_layer_is_named_and_those_before_it_are_not() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), Square(), nn.Linear(4, 2))
    found = cr.check_gradients(model, rows(6, 5))
    assert not found.is_equal and found.layers == ["2"]
    assert "the derivative of layer 2 differs: by input backward gives" in found.verdict
    assert "differs" in str(found)


def test_what_happens_between_layers_shows_in_the_whole_model() -> None:
    class Between(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(WrongSquare.apply(self.a(x)))  # type: ignore[no-any-return]

    found = cr.check_gradients(Between(), rows(6, 3))
    assert not found.is_equal and found.layers == []
    assert "something between the layers differs" in found.verdict


@pytest.mark.curriculum("BPG-12")
def test_equal_gradients_are_said_to_be_equal() -> None:
    model = cr.build("lenet", inputs=(1, 14, 14), units=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = cr.check_gradients(model, rows(3, 1, 14, 14))
    assert found.is_equal and found.verdict.startswith("all gradients equal their central differences")
    assert max(checked.error for checked in found.checked) < 1e-6
    assert any(checked.gradient != 0 and checked.numerical != 0 for checked in found.checked)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_objective_with_dropout_and_targets() -> None:
    model = cr.build("mlp", inputs=3, units=2, hidden=(6,), activation="tanh", dropout=0.5)
    objective = cr.Objective(model, cr.MultiClass(["a", "b"]))
    found = cr.check_gradients(objective, (rows(8, 3), torch.tensor([0, 1] * 4)))
    assert found.is_equal and "model.0.weight" in {checked.tensor for checked in found.checked}


def test_own_loss_and_layers_that_draw_from_the_global_generator() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 1))
    found = cr.check_gradients(model, (rows(5, 3), rows(5, 1)), loss=nn.functional.mse_loss)
    assert found.is_equal


def test_kinks_are_left_out_and_counted() -> None:
    found = cr.check_gradients(nn.ReLU(), torch.zeros(2, 3))
    assert found.is_equal and sum(checked.at_kinks for checked in found.checked) > 0
    assert "lie at kinks" in found.verdict


@pytest.mark.parametrize("batch", [torch.zeros(0, 3), None, "rows"])
def test_a_batch_without_numbers_is_refused(batch: Any) -> None:
    with pytest.raises(SettingError, match="with at least one row"):
        cr.check_gradients(nn.Linear(3, 2), batch)


def test_targets_need_a_loss_of_one_number() -> None:
    with pytest.raises(SettingError, match="returns one number"):
        cr.check_gradients(nn.Linear(3, 2), (rows(4, 3), rows(4, 2)), loss=lambda o, t: o - t)
