"""LeNet-5: convolution, pooling, convolution, pooling, three dense layers."""

from __future__ import annotations

from torch import nn

from chainrule.core.errors import SettingError, ShapeError
from chainrule.nn.activations import Activate
from chainrule.nn.activations import activation as named
from chainrule.nn.normalisation import find_normalisation

SMALLEST = 12  # pixels a side: 12 → 6 after pooling → 2 after the second convolution → 1


def lenet(
    *,
    inputs: tuple[int, ...],
    units: int,
    activation: str = "relu",
    normalisation: str | None = None,
    pooling: str = "max",
) -> nn.Sequential:
    """Build LeNet-5 for pictures of any size from 12 × 12.

    The first convolution keeps the size (padding 2), so that 28 × 28 gives the 5 × 5 maps of the paper's 32 × 32.
    `normalisation` (batch, layer, instance, group or group:NUMBER) stands after every hidden layer, before its
    activation; instance normalisation after the convolutions alone, since a dense layer has no places.
    Shapes: (B, C, H, W) -> (B, units)
    Source: LeCun et al. 1998, figure 2. Differs: ReLU and max pooling unless asked for (activation="tanh",
    pooling="average" is nearer to 1998), every map sees every map, plain linear outputs.
    Raises: ShapeError if the inputs are not pictures, or too small; SettingError for another pooling
    """
    if not isinstance(inputs, tuple) or len(inputs) != 3:
        raise ShapeError(
            f"lenet needs pictures (channels, height, width); got inputs of shape {inputs} (mlp takes them)"
        )
    channels, height, width = inputs
    if min(height, width) < SMALLEST:
        raise ShapeError(
            f"lenet needs pictures of at least {SMALLEST} × {SMALLEST}; got {height} × {width} (mlp takes them)"
        )
    if pooling not in ("max", "average"):
        raise SettingError(f"pooling must be max or average; got {pooling!r}")
    if not named(activation).is_element_wise:
        raise SettingError(
            f"lenet needs an activation of single values; {activation} is one of whole vectors"
        )
    pool = nn.MaxPool2d if pooling == "max" else nn.AvgPool2d
    maps = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
    after_dense = None if normalisation == "instance" else normalisation
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        *_normalised(normalisation, 6, has_places=True),
        Activate(activation),
        pool(2),
        nn.Conv2d(6, 16, 5),
        *_normalised(normalisation, 16, has_places=True),
        Activate(activation),
        pool(2),
        nn.Flatten(),
        nn.Linear(maps, 120),
        *_normalised(after_dense, 120, has_places=False),
        Activate(activation),
        nn.Linear(120, 84),
        *_normalised(after_dense, 84, has_places=False),
        Activate(activation),
        nn.Linear(84, units),
    )


def _normalised(name: str | None, channels: int, *, has_places: bool) -> list[nn.Module]:
    return [] if name is None else [find_normalisation(name, channels, has_places=has_places)]
