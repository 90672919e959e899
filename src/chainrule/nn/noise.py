"""Noise in a network as a function of (seed, member, layer, step), never drawn from a global generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chainrule.core.errors import SettingError
from chainrule.core.seeds import mix


class Dropout(nn.Module):
    """Set each value to zero with probability `rate` while training and scale the others by 1/(1 − rate).

    `rate` is the part that is dropped; the decks also print p as the part that is kept (E13).
    Source: Srivastava et al. 2014. Differs: scaled while training, so that prediction needs no change.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise SettingError(f"dropout must be at least 0 and below 1; got {rate:g}")
        self.rate = rate
        self.seed = 0
        self.step = 0
        self._generator = torch.Generator()

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        self._generator.manual_seed(mix(self.seed, self.step))
        kept = torch.empty(x.shape, dtype=x.dtype).bernoulli_(1 - self.rate, generator=self._generator)
        return x * kept.div_(1 - self.rate).to(x.device)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


class Noise:
    """The noise of a whole network: gives every noisy layer its own seed, and all of them the step."""

    def __init__(self, model: nn.Module, seed: int, member: int = 0) -> None:
        self.layers = [m for m in model.modules() if isinstance(m, Dropout)]
        for place, layer in enumerate(self.layers):
            layer.seed = mix(seed, "noise", member, place)

    def at(self, step: int) -> None:
        """Say which update comes next."""
        for layer in self.layers:
            layer.step = step
