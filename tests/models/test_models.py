"""The decks' counts and shapes on the models, and what each model says about inputs that it cannot take."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from chainrule import check_gradients
from chainrule.core.errors import SettingError, ShapeError, UnknownNameError
from chainrule.models import build, model_settings


def count(model: nn.Module, *, biases: bool = True) -> int:
    return sum(p.numel() for p in model.parameters() if biases or p.dim() > 1)


@pytest.mark.curriculum("PRE-05")
@pytest.mark.parametrize(
    ("shape", "features"), [((1, 16, 16), 256), ((3, 32, 32), 3072), ((3, 64, 64), 12288)], ids=str
)
def test_pictures_are_flattened(shape: tuple[int, ...], features: int) -> None:
    """G31."""
    model = build("mlp", inputs=shape, units=10, hidden=(5,))
    picture = torch.arange(features, dtype=torch.float32).reshape(1, *shape)
    flat = model[0](picture)
    assert flat.tolist() == [list(range(features))], "row after row, no pixel lost or moved"
    assert model[1].in_features == features
    assert torch.equal(build("softmax-regression", inputs=shape, units=2)[0](picture), flat)


@pytest.mark.curriculum("FFN-06")
def test_parameters_of_one_hidden_layer() -> None:
    """G08."""
    model = build("mlp", inputs=3, units=2, hidden=(4,), activation="sigmoid")
    assert (count(model, biases=False), count(model)) == (20, 26)
    assert sum(layer.out_features for layer in model if isinstance(layer, nn.Linear)) == 6


@pytest.mark.curriculum("FFN-03")
def test_an_activation_per_layer() -> None:
    model = build("mlp", inputs=4, units=2, hidden=(8, 7, 6), activation=("sigmoid", "relu", "tanh")).double()
    assert [str(layer) for layer in model[1::2]] == ["Activate(sigmoid)", "Activate(relu)", "Activate(tanh)"]
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = check_gradients(model, x)
    assert found.is_equal and {checked.tensor for checked in found.checked} >= set(model.state_dict())


@pytest.mark.curriculum("FFN-02")
@pytest.mark.parametrize("hidden", [(), (3,), (3, 4, 5, 6, 7)], ids=str)
def test_any_number_of_hidden_layers(hidden: tuple[int, ...]) -> None:
    model = build("mlp", inputs=2, units=1, hidden=hidden)
    widths = [layer.out_features for layer in model if isinstance(layer, nn.Linear)]
    assert widths == [*hidden, 1]
    assert model(torch.zeros(5, 2)).shape == (5, 1)


def test_dropout_follows_every_hidden_layer() -> None:
    kinds = [type(layer).__name__ for layer in build("mlp", inputs=2, units=1, hidden=(3, 3), dropout=0.1)]
    assert kinds == ["Linear", "Activate", "Dropout", "Linear", "Activate", "Dropout", "Linear"]
    assert not any("Dropout" in str(layer) for layer in build("mlp", inputs=2, units=1, hidden=(3, 3)))


def test_lenet_is_the_one_of_the_paper() -> None:
    model = build("lenet", inputs=(1, 28, 28), units=10)
    shapes, x = [], torch.zeros(1, 1, 28, 28)
    for layer in model:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[0] == (6, 28, 28) and shapes[2] == (6, 14, 14)
    assert shapes[3] == (16, 10, 10) and shapes[5] == (16, 5, 5) and shapes[6] == (400,)
    assert shapes[7:] == [(120,), (120,), (84,), (84,), (10,)]
    assert count(model) == 61_706


@pytest.mark.parametrize("side", range(12, 33))
def test_lenet_takes_every_size_from_twelve(side: int) -> None:
    assert build("lenet", inputs=(1, side, 40 - side + 12), units=2)(
        torch.zeros(2, 1, side, 40 - side + 12)
    ).shape == (2, 2)


def convolutions(**settings: Any) -> list[nn.Conv2d]:
    model = build("lenet", **{"inputs": (1, 28, 28), "units": 10, **settings})
    assert model(torch.zeros(2, *settings.get("inputs", (1, 28, 28)))).shape == (2, 10)
    return [layer for layer in model if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize(
    ("settings", "filters"),
    [
        ({}, [6, 16]),
        ({"filters": 8}, [8]),
        ({"filters": 8, "convolutions": 3, "filter_size": 3}, [8, 16, 32]),
        ({"convolutions": 1}, [6]),
        ({"convolutions": 3, "filter_size": 3}, [6, 16, 32]),
        ({"filters": (4, 5, 6), "filter_size": 2}, [4, 5, 6]),
    ],
)
def test_further_convolutions_have_twice_the_filters(settings: dict[str, Any], filters: list[int]) -> None:
    assert [layer.out_channels for layer in convolutions(**settings)] == filters


def test_filters_of_lenet_are_as_asked() -> None:
    first, second = convolutions(filter_size=(4, 3), stride=(2, 1), padding=(1, 2), pooling="none")
    assert (first.kernel_size, first.stride, first.padding) == ((4, 4), (2, 2), (1, 1))
    assert (second.kernel_size, second.stride, second.padding) == ((3, 3), (1, 1), (2, 2))
    model = build("lenet", inputs=(1, 28, 28), units=10, hidden=(50,))
    assert [layer.out_features for layer in model if isinstance(layer, nn.Linear)] == [50, 10]


@pytest.mark.parametrize(
    ("name", "settings", "error", "said"),
    [
        (
            "lenet",
            {
                "inputs": (1, 7, 7),
                "filters": 4,
                "filter_size": 3,
                "stride": 3,
                "padding": 0,
                "pooling": "none",
            },
            ShapeError,
            "convolution 1: filters of 3 × 3 moved by 3 do not fit a side of 7 with padding 0",
        ),
        (
            "lenet",
            {"inputs": (1, 28, 28), "stride": (1, 3), "filter_size": 3},
            ShapeError,
            "convolution 2: filters of 3 × 3 moved by 3 do not fit a side of 14",
        ),
        (
            "lenet",
            {"inputs": (1, 28, 28), "filter_size": 3, "stride": 2, "filters": 4},
            ShapeError,
            "pictures whose sides fit all of lenet: 27 and 29 pixels",
        ),
        (
            "lenet",
            {"inputs": (1, 28, 28), "convolutions": 3},
            ShapeError,
            "lenet needs pictures of at least 32 × 32; got 28 × 28",
        ),
        (
            "lenet",
            {"inputs": (1, 28, 28), "filter_size": (3, 3, 3)},
            SettingError,
            "filter_size takes one number, or one per convolution: 2 convolutions, 3 numbers",
        ),
        ("lenet", {"inputs": (1, 28, 28), "filters": ()}, SettingError, "filters is empty"),
        ("lenet", {"inputs": (1, 28, 28), "stride": 0}, SettingError, "stride must be at least 1; got 0"),
        ("lenet", {"inputs": (1, 28, 28), "padding": -1}, SettingError, "padding must be at least 0; got -1"),
        (
            "lenet",
            {"inputs": (1, 8, 8)},
            ShapeError,
            "pictures of at least 12 × 12; got 8 × 8 (mlp takes them)",
        ),
        (
            "lenet",
            {"inputs": 30},
            ShapeError,
            "lenet needs pictures (channels, height, width); got inputs of shape 30",
        ),
        (
            "lenet",
            {"inputs": (1, 28, 28), "pooling": "mean"},
            SettingError,
            "pooling must be max, average or none; got 'mean'",
        ),
        ("mlp", {"inputs": 3, "hidden": (4, 0)}, SettingError, "hidden must be at least 1; got 4,0"),
        (
            "mlp",
            {"inputs": 3, "hidden": (4, 5, 6), "activation": ("relu", "tanh")},
            SettingError,
            "activation takes one name, or one per hidden layer: 3 layers, 2 names",
        ),
        ("mlp", {"inputs": 3, "activation": "rellu"}, UnknownNameError, "did you mean 'relu'"),
        ("mlp", {"inputs": 3, "dropout": 1.0}, SettingError, "dropout must be at least 0 and below 1; got 1"),
        (
            "mlp",
            {"inputs": 3, "dropout": -0.5},
            SettingError,
            "dropout must be at least 0 and below 1; got -0.5",
        ),
        ("logistic-regression", {"inputs": 3}, SettingError, "tells two classes apart; this target has 2"),
    ],
)
def test_what_a_model_cannot_be_built_from(
    name: str, settings: dict[str, Any], error: type, said: str
) -> None:
    with pytest.raises(error) as caught:
        build(name, units=2, **settings)
    assert said in str(caught.value)


def test_one_activation_in_a_list_serves_all_layers() -> None:
    """`--set activation=tanh,` gives a list of one."""
    model = build("mlp", inputs=2, units=1, hidden=(3, 3), activation=("tanh",))
    assert [str(layer) for layer in model[1::2]] == ["Activate(tanh)", "Activate(tanh)"]


def test_model_settings() -> None:
    assert set(model_settings("mlp")) == {"hidden", "activation", "dropout", "normalisation"}
    assert set(model_settings("lenet")) == {
        "filters", "convolutions", "filter_size", "stride", "padding", "pooling", "hidden", "activation", "normalisation",
    }  # fmt: skip
    assert model_settings("perceptron") == {}
