"""LeNet-5: convolution, pooling, convolution, pooling, three dense layers; with other filters where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from torch import nn

from chainrule.core.errors import SettingError, ShapeError
from chainrule.core.limits import Limits
from chainrule.nn.activations import Activate
from chainrule.nn.activations import activation as named
from chainrule.nn.convolution import output_size, smallest_size
from chainrule.nn.normalisation import find_normalisation

POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d, "none": None}
POOLED = 2  # pixels a side that become one
FAR = 64  # pixels, within which sides that fit are looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class _Convolution:
    """So many filters of one size, how far they move, and the zeros around what they see."""

    filters: int
    filter_size: int
    stride: int
    padding: int


def lenet(
    *,
    inputs: tuple[int, ...],
    units: int,
    filters: Annotated[int | Sequence[int], Limits(low=1)] = (6, 16),
    convolutions: Annotated[int | None, Limits(low=1, below=33)] = None,
    filter_size: Annotated[int | Sequence[int], Limits(low=1)] = 5,
    stride: Annotated[int | Sequence[int], Limits(low=1)] = 1,
    padding: Annotated[int | Sequence[int] | None, Limits(low=0)] = None,
    pooling: Annotated[str, Limits(words=tuple(POOLINGS))] = "max",
    hidden: Annotated[Sequence[int], Limits(low=1)] = (120, 84),
    activation: str = "relu",
    normalisation: str | None = None,
) -> nn.Sequential:
    """Build LeNet-5 for pictures of any size from 12 × 12.

    `filters` says how many each convolution has; where `convolutions` asks for more than are listed, each further one has
    twice as many as the one before it: 8 filters and 3 convolutions are 8, 16 and 32. `filter_size`, `stride` and `padding`
    are one number for all, or one per convolution; they have to fit: (N + 2P − F)/S + 1 is a whole number. Without
    `padding` the first convolution keeps the size, so that 28 × 28 gives the 5 × 5 maps of the paper's 32 × 32, and the
    others have none. `pooling` (max, average or none) halves the size after each; `hidden` are the dense layers that follow.
    `normalisation` (batch, layer, instance, group or group:NUMBER) stands after every hidden layer, before its
    activation; instance normalisation after the convolutions alone, since a dense layer has no places.
    Shapes: (B, C, H, W) -> (B, units)
    Source: LeCun et al. 1998, figure 2. Differs: ReLU and max pooling unless asked for (activation="tanh",
    pooling="average" is nearer to 1998), every map sees every map, plain linear outputs.
    Raises: ShapeError if the inputs are not pictures, too small, or of a size that does not fit
    """
    if not isinstance(inputs, tuple) or len(inputs) != 3:
        raise ShapeError(
            f"lenet needs pictures (channels, height, width); got inputs of shape {inputs} (mlp takes them)"
        )
    if not named(activation).is_element_wise:
        raise SettingError(
            f"lenet needs an activation of single values; {activation} is one of whole vectors"
        )
    chain = _chain(filters, convolutions, filter_size, stride, padding)
    channels, *sides = inputs
    height, width = _maps(chain, sides, pooling)
    pool = POOLINGS[pooling]
    layers: list[nn.Module] = []
    for one in chain:
        layers.append(nn.Conv2d(channels, one.filters, one.filter_size, one.stride, one.padding))
        layers += [*_normalised(normalisation, one.filters, has_places=True), Activate(activation)]
        layers += [pool(POOLED)] if pool is not None else []
        channels = one.filters
    layers.append(nn.Flatten())
    after_dense = None if normalisation == "instance" else normalisation
    seen = channels * height * width
    for wide in hidden:
        layers.append(nn.Linear(seen, wide))
        layers += [*_normalised(after_dense, wide, has_places=False), Activate(activation)]
        seen = wide
    return nn.Sequential(*layers, nn.Linear(seen, units))


def _chain(
    filters: int | Sequence[int],
    convolutions: int | None,
    filter_size: int | Sequence[int],
    stride: int | Sequence[int],
    padding: int | Sequence[int] | None,
) -> list[_Convolution]:
    """Return the convolutions in their order. Raises: SettingError for lists of another length"""
    counts = [filters] if isinstance(filters, int) else list(filters)
    if not counts:
        raise SettingError("filters is empty; lenet has one convolution at least")
    wanted = len(counts) if convolutions is None else convolutions
    counts = [*counts[:wanted], *(counts[-1] * 2**further for further in range(1, wanted - len(counts) + 1))]
    sizes = _each("filter_size", filter_size, wanted)
    usual = [(sizes[0] - 1) // 2, *[0] * (wanted - 1)]
    return [
        _Convolution(filters=count, filter_size=size, stride=moved, padding=around)
        for count, size, moved, around in zip(
            counts,
            sizes,
            _each("stride", stride, wanted),
            usual if padding is None else _each("padding", padding, wanted),
            strict=True,
        )
    ]


def _each(name: str, value: int | Sequence[int], count: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    if len(values) == 1:
        values *= count
    if len(values) != count:
        raise SettingError(
            f"{name} takes one number, or one per convolution: {count} convolutions, {len(values)} numbers"
        )
    return values


def _maps(chain: Sequence[_Convolution], sides: Sequence[int], pooling: str) -> list[int]:
    """Return height and width of the last maps. Raises: ShapeError with what fits"""
    divisor = 1 if pooling == "none" else POOLED
    smallest = 1
    for one in reversed(chain):
        smallest = smallest_size(
            smallest * divisor, filter_size=one.filter_size, stride=one.stride, padding=one.padding
        )
    if min(sides) < smallest:
        raise ShapeError(
            f"lenet needs pictures of at least {smallest} × {smallest}; got {' × '.join(map(str, sides))} (mlp takes them)"
        )
    return [_after(chain, side, divisor) for side in sides]


def _after(chain: Sequence[_Convolution], side: int, divisor: int) -> int:
    try:
        return _reduced(chain, side, divisor)
    except ShapeError as error:
        near = [
            other
            for off in range(1, FAR)
            for other in (side - off, side + off)
            if _fits(chain, other, divisor)
        ]
        sides = " and ".join(map(str, sorted(near[:2])))
        advice = f"; pictures whose sides fit all of lenet: {sides} pixels" if near else ""
        raise ShapeError(f"lenet: {error}{advice}") from error


def _reduced(chain: Sequence[_Convolution], side: int, divisor: int) -> int:
    """Return the side of the last maps. Raises: ShapeError naming the convolution that does not fit"""
    for place, one in enumerate(chain, 1):
        try:
            side = output_size(side, filter_size=one.filter_size, stride=one.stride, padding=one.padding)
        except ShapeError as error:
            raise ShapeError(f"convolution {place}: {error}") from None
        side //= divisor
    return side


def _fits(chain: Sequence[_Convolution], side: int, divisor: int) -> bool:
    try:
        return side > 0 and _reduced(chain, side, divisor) > 0
    except ShapeError:
        return False


def _normalised(name: str | None, channels: int, *, has_places: bool) -> list[nn.Module]:
    return [] if name is None else [find_normalisation(name, channels, has_places=has_places)]
