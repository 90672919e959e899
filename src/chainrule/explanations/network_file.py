"""A network written by hand: layers, activations, weights, biases, input, target, loss and learning rate, as TOML.

    input = [3, 2]
    target = 7

    [[layer]]
    activation = "relu"
    weights = [[2, 1],     # one row per unit, one number per input
               [0, 0]]

    [[layer]]
    weights = [[2, 2]]

Everything else may be left out: biases are 0, an activation is the identity, the loss is half the squared error.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.catalog import NETWORKS, load, names
from chainrule.core.errors import DataError, SettingError, UnknownNameError, unknown_name
from chainrule.core.text import visible
from chainrule.explanations.toml_values import Place, matrix, positive, vector
from chainrule.nn.activations import Activate
from chainrule.nn.losses import Loss
from chainrule.nn.losses import loss as loss_named

MOST_BYTES, MOST_LAYERS, MOST_WEIGHTS, MOST_ROWS = 1_000_000, 100, 10_000, 1_000
READ_THROUGH = {  # losses that take the output layer's z, and what turns it into probabilities
    "binary-cross-entropy": "sigmoid",
    "per-class-cross-entropy": "sigmoid",
    "cross-entropy": "softmax",
}
_KEYS = ("input", "target", "loss", "learning_rate", "nudge", "layer")
_LAYER_KEYS = ("activation", "weights", "biases")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLayer:
    """One layer. Shapes: weights (units, inputs), biases (units,)."""

    weights: Tensor
    biases: Tensor
    activation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFile:
    """A network file as it was read, in float64.

    Shapes: inputs (B, inputs); targets as the loss takes them, (B, units), or (B,) for classes
    """

    name: str
    text: str
    layers: tuple[WrittenLayer, ...]
    inputs: Tensor
    targets: Tensor | None
    loss: Loss
    learning_rate: float | None
    nudge: float

    @property
    def reading(self) -> str:
        """Through what the loss reads the last layer's z: sigmoid, softmax, or identity where it takes a."""
        return READ_THROUGH.get(self.loss.name, "identity")

    def model(self) -> nn.Sequential:
        """Return the network as a module; what the loss reads through is not part of it."""
        parts: list[nn.Module] = []
        for number, layer in enumerate(self.layers, 1):
            units, inputs = layer.weights.shape
            dense = nn.Linear(inputs, units, dtype=torch.float64)
            dense.load_state_dict({"weight": layer.weights, "bias": layer.biases})
            parts.append(dense)
            is_read_through = number == len(self.layers) and self.reading != "identity"
            if layer.activation != "identity" and not is_read_through:
                parts.append(Activate(layer.activation))
        return nn.Sequential(*parts)


def read_network(subject: str | Path) -> NetworkFile:
    """Read a network file, or the example of that name.

    Raises: DataError naming file, line and layer; UnknownNameError for a key, an activation, a loss
    """
    if str(subject) in NETWORKS:
        text = (
            resources.files("chainrule.explanations").joinpath(f"examples/{subject}.toml").read_text("utf-8")
        )
        return parse_network(text, str(subject))
    path = Path(subject)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{visible(path)} is larger than a megabyte, which no network written by hand is")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        listed = ", ".join(NETWORKS)
        raise DataError(
            f"there is no file {visible(path)} (networks that come with chainrule: {listed})"
        ) from error
    except OSError as error:
        raise DataError(f"{visible(path)} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{visible(path)} is no text in UTF-8, as TOML is") from error
    return parse_network(text, visible(path))


def parse_network(text: str, name: str) -> NetworkFile:
    """Read a network from TOML. Raises: as `read_network`."""
    place = Place(name, text)
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{name} is no TOML: {visible(error)}") from error
    _check_keys(content, _KEYS, name)
    inputs = _rows(content.get("input"), place)
    layers = _layers(content.get("layer"), inputs.shape[1], place)
    loss = _loss(content.get("loss"), layers, place)
    return NetworkFile(
        name=name,
        text=text,
        layers=layers,
        inputs=inputs,
        targets=_targets(content.get("target"), len(inputs), len(layers[-1].biases), loss, place),
        loss=loss,
        learning_rate=positive(content["learning_rate"], place.key("learning_rate"))
        if "learning_rate" in content
        else None,
        nudge=positive(content.get("nudge", 0.01), place.key("nudge")),
    )


