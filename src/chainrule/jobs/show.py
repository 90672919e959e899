"""Show a job at work in a terminal: what was said, a row per epoch, a bar with rate and time left, the last word."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from chainrule.catalog import METRICS
from chainrule.core.text import visible
from chainrule.core.units import show_figure, show_interval, show_seconds
from chainrule.jobs.events import (
    EpochEnded,
    Event,
    Finished,
    HeldOut,
    MemberTrained,
    Opened,
    Said,
    Searched,
    SearchFinished,
    SearchOpened,
    Stepped,
    TrialEnded,
    Warned,
)
from chainrule.jobs.show_search import SearchDisplay
from chainrule.report.summary import MEAN_ALONE
from chainrule.train.metrics import metric_named, metrics_for

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

T = TypeVar("T")
ROWS_SHOWN = 20
TELL_SECONDS = 5.0  # between lines about networks that judge, where no terminal listens
DRAWN_EACH_SECOND = 4  # the bar; drawing it takes 0.5 ms from the training


def consume(events: Iterable[Event], *, quiet: bool) -> Finished:
    """Run a job to its end and return what it finished with."""
    shown = events if quiet else Terminal().show(events)
    finished = None
    for event in shown:
        if isinstance(event, Finished):
            finished = event
    assert finished is not None
    return finished


def returned(events: Generator[Event, None, T], shows: Shows | None) -> T:
    """Run a job to its end, shown by something that shows events, and return what it gives back."""
    found: list[T] = []

    def run() -> Iterator[Event]:
        found.append((yield from events))

    for _ in run() if shows is None else shows.show(run()):
        pass
    return found[0]


class Shows(Protocol):
    """What shows events: a terminal, or a printer of the command line."""

    def show(self, events: Iterable[Any]) -> Iterator[Any]: ...


class Terminal:
    """Events as text: plain lines where no terminal listens, and a live bar where one does."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self.console = console or Console(highlight=False, soft_wrap=True)
        self._opened: Opened | None = None
        self._bar: Progress | None = None
        self._bar_task: Any = None
        self._told_at: float | None = None
        self._search: SearchDisplay | None = None

    def show(self, events: Iterable[Event]) -> Iterator[Event]:
        """Show each event, and hand it on."""
        try:
            for event in events:
                self._show(event)
                yield event
        finally:
            self._stop_bar()
            if self._search is not None:
                self._search.stop()

    def track(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Iterate with a bar."""
        from rich.progress import track

        if not self.console.is_terminal:
            return items
        return track(items, description=what, total=total, console=self.console, transient=True)

    def line(self, text: str, style: str | None = None) -> None:
        """Print a line in which nothing is markup."""
        self.console.print(text, style=style, markup=False)

    def _show(self, event: Event) -> None:
        match event:
            case Said():
                self.line(event.text, "dim")
            case Warned():
                self.line(f"warning: {event.text}", "yellow")
            case Opened():
                self._open(event)
            case Stepped():
                if self._bar is not None:
                    speed = self._bar.tasks[0].speed
                    rate = f"{speed:,.0f}/s" if speed else ""
                    self._bar.update(self._bar_task, completed=event.step, epoch=event.epoch, rate=rate)
            case EpochEnded():
                self._epoch(event)
            case MemberTrained():
                self._member(event)
            case HeldOut():
                self._held_out(event)
            case SearchOpened():
                self._search = SearchDisplay(self.console, event)
            case Searched() | TrialEnded() | SearchFinished():
                assert self._search is not None
                self._search.show(event)
            case Finished():
                self._stop_bar()
                self._finish(event)

    def _open(self, event: Opened) -> None:
        rows = ", ".join(f"{count:,} {part}" for part, count in event.rows.items() if count)
        if not event.epochs:  # a classical model, which is fitted in one go
            self._opened = event
            self.line(f"{event.model} · rows: {rows}")
            return
        self.line(f"{event.model}, {event.parameters:,} parameters · rows: {rows}")
        self.line(f"plan: {event.plan}")
        self._opened = event
        validated = (
            f" {'validation':>11} {event.metric:>{width(event.metric)}}" if event.rows["validation"] else ""
        )
        counted = "epoch" if event.members is None else "member"
        self.line(f"{counted:>6} {'loss':>10}{validated}", "bold")
        if self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn(
                    "epoch {task.fields[epoch]}"
                    if event.members is None
                    else f"{{task.fields[epoch]}} of {event.members} members"
                ),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("steps"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                console=self.console,
                transient=True,
                refresh_per_second=DRAWN_EACH_SECOND,
            )
            self._bar_task = self._bar.add_task(
                "training", total=event.steps, completed=event.step, epoch=int(event.members is None), rate=""
            )
            self._bar.start()

    def _epoch(self, event: EpochEnded) -> None:
        assert self._opened is not None
        row, epochs = event.row, self._opened.epochs
        every = max(1, epochs // ROWS_SHOWN)
        number = int(row["epoch"])
        if number != 1 and number % every and number != epochs:
            return
        self.line(epoch_line(row, self._opened.metric, event.is_best))

    def _member(self, event: MemberTrained) -> None:
        assert self._opened is not None
        every = max(1, event.members // ROWS_SHOWN)
        if event.member == 1 or event.member % every == 0:
            self.line(epoch_line({**event.row, "epoch": event.member}, self._opened.metric, is_best=False))

    def _held_out(self, event: HeldOut) -> None:
        if not self.console.is_terminal:
            self._held_out_line(event)
            return
        if self._bar is None or self._bar.tasks[0].description != "judging":
            self._stop_bar()
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn(f"{event.called}s that judge"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(
                *columns,
                TimeRemainingColumn(compact=True),
                console=self.console,
                transient=True,
                refresh_per_second=DRAWN_EACH_SECOND,
            )
            self._bar_task = self._bar.add_task("judging", total=event.networks)
            self._bar.start()
        self._bar.update(self._bar_task, completed=event.network - (not event.is_trained))

    def _held_out_line(self, event: HeldOut) -> None:
        """Say from time to time how far the judging is."""
        now = time.perf_counter()
        if self._told_at is None:
            self._told_at = now
        if event.is_trained and event.network < event.networks and now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            self.line(f"{event.network} of {event.networks} {event.called}s that judge are trained")

    def _finish(self, event: Finished) -> None:
        best = f", best epoch {event.best_epoch}" if event.best_epoch else ""
        what = "fitted" if not event.epochs else "1 epoch" if event.epochs == 1 else f"{event.epochs} epochs"
        self.line(f"{what} in {show_seconds(event.fit_seconds)}{best}")
        assert self._opened is not None
        part, metric = event.judged_on, self._opened.metric
        first, *others = figures(
            event.metrics[part], event.intervals, metric, base_rate=event.base_rate, second=event.second,
            digits=3 if event.judging is None else 2,
        )  # fmt: skip
        if event.judging is not None:
            self.line(event.judging["said"])
            part = "held out"
            if "accuracy" in event.metrics["test"] and event.judging["rounds"] == 1:
                rows = event.rows["train"]
                first = f"{round(event.metrics['test']['accuracy'] * rows)} of {rows} right · {first}"
        self.line(f"{part}: {first}", "bold")
        for text in others:
            self.line(f"  {text}")
        for text in (event.ensemble or {}).get("said", ()):
            self.line(visible(text, 500))
        self.line(visible(event.verdict, 500))
        self.line(f"report: {event.run / 'report.html'}")
        self.line(f"predict with: chainrule predict {event.run} FILE")

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def figures(
    metrics: dict[str, float],
    intervals: Mapping[str, Sequence[float]],
    metric: str,
    *,
    base_rate: float | None = None,
    second: str | None = None,
    digits: int = 3,
) -> list[str]:
    """Write figures as lines: the one that matters most with interval and base rate, then the others.

    Of two classes, what is about the second alone stands under its name. The log loss is left out where it is the loss.
    """
    first = f"{metric} is not defined: these rows are all of one class"
    if metric in metrics:
        beside = [f"95 % interval {show_interval(*intervals[metric])}"] if metric in intervals else []
        called = MEAN_ALONE if metric in metrics_for("regression") else "base rate"
        beside += [f"{called} {show_figure(base_rate, digits)}"] if base_rate is not None else []
        first = f"{metric} {show_figure(metrics[metric], digits)}" + (
            f" ({'; '.join(beside)})" if beside else ""
        )
    is_loss = math.isclose(metrics.get("log-loss", math.nan), metrics.get("loss", math.nan), rel_tol=1e-3)
    left_out = {metric, "log-loss"} if is_loss else {metric}
    others = {
        name: f"{name} {show_figure(value, digits)}"
        for name, value in metrics.items()
        if name not in left_out
    }
    of_second = [
        name for name in others if second is not None and name in METRICS and metric_named(name).is_of_second
    ]
    lines = [first, " · ".join(text for name, text in others.items() if name not in of_second)]
    if of_second:
        lines.append(f"of class '{visible(second)}': " + " · ".join(others[name] for name in of_second))
    return [line for line in lines if line]


def epoch_line(row: dict[str, float], metric: str, is_best: bool) -> str:
    """Write one row of the history."""
    text = f"{int(row['epoch']):>6} {row['train_loss']:>10.4f}"
    if "validation_loss" in row:
        text += (
            f" {row['validation_loss']:>11.4f} {row.get(f'validation_{metric}', math.nan):>{width(metric)}.4f}"
            f"{' *' if is_best else ''}"
        )
    return text


def width(metric: str) -> int:
    """Return the width of a metric's column."""
    return max(9, len(metric) + 1)
