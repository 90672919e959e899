"""What every model of the catalogue promises. A new one adds a line to SHAPES and inherits every check."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from chainrule import (
    AutogradStep,
    Batches,
    Binary,
    MultiClass,
    Objective,
    fit,
    optimizer,
    schedule,
    updates,
)
from chainrule.catalog import MODELS
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.models import build, model_settings
from chainrule.nn.initial import initialise_
from chainrule.train.loop import judge, outputs_of
from chainrule.train.suggestions import Question, suggest

# The shapes of inputs that each model takes, and the outputs that it is asked for.
FLAT: tuple[Any, ...] = (12, (1, 14, 14), (3, 12, 16))
PICTURES: tuple[Any, ...] = ((1, 12, 12), (3, 28, 28), (1, 17, 13))
SHAPES: dict[str, tuple[tuple[Any, ...], int]] = {
    "perceptron": (FLAT, 3),
    "linear-regression": (FLAT, 3),
    "logistic-regression": (FLAT, 1),
    "softmax-regression": (FLAT, 3),
    "mlp": (FLAT, 3),
    "lenet": (PICTURES, 3),
    "mcculloch-pitts": ((1, 5), 1),
    "logic-gate": ((2, 5), 1),
    "truth-table": ((2,), 1),
}
BY_HAND = [
    name for name, entry in MODELS.items() if not entry.is_trainable
]  # they take and give truth values
CASES = [(name, inputs, units) for name, (shapes, units) in SHAPES.items() for inputs in shapes]

each_case = pytest.mark.parametrize(("name", "inputs", "units"), CASES)
each_trained_case = pytest.mark.parametrize(
    ("name", "inputs", "units"), [case for case in CASES if case[0] not in BY_HAND]
)
each_model = pytest.mark.parametrize("name", MODELS)
each_trained_model = pytest.mark.parametrize("name", [name for name in MODELS if name not in BY_HAND])


def rows(name: str, inputs: Any, count: int = 8, seed: int = 0) -> Tensor:
    shape = (inputs,) if isinstance(inputs, int) else inputs
    found = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
    return (found > 0).float() if name in BY_HAND else found


def started(name: str, inputs: Any, units: int, seed: int = 0) -> nn.Module:
    model = build(name, inputs=inputs, units=units)
    initialise_(model, seed)
    return model


def test_the_battery_covers_the_catalogue() -> None:
    assert SHAPES.keys() == MODELS.keys()


@each_case
def test_gives_one_row_of_outputs_per_row(name: str, inputs: Any, units: int) -> None:
    model = started(name, inputs, units)
    for count in (1, 5):
        out = model(rows(name, inputs, count))
        assert out.shape == (count, units) and out.dtype == torch.float32 and torch.isfinite(out).all()


@each_case
def test_a_row_alone_gives_what_it_gives_in_a_batch(name: str, inputs: Any, units: int) -> None:
    model, x = started(name, inputs, units).eval(), rows(name, inputs)
    together = model(x)
    for i in range(len(x)):
        torch.testing.assert_close(model(x[i : i + 1])[0], together[i], atol=1e-5, rtol=1e-5)


@each_trained_case
def test_saves_loads_and_gives_the_same_bits(name: str, inputs: Any, units: int, tmp_path: Path) -> None:
    model, x = started(name, inputs, units).eval(), rows(name, inputs)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other = started(name, inputs, units, seed=1).eval()
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other(x), model(x))


@each_trained_case
def test_start_is_a_function_of_the_seed(name: str, inputs: Any, units: int) -> None:
    torch.manual_seed(0)
    first = started(name, inputs, units).state_dict()
    torch.manual_seed(1)
    again, other = (
        started(name, inputs, units).state_dict(),
        started(name, inputs, units, seed=1).state_dict(),
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@each_trained_case
def test_every_parameter_learns(name: str, inputs: Any, units: int) -> None:
    model = started(name, inputs, units)
    model(rows(name, inputs)).square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), key


@each_trained_model
def test_overfits_eight_examples(name: str) -> None:
    """With its own suggested settings, for as many updates as it takes: eight rows without a mistake."""
    shapes, units = SHAPES[name]
    # Eight random rows in twelve or more dimensions are in general position: even one layer tells any labels apart.
    x = rows(name, shapes[0])
    y = torch.arange(8) % (2 if units == 1 else units)
    settings, _ = suggest(
        name,
        Question(kind="multi-class", rows=8, inputs=shapes[0], is_pictures=not isinstance(shapes[0], int)),
    )
    model = started(name, shapes[0], units)
    names = [str(k) for k in range(int(y.max()) + 1)]
    task = (Binary if units == 1 else MultiClass)(names, settings.get("loss"))
    batches = Batches(x, y, settings["batch_size"])
    rule = optimizer(settings["optimizer"], model.parameters(), learning_rate=settings["learning_rate"])
    step = AutogradStep(Objective(model, task), rule)
    count = 300 if settings["batch_size"] > 1 else 800
    losses = [report.loss.item() for report in updates(step, batches, schedule("constant", steps=count))]
    judged = judge(task, outputs_of(model, x), y)
    assert judged["accuracy"] == 1 and judged["loss"] < 0.1 * max(losses)


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_built_by_hand_has_nothing_to_train(name: str, tmp_path: Path) -> None:
    model = build(name, inputs=SHAPES[name][0][0])
    assert not list(model.parameters()) and not hasattr(model, "fit")
    with pytest.raises(SettingError, match=f"the model {name} is built by hand and has nothing to train"):
        fit("iris", model=name, runs=tmp_path, quiet=True)


@each_model
def test_unknown_setting_gets_the_nearest(name: str) -> None:
    settings = model_settings(name)
    inputs = SHAPES[name][0][0]
    wrong = f"{next(iter(settings))}x" if settings else "hidden"
    with pytest.raises(UnknownNameError) as caught:
        build(name, inputs=inputs, units=1, **{wrong: 1})
    assert f"no setting of {name} is called {wrong!r}" in str(caught.value)
    assert (f"did you mean {wrong[:-1]!r}" if settings else f"there are no settings of {name}") in str(
        caught.value
    )
    assert "inputs" not in str(caught.value), "what the data decides is no setting"


@each_model
def test_settings_are_named_typed_and_have_defaults(name: str) -> None:
    for key, parameter in model_settings(name).items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, key
        assert parameter.default is not inspect.Parameter.empty, key
        assert parameter.annotation is not inspect.Parameter.empty, key


@pytest.mark.parametrize(
    "name", [n for n in MODELS if n not in ("logic-gate", "truth-table")]
)  # they know them
def test_missing_inputs_are_said(name: str) -> None:
    with pytest.raises(SettingError, match=f"the model {name} cannot be built from these settings: .*inputs"):
        build(name, units=1)
