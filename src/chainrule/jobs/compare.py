"""List the runs of a folder, and compare some: settings that differ, metrics, curves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chainrule.catalog import METRICS
from chainrule.core.errors import RunError
from chainrule.jobs import folder as folders
from chainrule.jobs.folder import find
from chainrule.jobs.run import Run
from chainrule.train.metrics import metric_named
from chainrule.train.recipe import FORMAT

NONE = "–"  # where a run has no such setting, or left it open


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs side by side: one value per run everywhere; `best` is the place of the best per metric."""

    runs: list[str]
    settings: dict[str, list[str]]
    metrics: dict[str, list[float | None]]
    best: dict[str, int]
    curves: dict[str, list[list[float]]]


def list_runs(folder: Path) -> list[dict[str, Any]]:
    """Return one row per run of a folder, the newest last. Raises: RunError if there is no such folder."""
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}; runs are kept in ./runs unless --runs says otherwise")
    found = [p for p in folder.iterdir() if (p / folders.RECIPE).is_file()]
    return [_row(path) for path in sorted(found, key=lambda p: (p / folders.RECIPE).stat().st_mtime)]


def compare_runs(folder: Path, names: list[str]) -> Comparison:
    """Compare runs, by name or path. Raises: RunError for one that is not there."""
    runs = [Run(find(name, folder).path) for name in names]
    settings = [_settings(run) for run in runs]
    keys = list(dict.fromkeys(k for one in settings for k in one))
    differing = {
        k: [one.get(k, NONE) for one in settings]
        for k in keys
        if len({one.get(k, NONE) for one in settings}) > 1
    }
    measured = [_metrics(run) for run in runs]
    metric_names = list(dict.fromkeys(k for one in measured for k in one))
    metrics = {k: [one.get(k) for one in measured] for k in metric_names}
    histories = [run.history for run in runs]
    curve_names = [
        k for k in ("train_loss", "validation_loss") if any(k in row for h in histories for row in h)
    ]
    return Comparison(
        runs=[run.folder.name for run in runs],
        settings=differing,
        metrics=metrics,
        best={k: place for k, v in metrics.items() if (place := _best(k, v)) is not None},
        curves={k: [[row[k] for row in h if k in row] for h in histories] for k in curve_names},
    )


def _row(path: Path) -> dict[str, Any]:
    row: dict[str, Any] = {
        "run": path.name,
        "data": "",
        "model": "",
        "state": "",
        "epochs": 0,
        "metric": None,
        "value": None,
        "problem": None,
    }
    try:
        run = Run(path)
        row |= {"data": run.recipe.data["name"], "model": run.recipe.settings.model}
        if not run.folder.checkpoint.exists():
            return row | {"state": "no checkpoint yet"}
        row |= {"state": "finished" if run.is_finished else "stopped", "epochs": len(run.history)}
        if run.is_finished and not (path / folders.METRICS).exists():
            row["state"] = "trained, not yet measured: --resume does it"
        elif run.is_finished:
            part = next((part for part in ("test", "validation", "train") if part in run.metrics), "train")
            row |= {"metric": f"{part} {run.metric}", "value": run.metrics.get(part, {}).get(run.metric)}
    except RunError as error:
        row |= {"state": _unreadable(path), "problem": str(error)}
    return row


def _unreadable(path: Path) -> str:
    """Return in a word or two why a run cannot be read."""
    try:
        found = folders.read_json(path / folders.RECIPE)["format"]
    except (RunError, TypeError, LookupError):
        return "damaged"
    return "another version" if isinstance(found, int) and found != FORMAT else "damaged"


def _settings(run: Run) -> dict[str, str]:
    recipe = run.recipe
    own = {
        **asdict(recipe.settings),
        **recipe.model_settings,
        "data": recipe.data["name"],
        "plan": str(recipe.plan),
    }
    return {k: _shown(v) for k, v in own.items()}


def _shown(value: Any) -> str:
    if value is None:
        return NONE
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _metrics(run: Run) -> dict[str, float]:
    if not run.is_finished or not (run.path / folders.METRICS).exists():
        return {}
    flat = {f"{part} {name}": value for part, values in run.metrics.items() for name, value in values.items()}
    return flat | {"epochs made": len(run.history), "fit seconds": run.record["fit_seconds"]}


def _best(name: str, values: list[float | None]) -> int | None:
    present = [(v, i) for i, v in enumerate(values) if v is not None]
    if len(present) < 2 or name in ("epochs made", "fit seconds"):
        return None
    score = name.rsplit(" ", 1)[-1]
    larger = score in METRICS and metric_named(score).larger_is_better
    return (max if larger else min)(present, key=lambda pair: pair[0])[1]
