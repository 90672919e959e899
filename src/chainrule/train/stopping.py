"""When training ends by its own loss, as courses write the loop of gradient descent: a function of the history alone.

`patience` watches the validation rows; these rules watch the training loss. With --batch-size all an epoch is one update
and its loss that of all training rows, so that stop_tolerance is the loop "do … while |f(wᵗ) − f(wᵗ⁺¹)| > ε", with the
two newest losses compared (E05). A loss stands in the history from before its update: the run ends one update later. A
run ends where its loss is flat, which may be any stationary point (E52).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Rules on the training losses of the two newest epochs; one that is not set never ends a run."""

    tolerance: float | None = None
    on_no_decrease: bool = False

    @property
    def is_set(self) -> bool:
        """Whether any rule can end the run."""
        return self.tolerance is not None or self.on_no_decrease

    def reason(self, history: Sequence[Mapping[str, float]]) -> str | None:
        """Return why training ends after these epochs, None if it goes on.

        >>> Stopping(tolerance=0.01).reason([{"train_loss": 0.5}, {"train_loss": 0.499}])
        'the training loss changed by 0.001 from epoch 1 to 2, no more than stop_tolerance 0.01'
        """
        if len(history) < 2 or not self.is_set:
            return None
        before, now = (row["train_loss"] for row in history[-2:])
        where = f"from epoch {len(history) - 1} to {len(history)}"
        if self.tolerance is not None and abs(before - now) <= self.tolerance:
            return f"the training loss changed by {abs(before - now):.3g} {where}, no more than stop_tolerance {self.tolerance:g}"
        if self.on_no_decrease and now >= before:
            return f"the training loss no longer decreases: {before:.6g}, then {now:.6g} ({where})"
        return None


NEVER = Stopping()
