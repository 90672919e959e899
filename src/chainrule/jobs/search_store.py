"""What a search keeps in its run folder: what was asked, and in SQLite every trial and network as it comes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from chainrule.core.errors import ChainruleError, LockedError, RunError, StorageError
from chainrule.core.text import visible
from chainrule.core.typed_json import typed
from chainrule.jobs.search_trials import Network, Trial

WAIT_SECONDS = 2.0  # for another process that writes
_TABLES = """
CREATE TABLE IF NOT EXISTS trials (number INTEGER PRIMARY KEY, settings TEXT NOT NULL, refused TEXT);
CREATE TABLE IF NOT EXISTS networks (
    trial INTEGER NOT NULL, fold INTEGER NOT NULL, epochs INTEGER NOT NULL, rung INTEGER NOT NULL,
    score REAL, loss REAL, failure TEXT, PRIMARY KEY (trial, fold, rung)
);
"""
_KINDS = (int, int, int, int, float | None, float | None, str | None)


class SearchStore:
    """Trials on disk. Every method is one transaction: what it has written is there after a crash at any later moment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            self._connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def add_trials(self, trials: Iterable[Trial]) -> None:
        """Keep trials that begin, before anything is trained."""
        rows = [(one.number, json.dumps(one.values), one.refused) for one in trials]
        self._write("INSERT INTO trials VALUES (?, ?, ?)", rows)

    def add_networks(self, networks: Iterable[Network]) -> None:
        """Keep what networks showed."""
        self._write(
            "INSERT OR REPLACE INTO networks VALUES (?, ?, ?, ?, ?, ?, ?)", [astuple(n) for n in networks]
        )

    def trials(self, folds: int) -> list[Trial]:
        """Return the trials so far, in their order. Raises: RunError for a file that holds something else"""
        with self._told():
            kept = self._connection.execute(
                "SELECT number, settings, refused FROM trials ORDER BY number"
            ).fetchall()
            of_networks = self._connection.execute(
                "SELECT * FROM networks ORDER BY trial, fold, rung"
            ).fetchall()
        try:
            trials = [
                Trial(
                    number=typed(int, number),
                    values=_values(json.loads(settings)),
                    folds=folds,
                    refused=typed(str | None, refused),
                )
                for number, settings, refused in kept
            ]
            if [one.number for one in trials] != list(range(len(trials))):
                raise ValueError("a trial is missing")
            for row in of_networks:
                found = zip(fields(Network), _KINDS, row, strict=True)
                network = Network(**{item.name: typed(kind, value, item.name) for item, kind, value in found})
                if not 0 <= network.fold < folds:
                    raise ValueError(f"fold {network.fold} of {folds}")
                trials[network.trial].add(network)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise RunError(f"{visible(self.path)} is damaged: {visible(error)}") from error
        return trials

    def of_rung(self, rung: int) -> dict[tuple[int, int], Network]:
        """Return what networks showed at a rung, by trial and fold."""
        with self._told():
            rows = self._connection.execute("SELECT * FROM networks WHERE rung = ?", (rung,)).fetchall()
        names = [item.name for item in fields(Network)]
        found = [Network(**dict(zip(names, row, strict=True))) for row in rows]
        return {(one.trial, one.fold): one for one in found}

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say in words what SQLite could not do. Raises: LockedError, StorageError, RunError"""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._refusal(error) from error
        except sqlite3.DatabaseError as error:
            raise RunError(f"{visible(self.path)} is damaged: {visible(error)}") from error

    def _refusal(self, error: sqlite3.OperationalError) -> ChainruleError:
        if "locked" in str(error):
            return LockedError(
                f"{visible(self.path)} is locked by another process; close what has it open (a search, or a program that "
                "reads the file), then go on with --resume"
            )
        return StorageError(f"{visible(self.path)} cannot be written: {visible(error)}")


def _values(found: Any) -> dict[str, Any]:
    values = typed(dict[str, Any], found)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
