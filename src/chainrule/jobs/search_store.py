"""What a search keeps in its run folder as it comes: every trial and network, in SQLite.

The file may have come from anybody. SQLite does what a schema says (views that never end, triggers), so that a file with
any other than its tables is refused before it is asked for a row; and a rollback journal may name any file to delete,
so that none is opened beside one: the file is made whole, in the mode that has no such journal.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from chainrule.core.errors import ChainruleError, LockedError, RunError, StorageError
from chainrule.core.files import write_atomic
from chainrule.core.text import visible
from chainrule.core.typed_json import typed
from chainrule.jobs.search_trials import Network, Trial

WAIT_SECONDS = 2.0  # for another process that writes
MOST_BYTES = 1_000_000  # of a row: the values of a trial take some hundred
_TABLES = """
CREATE TABLE trials (number INTEGER PRIMARY KEY, settings TEXT NOT NULL, refused TEXT);
CREATE TABLE networks (
    trial INTEGER NOT NULL, fold INTEGER NOT NULL, epochs INTEGER NOT NULL, rung INTEGER NOT NULL,
    score REAL, loss REAL, failure TEXT, PRIMARY KEY (trial, fold, rung)
);
CREATE TABLE ways (form TEXT PRIMARY KEY, way TEXT NOT NULL);
"""
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
_KINDS = (int, int, int, int, float | None, float | None, str | None)


class SearchStore:
    """Trials on disk. Every method is one transaction: what it has written is there after a crash at any later moment."""

    def __init__(self, path: Path, seal: int = 0) -> None:
        """Open the file of a search, or make it. `seal` says which search it is; a file with another is refused.

        Raises: RunError for a file that is no store, damaged, or another search's; LockedError, StorageError
        """
        self.path = path
        journal = path.with_name(f"{path.name}-journal")
        if journal.exists():
            raise RunError(
                f"{visible(journal)} stands beside the store of a search, and no search writes such a file; move it away"
            )
        if not path.exists():
            write_atomic(path, _empty(seal))
        with self._told():
            self._connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
        try:
            with self._told():
                self._connection.text_factory = bytes.decode  # raises ValueError where it is no text
                self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
                self._check(seal)
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=NORMAL")
        except BaseException:
            self._connection.close()
            raise

    def _check(self, seal: int) -> None:
        """See that the file holds the tables of this search and nothing else. Raises: RunError"""
        with closing(sqlite3.connect(":memory:")) as wanted, self._read():
            wanted.executescript(_TABLES)
            if self._connection.execute(_SCHEMA).fetchall() != wanted.execute(_SCHEMA).fetchall():
                raise RunError(
                    f"{visible(self.path)} does not hold the tables of a search; without the file the search begins anew"
                )
        if self._connection.execute("PRAGMA user_version").fetchone()[0] != seal:
            raise RunError(
                f"{visible(self.path)} holds the trials of another search than the one that search.json beside it asks for: "
                "one of the two was changed or replaced; put the old one back, or begin a new search"
            )

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

    def add_ways(self, ways: Mapping[str, str]) -> None:
        """Keep which way networks of a form are trained: a search that goes on then has the same bits."""
        self._write("INSERT OR REPLACE INTO ways VALUES (?, ?)", list(ways.items()))

    def ways(self) -> dict[str, str]:
        """Return the ways so far, by form."""
        with self._read():
            return dict(self._connection.execute("SELECT form, way FROM ways"))

    def trials(self, folds: int) -> list[Trial]:
        """Return the trials so far, in their order. Raises: RunError for a file that holds something else"""
        with self._read():
            kept = self._connection.execute("SELECT number, settings, refused FROM trials ORDER BY number")
            trials = [_trial(place, row, folds) for place, row in enumerate(kept)]
            for row in self._connection.execute("SELECT * FROM networks ORDER BY trial, fold, rung"):
                network = _network(row)
                if not (0 <= network.trial < len(trials) and 0 <= network.fold < folds):
                    raise ValueError(
                        f"fold {network.fold + 1} of {folds} of trial {network.trial} of {len(trials)}"
                    )
                trials[network.trial].add(network)
        return trials

    def of_rung(self, rung: int) -> dict[tuple[int, int], Network]:
        """Return what networks showed at a rung, by trial and fold."""
        with self._read():
            rows = self._connection.execute("SELECT * FROM networks WHERE rung = ?", (rung,))
            return {(one.trial, one.fold): one for one in map(_network, rows)}

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
    def _read(self) -> Iterator[None]:
        """Say in words what is wrong with what the file holds. Raises: RunError, and as `_told`"""
        with self._told():
            try:
                yield
            except RunError:
                raise
            except (ValueError, TypeError, RecursionError) as error:
                raise RunError(f"{visible(self.path)} is damaged: {visible(error)}") from error

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


def _empty(seal: int) -> bytes:
    """Return the content of a store without trials."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(f"{_TABLES} PRAGMA user_version = {seal};")
        content = bytearray(made.serialize())
    content[18:20] = (
        b"\2\2"  # write-ahead logging (sqlite.org/fileformat.html, 1.3.3): SQLite would switch by a journal
    )
    return bytes(content)


def _trial(place: int, row: tuple[Any, ...], folds: int) -> Trial:
    """Return a trial as it was kept. Raises: ValueError"""
    number, settings, refused = row
    if number != place:
        raise ValueError(f"trial {place} is missing")
    if refused == "":
        raise ValueError(f"trial {place} is refused without a word why")
    return Trial(
        number=number, values=_values(json.loads(settings)), folds=folds, refused=typed(str | None, refused)
    )


def _network(row: tuple[Any, ...]) -> Network:
    """Return a network as it was kept. Raises: ValueError"""
    found = zip(fields(Network), _KINDS, row, strict=True)
    network = Network(**{item.name: typed(kind, value, item.name) for item, kind, value in found})
    figures = [value for value in (network.score, network.loss) if value is not None and math.isfinite(value)]
    if len(figures) != (2 if network.failure is None else 0):
        raise ValueError(f"trial {network.trial} has score {network.score} and loss {network.loss}")
    if network.rung < 0 or network.epochs < 0:
        raise ValueError(f"trial {network.trial} is at rung {network.rung} after {network.epochs} epochs")
    return network


def _values(found: Any) -> dict[str, Any]:
    values = typed(dict[str, Any], found)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
