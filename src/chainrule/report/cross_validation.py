"""What a cross-validation found: a mean over folds with its spread and interval, as text, as values and as a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chainrule.core.text import visible
from chainrule.core.units import show_figure, show_interval, show_seconds
from chainrule.report.forest import Mark, draw_forest
from chainrule.report.html import Column, Markup, Page, aligned, code, facts, figure, paragraph, table
from chainrule.report.result_file import ANY_FORM, write_result
from chainrule.report.standing import capital, without_inputs
from chainrule.report.svg import COLOURS, inline_svg, picture_bytes
from chainrule.train.metrics import metrics_for
from chainrule.train.significance import Spread

ENDINGS = ANY_FORM
MOST_DRAWN = 10  # folds whose places are drawn as letters
HOW = (
    "The interval is Student's, with the variance of the mean corrected for training rows that folds share (Nadeau and Bengio "
    "2003). It says how far the mean may lie from that of other rows of the same kind."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold: how many rows trained, validated and were held out, and the metrics on those; None where it failed."""

    repeat: int
    number: int
    train: int
    validation: int
    held_out: int
    metrics: dict[str, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """A model's scores fold by fold. `spreads` sums up each metric; `metric` is the one that matters most."""

    data: str
    model: str
    metric: str
    is_classical: bool
    spreads: Mapping[str, Spread]
    base: float | None
    folds: tuple[Fold, ...]
    failures: tuple[str, ...]
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    what: str = "rows"

    @property
    def mean(self) -> float:
        """The mean of the metric over the folds."""
        return self.spreads[self.metric].mean

    @property
    def deviation(self) -> float:
        """The standard deviation of the metric from fold to fold."""
        return self.spreads[self.metric].deviation

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean."""
        return self.spreads[self.metric].low, self.spreads[self.metric].high

    @property
    def repeats(self) -> int:
        """How often the rows were divided."""
        return self.folds[-1].repeat

    @property
    def rows(self) -> int:
        """How many rows are in the folds."""
        return sum(fold.held_out for fold in self.folds if fold.repeat == 1)

    def scores(self, metric: str | None = None) -> list[float]:
        """Return a metric fold by fold, of those that have it."""
        name = metric or self.metric
        return [fold.metrics[name] for fold in self.folds if fold.metrics and name in fold.metrics]

    def __str__(self) -> str:
        return self.text()

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""
        return {
            "data": self.data,
            "model": self.model,
            "metric": self.metric,
            "mean": self.mean,
            "deviation": self.deviation,
            "interval": list(self.interval),
            "base_rate": self.base,
            "folds": self.folds[-1].number,
            "repeats": self.repeats,
            "rows": self.rows,
            "seconds": self.seconds,
            "metrics": {name: asdict(spread) for name, spread in self.spreads.items()},
            "per_fold": [asdict(fold) for fold in self.folds],
            "failures": list(self.failures),
            "settings": self.settings,
        }

    def text(self, width: int = 100) -> str:
        """Return the mean, what stands beside it, and a line per fold."""
        others = [
            f"{name} {show_figure(spread.mean)} ± {show_figure(spread.deviation, 2)}"
            for name, spread in self.spreads.items()
            if name not in (self.metric, "loss")
        ]
        return "\n".join([self.about(), "", *self._table(), "", self.headline(), f"  {' · '.join(others)}"])

    def about(self) -> str:
        """Say what was done."""
        folds = self.folds[-1].number
        times = f", repeated {self.repeats} times" if self.repeats > 1 else ""
        members = self.settings.get("members")
        networks = "networks" if members is None else f"ensembles of {members} networks"
        models = "models" if self.is_classical else networks
        return (
            f"{visible(self.data)}, {self.model}: {folds}-fold cross-validation of {self.rows:,} {self.what}{times}: {len(self.folds)} "
            f"{models} in {show_seconds(self.seconds)}"
        )

    def headline(self) -> str:
        """Say the mean with spread, interval and base rate."""
        low, high = self.interval
        base = "" if self.base is None else f"; {without_inputs(self.metric)} {show_figure(self.base)}"
        return (
            f"{self.metric} {show_figure(self.mean)} ± {show_figure(self.deviation, 2)} from fold to fold (95 % interval of the mean "
            f"{show_interval(low, high)}{base})"
        )

    def shown(self) -> list[str]:
        """Return the metrics of the table of folds: the first, and one that sees how sure answers are."""
        second = "rmse" if self.metric in metrics_for("regression") else "log-loss"
        return [name for name in dict.fromkeys((self.metric, second)) if name in self.spreads]

    def places(self, fold: Fold) -> str:
        """Draw which fold is held out (V) and which train (T), a letter for each."""
        last = self.folds[-1].number
        return " ".join("V" if place == fold.number else "T" for place in range(1, last + 1))

    def _table(self) -> list[str]:
        last, has_repeats = self.folds[-1].number, self.repeats > 1
        columns = [["fold", *(str(fold.number) for fold in self.folds)]]
        if has_repeats:
            columns.insert(0, ["repeat", *(str(fold.repeat) for fold in self.folds)])
        if last <= MOST_DRAWN:
            columns.append(["V held out".ljust(2 * last - 1), *map(self.places, self.folds)])
        columns.append(["train", *(f"{fold.train:,}" for fold in self.folds)])
        columns.append(["held out", *(f"{fold.held_out:,}" for fold in self.folds)])
        for name in self.shown():
            found = [(fold.metrics or {}).get(name, math.nan) for fold in self.folds]
            columns.append([name, *aligned(found)])
        widths = [max(map(len, column)) for column in columns]
        lines = zip(*columns, strict=True)
        return [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        ]

    def page(self) -> Page:
        """Return the page: the mean and its interval, every fold, every metric, and how it was found."""
        made = Page(title=f"{self.model} on {self.data}", kicker="Cross-validation")
        made.head.append(paragraph(capital(self.headline()) + ".", role="lead"))
        made.head.append(paragraph(self.about() + "."))
        made.section(
            "Fold by fold",
            figure(
                "",
                inline_svg(self.plot(), "folds", self.headline()),
                "Dots are folds, the square their mean, the line its 95 % interval.",
            ),
            self._fold_table(),
        )
        made.section("Every metric", self._metric_table(), paragraph(HOW))
        made.section(
            "How",
            facts({name: _shown(value) for name, value in self.settings.items()}),
            *([code(self.command)] if self.command else []),
        )
        return made

    def plot(self, paper: str = "none") -> Any:
        """Return mean, interval and folds as a matplotlib figure."""
        low, high = self.interval
        mark = Mark(self.model, self.mean, low, high, tuple(self.scores()), is_marked=True)
        return draw_forest(
            [mark],
            self.metric,
            base=None if self.base is None else (without_inputs(self.metric), self.base),
            paper=paper,
        )

    def save(self, path: str | Path) -> Path:
        """Write it: .html a page, .png or .svg a picture, .json the values. Raises: SettingError"""
        return write_result(path, page=self.page, values=self.values, picture=self._picture)

    def _picture(self, ending: str) -> bytes:
        return picture_bytes(self.plot(COLOURS["paper"]), ending)

    def _fold_table(self) -> Markup:
        names = self.shown()
        head = [*(["repeat"] if self.repeats > 1 else []), "fold", "trained on", "held out", *names]
        rows = []
        for fold in self.folds:
            found = [None if fold.metrics is None else fold.metrics.get(name) for name in names]
            rows.append(
                [*([fold.repeat] if self.repeats > 1 else []), fold.number, fold.train, fold.held_out, *found]
            )
        return table([Column(name) for name in head], rows)

    def _metric_table(self) -> Markup:
        rows = [
            [
                name,
                show_figure(found.mean),
                show_figure(found.deviation, 2),
                show_interval(found.low, found.high),
            ]
            for name, found in self.spreads.items()
        ]
        return table(["metric", Column("mean"), Column("from fold to fold"), Column("95 % interval")], rows)


def _shown(value: Any) -> str:
    """Write a setting as users give it.

    >>> _shown((64, 32)), _shown("adamw")
    ('64, 32', 'adamw')
    """
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
