"""A finished run, opened again: its network, its history, and what it says about new rows."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from chainrule.core.errors import DataError, RunError
from chainrule.core.text import visible
from chainrule.core.typed_json import typed
from chainrule.data.class_folders import PICTURE_ENDINGS
from chainrule.data.prepare import Prepare
from chainrule.data.read import are_paths, holds_batches, read
from chainrule.data.reading import Reading
from chainrule.data.source import Source
from chainrule.data.store import find_store
from chainrule.jobs import folder as folders
from chainrule.jobs.classical import ESTIMATOR, open_classical
from chainrule.jobs.folder import find, read_json
from chainrule.jobs.material import make_material, model_inputs, read_again, reading_of
from chainrule.jobs.workshop import empty_task, make_model
from chainrule.models.ensemble import Ensemble
from chainrule.report.summary import Yardstick
from chainrule.train.checkpoint import load_checkpoint, part
from chainrule.train.judgement import Judgement, judge_rows
from chainrule.train.loop import outputs_of
from chainrule.train.metrics import metrics_for
from chainrule.train.recipe import Recipe
from chainrule.train.sampling import sample_predictions
from chainrule.train.task import Predictions, Task
from chainrule.train.training import check_state

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

Row = dict[str, float]
_RECORD: dict[str, Any] = {
    "metrics": dict[str, Row],
    "fit_seconds": float,
    "yardsticks": tuple[Yardstick, ...],
    "rows": dict[str, int],
    "intervals": dict[str, dict[str, tuple[float, float]]] | None,
}


class Run:
    """A run folder with everything in it: `recipe`, `history`, `metrics`, `model`; it predicts and evaluates.

    `model` hands over the network of a run whose model was an object, `data` the rows of one whose data was in memory.
    """

    def __init__(self, path: str | Path, *, model: nn.Module | None = None, data: Any = None) -> None:
        self.folder = find(path)
        self.path = self.folder.path
        self.recipe = Recipe.from_json(self.folder.recipe(), str(self.path / folders.RECIPE))
        self._given = model
        self._data = data
        self.notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, model={self.recipe.settings.model!r}, data={self.recipe.data['name']!r})"

    @functools.cached_property
    def _state(self) -> dict[str, Any]:
        if not self.folder.checkpoint.exists():
            raise RunError(
                f"{self.folder.checkpoint} is missing; start over with: chainrule fit --resume {self.path}"
            )
        return check_state(load_checkpoint(self.folder.checkpoint, "none")[1], str(self.folder.checkpoint))

    @property
    def data(self) -> Any:
        """The rows that were handed over in memory; None where the data is read again."""
        return self._data

    @property
    def is_finished(self) -> bool:
        """Whether training came to its end."""
        return bool(self._state["is_finished"])

    @property
    def history(self) -> list[Row]:
        """One row per epoch: epoch, steps, train_loss, learning_rate, validation_loss, …, seconds."""
        rows: list[Row] = self._state["history"]
        return rows

    @property
    def metrics(self) -> dict[str, Row]:
        """Metrics of the train, validation and test rows."""
        found: dict[str, Row] = self.record["metrics"]
        return found

    @property
    def metric(self) -> str:
        """The metric that tables show: the one that was asked for, else accuracy or r2."""
        return self.recipe.settings.metric or metrics_for(self.recipe.schema.target.kind)[0]

    @functools.cached_property
    def record(self) -> dict[str, Any]:
        """What metrics.json holds: metrics and their intervals, yardsticks, the verdict, seconds."""
        path = self.path / folders.METRICS
        try:
            record: dict[str, Any] = typed(dict[str, Any], read_json(path))
            for name, kind in _RECORD.items():
                typed(kind, record.get(name), name)
        except ValueError as error:
            raise RunError(f"{path} is damaged or of another version: {error}") from error
        return record

    @functools.cached_property
    def _loaded(self) -> tuple[nn.Module, Prepare, Task]:
        if not self.is_finished:
            raise RunError(
                f"the run {self.path} is not finished; go on with: chainrule fit --resume {self.path}"
            )
        parts = ("best/", "model/", "prepare/", "task/", ESTIMATOR)
        tensors, _ = load_checkpoint(self.folder.checkpoint, *parts)
        task = empty_task(
            self.recipe, (lambda o, t: (o * 0).sum(-1)) if "loss" in self.recipe.given else None
        )
        where = str(self.folder.checkpoint)
        model: nn.Module = (
            open_classical(self.recipe, task, tensors, where)
            if self.recipe.is_classical
            else make_model(self.recipe, task.units, self._given)
        )
        try:
            prepare = Prepare(self.recipe.schema)
            prepare.load_state_dict(part(tensors, "prepare/"))
            task.load_state_dict(part(tensors, "task/"))
            if not self.recipe.is_classical:
                weights = part(tensors, "best/") or part(tensors, "model/")
                if isinstance(model, Ensemble) and "shares" in weights:
                    model.shorten_(len(weights["shares"]))
                model.load_state_dict(weights)
            if prepare.features != self.recipe.inputs:
                raise RuntimeError(f"{prepare.features} inputs instead of {self.recipe.inputs}")
        except RuntimeError as error:
            raise RunError(
                f"{self.folder.checkpoint} does not fit {self.path / folders.RECIPE}: {visible(error)}"
            ) from error
        return model.eval(), prepare.eval(), task

    @property
    def model(self) -> nn.Module:
        """The trained network, with the best weights, on the CPU."""
        return self._loaded[0]

    def predict(self, rows: Any, *, samples: int | None = None) -> Predictions:
        """Predict for new rows: a path, a dataframe, a dict of columns, or an array of the shape of training.

        What the user should hear about the rows (values that training never saw, columns not used) is in `notes`.
        With `samples`, dropout stays on and as many answers are averaged; `spread` says how far they differ.
        Raises: DataError naming file, column and row for what cannot be read as in training
        """
        return self.predict_source(self.read_inputs(rows), samples=samples)

    def predict_source(self, source: Source, *, samples: int | None = None) -> Predictions:
        """Predict for rows that are read already."""
        model, prepare, task = self._loaded
        examples = self.recipe.schema.encode_inputs(source)
        self.notes = (*source.notes, *examples.notes)
        with self.recipe.plan_here().applied():
            inputs = model_inputs(prepare, examples, source)
            if samples is not None:
                return sample_predictions(model, task, inputs, samples, seed=self.recipe.settings.seed)
            return task.decode(outputs_of(model, inputs))

    def read_inputs(self, rows: Any, *, encoding: str | None = None, sheet: str | None = None) -> Source:
        """Read rows to predict for; they need no target. `encoding` and `sheet` are those of training if not given."""
        schema = self.recipe.schema
        if isinstance(rows, str | Path) and schema.is_pictures:
            path = Path(rows)
            if path.suffix.lower() in PICTURE_ENDINGS or (path.is_dir() and not holds_batches(path)):
                return _pictures(path, schema.shape)
        if isinstance(rows, str | Path) and schema.columns and Path(rows).is_dir():
            raise DataError(
                f"{visible(rows)} is a folder; this network was trained on a table and predicts for one"
            )
        if isinstance(rows, np.ndarray | torch.Tensor | list) and not are_paths(rows):
            array = np.asarray(rows)
            if array.shape == schema.shape:
                array = array[None]
            if schema.is_pictures and array.ndim == 3 and array.shape[1:] == schema.shape[1:]:
                array = array[:, None]
            return Source(
                name="the array", origin={"kind": "memory"}, array=array, is_pictures=schema.is_pictures
            )
        return read(rows, self._reading(encoding, sheet))

    def _reading(self, encoding: str | None, sheet: str | None) -> Reading:
        chosen = self.recipe.settings
        settings = replace(chosen, encoding=encoding or chosen.encoding, sheet=sheet or chosen.sheet)
        store = find_store(self.path.parent / ".cache", settings.memory)
        return replace(reading_of(settings, self.recipe.data["target"]), store=store)

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """Return metrics on labelled rows; without `data`, on the run's own test rows."""
        return self.judge(data).metrics

    def judge(self, data: Any = None, *, encoding: str | None = None, sheet: str | None = None) -> Judgement:
        """Return metrics with 95 % intervals on labelled rows; without `data`, on the run's own test rows.

        `encoding` and `sheet` are those of training if not given.
        """
        model, prepare, task = self._loaded
        schema = self.recipe.schema
        if data is None and self.recipe.settings.folds:
            return self._held_out()
        if data is None:
            source = read_again(self.recipe, self._data, self.folder)
            examples = schema.encode(source)
            rows = make_material(source, examples, schema, self.recipe.settings).split.test
            if not len(rows):
                raise RunError(f"the run {self.path} kept no test rows (--test 0); give data to evaluate on")
        else:
            reading = self._reading(encoding, sheet)
            if schema.is_pictures:
                channels, height, width = schema.shape
                reading = replace(reading, shape=(channels, height, width))
            source = data if isinstance(data, Source) else read(data, reading)
            examples = schema.encode(source)
            rows = np.arange(len(examples))
            self.notes = (*source.notes, *examples.notes)
        assert examples.targets is not None
        if not len(rows):
            raise DataError(f"{source.name} has no rows with a target")
        with self.recipe.plan_here().applied():
            inputs = model_inputs(prepare, examples, source)
            outputs = outputs_of(model, inputs, torch.from_numpy(rows))
            return judge_rows(task, outputs, task.encode(examples.targets[rows]))

    def _held_out(self) -> Judgement:
        """Return what the networks that held each row out showed; the kept one has trained on all rows."""
        judging = self.record.get("judging")
        if not isinstance(judging, dict) or "said" not in judging or "test" not in self.metrics:
            raise RunError(
                f"{self.path / folders.METRICS} does not say how the rows were judged; it comes back with: chainrule fit "
                f"--resume {self.path}"
            )
        self.notes = (f"the run kept no test rows; {judging['said']}",)
        intervals = (self.record.get("intervals") or {}).get("test", {})
        return Judgement(
            rows=self.record["rows"].get("train", 0),
            metrics=self.metrics["test"],
            intervals={name: (low, high) for name, (low, high) in intervals.items()},
        )

    def code(self) -> str:
        """Return the run as one script of plain PyTorch, without chainrule, that trains to the same bits.

        Raises: RunError saying what of the run cannot be written
        """
        from chainrule.jobs.code import write_script

        return write_script(self.recipe, self.folder)

    def plot(self) -> Figure:
        """Draw the curves of loss and metric."""
        from chainrule.report.plots import history_figure

        return history_figure(self.history, self._state["best_epoch"])