def _check_keys(found: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in found:
        if key not in known:
            raise UnknownNameError(f"{where}: {unknown_name('key', visible(key, 60), known)}")


def _rows(value: Any, place: Place) -> Tensor:
    """Return the inputs: one list of numbers, or one list per row."""
    where = place.key("input")
    if value is None:
        raise DataError(
            f"{place.name} has no input: write input = [1, -1], one number per input of the first layer"
        )
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        rows = matrix(value, where, "input", MOST_ROWS)
    else:
        rows = vector(value if isinstance(value, list) else [value], where, "input")[None]
    return rows


def _layers(value: Any, width: int, place: Place) -> tuple[WrittenLayer, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(layer, dict) for layer in value):
        raise DataError(
            f"{place.name} has no layers: each begins with a line [[layer]], below it its weights"
        )
    if len(value) > MOST_LAYERS:
        raise DataError(f"{place.name} has {len(value)} layers; at most {MOST_LAYERS} are explained")
    layers: list[WrittenLayer] = []
    before = f"the input has {_count(width, 'number')}"
    for number, content in enumerate(value, 1):
        layer = _layer(content, number, place)
        units, inputs = layer.weights.shape
        if inputs != width:
            raise DataError(
                f"{place.layer(number)}: its weights are {units} × {inputs} (one row per unit, one number per input), so "
                f"it takes {_count(inputs, 'number')}, but {before}"
            )
        width = units
        before = f"layer {number} has weights of {units} × {inputs} and gives {_count(units, 'number')}"
        layers.append(layer)
    if (weights := sum(layer.weights.numel() for layer in layers)) > MOST_WEIGHTS:
        raise DataError(
            f"{place.name} has {weights:,} weights; at most {MOST_WEIGHTS:,} are explained one by one"
        )
    return tuple(layers)


def _layer(content: dict[str, Any], number: int, place: Place) -> WrittenLayer:
    where = place.layer(number)
    _check_keys(content, _LAYER_KEYS, where)
    if "weights" not in content:
        raise DataError(f"{where} has no weights: write weights = [[2, 1], [0, 0]], one row per unit")
    weights = matrix(content["weights"], where, "weights", MOST_WEIGHTS)
    biases = torch.zeros(len(weights), dtype=torch.float64)
    if "biases" in content:
        biases = vector(content["biases"], where, "biases")
        if len(biases) != len(weights):
            raise DataError(
                f"{where}: {_count(len(biases), 'bias', 'biases')} for weights of {weights.shape[0]} × {weights.shape[1]}"
                f", which are {_count(len(weights), 'unit')}"
            )
    return WrittenLayer(
        weights=weights,
        biases=biases,
        activation=_activation(content.get("activation", "identity"), where),
    )


def _activation(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise DataError(f'{where}: activation takes a name such as "sigmoid"; got {visible(name, 60)}')
    with _at(where):
        Activate(name)
    return name


@contextlib.contextmanager
def _at(where: str) -> Iterator[None]:
    """Put the place in front of what is wrong with a name or with the number after it."""
    try:
        yield
    except (UnknownNameError, SettingError) as error:
        raise type(error)(f"{where}: {error}") from None


def _loss(name: Any, layers: tuple[WrittenLayer, ...], place: Place) -> Loss:
    last, where = layers[-1].activation, place.key("loss")
    if name is None:
        name = "cross-entropy" if last == "softmax" else "half-squared-error"
    if not isinstance(name, str):
        raise DataError(f'{where}: loss takes a name such as "half-squared-error"; got {visible(name, 60)}')
    with _at(where):
        loss = loss_named(name)
    if loss.name not in READ_THROUGH and "regression" not in loss.tasks:
        fitting = [n for n in names("loss") if n in READ_THROUGH or "regression" in load("loss", n).tasks]
        raise DataError(
            f"{where}: the loss {name} does not go with a network file; those that do: {', '.join(fitting)}"
        )
    wanted = READ_THROUGH.get(loss.name)
    if wanted and last != wanted:
        raise DataError(
            f'{where}: the last layer\'s activation is {last}; {loss.name} goes with activation = "{wanted}"'
        )
    return loss


def _targets(value: Any, rows: int, units: int, loss: Loss, place: Place) -> Tensor | None:
    if value is None:
        return None
    where = place.key("target")
    given = value if isinstance(value, list) else [value]
    if rows > 1 and len(given) != rows:
        raise DataError(f"{where}: {_count(len(given), 'target')} for {rows} inputs")
    per_row = given if rows > 1 else [value]
    if loss.name == "cross-entropy":
        return torch.tensor([_class(row, units, where) for row in per_row])
    found = matrix([r if isinstance(r, list) else [r] for r in per_row], where, "target", MOST_ROWS)
    if found.shape[1] != units:
        raise DataError(
            f"{where}: {_count(found.shape[1], 'number')} per target, but the last layer has {_count(units, 'unit')}"
        )
    if loss.name in READ_THROUGH and bool(((found < 0) | (found > 1)).any()):
        wrong = found[(found < 0) | (found > 1)][0].item()
        raise DataError(
            f"{where}: the loss {loss.name} takes targets from 0 to 1 (the two classes); got {wrong:g}"
        )
    if loss.name == "binary-cross-entropy":
        if units > 1:
            raise DataError(
                f"{where}: binary-cross-entropy takes one unit; for {units} use per-class-cross-entropy"
            )
        return found[:, 0]
    return found


def _class(value: Any, units: int, where: str) -> int:
    if isinstance(value, list):
        hot = vector(value, where, "target")
        if len(hot) != units or sorted(hot.tolist()) != [0.0] * (units - 1) + [1.0]:
            raise DataError(
                f"{where}: a target as a list has {units} numbers, 1 for the true class and 0 for the others"
            )
        return int(hot.argmax())
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(
            f"{where}: the target of cross-entropy is a class, counted from 0; got {visible(value, 60)}"
        )
    if not 0 <= value < units:
        raise DataError(
            f"{where}: the target {value} is outside the classes 0 to {units - 1}, one per unit of the last layer"
        )
    return value


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
