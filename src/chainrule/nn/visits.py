"""Calls of a model's layers in the order of the forward pass; a layer is a module with none inside."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from chainrule.core.errors import ShapeError

Seen = Callable[[str, nn.Module, tuple[Any, ...], Any], None]
Entered = Callable[[str, nn.Module, tuple[Any, ...]], None]


def layers_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that have none inside, with their names; a model that is one layer is called "the model"."""
    for name, layer in model.named_modules():
        if not list(layer.children()):
            yield name or "the model", layer


@contextlib.contextmanager
def visits(model: nn.Module, seen: Seen, entered: Entered | None = None) -> Iterator[None]:
    """Call `seen` with name, layer, inputs and output after every call of a layer; `entered` before it."""
    handles: list[RemovableHandle] = []
    for name, layer in layers_of(model):

        def before(called: nn.Module, inputs: tuple[Any, ...], name: str = name) -> None:
            if entered is not None:
                entered(name, called, inputs)

        def after(called: nn.Module, inputs: tuple[Any, ...], output: Any, name: str = name) -> None:
            seen(name, called, inputs, output)

        handles += [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def naming_layers(model: nn.Module) -> Iterator[None]:
    """Name the layer, what it takes and what it was given where shapes do not fit. Raises: ShapeError."""
    under_way: list[tuple[str, nn.Module, tuple[Any, ...]]] = []
    try:
        with visits(
            model,
            lambda *_: under_way.clear(),
            lambda name, layer, inputs: under_way.append((name, layer, inputs)),
        ):
            yield
    except (RuntimeError, ValueError) as error:
        if isinstance(error, ShapeError) or not under_way:
            raise
        name, layer, inputs = under_way[-1]
        given = " and ".join(str(tuple(i.shape[1:])) for i in inputs if isinstance(i, Tensor))
        wanted = wanted_by(layer)
        why = f"it takes {wanted}" if wanted else str(error)
        raise ShapeError(
            f"layer {name} ({type(layer).__name__}) was given rows of the shape {given}; {why}"
        ) from error


def wanted_by(layer: nn.Module) -> str:
    """Say what a layer takes, where its own numbers tell.

    >>> wanted_by(nn.Linear(400, 120)), wanted_by(nn.Conv2d(3, 8, 5, padding=1))
    ('400 numbers a row', 'pictures of 3 channels of at least 3 × 3')
    """
    match layer:
        case nn.Linear():
            return f"{layer.in_features} numbers a row"
        case nn.Conv2d():
            smallest = [_reach(layer, axis) for axis in (0, 1)]
            plural = "" if layer.in_channels == 1 else "s"
            return (
                f"pictures of {layer.in_channels} channel{plural} of at least {smallest[0]} × {smallest[1]}"
            )
        case nn.MaxPool2d() | nn.AvgPool2d():
            sides = layer.kernel_size if isinstance(layer.kernel_size, tuple) else (layer.kernel_size,) * 2
            return f"pictures of at least {sides[0]} × {sides[1]}"
    return ""


def _reach(layer: nn.Conv2d, axis: int) -> int:
    padding = layer.padding[axis] if isinstance(layer.padding, tuple) else 0
    return max(1, int(layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1 - 2 * int(padding)))
