"""Folds of a run's rows: each held out once, with its copies and its group, and unseen by what prepares the others."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.core.errors import DataError, SettingError
from chainrule.data.read import read
from chainrule.data.reading import Reading
from chainrule.jobs.folds import fold_materials, in_fold
from chainrule.jobs.material import Material
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings


def prepared(data: Any, **settings: Any) -> tuple[Recipe, Material]:
    chosen = Settings(**{"model": "mlp", "folds": 0, **settings})
    return prepare_run(Request(data=data, settings=chosen), read(data, Reading(target=None)))


def table(path: Path, rows: int = 40, **columns: Any) -> str:
    random = np.random.default_rng(3)
    own = {"size": random.normal(size=rows).round(6), "age": random.normal(size=rows).round(6), **columns}
    pl.DataFrame(own).write_csv(path / "rows.csv")
    return str(path / "rows.csv")


@pytest.mark.curriculum("HPO-07")
def test_each_row_is_held_out_once_a_round_and_test_rows_never() -> None:
    recipe, material = prepared("iris", test=0.2, validation=0.1)
    found = fold_materials(recipe, material, folds=5, repeats=3, seed=1)
    assert len(found) == 15
    seen = np.sort(np.concatenate([material.split.train, material.split.validation]))
    for turn in range(3):
        held_out = np.concatenate([one.split.test for one in found[5 * turn : 5 * turn + 5]])
        assert np.array_equal(np.sort(held_out), seen)
    for one in found:
        assert np.array_equal(np.sort(np.concatenate([one.split.train, one.split.test])), seen)
        assert not set(material.copies[one.split.train]) & set(material.copies[one.split.test])
        assert not set(one.split.train) & set(material.split.test) and not len(one.split.validation)
        assert np.ptp(np.bincount(material.examples.targets[one.split.test])) <= 1  # type: ignore[index]
    assert len({tuple(one.split.test) for one in found}) == 15


@pytest.mark.curriculum("HPO-08")
def test_five_folds_of_twenty_rows_train_on_sixteen_and_judge_four(tmp_path: Path) -> None:
    data = table(tmp_path, 20, target=["yes", "no"] * 10)
    recipe, material = prepared(data, test=0.0, validation=0.0)
    found = fold_materials(recipe, material, folds=5)
    assert [(len(one.split.train), len(one.split.test)) for one in found] == [(16, 4)] * 5
    assert sorted(np.concatenate([one.split.test for one in found])) == list(range(20))


def test_a_fold_is_prepared_by_its_training_rows_alone() -> None:
    recipe, material = prepared("iris", test=0.0, validation=0.0)
    for one in fold_materials(recipe, material, folds=3):
        inputs = one.inputs[:]
        train = inputs[one.split.train]
        assert abs(train.mean(0)).max() < 1e-5 and abs(train.std(0, correction=0) - 1).max() < 1e-4
        assert abs(inputs[one.split.test].mean(0)).max() > 1e-3


@pytest.mark.parametrize("asked", [{"patience": 3}, {"schedule": "plateau"}, {"metric": "auc"}])
def test_a_tenth_of_the_training_rows_validates_where_it_is_needed(asked: dict[str, Any]) -> None:
    recipe, material = prepared("iris", test=0.0, validation=0.0, **asked)
    for one in fold_materials(recipe, material, folds=5):
        parts = [one.split.train, one.split.validation, one.split.test]
        assert len(one.split.validation) == 12 and sum(map(len, parts)) == 150
        assert len(set(np.concatenate(parts))) == 150
        assert not set(material.copies[parts[0]]) & set(material.copies[parts[1]])


def test_groups_are_held_out_whole_and_folds_stay_even(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(24), random.integers(2, 9, 24))
    data = table(tmp_path, len(patients), patient=patients, target=np.where(random.random(len(patients)) < 0.3, "ill", "well"))  # fmt: skip
    recipe, material = prepared(data, split="group:patient", test=0.0, validation=0.0, patience=2)
    found = fold_materials(recipe, material, folds=4, repeats=2, seed=5)
    for one in found:
        by_part = [set(patients[rows]) for rows in one.split.parts().values()]
        assert not by_part[0] & by_part[2] and not by_part[0] & by_part[1] and not by_part[1] & by_part[2]
        assert abs(len(one.split.test) - len(patients) / 4) <= 6
        ill = (material.examples.targets[one.split.test] == 0).mean()  # type: ignore[index]
        assert abs(ill - (material.examples.targets == 0).mean()) < 0.12
    assert len({tuple(one.split.test) for one in found}) == 8


def test_copies_of_a_row_are_held_out_together(tmp_path: Path) -> None:
    size = np.random.default_rng(1).normal(size=60).round(6)
    size[30:45] = size[:15]
    age = np.random.default_rng(2).normal(size=60).round(6)
    age[30:45] = age[:15]
    recipe, material = prepared(
        table(tmp_path, 60, size=size, age=age, target=["a", "b", "c"] * 20), test=0.0, validation=0.0
    )
    assert len(set(material.copies)) == 45
    for one in fold_materials(recipe, material, folds=5, repeats=2):
        assert not set(material.copies[one.split.train]) & set(material.copies[one.split.test])


def test_a_gap_that_only_held_out_rows_have_is_no_input_of_the_fold(tmp_path: Path) -> None:
    rows = 40
    size = [None if i == 7 else round(float(np.sin(i)), 6) for i in range(rows)]
    recipe, material = prepared(
        table(tmp_path, rows, size=size, target=["a", "b"] * 20), test=0.0, validation=0.0
    )
    found = fold_materials(recipe, material, folds=4)
    sizes = {7 in one.split.test: in_fold(recipe, one, seed=0).size for one in found}
    assert sizes[True] == sizes[False] - 1 == recipe.size - 1


@pytest.mark.parametrize(
    ("data", "asked", "folds", "said"),
    [
        ("iris", {}, 51, r"--folds 51 needs 51 different rows of every class.*'setosa' of iris has 50 different rows outside the test: take --folds 50 or fewer"),
        ("diabetes", {}, 443, r"--folds 443 needs as many different rows; diabetes has 442 outside the test: take --folds 442 or fewer"),
        ("iris", {}, 1, "--folds takes 2 or more; got 1"),
    ],
)  # fmt: skip
def test_folds_that_rows_cannot_fill_are_refused(
    data: str, asked: dict[str, Any], folds: int, said: str
) -> None:
    recipe, material = prepared(data, test=0.0, validation=0.0, **asked)
    with pytest.raises(SettingError, match=said):
        fold_materials(recipe, material, folds=folds)


def test_folds_of_too_few_groups_are_refused(tmp_path: Path) -> None:
    data = table(tmp_path, 40, shop=["n", "s", "e", "w"] * 10, target=["a", "b"] * 20)
    recipe, material = prepared(data, split="group:shop", test=0.0, validation=0.0)
    with pytest.raises(SettingError, match=r"--folds 5 needs as many groups; .* has 4 outside the test"):
        fold_materials(recipe, material, folds=5)


# ---- by time


def days(rows: int, seed: int = 0) -> np.ndarray:
    """Days in no order, some with several rows."""
    return np.random.default_rng(seed).integers(0, rows // 2, rows)


@pytest.mark.parametrize("kind", ["date", "number"])
@pytest.mark.parametrize("asked", [{}, {"patience": 3}, {"test": 0.2}])
def test_by_time_nothing_trains_on_what_comes_later(tmp_path: Path, kind: str, asked: dict[str, Any]) -> None:
    when = days(90)
    cells = [str(np.datetime64("2024-01-01") + int(day)) for day in when] if kind == "date" else when
    data = table(tmp_path, 90, day=cells, target=np.random.default_rng(1).normal(size=90).round(6))
    recipe, material = prepared(data, split="time:day", **{"test": 0.0, "validation": 0.0, **asked})
    found = fold_materials(recipe, material, folds=4)
    assert len(found) == 4
    for earlier, later in itertools.pairwise(found):
        grown = [set(np.concatenate([one.split.train, one.split.validation])) for one in (earlier, later)]
        assert grown[0] | set(earlier.split.test) == grown[1]  # the window expands by what was held out
    for one in found:
        parts = [when[rows] for rows in one.split.parts().values() if len(rows)]
        assert all(before.max() < after.min() for before, after in itertools.pairwise(parts))
        assert abs(len(one.split.test) - (90 - len(material.split.test)) / 5) <= 4
        assert bool(len(one.split.validation)) == ("patience" in asked)
        if len(material.split.test):
            assert when[one.split.test].max() < when[material.split.test].min()
        train = one.inputs[:][one.split.train]
        assert abs(train.mean(0)[:2]).max() < 1e-5  # prepared by what was known then


def test_a_row_with_a_copy_among_later_ones_does_not_train(tmp_path: Path) -> None:
    size, age = (np.random.default_rng(k).normal(size=60).round(6) for k in (1, 2))
    size[45], age[45] = size[3], age[3]
    data = table(
        tmp_path, 60, size=size, age=age, day=np.arange(60), target=np.where(np.arange(60) % 2, "a", "b")
    )
    recipe, material = prepared(data, split="time:day", test=0.0, validation=0.0)
    assert material.copies[3] == material.copies[45]
    held_out = [45 in one.split.test for one in fold_materials(recipe, material, folds=5)]
    trains = [3 in one.split.train for one in fold_materials(recipe, material, folds=5)]
    assert sum(held_out) == 1 and trains == [not held for held in held_out]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"folds": 5}, r"--folds 5 by time needs 6 different times, .* column 'day' of .* has 4 outside the test: take --folds 3"),
        ({"folds": 3, "repeats": 2}, r"by the time in 'day' rows are divided in one way; leave out --repeats 2"),
        ({"folds": 1}, "--folds takes 2 or more; got 1"),
    ],
)  # fmt: skip
def test_folds_that_times_cannot_fill_are_refused(tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    data = table(tmp_path, 40, day=np.arange(40) // 10, target=["a", "b"] * 20)
    recipe, material = prepared(data, split="time:day", test=0.0, validation=0.0)
    with pytest.raises(SettingError, match=said):
        fold_materials(recipe, material, **asked)


def test_a_class_that_comes_late_is_named(tmp_path: Path) -> None:
    data = table(tmp_path, 40, day=np.arange(40), target=["a", "b"] * 15 + ["a", "c"] * 5)
    recipe, material = prepared(data, split="time:day", test=0.0, validation=0.0)
    with pytest.raises(DataError, match=r"fold 1: no training rows of 'c' \(5 rows\)"):
        fold_materials(recipe, material, folds=3)


def drifting(path: Path, rows: int = 240) -> str:
    """Rows in no order whose target follows the day: with days known on both sides it is guessed well, from before not."""
    random = np.random.default_rng(5)
    day = random.permutation(rows)
    near = day + random.normal(scale=2.0, size=rows)
    return table(path, rows, day=day, size=near.round(4), age=random.normal(size=rows).round(4), target=(np.sin(day / 12) + random.normal(scale=0.05, size=rows)).round(5))  # fmt: skip


def test_cross_validate_compare_and_tune_take_data_by_time(tmp_path: Path) -> None:
    """What a model is worth by time is less than by chance, where the target drifts."""
    data, asked = drifting(tmp_path), {"target": "target", "quiet": True, "runs": tmp_path / "runs"}
    by_time = cr.cross_validate(data, model="random-forest", folds=4, settings={"split": "time:day"}, **asked)
    by_chance = cr.cross_validate(data, model="random-forest", folds=4, **asked)
    assert [fold.held_out for fold in by_time.folds] == [48] * 4
    assert [fold.train for fold in by_time.folds] == [48, 96, 144, 192]
    assert by_time.spreads["r2"].mean < by_chance.spreads["r2"].mean - 0.3
    ranked = cr.compare(
        data, models=["ridge-regression", "decision-tree"], folds=4, settings={"split": "time:day"}, **asked
    )
    assert {one.name for one in ranked.models} == {"ridge-regression", "decision-tree"}
    found = cr.tune(data, model="mlp", space={"learning_rate": [0.01, 0.001]}, method="grid", folds=3, epochs=2, split="time:day", **asked)  # fmt: skip
    assert found.networks == 6 and all(trial.score is not None for trial in found.trials)


def test_folds_that_memory_does_not_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.jobs import folds

    recipe, material = prepared("iris", test=0.0, validation=0.0)
    assert len(fold_materials(recipe, material, folds=5, repeats=2)) == 10
    monkeypatch.setattr(folds, "memory_bytes", lambda: 40_000)
    with pytest.raises(
        SettingError, match=r"10 folds, each .* take 24.0 kB; this machine has 40.0 kB of memory: take fewer"
    ):
        fold_materials(recipe, material, folds=5, repeats=2)
