"""Normalisation: values brought to mean 0 and variance 1, then scaled and shifted by what the network learns.

    x̂ = (x − mean) / √(variance + ε),   y = gain · x̂ + shift        ε stands inside the root (E12)

The kinds differ in what mean and variance are taken over: batch, the rows of a batch for each channel; layer, the
units of one row; instance, the places of one map; group, some channels of one row. Only batch normalisation needs
statistics for prediction (E67): it keeps running ones, so that an answer does not depend on the rows beside it.

State has the names and shapes of torch.nn's: `weight` is the gain, `bias` the shift. With `members`, both have a first
axis of members, and inputs are (members, B, channels, …): one call serves all of them.
Shapes: (B, channels, …) -> the same, where … are the places of a map, or nothing
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chainrule.catalog import parametrised
from chainrule.core.errors import SettingError, ShapeError

EPSILON = 1e-5
NEWEST = 0.1  # share of the latest batch in the running statistics


class Normalisation(nn.Module):
    """A gain and a shift per channel, and the way to the one call that serves all members."""

    def __init__(self, channels: int, members: int | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.members = members
        self.shape = (channels,) if members is None else (members, channels)
        self.weight = nn.Parameter(torch.ones(self.shape))
        self.bias = nn.Parameter(torch.zeros(self.shape))

    def forward(self, x: Tensor) -> Tensor:
        axis = 1 if self.members is None else 2
        if x.dim() <= axis or x.shape[axis] != self.channels:
            raise ShapeError(f"{self} takes {self.channels} channels on axis {axis}; got {tuple(x.shape)}")
        if self.members is None:
            return self.normalise(x)
        # (members, B, channels, …) -> (B, members × channels, …) and back
        wide = self.normalise(x.transpose(0, 1).flatten(1, 2))
        return wide.reshape(len(wide), *self.shape, *wide.shape[2:]).transpose(0, 1)

    def normalise(self, x: Tensor) -> Tensor:
        """Normalise the channels of all members. Shapes: (B, members × channels, …) -> the same."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"{self.channels}" + (f", members={self.members}" if self.members else "")


class BatchNormalisation(Normalisation):
    """Each channel over the rows of the batch and its places; predicts with running statistics.

    One row alone has no spread: it is normalised by the running statistics, and does not move them.
    Source: Ioffe and Szegedy 2015, algorithms 1 and 2. Differs: the running statistics are exponential means, with the
    variance of n − 1, as torch.nn has them.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, members: int | None = None) -> None:
        super().__init__(channels, members)
        self.register_buffer("running_mean", torch.zeros(self.shape))
        self.register_buffer("running_var", torch.ones(self.shape))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def normalise(self, x: Tensor) -> Tensor:
        """Normalise by the batch while training, else by the running statistics."""
        has_spread = x.numel() > x.shape[1]
        if self.training and has_spread:
            self.num_batches_tracked += 1
        return F.batch_norm(
            x,
            self.running_mean.flatten(),
            self.running_var.flatten(),
            self.weight.flatten(),
            self.bias.flatten(),
            training=self.training and has_spread,
            momentum=NEWEST,
            eps=EPSILON,
        )


class LayerNormalisation(Normalisation):
    """The units of a dense layer over each row. Source: Ba, Kiros and Hinton 2016."""

    def normalise(self, x: Tensor) -> Tensor:
        """Normalise each row by itself."""
        if self.members is None:
            return F.layer_norm(x, (self.channels,), self.weight, self.bias, EPSILON)
        return F.group_norm(x, self.members, self.weight.flatten(), self.bias.flatten(), EPSILON)


class GroupNormalisation(Normalisation):
    """Groups of channels with their places, over each row.

    One group is layer normalisation over the channels of maps; as many groups as channels, instance normalisation.
    Source: Wu and He 2018; for instances Ulyanov, Vedaldi and Lempitsky 2016.
    """

    def __init__(self, channels: int, groups: int, members: int | None = None) -> None:
        if groups < 1 or channels % groups:
            possible = [n for n in range(1, channels + 1) if channels % n == 0]
            nearest = min(possible, key=lambda n: abs(n - groups))
            raise SettingError(
                f"group normalisation divides channels into equal groups: {channels} channels do not make {groups} "
                f"groups (nearest: {nearest})"
            )
        super().__init__(channels, members)
        self.groups = groups

    def normalise(self, x: Tensor) -> Tensor:
        """Normalise each group of each row by itself."""
        groups = self.groups * (self.members or 1)
        return F.group_norm(x, groups, self.weight.flatten(), self.bias.flatten(), EPSILON)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, groups={self.groups}"


def find_normalisation(text: str, channels: int, *, has_places: bool) -> Normalisation:
    """Return the layer for a name, or for group:NUMBER; `has_places` says whether channels are maps.

    Raises: UnknownNameError; SettingError where each value would be normalised by itself alone
    """
    make, number = parametrised("normalisation", text)
    made: Normalisation = make(channels, has_places) if number is None else make(channels, has_places, number)
    over = {GroupNormalisation: channels // getattr(made, "groups", 1), LayerNormalisation: channels}
    if not has_places and over.get(type(made), 2) == 1:
        raise SettingError(
            f"{text} normalisation of a dense layer of {channels} unit{'s' * (channels > 1)} takes every unit by itself, "
            "and one number has no spread; take batch or layer normalisation, or fewer groups"
        )
    return made


def batch(channels: int, has_places: bool) -> Normalisation:
    """Over the rows of a batch."""
    return BatchNormalisation(channels)


def layer(channels: int, has_places: bool) -> Normalisation:
    """Over the units of a row; of maps over channels and places."""
    return GroupNormalisation(channels, 1) if has_places else LayerNormalisation(channels)


def instance(channels: int, has_places: bool) -> Normalisation:
    """Over the places of each map."""
    return GroupNormalisation(channels, channels)


def group(channels: int, has_places: bool, groups: float = 2) -> Normalisation:
    """Over groups of the channels of a row."""
    if groups != int(groups):
        raise SettingError(f"group:NUMBER takes a whole number of groups; got {groups:g}")
    return GroupNormalisation(channels, int(groups))