def load(path: str | Path, *, model: nn.Module | None = None, data: Any = None) -> Run:
    """Open a run folder. What was handed over as an object in `fit` is needed again: `model`, and `data` to evaluate."""
    return Run(path, model=model, data=data)


def predictions_frame(
    predictions: Predictions, value_names: tuple[str, ...], rows: tuple[str, ...] | None
) -> pl.DataFrame:
    """Return predictions as a table: the label and a probability per class, or the values."""
    import polars as pl

    columns: dict[str, Any] = {"file": list(rows)} if rows else {}
    if predictions.values is not None:
        values = predictions.values.numpy()
        columns |= {name: values[:, i] for i, name in enumerate(value_names)}
    else:
        assert predictions.probabilities is not None
        columns["label"] = predictions.names
        shares = predictions.probabilities.numpy()
        columns |= {f"probability {name}": shares[:, i] for i, name in enumerate(predictions.classes)}
    if predictions.spread is not None:
        names = [f"spread {name}" for name in value_names] if predictions.values is not None else ["spread"]
        columns |= dict(zip(names, predictions.spread.numpy().T, strict=True))
    return pl.DataFrame(columns)


def _pictures(path: Path, shape: tuple[int, ...]) -> Source:
    from chainrule.data.pictures import read_picture_inputs

    channels, height, width = shape
    array, names = read_picture_inputs(path, channels=channels, height=height, width=width)
    return Source(name=path.name, origin={"kind": "pictures"}, array=array, is_pictures=True, row_names=names)
