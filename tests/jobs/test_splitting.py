"""`--split` from the request to the run folder: what is said, what is no input, and the same parts ever after."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.core.errors import DataError, UnknownNameError
from chainrule.jobs.material import make_material, read_again


@pytest.fixture
def visits():
    """Ten patients with ten visits each; the first five rows stand there twice."""
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "patient": [f"p{i // 10}" for i in range(100)],
            "day": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 9), eager=True).sample(fraction=1, shuffle=True, seed=0),
            "part": ["train", "test", "train", "val", "train"] * 20,
            "weight": random.normal(70, 10, 100).round(3),
            "dose": random.normal(3, 1, 100).round(4),
            "effect": random.normal(0, 1, 100),
        }
    )  # fmt: skip
    return pl.concat([frame, frame[:5]])


def parts_of(run, data):
    source = read_again(run.recipe, data, run.folder)
    return make_material(
        source, run.recipe.schema.encode(source), run.recipe.schema, run.recipe.settings
    ).split


@pytest.mark.parametrize("split", ["random", "time:day", "group:patient", "predefined:part"])
def test_the_parts_are_the_same_ever_after(visits, tmp_path, split):
    run = cr.fit(visits, target="effect", split=split, epochs=2, runs=tmp_path, quiet=True)
    parts = parts_of(run, visits)
    assert run.record["rows"] == parts.counts() and run.recipe.settings.split == split
    assert cr.verify(run.path, data=visits).outcome == "equal bits"
    assert cr.load(run.path, data=visits).evaluate()["mae"] == run.metrics["test"]["mae"]
    copies = "10 rows equal another, in 5 pairs"
    assert any(note.startswith(copies) for note in run.recipe.notes)
    if split != "predefined:part":  # there the data says
        for one, other in zip(range(5), range(100, 105), strict=True):
            assert any({one, other} <= set(rows.tolist()) for rows in parts.parts().values())


def test_a_group_is_no_input_and_is_not_needed_to_predict(visits, tmp_path):
    run = cr.fit(visits, target="effect", split="group:patient", epochs=2, runs=tmp_path, quiet=True)
    assert [c.name for c in run.recipe.schema.columns] == ["day", "part", "weight", "dose"]
    assert "column 'patient' says which rows belong together and is no input" in run.recipe.notes
    parts = parts_of(run, visits).parts()
    patients = [set(visits["patient"].gather(rows).to_list()) for rows in parts.values()]
    assert not (patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2])
    assert len(run.predict(visits.drop("patient", "effect")).values) == 105 and run.notes == ()


def test_who_says_that_the_group_is_an_input_has_it_as_one(visits, tmp_path):
    run = cr.fit(
        visits, target="effect", split="group:patient", columns={"patient": "category"}, epochs=1, runs=tmp_path, quiet=True
    )  # fmt: skip
    assert "patient" in [c.name for c in run.recipe.schema.columns]


def test_nothing_trains_on_what_came_later(visits, tmp_path):
    frame = visits[:100]
    run = cr.fit(frame, target="effect", split="time:day", epochs=1, runs=tmp_path, quiet=True)
    days = {name: frame["day"].gather(rows) for name, rows in parts_of(run, frame).parts().items()}
    assert days["train"].max() < days["validation"].min() and days["validation"].max() < days["test"].min()
    assert len(days["test"]) == 20


def test_what_cannot_be_divided_leaves_nothing_behind(visits, tmp_path):
    with pytest.raises(
        UnknownNameError, match="has no column 'patiant' to divide rows by; did you mean 'patient'"
    ):
        cr.fit(visits, target="effect", split="group:patiant", runs=tmp_path, quiet=True)
    holes = visits.with_columns(day=pl.when(pl.int_range(105) == 7).then(None).otherwise("day"))
    with pytest.raises(DataError, match=r"is empty in 1 row \(the first is .*row 8\); fill in the times"):
        cr.fit(holes, target="effect", split="time:day", runs=tmp_path, quiet=True)
    assert not [p for p in tmp_path.iterdir() if not p.name.startswith(".")]
