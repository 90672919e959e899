"""What every layer that networks of the catalogue are built of promises. A new one adds a line to LAYERS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from chainrule.catalog import NORMALISATIONS
from chainrule.models import build
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.nn.normalisation import BatchNormalisation, GroupNormalisation, LayerNormalisation

DENSE, MAPS = (6,), (6, 2, 3)


@dataclass(frozen=True, slots=True)
class Case:
    """A layer, the shape of one row, and what it declares.

    `has_modes`: it computes otherwise while training. `stacked` makes it for so many members, if it takes them.
    """

    make: Callable[[], nn.Module]
    row: tuple[int, ...]
    has_modes: bool = False
    stacked: Callable[[int], nn.Module] | None = None


LAYERS = {
    "dense": Case(lambda: nn.Linear(6, 5), DENSE),
    "convolution": Case(lambda: nn.Conv2d(6, 4, 3, padding=1), MAPS),
    "max-pooling": Case(lambda: nn.MaxPool2d(2), MAPS),
    "average-pooling": Case(lambda: nn.AvgPool2d(2), MAPS),
    "flatten": Case(nn.Flatten, MAPS),
    "activation": Case(lambda: Activate("tanh"), DENSE, stacked=lambda members: Activate("tanh")),
    "dropout": Case(lambda: Dropout(0.4), DENSE, has_modes=True),
    "batch": Case(lambda: BatchNormalisation(6), DENSE, True, lambda members: BatchNormalisation(6, members)),
    "batch of maps": Case(
        lambda: BatchNormalisation(6), MAPS, True, lambda members: BatchNormalisation(6, members)
    ),
    "layer": Case(
        lambda: LayerNormalisation(6), DENSE, stacked=lambda members: LayerNormalisation(6, members)
    ),
    "layer of maps": Case(
        lambda: GroupNormalisation(6, 1), MAPS, stacked=lambda members: GroupNormalisation(6, 1, members)
    ),
    "group": Case(
        lambda: GroupNormalisation(6, 2), DENSE, stacked=lambda members: GroupNormalisation(6, 2, members)
    ),
    "group of maps": Case(
        lambda: GroupNormalisation(6, 3), MAPS, stacked=lambda members: GroupNormalisation(6, 3, members)
    ),
    "instance": Case(
        lambda: GroupNormalisation(6, 6), MAPS, stacked=lambda members: GroupNormalisation(6, 6, members)
    ),
}
each_layer = pytest.mark.parametrize("name", LAYERS)
each_stacked = pytest.mark.parametrize("name", [name for name, case in LAYERS.items() if case.stacked])


def used(case: Case, dtype: torch.dtype = torch.float64, seed: int = 0) -> nn.Module:
    """Return a layer with weights of its own that has seen some batches."""
    layer = case.make().to(dtype).train()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(generator=source)
        for batch in range(3):
            layer(rows(case, seed=10 + batch + seed).to(dtype))
    return layer


def rows(case: Case, count: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(count, *case.row, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_battery_covers_what_models_are_built_of() -> None:
    covered = {type(case.make()) for case in LAYERS.values()}
    built = [build("mlp", inputs=(1, 14, 14), units=3, dropout=0.1)]
    built += [build("lenet", inputs=(1, 14, 14), units=3, pooling=pooling) for pooling in ("max", "average")]
    built += [build("lenet", inputs=(1, 14, 14), units=3, normalisation=name) for name in NORMALISATIONS]
    assert {type(layer) for model in built for layer in model} == covered


@each_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_keeps_dtype_and_rows(name: str, dtype: torch.dtype) -> None:
    case = LAYERS[name]
    for layer in (used(case, dtype), used(case, dtype).eval()):
        out = layer(rows(case).to(dtype))
        assert out.dtype == dtype and len(out) == 4 and torch.isfinite(out).all()


@each_layer
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_gradient_equals_the_numerical_one(name: str, mode: str) -> None:
    case = LAYERS[name]
    layer = used(case).train(mode == "train")
    parameters = dict(layer.named_parameters())
    x = rows(case, 3).requires_grad_()

    def run(inputs: Tensor, *values: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(layer, dict(zip(parameters, values, strict=True)), (inputs,))
        return out

    assert torch.autograd.gradcheck(run, (x, *parameters.values()), atol=1e-7, rtol=1e-6, fast_mode=True)


@each_layer
def test_a_row_alone_gives_what_it_gives_in_a_batch_when_predicting(name: str) -> None:
    case = LAYERS[name]
    layer, x = used(case).eval(), rows(case)
    together = layer(x)
    for i in range(len(x)):
        torch.testing.assert_close(layer(x[i : i + 1])[0], together[i], atol=1e-12, rtol=1e-12)


@each_layer
def test_saves_loads_and_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    case = LAYERS[name]
    layer, other, x = used(case).eval(), used(case, seed=5).eval(), rows(case)
    if layer.state_dict():
        assert not torch.equal(other(x), layer(x))
        save_file(layer.state_dict(), tmp_path / "layer.safetensors")
        other.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    assert torch.equal(other(x), layer(x))


@each_layer
def test_has_the_modes_that_it_declares(name: str) -> None:
    case = LAYERS[name]
    layer, x = used(case), rows(case)
    training = layer(x)
    assert torch.equal(layer.eval()(x), training) != case.has_modes
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    layer(rows(case, seed=7))
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items()), (
        "predicting changes nothing"
    )


@each_stacked
def test_a_member_is_the_layer_alone(name: str) -> None:
    """Outputs, gradients and running statistics over some batches, and in prediction."""
    case, members = LAYERS[name], 3
    assert case.stacked is not None
    together = case.stacked(members).double().train()
    alone = [used(case, seed=member) for member in range(members)]
    state = {key: torch.stack([layer.state_dict()[key] for layer in alone]) for key in together.state_dict()}
    together.load_state_dict({k: v[0] if v.dim() == 1 else v for k, v in state.items()})
    for mode in (True, True, False):
        x = torch.stack([rows(case, seed=20 + member) for member in range(members)])
        inputs = x.clone().requires_grad_()
        out = together.train(mode)(inputs)
        together.zero_grad()
        out.square().sum().backward()
        for member, layer in enumerate(alone):
            own = x[member].clone().requires_grad_()
            mine = layer.train(mode)(own)
            layer.zero_grad()
            mine.square().sum().backward()
            torch.testing.assert_close(out[member], mine, atol=1e-12, rtol=1e-12)
            torch.testing.assert_close(inputs.grad[member], own.grad, atol=1e-12, rtol=1e-12)
            for key, parameter in layer.named_parameters():
                stacked = dict(together.named_parameters())[key].grad[member]
                torch.testing.assert_close(stacked, parameter.grad, atol=1e-12, rtol=1e-12)
            for key, buffer in layer.named_buffers():
                if buffer.dim():
                    torch.testing.assert_close(
                        together.state_dict()[key][member], buffer, atol=1e-12, rtol=1e-12
                    )
