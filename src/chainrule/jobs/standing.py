"""The sentence that says where a network stands beside its yardsticks, and which of those were cut short."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.core.units import show_figure
from chainrule.report.canvas import say
from chainrule.report.summary import TO_SAVE_TIME, Yardstick
from chainrule.train.metrics import metric_named
from chainrule.train.task import Task

FEW_DIGITS = 2  # of figures that rest on a few rows


def base_rate(yardsticks: Sequence[Yardstick], metric: str) -> float | None:
    """Return what the constant yardstick reaches: the score that needs no inputs at all."""
    return yardsticks[0].metrics.get(metric) if yardsticks else None


def verdict(
    task: Task,
    metrics: dict[str, float],
    yardsticks: Sequence[Yardstick],
    *,
    rows: str = "test",
    digits: int = 3,
    called: str = "network",
) -> str:
    """Say in one sentence where the network stands on the `rows`, each yardstick once with its score."""
    if not yardsticks:
        return f"no test rows: nothing says how good this {called} is on rows that it never saw"
    metric = metric_named(task.metric)
    rivals = {y.name: y.metrics[metric.name] for y in yardsticks if metric.name in y.metrics}
    if metric.name not in metrics or not rivals:
        return f"the {rows} rows do not define {metric.name}: they are all of one class"
    ours = metrics[metric.name]
    best = (max if metric.larger_is_better else min)(rivals, key=lambda name: rivals[name])
    shown = {
        y.name: f"{y.name} at {show_figure(rivals[y.name], digits)}{_cut_short(y)}"
        for y in yardsticks
        if y.name in rivals
    }
    if metric.is_better(ours, rivals[best]):
        stands = f"ahead of every yardstick: {', '.join(shown.values())}"
    else:
        stands = f"{'level with' if ours == rivals[best] else 'behind'} {shown.pop(best)}"
        stands += f"; {', '.join(shown.values())}" if shown else ""
    return f"{rows} {say(metric.name)} {show_figure(ours, digits)}, {stands}"


def _cut_short(yardstick: Yardstick) -> str:
    """Say what was left out of a yardstick that might do better with more time."""
    is_cut = TO_SAVE_TIME in yardstick.note
    return f" (cut short: {yardstick.note.removesuffix(TO_SAVE_TIME)})" if is_cut else ""
