"""`predict` and `evaluate` on files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.core.files import output_ending, write_atomic
from chainrule.core.text import visible
from chainrule.jobs.folder import find
from chainrule.jobs.run import Run, predictions_frame
from chainrule.jobs.show import figures

if TYPE_CHECKING:
    import polars as pl

ENDINGS = (".csv", ".tsv", ".parquet", ".json")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def predict_file(
    run: str,
    rows: Path,
    output: Path | None,
    runs: Path,
    *,
    encoding: str | None = None,
    sheet: str | None = None,
    samples: int | None = None,
) -> tuple[str, tuple[str, ...]]:
    """Predict for a file and write a table; returns what belongs on standard output, and what the user should hear.

    Raises: SettingError for an output whose ending says nothing; DataError for rows that cannot be read
    """
    ending = ".csv" if output is None else output_ending(output, ENDINGS)
    opened = Run(find(run, runs).path)
    source = opened.read_inputs(rows, encoding=encoding, sheet=sheet)
    table = predictions_frame(
        opened.predict_source(source, samples=samples), opened.recipe.schema.target.names, source.row_names
    )
    content = _as_bytes(table, ending)
    if output is None:
        return content.decode(), opened.notes
    write_atomic(output, content)
    return f"{table.height} predictions in {visible(output)}\n", opened.notes


def evaluate_on(
    run: str, data: str | None, runs: Path, *, encoding: str | None = None, sheet: str | None = None
) -> tuple[dict[str, Any], str, tuple[str, ...]]:
    """Judge labelled rows, or the run's own test rows; returns the figures, them as text, and what the user should hear."""
    opened = Run(find(run, runs).path)
    judged = opened.judge(data, encoding=encoding, sheet=sheet)
    yardsticks = opened.record["yardsticks"] if data is None else []
    base_rate = yardsticks[0]["metrics"].get(opened.metric) if yardsticks else None
    second = opened.recipe.schema.target.second
    text = "\n".join(
        figures(
            judged.metrics,
            judged.intervals,
            opened.metric,
            base_rate=base_rate,
            second=second,
            digits=2 if data is None and opened.recipe.settings.folds else 3,
        )
    )
    return {**judged.metrics, "intervals": judged.intervals, "rows": judged.rows}, text, opened.notes


def _as_bytes(table: object, ending: str) -> bytes:
    import io

    import polars as pl

    assert isinstance(table, pl.DataFrame)
    if ending == ".json":
        return (table.write_json() + "\n").encode()
    if ending == ".parquet":
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        return buffer.getvalue()
    return without_formulas(table).write_csv(separator="\t" if ending == ".tsv" else ",").encode()


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before text that a spreadsheet would run: what begins with = + - @ and is no number."""
    import polars as pl

    columns: list[pl.Series] = []
    for series in table.get_columns():
        if series.dtype == pl.String:
            cells = series.alias("cells")  # polars would take names such as * and ^a$ for patterns
            runs = cells.str.contains(r"^[=+\-@\t\r]") & cells.cast(pl.Float64, strict=False).is_null()
            series = cells.zip_with(~runs.fill_null(False), "'" + cells)
        title = table.columns[len(columns)]
        columns.append(series.alias("'" + title if title.startswith(FORMULA_STARTS) else title))
    return pl.DataFrame(columns)
