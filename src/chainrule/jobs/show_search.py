"""Show a search at work: the best trials so far as a table that is kept up to date, or a line per new best."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chainrule.catalog import CLASSICAL
from chainrule.core.units import show_figure, show_seconds, show_value
from chainrule.jobs.events import Searched, SearchFinished, SearchOpened, TrialEnded
from chainrule.train.metrics import metric_named

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

SHOWN = 8  # trials of the table
BLOCKS = "▁▂▃▄▅▆▇█"
CURVE = 40  # columns of the curve of the best so far
TELL_SECONDS = 10.0  # between lines of progress, where no terminal listens


class SearchDisplay:
    """The trials of one search on a console."""

    def __init__(self, console: Console, opened: SearchOpened) -> None:
        self.console = console
        self.opened = opened
        self.ended: dict[int, TrialEnded] = {}
        self.bests: list[float] = []  # the best score after each trial
        self.progress = Searched(made=0, epochs=1)
        self.began = self._told_at = time.perf_counter()
        self._live: Live | None = None
        self._line(_begin(opened))
        if console.is_terminal:
            from rich.live import Live

            self._live = Live(self._table(), console=console, auto_refresh=False, transient=True)
            self._live.start()

    def show(self, event: Searched | TrialEnded | SearchFinished) -> None:
        """Show what became of a trial, how far the search is, or its end."""
        match event:
            case Searched():
                self.progress = event
            case TrialEnded():
                self.ended[event.trial] = event
                self.bests += [] if event.best is None else [event.best]
            case SearchFinished():
                self._finish(event)
                return
        if self._live is not None:
            self._live.update(self._table(), refresh=isinstance(event, Searched))
        elif isinstance(event, TrialEnded) and event.is_best:
            self._told_at = time.perf_counter()
            self._line(
                f"trial {event.trial}: {self._score(event)}, the best so far: {described(event.settings)}"
            )
        elif isinstance(event, Searched) and time.perf_counter() - self._told_at >= TELL_SECONDS:
            self._told_at = time.perf_counter()
            self._line(self._how_far())

    def stop(self) -> None:
        """Take the table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _finish(self, event: SearchFinished) -> None:
        self.stop()
        self.console.print(self._table(has_progress=False))
        failed = [one for one in self.ended.values() if one.failure is not None]
        left = f", {len(failed)} of them failed" if failed else ""
        self._line(
            f"{event.trials} trials of {self.opened.folds} {what_of(self.opened, self.opened.folds)} in "
            f"{show_seconds(event.search_seconds)}{left}"
        )
        if failed:
            first = min(failed, key=lambda one: one.trial)
            self._line(f"trial {first.trial} failed: {first.failure}")
        metric = self.opened.metric
        score = f"{metric} {show_figure(event.best['score'])}"
        how = f"mean of {self.opened.folds} folds" if self.opened.folds > 1 else "on the rows held out"
        self._line(f"best: {described(event.best['settings'])} ({score}, {how})", "bold")
        if "test" in event.metrics:
            self._line(
                f"test, on rows that the search never saw: {metric} {show_figure(event.metrics['test'][metric])}",
                "bold",
            )
        self._line(
            f"report: {event.run / 'report.html'} · of the search: {event.run / 'search' / 'report.html'}"
        )
        self._line(f"predict with: chainrule predict {event.run} FILE")

    def _table(self, *, has_progress: bool = True) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for name in ("trial", self.opened.metric, "±"):
            table.add_column(name, justify="right")
        best = self._best()
        fits = self._fits(best)
        for name in self.opened.space if fits else ["settings"]:
            table.add_column(name, justify="right" if fits else "left")
        for one in best:
            cells = [show_value(one.settings[name]) for name in self.opened.space]
            shown = cells if fits else [described(one.settings)]
            spread = "" if one.spread is None else show_figure(one.spread)
            table.add_row(str(one.trial), show_figure(one.score or 0.0), spread, *map(Text, shown))
        curve = f"best so far {curve_of(self.bests)}" if len(self.bests) > 1 else ""
        return Group(table, Text(curve), Text(self._how_far(), style="dim")) if has_progress else table

    def _fits(self, best: list[TrialEnded]) -> bool:
        """Whether the console is wide enough for a column for each setting."""
        widths = (
            max([len(name), *(len(show_value(one.settings[name])) for one in best)]) + 1
            for name in self.opened.space
        )
        return sum(widths) + len(self.opened.metric) + 20 <= self.console.width

    def _best(self) -> list[TrialEnded]:
        sign = -1 if metric_named(self.opened.metric).larger_is_better else 1
        scored = [one for one in self.ended.values() if one.score is not None]
        return sorted(scored, key=lambda one: (-one.epochs, sign * (one.score or 0.0), one.trial))[:SHOWN]

    def _how_far(self) -> str:
        share = self.progress.made / max(1, self.progress.epochs)
        seconds = time.perf_counter() - self.began
        left = f", about {show_seconds(seconds / share - seconds)} left" if 0.02 < share < 1 else ""
        done = len(self.ended) + self.opened.done
        what = "models" if self.opened.model in CLASSICAL else "epochs"
        on = f" · {_workers(self.progress.workers)}"
        return (
            f"{min(done, self.opened.trials)} of {self.opened.trials} trials, {100 * share:.0f} % of their {what}{left}"
            f"{on if self.progress.workers is not None else ''}"
        )

    def _score(self, event: TrialEnded) -> str:
        return f"{self.opened.metric} {show_figure(event.score or 0.0)}"

    def _line(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False)


def what_of(opened: SearchOpened, count: int) -> str:
    """Return what a trial trains."""
    return f"{'model' if opened.model in CLASSICAL else 'network'}{'s' * (count != 1)}"


def curve_of(values: Sequence[float], width: int = CURVE) -> str:
    """Draw values in a line of text, the lowest low.

    >>> curve_of([0.5, 0.5, 0.75, 1.0]), curve_of([1.0, 1.0])
    ('▁▁▅█', '██')
    """
    picked = [values[k * len(values) // min(width, len(values))] for k in range(min(width, len(values)))]
    low, high = min(values), max(values)
    if high == low:
        return BLOCKS[-1] * len(picked)
    return "".join(BLOCKS[round((value - low) / (high - low) * (len(BLOCKS) - 1))] for value in picked)


def described(settings: dict[str, Any]) -> str:
    """Write the values of a trial in a line.

    >>> described({"learning_rate": 0.00123456, "hidden": (64, 32), "normalisation": None})
    'learning_rate 0.00123, hidden 64,32, normalisation none'
    """
    return ", ".join(f"{name} {show_value(value)}" for name, value in settings.items())


def _begin(opened: SearchOpened) -> str:
    rows = ", ".join(f"{count:,} {part}" for part, count in opened.rows.items() if count)
    folds = f"{opened.folds} folds" if opened.folds > 1 else "one part held out"
    networks = opened.trials * opened.folds
    done = f" ({opened.done} made before)" if opened.done else ""
    on = "" if opened.workers is None else f" on {_workers(opened.workers)}"
    return (
        f"{opened.model}, {opened.method} search over {', '.join(opened.space)}: {opened.trials} trials{done}, {folds}, "
        f"{networks:,} {what_of(opened, networks)}{on} · rows: {rows}"
    )


def _workers(count: int | None) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
