"""What layers give and cost: counted against torch's own numbers, and what the course prints."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.core.errors import ShapeError
from chainrule.explanations.backprop import backpropagate
from chainrule.explanations.costs import ModelCosts, explain_costs


def costs(model: str, input: tuple[int, ...], **settings: object) -> ModelCosts:
    explained = cr.explain(model, input=input, **settings).content  # type: ignore[arg-type]
    assert isinstance(explained, ModelCosts)
    return explained


@pytest.mark.curriculum("FFN-06")
def test_one_hidden_layer() -> None:
    found = costs("mlp", (3,), units=2, model_settings={"hidden": (4,), "activation": "sigmoid"})
    assert (found.weights, found.biases, found.parameters) == (20, 6, 26)
    assert [layer.shape for layer in found.layers] == [(4,), (4,), (2,)]


@pytest.mark.curriculum("FFN-24")
def test_mlp_on_a_picture_of_64_pixels_a_side() -> None:
    found = costs("mlp", (3, 64, 64), units=2, model_settings={"hidden": (1000, 500)})
    assert (found.weights, found.parameters) == (12_789_000, 12_790_502)


@pytest.mark.curriculum("FFN-25")
def test_mlp_on_a_picture_of_256_pixels_a_side() -> None:
    """Four hidden layers of 1,000 and 1,000 outputs; or four layers with the output among them."""
    found = costs("mlp", (3, 256, 256), units=1000, model_settings={"hidden": (1000,) * 4})
    assert (found.weights, found.biases) == (200_608_000, 5_000)
    assert (
        costs("mlp", (3, 256, 256), units=1000, model_settings={"hidden": (1000,) * 3}).weights == 199_608_000
    )


@pytest.mark.curriculum("FFN-26")
def test_mlp_of_three_thousands() -> None:
    found = costs("mlp", (1000,), units=1000, model_settings={"hidden": (1000,)})
    assert (found.weights, found.parameters) == (2_000_000, 2_002_000)


@pytest.mark.curriculum("FFN-27")
def test_dense_layer_for_what_a_convolution_does() -> None:
    dense = explain_costs(nn.Sequential(nn.Flatten(), nn.Linear(3072, 28 * 28 * 6)), (3, 32, 32))
    convolution = explain_costs(nn.Conv2d(3, 6, 5), (3, 32, 32))
    assert dense.weights == 14_450_688 and convolution.parameters == 456
    assert dense.layers[-1].shape == (4704,) and convolution.layers[0].shape == (6, 28, 28)


def test_plain_convolutions_shrink_the_map_and_use_corners_less() -> None:
    """D15, on 7 × 7: a filter of 3 × 3 sees a corner once, the middle of an edge 3 times, the centre 9 times."""
    found = explain_costs(nn.Sequential(*(nn.Conv2d(1, 1, 3) for _ in range(3))), (1, 7, 7))
    assert [layer.shape for layer in found.layers] == [(1, 5, 5), (1, 3, 3), (1, 1, 1)]
    ones = nn.Conv2d(1, 1, 3)
    nn.init.ones_(ones.weight)
    uses = backpropagate(ones, torch.randn(1, 1, 7, 7), loss=torch.sum).input_gradient
    assert uses is not None
    assert (uses[0, 0, 0, 0], uses[0, 0, 0, 3], uses[0, 0, 3, 3]) == (1, 3, 9)
    assert uses.sum() == found.layers[0].multiply_adds == 25 * 9


def test_lenet_layer_by_layer() -> None:
    found = costs("lenet", (1, 28, 28))
    assert found.parameters == 61_706
    assert [layer.shape for layer in found.layers][:6] == [
        (6, 28, 28), (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 10, 10), (16, 5, 5)
    ]  # fmt: skip
    first, second = found.layers[0], found.layers[3]
    assert (first.multiply_adds, second.multiply_adds) == (28 * 28 * 6 * 25, 10 * 10 * 16 * 6 * 25)
    assert sum(p.numel() for p in cr.build("lenet", inputs=(1, 28, 28), units=10).parameters()) == 61_706


def test_memory_is_what_autograd_keeps() -> None:
    """A dense layer keeps its input, tanh its output, and the next dense layer nothing more."""
    found = explain_costs(nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 5)), (10,))
    assert [layer.kept_bytes for layer in found.layers] == [40, 80, 0]


def test_a_layer_called_twice_is_counted_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(self.inner(x)) * self.scale.sum()

    found = explain_costs(Twice(), (4,))
    assert [layer.is_repeated for layer in found.layers] == [False, True]
    assert (found.parameters, found.other_parameters, found.multiply_adds) == (23, 3, 32)
    assert "as above" in found.text(100)


def test_model_and_its_mode_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval()
    explain_costs(model, (3,))
    assert not model.training and not model[1].running_mean.any()
    assert next(model.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("model", "input", "said"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (1, 4, 4), "layer 1 (Linear) was given rows of the shape (16,); it takes 12 numbers a row"),
        (nn.Sequential(nn.Conv2d(3, 8, 5), nn.MaxPool2d(4)), (3, 6, 6), "layer 1 (MaxPool2d) was given rows of the shape (8, 2, 2); it takes pictures of at least 4 × 4"),
        (nn.Conv2d(3, 8, 5, padding=1), (1, 8, 8), "layer the model (Conv2d) was given rows of the shape (1, 8, 8); it takes pictures of 3 channels of at least 3 × 3"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_name_the_layer(model: nn.Module, input: tuple[int, ...], said: str) -> None:
    with pytest.raises(ShapeError) as caught:
        explain_costs(model, input)
    assert str(caught.value) == said


def test_a_model_that_decides_by_numbers_is_run_on_zeros() -> None:
    class Decides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) if x.sum().item() == 0 else x

    assert explain_costs(Decides(), (4,)).multiply_adds == 8


def test_run_without_a_row_shows_its_network(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    run = cr.fit("iris", epochs=1, model_settings={"hidden": (8,)})
    found = cr.explain(run).content
    assert isinstance(found, ModelCosts) and found.parameters == 4 * 8 + 8 + 8 * 3 + 3
    assert cr.explain(str(run.path)).values() == found.values()


def test_page_and_slide_say_the_sums() -> None:
    explained = cr.explain("lenet", input=(1, 28, 28))
    for text in (explained.html(), explained.svg(), str(explained)):
        assert "61,706" in text and "416,520" in text
    assert explained.svg().startswith("<?xml") and "var(--" not in explained.svg()


def test_long_models_are_merged_on_the_drawing() -> None:
    from chainrule.report.model_page import MOST_ROWS, grouped

    deep = explain_costs(nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(30))), (4,))
    rows = grouped(deep.layers, MOST_ROWS)
    assert len(rows) == MOST_ROWS and rows[-1].says == "17 more" and rows[0].says == "2 layers"
    assert sum(row.weights + row.biases for row in rows) == deep.parameters
    assert sum(row.multiply_adds for row in rows) == deep.multiply_adds
