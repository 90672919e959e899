"""The store of a search: what is written is there, and a file that holds anything else is refused in words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chainrule.core.errors import RunError
from chainrule.jobs.search_store import SearchStore
from chainrule.jobs.search_trials import Network, Trial

SEAL = 12345
ENDLESS = """CREATE VIEW networks AS WITH RECURSIVE more(k) AS (SELECT 0 UNION ALL SELECT k FROM more)
SELECT k AS trial, 0 AS fold, 1 AS epochs, 0 AS rung, 0.5 AS score, 0.5 AS loss, NULL AS failure FROM more"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with two trials, one of which is judged on both folds."""
    found = tmp_path / "search.sqlite"
    with closing(SearchStore(found, SEAL)) as store:
        store.add_trials([Trial(number=k, values={"learning_rate": 0.1 * k}, folds=2) for k in range(2)])
        store.add_networks([Network(trial=0, fold=k, epochs=3, score=0.5, loss=0.7) for k in range(2)])
    return found


def sql(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return change


def content(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return write


def beside(ending: str, size: int) -> Callable[[Path], None]:
    return lambda path: path.with_name(path.name + ending).write_bytes(os.urandom(size)) and None


def test_what_is_written_is_there(path: Path) -> None:
    with closing(SearchStore(path, SEAL)) as store:
        first, second = store.trials(2)
        assert first.scores == [0.5, 0.5] and not second.is_done and second.values == {"learning_rate": 0.1}
        assert store.of_rung(0).keys() == {(0, 0), (0, 1)}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (content(lambda whole: whole[: len(whole) // 2]), "is damaged"),
        (content(lambda whole: whole[:100]), "is damaged"),
        (content(lambda whole: b""), "does not hold the tables of a search; without the file"),
        (content(lambda whole: b"not a database" * 100), "is damaged: file is not a database"),
        (content(lambda whole: whole.replace(b"learning_rate", b"learning\xff\xfe\xfdte")), "is damaged"),
        (content(lambda whole: whole.replace(b"settings TEXT", b"sett\x82ngs TEXT")), "is damaged: 'utf-8' codec"),
        (sql("DROP TABLE trials", "CREATE TABLE trials (a, b)"), "does not hold the tables of a search"),
        (sql("ALTER TABLE networks ADD COLUMN more"), "does not hold the tables of a search"),
        (sql("DROP TABLE networks", ENDLESS), "does not hold the tables of a search"),
        (sql("CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM trials; END"), "does not hold the tables"),
        (sql("PRAGMA user_version = 7"), r"the trials of another search than the one that search\.json beside it"),
        (sql("DELETE FROM trials WHERE number = 0"), "trial 0 is missing"),
        (sql("UPDATE networks SET trial = -1 WHERE fold = 0"), "fold 1 of 2 of trial -1 of 2"),
        (sql("UPDATE networks SET fold = 2 WHERE fold = 0"), "fold 3 of 2 of trial 0 of 2"),
        (sql("UPDATE networks SET score = 9e999"), "trial 0 has score inf and loss 0.7"),
        (sql("UPDATE networks SET score = NULL"), "trial 0 has score None"),
        (sql("UPDATE networks SET score = 'high'"), "score should be a number or null; got 'high'"),
        (sql("UPDATE networks SET failure = 'diverged'"), "has score 0.5"),
        (sql("UPDATE networks SET rung = -1"), "is at rung -1"),
        (sql("UPDATE trials SET refused = '' WHERE number = 1"), "trial 1 is refused without a word why"),
        (sql("UPDATE trials SET settings = '[1]'"), "should be an object"),
        (sql(f"UPDATE trials SET settings = '{'[' * 100_000}'"), "is damaged"),
        (sql("UPDATE trials SET settings = zeroblob(2000000)"), "is damaged: string or blob too big"),
        (beside("-journal", 600), r"search\.sqlite-journal stands beside the store"),
    ],
)  # fmt: skip
def test_what_is_no_store_of_this_search_is_refused(
    path: Path, change: Callable[[Path], None], said: str
) -> None:
    change(path)
    with pytest.raises(RunError, match=said), closing(SearchStore(path, SEAL)) as store:
        store.trials(2)


def test_a_trial_that_is_refused_has_no_score_whatever_the_reason_says() -> None:
    trial = Trial(number=0, values={}, folds=2, refused="")
    assert trial.is_done and trial.failure == "" and trial.scores == [] and trial.score is None


@pytest.mark.parametrize("files", [("-wal",), ("-wal", "-shm"), ("-shm",)])
def test_logs_that_are_left_over_and_mean_nothing_do_no_harm(path: Path, files: tuple[str, ...]) -> None:
    for ending in files:
        beside(ending, 40_000)(path)
    with closing(SearchStore(path, SEAL)) as store:
        assert store.trials(2)[0].scores == [0.5, 0.5]
