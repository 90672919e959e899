"""The part of a run folder that a search writes: what was asked, the trials as they come, the table and the page."""

from __future__ import annotations

import csv
import io
import math
import shutil
import zlib
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.core.errors import RunError
from chainrule.core.files import make_folder, write_atomic, write_json
from chainrule.core.text import visible
from chainrule.core.typed_json import typed
from chainrule.jobs.folder import SEARCH, RunFolder, find, read_json
from chainrule.jobs.search_store import SearchStore
from chainrule.jobs.search_trials import Trial
from chainrule.train.proposals import METHODS, MOST_TRIALS
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings

if TYPE_CHECKING:
    from chainrule.jobs.search import Search

FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All that a search depends on. `recipe` is that of a trial without values; `settings` are those that were said."""

    recipe: Recipe
    settings: Settings
    model_settings: dict[str, Any]
    space: dict[str, Any]
    method: str
    trials: int
    folds: int
    budget_seconds: float | None
    is_deterministic: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in search.json."""
        return {"format": FORMAT, **asdict(self), "recipe": self.recipe.to_json()}


class SearchFolder:
    """The files of a search, below its run."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.path = run.path / SEARCH

    @property
    def asked(self) -> Path:
        """The file that says what was asked."""
        return self.path / "search.json"

    @property
    def store(self) -> Path:
        """The file that every trial goes to."""
        return self.path / "search.sqlite"

    def write_asked(self, asked: Asked) -> None:
        """Begin the folder. Raises: StorageError"""
        make_folder(self.path)
        write_json(self.asked, asked.to_json())

    def open_store(self) -> SearchStore:
        """Open the file of trials, which is that of this very search.json. Raises: as `SearchStore`"""
        seal = zlib.crc32(self.asked.read_bytes()) & 0x7FFFFFFF
        return SearchStore(self.store, seal)

    def discard(self) -> None:
        """Take the search away, and the run that it was to become."""
        shutil.rmtree(self.run.path, ignore_errors=True)

    def trials(self) -> list[Trial]:
        """Return the trials that were kept."""
        with closing(self.open_store()) as store:
            return store.trials(read_asked(self).folds)

    def write_trials(self, made: Search) -> None:
        """Write the table of trials, the best first, and below them those without a score."""
        best = made.ranking
        rest = [trial for trial in made.trials if trial.score is None]
        names = list(made.way.space.settings)
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        folds = [f"fold {number + 1}" for number in range(made.candidates.folds)]
        writer.writerow(
            ["rank", "trial", made.metric.name, "spread", "loss", "epochs", *names, *folds, "failure"]
        )
        for place, trial in enumerate([*best, *rest], 1):
            writer.writerow(
                [
                    place if trial.score is not None else "",
                    trial.number,
                    _cell(trial.score),
                    _cell(trial.spread),
                    _cell(trial.loss),
                    trial.epochs,
                    *(_cell(trial.values[name]) for name in names),
                    *(map(_cell, trial.scores) if trial.scores else [""] * trial.folds),
                    trial.failure or "",
                ]
            )
        write_atomic(self.path / "trials.csv", text.getvalue().encode())


def find_search(path: Path, runs: Path) -> SearchFolder:
    """Return the search of a run, by its path or its name under `runs`. Raises: RunError if there is none"""
    for candidate in (path, runs / path):
        if (candidate / SEARCH / "search.json").is_file():
            return SearchFolder(RunFolder(candidate))
    folder = find(path, runs)
    raise RunError(
        f"{visible(folder.path)} is a run of fit and holds no search; go on with: chainrule fit --resume {visible(folder.path)}"
    )


def read_asked(folder: SearchFolder) -> Asked:
    """Read search.json. Raises: RunError naming the file for anything that this version does not know"""
    value, where = read_json(folder.asked), visible(folder.asked)
    found = value.get("format") if isinstance(value, dict) else None
    if isinstance(found, int) and found != FORMAT:
        raise RunError(f"{where} has format {found}; this version of chainrule reads {FORMAT}")
    try:
        content = {name: part for name, part in typed(dict[str, Any], value).items() if name != "format"}
        recipe = Recipe.from_json(content.pop("recipe", None), str(folder.asked))
        rest: _Rest = typed(_Rest, content)
    except ValueError as error:
        raise RunError(f"{where} is damaged or of another version: {error}") from error
    of_model = {k: tuple(v) if isinstance(v, list) else v for k, v in rest.model_settings.items()}
    values = {name: getattr(rest, name) for name in _Rest.__dataclass_fields__}
    return Asked(recipe=recipe, **{**values, "model_settings": of_model})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """What search.json holds beside the recipe."""

    settings: Settings
    model_settings: dict[str, Any]
    space: dict[str, Any]
    method: str
    trials: int
    folds: int
    budget_seconds: float | None
    is_deterministic: bool

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"there is no method {visible(self.method, 40)!r}")
        if not (1 <= self.trials <= MOST_TRIALS and self.folds >= 1):
            raise ValueError(f"{self.trials} trials of {self.folds} folds")
        if self.budget_seconds is not None and not 0 < self.budget_seconds < math.inf:
            raise ValueError(f"budget_seconds should be above 0; got {self.budget_seconds}")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return repr(value) if isinstance(value, float) else str(value)
