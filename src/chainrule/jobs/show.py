"""Show a job at work in a terminal: what was said, a row per epoch, a bar with rate and time left, the last word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from chainrule.core.text import visible
from chainrule.core.units import show_number, show_seconds
from chainrule.jobs.events import EpochEnded, Event, Finished, Opened, Said, Stepped, Warned

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

T = TypeVar("T")
ROWS_SHOWN = 20


def consume(events: Iterable[Event], *, quiet: bool) -> Finished:
    """Run a job to its end and return what it finished with."""
    shown = events if quiet else Terminal().show(events)
    finished = None
    for event in shown:
        if isinstance(event, Finished):
            finished = event
    assert finished is not None
    return finished


class Terminal:
    """Events as text: plain lines where no terminal listens, and a live bar where one does."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self.console = console or Console(highlight=False, soft_wrap=True)
        self._opened: Opened | None = None
        self._bar: Progress | None = None
        self._bar_task: Any = None

    def show(self, events: Iterable[Event]) -> Iterator[Event]:
        """Show each event, and hand it on."""
        try:
            for event in events:
                self._show(event)
                yield event
        finally:
            self._stop_bar()

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
            case Finished():
                self._stop_bar()
                self._finish(event)

    def _open(self, event: Opened) -> None:
        rows = ", ".join(f"{count:,} {part}" for part, count in event.rows.items() if count)
        self.line(f"{event.model}, {event.parameters:,} parameters · rows: {rows} · plan: {event.plan}")
        self._opened = event
        self.line(f"{'epoch':>6} {'loss':>10} {'validation':>11} {event.metric:>9}", "bold")
        if self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("steps"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                console=self.console,
                transient=True,
            )
            self._bar_task = self._bar.add_task(
                "training", total=event.steps, completed=event.step, epoch=1, rate=""
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

    def _finish(self, event: Finished) -> None:
        best = f", best epoch {event.best_epoch}" if event.best_epoch else ""
        self.line(f"{event.epochs} epochs in {show_seconds(event.fit_seconds)}{best}")
        part = "test" if "test" in event.metrics else "train"
        shown = " · ".join(f"{name} {show_number(value)}" for name, value in event.metrics[part].items())
        self.line(f"{part}: {shown}", "bold")
        self.line(visible(event.verdict, 500))
        self.line(f"report: {event.run / 'report.html'}")
        self.line(f"predict with: chainrule predict {event.run} FILE")

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def epoch_line(row: dict[str, float], metric: str, is_best: bool) -> str:
    """Write one row of the history."""
    text = f"{int(row['epoch']):>6} {row['train_loss']:>10.4f}"
    if "validation_loss" in row:
        text += (
            f" {row['validation_loss']:>11.4f} {row[f'validation_{metric}']:>9.4f}{' *' if is_best else ''}"
        )
    return text
