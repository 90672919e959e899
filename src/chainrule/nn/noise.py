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
        self._generator = torch.Generator()

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
        return self.draw_(torch.empty(x.shape, dtype=x.dtype), seed, rate).to(x.device)

    def draw_(self, kept: Tensor, seed: int, rate: float) -> Tensor:
        """Fill a tensor in the processor's memory with what one network's values are multiplied by at this step."""
        self._generator.manual_seed(mix(seed, self.step))
        return kept.bernoulli_(1 - rate, generator=self._generator).div_(1 - rate)

    def extra_repr(self) -> str:
        return "rate=" + ", ".join(f"{rate:g}" for rate in self.rates)


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
