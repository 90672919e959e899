"""What all update rules share that keep their own state: groups of parameters, state by name, saving it and putting it back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

# params, lr, weight_decay, maximise as in torch.optim, and what the rule has beside them
Groups = list[dict[str, Any]]


class Rule(Protocol):
    """An update rule bound to parameters. `param_groups` is as in torch.optim: rates may be changed between updates."""

    @property
    def param_groups(self) -> Groups:
        """Groups of parameters with their rates and decays."""

    def step(self) -> None:
        """Update the parameters in place from their gradients."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all state by name."""

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Put saved state back."""


class Update(NamedTuple):
    """What a kernel works on: the parameters of a group with their gradients, state and numbers of updates.

    `may_overwrite`: nobody looks at the gradients after the update.
    """

    parameters: list[Tensor]
    gradients: list[Any]
    state: dict[str, list[Tensor]]
    counts: list[Tensor]
    group: dict[str, Any]
    may_overwrite: bool = False


class Kernel:
    """A rule that updates one group at a time. State is one tensor per parameter and name, zero at the start."""

    names: tuple[str, ...] = ()
    uses_counts = True  # whether the formula has the number of updates in it

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._state = [
            {name: [self.start(name, p) for p in group["params"]] for name in self.names} for group in groups
        ]
        # The kernels want the number of updates per parameter as a tensor; these are views of one per group.
        self._counts = [
            torch.zeros(len(g["params"]), dtype=torch.float32, device=g["params"][0].device) for g in groups
        ]
        self._views = [list(counts.unbind()) for counts in self._counts]
        self._bound: list[tuple[Callable[[], object] | None, Update]] = []
        self._late = 0  # updates that the counts do not hold yet
        self._known: int | None = None  # what the counts hold, once it was read

    def bind_(self, *, may_overwrite: bool = False) -> None:
        """Settle on the gradients that the parameters have: from now on they are filled anew, never replaced.

        What an update works on is then put together once. The parameters no longer ask for a graph. With `may_overwrite`
        the rule may use the memory of the gradients.
        """
        for group in self._groups:
            for parameter in group["params"]:
                assert parameter.grad is not None
                parameter.requires_grad_(False)
        self._bound = [
            (
                partial(counts.add_, torch.ones_like(counts[0])) if self.uses_counts else None,
                Update(
                    group["params"],
                    [p.grad for p in group["params"]],
                    state,
                    views,
                    group,
                    may_overwrite=may_overwrite,
                ),
            )
            for group, state, counts, views in zip(
                self._groups, self._state, self._counts, self._views, strict=True
            )
        ]

    def start(self, name: str, parameter: Tensor) -> Tensor:
        """Return the state of a parameter before the first update."""
        return torch.zeros_like(parameter, memory_format=torch.preserve_format)

    @property
    def param_groups(self) -> Groups:
        """Groups of parameters with their rates and decays."""
        return self._groups

    def step(self) -> None:
        """Update the parameters in place from their gradients; one without a gradient stays."""
        self._known = None
        if self._bound:
            self._late += not self.uses_counts
            for count, update in self._bound:
                if count is not None:
                    count()
                self.kernel(update)
            return
        for group, state, counts, views in zip(
            self._groups, self._state, self._counts, self._views, strict=True
        ):
            parameters = group["params"]
            gradients = [p.grad for p in parameters]
            if any(g is None for g in gradients):
                self._step_some(group, state, views)
                continue
            counts += 1
            with torch.no_grad():
                self.kernel(Update(parameters, gradients, state, views, group))

    def _step_some(self, group: dict[str, Any], state: dict[str, list[Tensor]], views: list[Tensor]) -> None:
        kept = [i for i, p in enumerate(group["params"]) if p.grad is not None]
        if not kept:
            return
        parameters = [group["params"][i] for i in kept]
        counts = [views[i].add_(1) for i in kept]
        some = {name: [tensors[i] for i in kept] for name, tensors in state.items()}
        with torch.no_grad():
            self.kernel(Update(parameters, [p.grad for p in parameters], some, counts, group))

    @property
    def updates(self) -> int:
        """The updates that it has made."""
        if self._known is None:
            self._known = int(self._counts[0][0].item())
        return self._known + self._late

    def advance_(self, updates: int) -> None:
        """Count updates that were made elsewhere, on this rule's state."""
        self._late += updates

    def kernel(self, update: Update) -> None:
        """Update one group."""
        raise NotImplementedError

    def tensors(self) -> dict[str, Tensor]:
        """Return all state by name."""
        if self._late:
            for counts in self._counts:
                counts += self._late
            self._late, self._known = 0, None
        named = {
            f"{place}/{number}/{name}": tensor
            for place, state in enumerate(self._state)
            for name, tensors in state.items()
            for number, tensor in enumerate(tensors)
        }
        return {**named, **{f"{place}/updates": counts for place, counts in enumerate(self._counts)}}

    def load_(self, tensors: dict[str, Tensor]) -> None:
        """Put saved state back."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
        self._known = None
