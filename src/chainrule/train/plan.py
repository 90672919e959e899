"""How a model runs on this machine. For now: the device, and plain execution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from chainrule.core.device import choose_device
from chainrule.core.errors import RunError, SettingError

PLANS = ("auto", "plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The way to run, decided before the first step and part of the recipe.

    The number of threads changes the order in which sums are taken and so their last bits: it is in the plan.
    """

    device: str
    threads: int
    step: str = "autograd"
    precision: str = "float32"
    reason: str = ""

    def __str__(self) -> str:
        where = (
            self.device
            if self.device != "cpu"
            else f"cpu, {self.threads} thread{'s' if self.threads != 1 else ''}"
        )
        return f"plain ({where}, {self.precision})"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as it stands in a recipe."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """Read a plan from a recipe. Raises: RunError for fields that this version does not know."""
        try:
            return cls(**value)
        except TypeError as error:
            raise RunError(f"the recipe's plan does not fit this version of chainrule: {error}") from error

    @contextmanager
    def applied(self) -> Iterator[torch.device]:
        """Run the block with the plan's threads and give its device; the thread count is put back after."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield choose_device(self.device)
        finally:
            torch.set_num_threads(before)


def make_plan(name: str, device: str) -> Plan:
    """Decide how to run. `auto` is `plain` until candidates are measured."""
    if name not in PLANS:
        raise SettingError(f"--plan takes {' or '.join(PLANS)}; got {name!r}")
    chosen = choose_device(device)
    return Plan(
        device=chosen.type,
        threads=torch.get_num_threads(),
        reason="plain execution in torch's default precision",
    )
