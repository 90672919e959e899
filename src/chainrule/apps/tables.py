"""Tables in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from chainrule.core.text import visible
from chainrule.core.units import show_number

if TYPE_CHECKING:
    from rich.console import Console

    from chainrule.jobs.compare import Comparison
    from chainrule.jobs.describe import Description

BARS = "▁▂▃▄▅▆▇█"


def print_runs(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print one line per run."""
    if not rows:
        console.print("no runs here yet; make one with: chainrule fit digits", markup=False)
        return
    table = _table("run", "data", "model", "state", "epochs", "metric", "value")
    for row in rows:
        metric, value = row["metric"] or "", row["value"]
        table.add_row(
            *(Text(visible(row[k])) for k in ("run", "data", "model", "state")),
            Text(str(row["epochs"]), justify="right"),
            Text(metric),
            Text("" if value is None else show_number(value), justify="right"),
        )
    console.print(table)
    for row in rows:
        if row["problem"]:
            console.print(f"{visible(row['run'])}: {visible(row['problem'], 500)}", markup=False)


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print settings that differ, metrics and curves of some runs side by side."""
    table = _table("", *comparison.runs)
    for name, values in comparison.settings.items():
        table.add_row(Text(name), *(Text(visible(v)) for v in values))
    if not comparison.settings:
        table.add_row(Text("settings"), *(Text("same") for _ in comparison.runs))
    table.add_section()
    for name, numbers in comparison.metrics.items():
        best = comparison.best.get(name)
        cells = [
            Text("–" if v is None else show_number(v), style="bold" if i == best else "")
            for i, v in enumerate(numbers)
        ]
        table.add_row(Text(name), *cells)
    table.add_section()
    for name, curves in comparison.curves.items():
        table.add_row(Text(name), *(Text(sparkline(c)) for c in curves))
    console.print(table)


def print_names(console: Console, description: Description) -> None:
    """Print names with what they are."""
    if description.title:
        console.print(Text(description.title, style="bold"))
    if description.text:
        console.print(Text(description.text))
    table = _table(*description.header)
    for row in description.rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    if description.rows:
        console.print(table)
    if description.example:
        console.print(Text(description.example, style="dim"))


def sparkline(values: list[float], width: int = 24) -> str:
    """Draw a curve in one line of text.

    >>> sparkline([3.0, 2.0, 1.0])
    '█▅▁'
    """
    if not values:
        return ""
    picked = [
        values[round(i * (len(values) - 1) / max(1, min(width, len(values)) - 1))]
        for i in range(min(width, len(values)))
    ]
    low, high = min(picked), max(picked)
    return "".join(BARS[round((v - low) / (high - low) * 7) if high > low else 0] for v in picked)


def _table(*header: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in header:
        table.add_column(Text(visible(name), style="bold"), overflow="fold")
    return table
