"""Figures of groups: which rows are one, and what stands in the run folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.data.read import read
from chainrule.jobs.groups import FEW_ROWS, MOST_GROUPS, check_column, group_labels, judge_groups
from chainrule.train.metrics import Answers, measure


def labels(values: list[object]) -> tuple[list[str], list[str]]:
    found, order = group_labels(read({"x": values, "y": [0.5] * len(values)}), "x")
    return found.tolist(), [label for label in order if label in found]


def test_categories_are_groups_in_order_with_the_missing_ones_last() -> None:
    found, order = labels(["b", None, "a ", "b", "?", "c"] * 3)
    assert found[:6] == ["b", "missing", "a", "b", "missing", "c"]
    assert order == ["a", "b", "c", "missing"]


def test_few_numbers_are_groups_and_many_are_cut_into_quarters() -> None:
    found, order = labels([3.0, 1.5, None, 3.0, 20.0])
    assert found == ["3", "1.5", "missing", "3", "20"] and order == ["1.5", "3", "20", "missing"]
    found, order = labels([float(i) for i in range(100)])
    assert order == ["0 to 24", "25 to 49", "50 to 74", "75 to 99"]
    assert [found.count(label) for label in order] == [25] * 4
    found, order = labels([0.0] * 80 + [float(i) for i in range(20)])
    assert order[0] == "0" and len(order) <= 4, "quarters that fall together are one"


def test_dates_are_years_or_months() -> None:
    many = [f"{2019 + i % 4}-03-{i % 27 + 1:02d}" for i in range(60)]
    assert labels(many)[1] == ["2019", "2020", "2021", "2022"]
    within = [f"2024-{i % 3 + 1:02d}-{i % 27 + 1:02d}" for i in range(60)]
    assert labels(within)[1] == ["2024-01", "2024-02", "2024-03"]


def answers(rows: int) -> Answers:
    random = np.random.default_rng(0)
    shares = random.dirichlet([1, 1], rows)
    return Answers(true=random.integers(0, 2, rows), labels=shares.argmax(1), probabilities=shares)


def test_each_group_is_judged_on_its_own_rows() -> None:
    cells = ["a"] * 60 + ["b"] * 35 + ["c"] * 5
    source = read({"x": cells, "y": [0.5] * 100})
    rows, whole = (
        np.arange(99, -1, -1),
        answers(100),
    )  # the judged rows stand in another order than the source
    groups = judge_groups(source, "x", rows, whole, "binary")
    assert [(g.name, g.judgement.rows, g.is_small) for g in groups] == [
        ("a", 60, False), ("b", 35, False), ("c", 5, True)
    ]  # fmt: skip
    assert FEW_ROWS == 10
    for group in groups:
        own = whole.only(np.array([cells[row] == group.name for row in rows]))
        assert group.judgement.metrics["accuracy"] == measure(own, ["accuracy"])["accuracy"]
        low, high = group.judgement.intervals["accuracy"]
        assert low <= group.judgement.metrics["accuracy"] <= high


def test_many_groups_are_judged_together() -> None:
    cells = [f"g{i % 30:02d}" for i in range(3000)] + ["g00"] * 10
    groups = judge_groups(
        read({"x": cells, "y": [0.5] * 3010}), "x", np.arange(3010), answers(3010), "binary"
    )
    assert len(groups) == MOST_GROUPS + 1 and groups[-1].name == "10 more"
    assert sum(group.judgement.rows for group in groups) == 3010


def test_a_column_that_is_not_there_gets_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match="no column of iris is called 'petal widht'; did you mean 'petal width"
    ):
        check_column(read("iris"), "petal widht")
    with pytest.raises(SettingError, match="--by takes a column of a table; digits holds pictures"):
        check_column(read("digits"), "x")
    with pytest.raises(SettingError, match="holds arrays without named columns"):
        check_column(read((np.zeros((9, 2)), np.arange(9) % 2)), "x")


def test_fit_by_a_column_that_is_left_out(tmp_path: Path) -> None:
    """A column that only tells rows apart is no input, and can be judged by."""
    random = np.random.default_rng(0)
    size = random.normal(size=200)
    table = pl.DataFrame({
        "size": size, "plant": ["north", "south"] * 100, "only": ["one"] * 200, "kind": np.where(size > 0, "big", "small")
    })  # fmt: skip
    run = cr.fit(table, target="kind", by="only", epochs=3, runs=tmp_path, quiet=True)
    record = json.loads((run.path / "metrics.json").read_text())
    assert record["groups"]["column"] == "only" and record["groups"]["part"] == "test"
    (whole,) = record["groups"]["groups"]
    assert whole["group"] == "one" and whole["rows"] == 40
    assert whole["metrics"]["accuracy"] == run.metrics["test"]["accuracy"]
    assert "By only" in (run.path / "report.html").read_text("utf-8")
    with pytest.raises(UnknownNameError, match="did you mean 'plant'"):
        cr.fit(table, target="kind", by="plants", epochs=3, runs=tmp_path, quiet=True)
