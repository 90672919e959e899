"""Normalisation: the curriculum's numbers, torch.nn's modules, and batches of one row."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError, ShapeError, UnknownNameError
from chainrule.models import build
from chainrule.nn.normalisation import (
    EPSILON,
    BatchNormalisation,
    GroupNormalisation,
    LayerNormalisation,
    Normalisation,
    find_normalisation,
)

EXACT = 1e-6  # the curriculum's verified values are rounded to six digits


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def layer_of(name: str, channels: int, *, has_places: bool = False) -> Normalisation:
    return find_normalisation(name, channels, has_places=has_places).double().train()


def maps(seed: int = 0) -> Tensor:
    return torch.randn(5, 6, 4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.curriculum("NOR-01")
def test_batch_normalisation_divides_by_the_root_of_the_variance() -> None:
    """The slide calls σ the variance and leaves ε out (E12): 1.25 is the variance, and its root divides."""
    x = numbers(1, 2, 3, 4)[:, None]
    found = layer_of("batch", 1)(x)[:, 0].detach()
    assert found.tolist() == pytest.approx([-1.3416, -0.4472, 0.4472, 1.3416], abs=5e-5)
    assert found.mean().item() == pytest.approx(0, abs=1e-12)
    assert found.var(correction=0).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.curriculum("NOR-02")
def test_batch_normalisation_with_epsilon_gain_and_shift() -> None:
    """D12."""
    x, layer = numbers(1, 2, 3, 4)[:, None], layer_of("batch", 1)
    expected = numbers(-1.341635, -0.447212, 0.447212, 1.341635)
    assert layer(x)[:, 0].tolist() == pytest.approx(expected.tolist(), abs=EXACT)
    assert {name for name, _ in layer.named_parameters()} == {"weight", "bias"}, "gain and shift are learnt"
    with torch.no_grad():
        layer.weight.fill_(2)
        layer.bias.fill_(1)
    assert layer(x)[:, 0].tolist() == pytest.approx((2 * expected + 1).tolist(), abs=2 * EXACT)
    # ε inside the root: outside of it, values that are all alike but for 1e-4 would come out ten times as large.
    close = 1e-4 * x
    spread = (close - close.mean()) / (close.var(correction=0) + EPSILON).sqrt()
    torch.testing.assert_close(layer(close), 2 * spread + 1)


@pytest.mark.curriculum("NOR-06")
def test_layer_normalisation() -> None:
    found = layer_of("layer", 3)(torch.stack([numbers(1, 2, 3), numbers(4, 6, 8)]))
    for row in found.tolist():
        assert row == pytest.approx([-1.2247, 0, 1.2247], abs=5e-5)


@pytest.mark.curriculum("NOR-07")
def test_instance_normalisation() -> None:
    found = layer_of("instance", 6, has_places=True)(3 * maps() + 2)
    torch.testing.assert_close(found.mean((2, 3)), torch.zeros(5, 6, dtype=torch.float64))
    variance = found.var((2, 3), correction=0)
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-4, rtol=0)


@pytest.mark.curriculum("NOR-08")
def test_group_normalisation() -> None:
    pixel = numbers(1, 3, 10, 14)[None, :, None, None]
    found = layer_of("group:2", 4, has_places=True)(pixel)
    assert found.flatten().tolist() == pytest.approx([-1, 1, -1, 1], abs=1e-5)
    one = layer_of("group:1", 4, has_places=True)(pixel).flatten()
    torch.testing.assert_close(one, layer_of("layer", 4)(pixel.flatten()[None])[0])
    x = maps()
    instances = layer_of("instance", 6, has_places=True)(x)
    assert torch.equal(layer_of("group:6", 6, has_places=True)(x), instances)
    assert not torch.allclose(layer_of("group:3", 6, has_places=True)(x), instances)


PEERS = [
    ("batch", False, lambda: nn.BatchNorm1d(6)),
    ("batch", True, lambda: nn.BatchNorm2d(6)),
    ("layer", False, lambda: nn.LayerNorm(6)),
    ("layer", True, lambda: nn.GroupNorm(1, 6)),
    ("instance", True, lambda: nn.InstanceNorm2d(6, affine=True)),
    ("group", False, lambda: nn.GroupNorm(2, 6)),
    ("group:3", True, lambda: nn.GroupNorm(3, 6)),
]


@pytest.mark.parametrize(("name", "has_places", "peer"), PEERS)
def test_equals_torch(name: str, has_places: bool, peer: object) -> None:
    """Outputs, gradients and running statistics over several batches, then in prediction; and its state fits."""
    ours, theirs = layer_of(name, 6, has_places=has_places), peer().double()
    with torch.no_grad():
        ours.weight.copy_(numbers(1, 2, 3, 0.5, -1, 0))
        ours.bias.copy_(numbers(0, 1, 0, -1, 2, 3))
    theirs.load_state_dict(ours.state_dict())
    for seed in range(4):
        x = (2 * maps(seed) + seed) if has_places else maps(seed)[..., 0, 0]
        results = []
        for layer in (ours, theirs):
            inputs = x.clone().requires_grad_()
            out = layer(inputs)
            layer.zero_grad()
            out.square().sum().backward()
            results.append((out.detach(), inputs.grad, layer.weight.grad, layer.bias.grad))
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[key], atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-12, rtol=1e-12)


def test_one_row_alone_is_normalised_by_the_running_statistics() -> None:
    layer = layer_of("batch", 6)
    for seed in range(3):
        layer(maps(seed)[..., 0, 0])
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    row = maps(9)[:1, :, 0, 0].requires_grad_()
    out = layer(row)
    out.sum().backward()
    assert torch.isfinite(out).all() and row.grad.any() and layer.weight.grad.any()
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())
    assert torch.equal(layer.eval()(row), out)
    one_map = layer_of("batch", 6, has_places=True)
    one_map(maps()[:1])
    assert one_map.num_batches_tracked == 1, "one picture has a spread over its places"


@pytest.mark.parametrize(
    ("name", "channels", "has_places", "error", "said"),
    [
        ("bach", 4, False, UnknownNameError, "no normalisation is called 'bach'; did you mean 'batch'"),
        ("batch:2", 4, False, SettingError, "the normalisation batch takes no number; got 'batch:2'"),
        ("group:5", 8, True, SettingError, "8 channels do not make 5 groups (nearest: 4)"),
        ("group:0", 8, True, SettingError, "8 channels do not make 0 groups (nearest: 1)"),
        ("group:1.5", 8, True, SettingError, "group:NUMBER takes a whole number of groups; got 1.5"),
        ("instance", 8, False, SettingError, "instance normalisation of a dense layer of 8 units takes every unit by itself"),
        ("group:8", 8, False, SettingError, "group:8 normalisation of a dense layer of 8 units takes every unit"),
        ("layer", 1, False, SettingError, "layer normalisation of a dense layer of 1 unit takes every unit by itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_normalised(
    name: str, channels: int, has_places: bool, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=re.escape(said)):
        find_normalisation(name, channels, has_places=has_places)


def test_other_channels_name_both_shapes() -> None:
    with pytest.raises(
        ShapeError, match=re.escape("BatchNormalisation(4) takes 4 channels on axis 1; got (5, 3)")
    ):
        BatchNormalisation(4)(torch.zeros(5, 3))
    with pytest.raises(ShapeError, match=re.escape("takes 4 channels on axis 2; got (2, 5, 3)")):
        BatchNormalisation(4, members=2)(torch.zeros(2, 5, 3))


def kinds(model: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in model]


@pytest.mark.curriculum("NOR-03")
def test_stands_between_the_sums_and_the_activation() -> None:
    dense = build("mlp", inputs=4, units=2, hidden=(8, 6), normalisation="batch", dropout=0.1)
    hidden = ["Linear", "BatchNormalisation", "Activate", "Dropout"]
    assert kinds(dense) == [*hidden, *hidden, "Linear"]
    lenet = build("lenet", inputs=(1, 28, 28), units=10, normalisation="batch")
    convolution = ["Conv2d", "BatchNormalisation", "Activate", "MaxPool2d"]
    assert kinds(lenet) == [*convolution, *convolution, "Flatten", *hidden[:3], *hidden[:3], "Linear"]
    instances = kinds(build("lenet", inputs=(1, 28, 28), units=10, normalisation="instance"))
    assert instances.count("GroupNormalisation") == 2, "a dense layer has no places"
    for name, kind in (("layer", LayerNormalisation), ("group:4", GroupNormalisation)):
        model = build("mlp", inputs=4, units=2, hidden=(8,), normalisation=name)
        assert isinstance(model[1], kind) and kinds(model)[2] == "Activate"
