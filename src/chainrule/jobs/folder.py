"""A run is a folder with one truth: recipe.json and checkpoint.safetensors; all else is derived from them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.core.errors import RunError, SettingError, StorageError, nearest
from chainrule.core.files import lock, make_folder, write_json
from chainrule.core.text import visible

RECIPE = "recipe.json"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
ESTIMATOR = "model.skops"
HISTORY = "history.csv"
METRICS = "metrics.json"
REPORT = "report.html"
LOCK = ".lock"
SEARCH = "search"  # a folder beside them, of a run whose settings were searched


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def checkpoint(self) -> Path:
        """The file that holds weights, optimizer, position and history."""
        return self.path / CHECKPOINT

    def recipe(self) -> Any:
        """Read recipe.json. Raises: RunError naming the file if it is missing or damaged."""
        return read_json(self.path / RECIPE)

    def write_recipe(self, recipe: Any) -> None:
        """Write recipe.json anew. Raises: StorageError"""
        write_json(self.path / RECIPE, recipe)

    def discard(self) -> None:
        """Take the folder away if it holds no more than a recipe and its lock."""
        if {path.name for path in self.path.iterdir()} <= {RECIPE, LOCK}:
            shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only writer of this run while the block runs."""
        with lock(self.path / LOCK, f"the run {self.path}"):
            yield


def check_place(runs: Path, name: str | None) -> None:
    """See that a run can be kept here before any work is done, and leave no trace.

    Raises: SettingError for a name that is no folder name or is taken; StorageError for a folder that cannot be written
    """
    if name is not None:
        if not re.fullmatch(r"[\w][\w. +=@-]*", name):
            raise SettingError(f"--name must be a plain folder name; got {visible(name)!r}")
        if (runs / name).exists():
            raise _taken(runs / name)
    try:
        there = next(p for p in [runs, *runs.absolute().parents] if p.exists())
    except PermissionError as error:  # of a folder above it
        raise _denied(Path(error.filename)) from error
    if not there.is_dir():
        raise StorageError(f"{visible(there)} should be a folder, but a file of that name stands there")
    if not os.access(there, os.W_OK | os.X_OK):
        raise _denied(there)


def _denied(folder: Path) -> StorageError:
    return StorageError(
        f"the folder {visible(folder)} cannot be written (permission denied); choose another with --runs"
    )


def _taken(path: Path) -> SettingError:
    return SettingError(
        f"the run {visible(path)} exists already; choose another --name, or continue it with --resume {visible(path)}"
    )


def create(runs: Path, name: str | None, stem: str, recipe: Any) -> RunFolder:
    """Make a new run folder with its recipe. Raises: as `make`"""
    folder = make(runs, name, stem)
    folder.write_recipe(recipe)
    return folder


def make(runs: Path, name: str | None, stem: str) -> RunFolder:
    """Make a folder for a new run: `name`, or `stem`-1, `stem`-2, ….

    Raises: StorageError if the folder cannot be made; SettingError if the name is taken
    """
    if name is not None:
        path = runs / name
        try:
            make_folder(path, exist_ok=False)
        except FileExistsError:
            raise _taken(path) from None
    else:
        path = _next(runs, re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "run")
    return RunFolder(path)


def stem_of(name: str, paths: Sequence[str]) -> str:
    """Return what runs on some data are called: after the file; after what the names of several have in common, else
    after their folder.

    >>> stem_of("sales.csv", ()), stem_of("feb.csv and 1 more file", ["/data/sales/feb.csv", "/data/sales/mar.csv"])
    ('sales', 'sales')
    >>> stem_of("", ["/data/sales-2025.csv", "/data/sales-2026.csv"]), stem_of("", ["/data/mar.csv", "/data/may.csv"])
    ('sales', 'data')
    """
    if len(paths) < 2:
        return Path(name).stem
    stems = [Path(path).stem for path in paths]
    shared = os.path.commonprefix(stems)  # noqa: RUF071 - of letters, not of folders
    is_cut = any(stem[len(shared) :][:1].isalpha() for stem in stems) and shared[-1:].isalpha()
    common = "" if is_cut else re.sub(r"[\W\d_]+$", "", shared)
    try:
        return common or Path(os.path.commonpath(paths)).name or stems[0]
    except ValueError:  # on two drives
        return stems[0]


def _next(runs: Path, stem: str) -> Path:
    for number in range(1, 1_000_000):
        with contextlib.suppress(FileExistsError):
            path = runs / f"{stem}-{number}"
            make_folder(path, exist_ok=False)
            return path
    raise StorageError(f"{runs} holds too many runs called {stem}-…")


def is_run(name: str, runs: Path) -> bool:
    """Whether there is a run folder of this path, or of this name among the runs."""
    return any((candidate / RECIPE).is_file() for candidate in (Path(name), runs / name))


def find(path: Path | str, runs: Path = Path("runs")) -> RunFolder:
    """Return the run folder at a path, or of that name under `runs`.

    Raises: RunError if there is none, with the nearest names
    """
    for candidate in (Path(path), runs / path):
        if (candidate / RECIPE).is_file():
            return RunFolder(candidate)
    where = Path(path)
    for candidate in (where, runs / path):
        if (candidate / SEARCH).is_dir():
            raise RunError(
                f"{visible(candidate)} is a search that has not come to its end; go on with: chainrule tune --resume "
                f"{visible(candidate)}"
            )
    if where.is_dir():
        raise RunError(f"{visible(where)} is not a run: it holds no {RECIPE}")
    beside = [p.name for p in runs.iterdir()] if runs.is_dir() else []
    close = nearest(where.name, beside)
    hint = f"; did you mean {runs / close[0]}?" if close else "; `chainrule runs` lists the runs of a folder"
    raise RunError(f"there is no run at {visible(where)}{hint}")


def read_json(path: Path) -> Any:
    """Read a JSON file of a run. Raises: RunError naming it."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {visible(error)}") from error
