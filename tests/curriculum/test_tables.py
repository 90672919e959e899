"""The decks' tables and the questions asked of tables, from a file or generated rows to predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from chainrule import AutogradStep, Batches, Binary, Objective, build, optimizer, schedule, updates
from chainrule.data.prepare import Prepare
from chainrule.data.read import read
from chainrule.data.schema import find_schema
from chainrule.jobs.run import Run
from chainrule.nn.losses import HALF_SQUARED_ERROR
from chainrule.train.loop import outputs_of

Fit = Callable[..., Run]


def values(run: Run, rows: object) -> list[float]:
    found = run.predict(rows).values
    assert found is not None
    return found[:, 0].tolist()


# ---- housing


@pytest.mark.curriculum("DAT-04")
def test_housing_table(fixtures: Path) -> None:
    source = read(fixtures / "housing.csv")
    schema, _ = find_schema(source, target="price")
    examples = schema.encode(source)
    assert schema.number_names == ("size", "bedrooms") and schema.target.kind == "regression"
    assert examples.numbers.tolist() == [[2104, 3], [1600, 3], [2400, 3], [3000, 4]]
    assert examples.targets.tolist() == [[400], [330], [369], [540]]


@pytest.mark.curriculum("DAT-10", "DAT-22")
def test_house_prices_by_least_squares(fixtures: Path, least_squares: Fit) -> None:
    run = least_squares(fixtures / "housing.csv", target="price")
    prices = [400, 330, 369, 540]
    predicted = values(run, fixtures / "housing.csv")
    residuals = [p - t for p, t in zip(predicted, prices, strict=True)]
    assert residuals == pytest.approx([-29.6, 11.0, 18.7, 0], abs=0.05)
    design = np.array([[1, 2104, 3], [1, 1600, 3], [1, 2400, 3], [1, 3000, 4]])
    solved = design @ np.linalg.lstsq(design, np.array(prices), rcond=None)[0]
    assert predicted == pytest.approx(solved.tolist(), rel=1e-6)
    # The coefficients of D24, read off the predictions: at a house of 2000 and 3, one more of each, and none of either.
    at, larger, roomier = values(run, {"size": [2000.0, 3000, 2000], "bedrooms": [3.0, 3, 4]})
    slopes = (larger - at) / 1000, roomier - at
    assert slopes[0] == pytest.approx(0.058376, abs=1e-6) and slopes[1] == pytest.approx(117.314, abs=0.0005)
    assert at - 2000 * slopes[0] - 3 * slopes[1] == pytest.approx(-104.385, abs=0.0005)
    assert type(run.model[-1]).__name__ == "Linear" and run.model[-1].out_features == 1
    assert run.metrics["train"]["mae"] == pytest.approx(np.abs(residuals).mean(), rel=1e-5)


@pytest.mark.curriculum("PRE-01", "PRE-02")
def test_housing_is_standardised_by_its_mean_and_deviation(fixtures: Path) -> None:
    source = read(fixtures / "housing.csv")
    schema, _ = find_schema(source, target="price")
    examples = schema.encode(source)
    prepare = Prepare(schema).fit(examples, np.arange(4))
    assert prepare.mean.tolist() == pytest.approx([2276, 3.25])
    assert prepare.scale.tolist() == pytest.approx([506.4859, 0.4330], abs=5e-5)
    prepared = prepare.tensors(examples)
    assert prepared.mean(0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert prepared.std(0, correction=0).tolist() == pytest.approx([1, 1], abs=1e-6)


@pytest.mark.curriculum("PRE-02")
def test_means_and_deviations_come_from_training_rows_only(fit: Fit) -> None:
    x = np.arange(40.0).reshape(20, 2) ** 2
    run = fit((x, x[:, 0]), model="linear-regression", epochs=1, validation=0.1, test=0.2)
    _, prepare, task = run._loaded
    source = read((x, x[:, 0]))
    rows = run_split(run, source).train
    assert len(rows) == 14
    np.testing.assert_allclose(prepare.mean.numpy(), x[rows].mean(0))
    np.testing.assert_allclose(prepare.scale.numpy(), x[rows].std(0))
    np.testing.assert_allclose(task.mean.numpy(), x[rows, :1].mean(0))
    assert not np.allclose(prepare.mean.numpy(), x.mean(0))


def run_split(run: Run, source: object) -> object:
    from chainrule.jobs.material import make_material

    schema = run.recipe.schema
    return make_material(source, schema.encode(source), schema, run.recipe.settings).split


@pytest.mark.curriculum("PRE-09")
def test_the_mean_is_subtracted_before_dividing() -> None:
    source = read({"x": [2.0, 4, 6], "y": [1.5, 2.5, 3.5]})
    schema, _ = find_schema(source, target="y")
    examples = schema.encode(source)
    found = Prepare(schema).fit(examples, np.arange(3)).tensors(examples)[:, 0].tolist()
    assert found == pytest.approx([-1.2247, 0, 1.2247], abs=5e-5)
    assert found != pytest.approx([-2.7753, -1.5505, -0.3258], abs=0.1), "the printed order (E42)"


# ---- clicks


@pytest.mark.curriculum("DAT-05")
def test_ad_click_table(fixtures: Path) -> None:
    frame = read(fixtures / "ads.csv").frame
    assert frame is not None and frame.columns == ["age", "ad", "click"]
    numbers = frame.cast(pl.Int64).rows()
    assert numbers == [(41, 93242, 1), (80, 93287, 0), (18, 87312, 1), (27, 71244, 1)]


@pytest.mark.curriculum("DAT-23")
def test_ad_clicks_by_a_sigmoid_unit(fixtures: Path) -> None:
    """Four rows, one of them without a click, are too few to divide: the parts are put together by hand."""
    frame = read(fixtures / "ads.csv").frame
    assert frame is not None
    table = torch.tensor(frame.cast(pl.Float64).rows())
    x, y = table[:, :2].float(), table[:, 2].long()
    x = (x - x.mean(0)) / x.std(0, correction=0)
    task, model = Binary(["no click", "click"]), build("logistic-regression", inputs=2, units=1)
    rule = optimizer("adam", model.parameters(), learning_rate=0.1)
    step = AutogradStep(Objective(model, task), rule)
    losses = [r.loss.item() for r in updates(step, Batches(x, y, 4), schedule("constant", steps=200))]
    found = task.decode(outputs_of(model, x))
    assert found.probabilities is not None
    assert ((found.probabilities > 0) & (found.probabilities < 1)).all()
    assert found.labels.tolist() == [1, 0, 1, 1] and losses[-1] < 0.2 * losses[0]


# ---- the study table


@pytest.mark.curriculum("DAT-06")
def test_study_table(fixtures: Path, least_squares: Fit) -> None:
    """D23: what least squares from hours and sleep leaves of the cost."""
    source = read(fixtures / "study.csv")
    schema, _ = find_schema(source, target="exam")
    examples = schema.encode(source)
    assert examples.numbers.shape == (8, 3)
    assert (examples.numbers.mean(0) / [1, 1, 100]).tolist() == pytest.approx([41.75, 7.1875, 0.7225])
    assert examples.targets.mean() / 100 == pytest.approx(0.785)
    assert source.frame is not None
    shares = source.frame.with_columns(pl.col("quiz", "exam").cast(pl.Float64) / 100)
    exam = torch.tensor(shares["exam"].to_list(), dtype=torch.float64)[:, None]

    hours = least_squares(shares.drop("quiz"), target="exam")
    base, study, sleep = values(hours, {"study": [0.0, 1, 0], "sleep": [0.0, 0, 1]})
    assert [base, study - base, sleep - base] == pytest.approx([0.937694, 0.001885, -0.032194], abs=1e-6)
    cost = HALF_SQUARED_ERROR.cost(hours.predict(shares).values, exam, "sum")
    assert cost.item() == pytest.approx(0.047748, abs=1e-6)

    with_quiz = least_squares(shares, target="exam")
    cost = HALF_SQUARED_ERROR.cost(with_quiz.predict(shares).values, exam, "sum")
    assert cost.item() == pytest.approx(0.037750, abs=1e-6)


# ---- questions with generated rows


@pytest.mark.curriculum("DAT-08")
def test_spam_by_a_bag_of_words(fit: Fit) -> None:
    """Counts of twelve words in 400 messages; the first four are frequent in spam."""
    random = np.random.default_rng(0)
    is_spam = random.random(400) < 0.4
    often = np.where(is_spam[:, None], [2.0] * 4 + [0.5] * 8, [0.2] * 4 + [0.8] * 8)
    counts = random.poisson(often)
    words = [
        "win",
        "free",
        "prize",
        "cash",
        "hello",
        "meeting",
        "report",
        "lunch",
        "thanks",
        "monday",
        "draft",
        "team",
    ]
    table = {word: counts[:, i] for i, word in enumerate(words)} | {"kind": np.where(is_spam, "spam", "mail")}
    run = fit(pl.DataFrame(table), target="kind", model="logistic-regression")
    assert run.metrics["test"]["accuracy"] >= 0.95
    message = {word: [0] for word in words}
    assert run.predict({**message, "win": [3], "cash": [2]}).names == ["spam"]
    assert run.predict({**message, "meeting": [2], "team": [1]}).names == ["mail"]


@pytest.mark.curriculum("DAT-09", "NEU-17")
def test_rent_is_a_graded_value(fit: Fit) -> None:
    random = np.random.default_rng(0)
    area, rooms = random.uniform(20, 150, 200), random.integers(1, 6, 200)
    rent = 250 + 9.5 * area + 40 * rooms + random.normal(0, 20, 200)
    run = fit({"area": area, "rooms": rooms, "rent": rent}, target="rent", model="linear-regression")
    assert run.metrics["test"]["r2"] > 0.98
    predicted = values(run, {"area": [50.0, 50.5], "rooms": [2, 2]})
    assert predicted[0] != round(predicted[0]) and 0 < predicted[1] - predicted[0] < 10
    yes_or_no = fit(
        {"area": area, "rooms": rooms, "dear": (rent > np.median(rent)).astype(int)},
        target="dear",
        model="perceptron",
    )
    assert set(yes_or_no.predict({"area": area, "rooms": rooms}).probabilities.unique().tolist()) == {0, 1}


@pytest.mark.curriculum("DAT-11")
def test_loans_are_approved_from_one_half(fit: Fit) -> None:
    random = np.random.default_rng(0)
    income, debt = random.uniform(10, 90, 300), random.uniform(0, 50, 300)
    approved = (income - debt + random.normal(0, 8, 300) > 25).astype(int)
    run = fit(
        {"income": income, "debt": debt, "approved": approved}, target="approved", model="logistic-regression"
    )
    found = run.predict({"income": income, "debt": debt})
    assert found.probabilities is not None and found.labels is not None
    chance = found.probabilities[:, 1]
    assert found.names == ["1" if p >= 0.5 else "0" for p in chance.tolist()]
    assert 0.1 < found.labels.double().mean() < 0.9 and run.metrics["test"]["accuracy"] > 0.85
    assert run.predict({"income": [90.0, 10.0], "debt": [0.0, 50.0]}).names == ["1", "0"]


@pytest.mark.curriculum("OUT-11")
@pytest.mark.parametrize("shape", [(30,), (30, 1), (30, 2)], ids=str)
def test_fit_takes_rows_and_their_answers(fit: Fit, shape: tuple[int, ...]) -> None:
    """D = {(xᵢ, ŷᵢ)}: X of shape (n, m), Y of shape (n,) or (n, values); the network F(x, w) learns w from both."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 4)), random.normal(size=shape)
    run = fit((x, y), model="linear-regression", epochs=2)
    units = shape[1] if len(shape) > 1 else 1
    assert run.predict(x).values.shape == (30, units)
    assert (run.model[-1].in_features, run.model[-1].out_features) == (4, units)


@pytest.mark.curriculum("PRE-06")
def test_rows_come_in_another_order_every_epoch() -> None:
    batches = Batches(torch.arange(50.0)[:, None], torch.arange(50), 8)
    seen = [torch.cat([targets for _, targets in batches.epoch(epoch)]).tolist() for epoch in range(4)]
    assert all(sorted(order) == list(range(50)) for order in seen), "every row once an epoch"
    assert len({tuple(order) for order in seen}) == 4 and list(range(50)) not in seen
    for inputs, targets in batches.epoch(0):
        assert torch.equal(inputs[:, 0].long(), targets), "a row keeps its answer"
