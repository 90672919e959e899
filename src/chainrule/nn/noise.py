"""Noise in a network as a function of (seed, member, layer, step), never drawn from a global generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError, ShapeError
from chainrule.core.seeds import mix


class Dropout(nn.Module):
    """Set each value to zero with probability `rate` while training and scale the others by 1/(1 − rate).

    `rate` is the part that is dropped; the decks also print p as the part that is kept (E13). A tensor of rates has one
    per member; inputs are then (members, B, …), and a member gets the mask that its network would get alone.
    Source: Srivastava et al. 2014. Differs: scaled while training, so that prediction needs no change.
    """

    def __init__(self, rate: float | Tensor) -> None:
        super().__init__()
        self.members = len(rate) if isinstance(rate, Tensor) else None
        self.rates: list[float] = rate.tolist() if isinstance(rate, Tensor) else [rate]
        for each in self.rates:
            if not 0 <= each < 1:
                raise SettingError(f"dropout must be at least 0 and below 1; got {each:g}")
        self.seeds = [0] * len(self.rates)
        self.step = 0

    @property
    def rate(self) -> float:
        """The part that is dropped; of the first member where there are several."""
        return self.rates[0]

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not any(self.rates):
            return x
        if self.members is None:
            return x * self._kept(x, self.seeds[0], self.rates[0])
        if len(x) != self.members:
            raise ShapeError(f"dropout has {self.members} members; got inputs of shape {tuple(x.shape)}")
        return x * torch.stack([self._kept(*each) for each in zip(x, self.seeds, self.rates, strict=True)])

    def _kept(self, x: Tensor, seed: int, rate: float) -> Tensor:
        """Return what one network's values are multiplied by: 0, or 1/(1 − rate)."""
        return self.draw_(torch.empty_like(x, memory_format=torch.contiguous_format), seed, rate)

    def draw_(self, kept: Tensor, seed: int, rate: float) -> Tensor:
        """Fill a tensor with what one network's values are multiplied by at this step; its values count row by row."""
        return keep_(kept, mix(seed, self.step), rate)

    def extra_repr(self) -> str:
        return "rate=" + ", ".join(f"{rate:g}" for rate in self.rates)


def keep_(kept: Tensor, key: int, rate: float) -> Tensor:
    """Fill a tensor with 0, with probability `rate`, or 1/(1 − rate): a hash of a key and of each value's place.

    The same on every device; `native.cpp` has it too. The hash is a bijection of 32 bits with a second half of the key
    between its two rounds. Source of the constants: Wellons 2018, "lowbias32".
    """
    x = torch.arange(kept.numel(), dtype=torch.int32, device=kept.device).add_(_signed(key))
    x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF)).mul_(0x7FEB352D).bitwise_xor_(_signed(key >> 32))
    x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF)).mul_(_signed(0x846CA68B))
    x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))
    most = min(int((1 - rate) * 2**32) - 2**31, 2**31 - 1)
    return kept.copy_((x < most).view(kept.shape)).mul_(1 / (1 - rate))


def _signed(bits: int) -> int:
    """Return the lowest 32 bits of a number as int32 has them."""
    return ((bits + 2**31) & 0xFFFFFFFF) - 2**31


class Noise:
    """The noise of a whole network: gives every noisy layer its own seed, and all of them the step.

    `member` is the number of the network; of the first one where a layer has several.
    """

    def __init__(self, model: nn.Module, seed: int, member: int = 0) -> None:
        self.layers = [m for m in model.modules() if isinstance(m, Dropout)]
        for place, layer in enumerate(self.layers):
            layer.seeds = [mix(seed, "noise", member + k, place) for k in range(len(layer.seeds))]

    def at(self, step: int) -> None:
        """Say which update comes next."""
        for layer in self.layers:
            layer.step = step
