"""The page of a run, in all its branches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from chainrule.core.text import visible
from chainrule.report.html import Page
from chainrule.report.run_page import run_page
from chainrule.report.summary import Example, Layer, RunSummary, Yardstick
from tests.report.conftest import Make
from tests.report.reading import Read, check_safe
from tests.report.test_html import TEXT

SLOW = settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def named(base: RunSummary, name: str) -> RunSummary:
    """Put a name in every place of a summary where a name can stand."""
    example = Example(row=name, truth=name, prediction=name, certainty=0.5, cells={name: name})
    history = [{**row, f"validation_{name}": 0.5} for row in base.history]
    return replace(
        base,
        name=name,
        folder=name,
        question=name,
        data={name: name},
        columns=[(name, name, name)],
        notes=[name],
        warnings=[name],
        layers=[Layer(name=name, kind=name, output_shape=(2,), parameters=3)],
        history=history,
        metrics={s: {**m, name: 0.25} for s, m in base.metrics.items()},
        yardsticks=[Yardstick(name=name, metrics={base.metric: 0.1, name: 0.2}, seconds=0.1, note=name)],
        verdict=name,
        settings={name: name},
        versions={name: name, "chainrule": name},
        plan=name,
        command=name,
        worst=[example, replace(example, picture=np.eye(8)[None])],
    )


def texts(page: str) -> Read:
    return check_safe(page)


@SLOW
@given(TEXT)
def test_names_of_a_classification_stay_text(classes: Make, name: str) -> None:
    page = run_page(named(classes([name, "other"]), name))
    plain = run_page(named(classes(["plain", "other"]), "plain"))
    page.encode()
    assert set(check_safe(page).tags) == set(check_safe(plain).tags)


@SLOW
@given(TEXT)
def test_names_of_a_regression_stay_text(values: Make, name: str) -> None:
    page = run_page(named(values([name, "other"]), name))
    assert set(check_safe(page).tags) == set(check_safe(run_page(named(values(["a", "b"]), "plain"))).tags)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "[red]", "a & b", "\"q\" 'x'", "$x^2$", "bell\x07"]
)
def test_hostile_names_are_shown_as_they_are(classes: Make, values: Make, name: str) -> None:
    for base in (classes([name, "other"]), values([name])):
        page = run_page(named(base, name))
        read = check_safe(page)
        shown = visible(name)
        for place in ("h1", "title", "td", "th", "dt", "dd", "code", "strong", "text", "p"):
            assert any(shown in text for tag, text in read.texts if tag == place), place
        assert any(shown in value for value in read.values("alt"))
        assert any(shown in value for value in read.values("aria-label"))
        assert "<script" not in page and "\x07" not in page


def test_same_summary_same_bytes(classes: Make, values: Make) -> None:
    for make, names in ((classes, ["a", "b"]), (values, ["y", "z"])):
        assert run_page(make(names)) == run_page(make(names))


@pytest.mark.parametrize(
    ("accuracies", "told"),
    [
        (
            [0.85, 0.5],
            "90.0\xa0% of 20 test rows right. None of 2 yardsticks does as well; the best, y0, reaches 85.0\xa0%.",
        ),
        (
            [0.9, 0.5],
            "90.0\xa0% of 20 test rows right. None of 2 yardsticks does better; the best, y0, reaches 90.0\xa0%.",
        ),
        (
            [0.95, 0.5],
            "90.0\xa0% of 20 test rows right. 1 of 2 yardsticks does better; the best, y0, reaches 95.0\xa0%.",
        ),
        (
            [0.95, 1.0],
            "90.0\xa0% of 20 test rows right. 2 of 2 yardsticks do better; the best, y1, reaches 100\xa0%.",
        ),
        ([0.5], "90.0\xa0% of 20 test rows right. The one yardstick does worse: y0 reaches 50.0\xa0%."),
        (
            [0.9],
            "90.0\xa0% of 20 test rows right. The one yardstick does just as well: y0 reaches 90.0\xa0%.",
        ),
        ([0.95], "90.0\xa0% of 20 test rows right. The one yardstick does better: y0 reaches 95.0\xa0%."),
        ([], "90.0\xa0% of 20 test rows right. No yardstick was run beside it."),
    ],
)
def test_first_line_says_where_the_network_stands(bare: Make, accuracies: list[float], told: str) -> None:
    rivals = [Yardstick(name=f"y{i}", metrics={"accuracy": a}, seconds=0.1) for i, a in enumerate(accuracies)]
    page = run_page(bare(yardsticks=rivals))
    assert f'<p class="lead">{told}</p>' in page
    behind = any(a > 0.9 for a in accuracies)
    assert ('class="note behind"' in page) is behind and ('class="note good"' in page) is not behind


@pytest.mark.parametrize(
    ("metric", "metrics", "told"),
    [
        ("r2", {"test": {"r2": 0.482}}, "Explains 48.2\xa0% of the variation on 20 test rows."),
        (
            "r2",
            {"test": {"r2": -0.3}},
            "No better than answering all of them with their own mean: R² is -0.3 on 20 test rows.",
        ),
        (
            "accuracy",
            {"test": {"accuracy": float("nan")}},
            "Failed: its accuracy on 20 test rows is not a number.",
        ),
        (
            "accuracy",
            {"validation": {"accuracy": 0.5}},
            "50.0\xa0% of 1 validation row right. There are no test rows",
        ),
        ("accuracy", {}, "There is no accuracy to show: nothing was measured."),
        ("mean_iou", {"test": {"mean_iou": 0.5}}, "Mean iou 0.5 on 20 test rows."),
    ],
)
def test_first_line_of_other_results(
    bare: Make, metric: str, metrics: dict[str, dict[str, float]], told: str
) -> None:
    page = run_page(bare(metric=metric, metrics=metrics, yardsticks=[], rows={"validation": 1, "test": 20}))
    assert f'<p class="lead">{told}' in page


def test_an_interval_is_written_as_its_score(bare: Make) -> None:
    intervals = {"test": {"r2": (-4.6, -0.5)}}
    page = run_page(bare(metric="r2", metrics={"test": {"r2": -1.043}}, yardsticks=[], intervals=intervals))
    assert page.count("-4.6 to -0.5") >= 2 and "-463" not in page
    intervals = {"test": {"r2": (0.8, 0.9)}}
    page = run_page(bare(metric="r2", metrics={"test": {"r2": 0.85}}, yardsticks=[], intervals=intervals))
    assert "Explains 85.0\xa0% of the variation" in page and "(95\xa0% interval 80 to 90\xa0%)" in page


def test_rows_that_were_held_out_are_called_so(values: Make) -> None:
    text = check_safe(run_page(values(["y"], held_out=True))).text()
    assert "held-out rows. On the dashed line" in text and "test rows. On" not in text


def test_page_says_all_of_the_run(classes: Make) -> None:
    read = check_safe(run_page(classes(["cat", "dog"], columns=[("age", "number", "")])))
    text = read.text()
    for part in (
        "The network is worth its time.",
        "one row had no target",
        "chainrule fit made-up --seed 0",
        "60 (60.0\xa0%)",
        "90 parameters in 2 layers.",
        "runs/run-1",
        "12 epochs in 1.5 s; the weights of epoch 11 are kept.",
        "logistic regression",
        "< 1 ms",
        "adam",
    ):
        assert part in text, part
    assert "detail" not in [t for tag, t in read.texts if tag == "th"]
    headings = [t for tag, t in read.texts if tag == "h2"]
    assert headings == ["Result", "Where it errs", "Training", "Data", "Model", "Again"]


def test_tiles_have_the_same_decimals(values: Make) -> None:
    read = check_safe(run_page(values(["y"])))
    tiles = [t for tag, t in read.texts if tag in ("dt", "dd")][:4]
    assert tiles == ["test R²", "0.750", "best yardstick", "0.800"]


def test_every_figure_says_what_it_shows(classes: Make, values: Make) -> None:
    for summary, number in ((classes(["a", "b"]), 5), (values(["y"]), 6)):
        read = check_safe(run_page(summary))
        svgs = [value for tag, name, value in read.attributes if (tag, name) == ("svg", "aria-label")]
        assert len(svgs) == read.tags.count("svg") == number and all(svgs)
        assert [(tag, v) for tag, n, v in read.attributes if n == "role"] == [("svg", "img")] * number
        assert sum(tag == "title" for tag in read.tags) == number + 1


def test_confusions_are_ranked(classes: Make) -> None:
    summary = classes(["a", "b", "c"], confusion=np.array([[8, 2, 0], [0, 5, 5], [0, 0, 9]]), worst=[])
    read = check_safe(run_page(summary))
    cells = [t for tag, t in read.texts if tag == "td"]
    at = cells.index("50.0\xa0%")
    assert cells[at - 3 : at + 5] == ["b", "c", "5", "50.0\xa0%", "a", "b", "2", "20.0\xa0%"]
    assert "7 of 29 test rows are off the diagonal." in read.text("figcaption")


def test_perfect_network_has_no_confusions(classes: Make) -> None:
    page = run_page(classes(["a", "b"], confusion=np.eye(2, dtype=int) * 9, worst=[]))
    assert "0 of 18 test rows are off the diagonal." in page and "Most frequent confusions" not in page


@pytest.mark.parametrize(
    ("number", "wide", "counts"), [(2, False, True), (30, True, True), (40, True, False)]
)
def test_number_of_classes(classes: Make, number: int, wide: bool, counts: bool) -> None:
    page = run_page(classes([f"class {i}" for i in range(number)]))
    read = check_safe(page)
    assert ('<figure class="wide">' in page) is wide
    assert ("the counts are left out" in read.text()) is not counts


def test_too_many_classes_are_listed(classes: Make) -> None:
    read = check_safe(run_page(classes([f"class {i}" for i in range(101)])))
    assert "A matrix of 101 classes is too large to draw." in read.text()
    assert "Most frequent confusions" in read.text()


def test_pictures_and_cells_of_the_worst_rows(classes: Make) -> None:
    picture = Example(row="a.png", truth="cat", prediction="dog", certainty=0.987, picture=np.eye(8)[None])
    large = replace(picture, row="b.png", certainty=None, picture=np.zeros((3, 300, 300), np.uint8))
    cells = Example(row="row 5", truth="cat", prediction="dog", cells={"age": "7"})
    read = check_safe(run_page(classes(["cat", "dog"], worst=[picture, large, cells])))
    assert read.values("alt") == ["a.png: true cat, said dog, 99\xa0% sure", "b.png: true cat, said dog"]
    assert read.values("class").count("pixelated") == 1
    assert {"row 5", "7"} <= {t for tag, t in read.texts if tag == "td"}


def test_two_values_make_two_pairs_of_figures(values: Make) -> None:
    read = check_safe(run_page(values(["price", "rent"], rows=3500)))
    drawn = [v for v in read.values("aria-label") if v.startswith(("Predicted over", "Predicted minus"))]
    assert len(drawn) == 4 and all("3,000 of 3,500 test rows, chosen at random." in v for v in drawn)
    assert "3,000 of 3,500 test rows, chosen at random." in read.text("figcaption")


def test_at_most_six_values_are_drawn(values: Make) -> None:
    summary = values([f"v{i}" for i in range(8)], rows=1500)
    read = check_safe(run_page(summary))
    assert sum(v.startswith("Predicted over true") for v in read.values("aria-label")) == 6
    assert "2 more values are not drawn." in read.text() and "1,000 of 1,500 test rows" in read.text()


def test_values_that_are_no_numbers_are_said(values: Make) -> None:
    summary = values(["y"])
    assert summary.predicted is not None
    summary.predicted[:3] = np.nan
    told = check_safe(run_page(summary)).text("figcaption")
    assert "37 test rows. 3 more have a value that is not a finite number." in told


def test_no_test_rows(values: Make, classes: Make) -> None:
    nothing = np.zeros((0, 1))
    page = run_page(values(["y"], predicted=nothing, true=nothing, worst=[]))
    assert "There are no test rows to look at." in page
    page = run_page(classes(["a", "b"], confusion=np.zeros((2, 2), int), worst=[]))
    assert "There are no test rows to look at." in page
    assert "There are no test rows to look at." in run_page(classes(["a", "b"], confusion=None, worst=[]))


def test_no_validation(bare: Make) -> None:
    history = [{"epoch": e, "train_loss": 1 / e, "learning_rate": 0.1} for e in (1, 2, 3)]
    summary = bare(
        history=history, best_epoch=None, metrics={"test": {"accuracy": 0.9}}, rows={"train": 8, "test": 2}
    )
    read = check_safe(run_page(summary))
    legend = [t for tag, t in read.texts if tag == "text"]
    assert "train" in legend and "validation" not in legend
    assert "3 epochs in 1.5 s." in read.text() and "validation rows" not in read.text()


def test_nothing_recorded(bare: Make) -> None:
    empty = bare(
        history=[],
        metrics={},
        yardsticks=[],
        rows={},
        best_epoch=None,
        notes=[],
        verdict="",
        columns=[],
        layers=[],
    )
    read = check_safe(run_page(replace(empty, data={}, settings={}, versions={}, plan="", fit_seconds=0.0)))
    for part in (
        "No epoch was recorded.",
        "No yardsticks were run",
        "No layers were recorded.",
        "nothing was measured",
    ):
        assert part in read.text()
    assert "svg" not in read.tags and "Verdict" not in read.text()


def test_yardsticks_without_our_metric(bare: Make) -> None:
    read = check_safe(run_page(bare(metrics={}, yardsticks=[Yardstick(name="y", metrics={}, seconds=1.0)])))
    assert "y" in [t for tag, t in read.texts if tag == "td"] and not [
        v for v in read.values("aria-label") if v.startswith("Bars of")
    ]


def test_loss_over_many_decades_says_so(bare: Make) -> None:
    history = [{"epoch": e, "train_loss": 10.0**-e} for e in range(5)]
    assert "ten times the one below" in run_page(bare(history=history))


def test_long_tables_open_on_demand(bare: Make) -> None:
    page = run_page(bare(columns=[(f"c{i}", "number", "x") for i in range(13)]))
    assert "<summary>All 13 columns</summary>" in page and "<details>" not in run_page(bare())


def test_page_stands_alone(classes: Make) -> None:
    page = run_page(classes(["a", "b"]))
    assert page.startswith('<!doctype html>\n<html lang="en">') and page.endswith("</html>\n")
    assert len(Page("x").render()) < len(page) < 200_000


def test_warnings_stand_above_the_notes_and_only_where_there_are_any(classes: Make) -> None:
    base = classes(["plain", "other"])
    page = run_page(replace(base, warnings=["column 'code' says the same", "97 % are 'paid'"]))
    said = page[page.index("Look at the data first") :]
    assert "column &#x27;code&#x27; says the same" in said and "97 % are" in said
    assert page.index("<h2") > page.index("Look at the data first") < page.index("Please note")
    assert "Look at the data first" not in run_page(base)
