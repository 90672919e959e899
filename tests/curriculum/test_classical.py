"""Classical models, as their users meet them: from a table to a run folder and its answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import make_circles, make_moons

import chainrule as cr
from chainrule.catalog import CLASSICAL, MODELS
from chainrule.jobs.run import Run
from chainrule.nn.activations import activation
from chainrule.nn.losses import loss

Fit = Callable[..., Run]


@pytest.fixture
def learn(fit: Fit) -> Fit:
    """Fit on all rows as they are, with no scaling."""

    def learn(x: object, y: object, model: str, *, task: str | None = None, **settings: object) -> Run:
        data = np.asarray(x, np.float64), np.asarray(y)
        chosen = {"scaling": "none", "folds": 0}
        return fit(
            data, model=model, task=task, model_settings=settings, test=0, validation=0, settings=chosen
        )

    return learn


def moons(rows: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return make_moons(rows, noise=noise, random_state=seed)


def xor(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points in the four quadrants; those whose signs differ are of one class."""
    x = np.random.default_rng(seed).uniform(-1, 1, (rows, 2))
    return x, (x[:, 0] * x[:, 1] < 0).astype(int)


def right(run: Run, x: np.ndarray, y: np.ndarray) -> float:
    labels = run.predict(x).labels
    assert labels is not None
    return float((labels.numpy() == y).mean())


def distances(run: Run, x: object) -> np.ndarray:
    """Return what the model of a run puts out, before it is read as classes or values."""
    return run.model(torch.tensor(np.asarray(x), dtype=torch.float32)).numpy()


# ---- linear classifiers


@pytest.mark.curriculum("CML-03")
def test_rows_without_labels_are_predicted(fit: Fit, tmp_path: Path) -> None:
    """Labelled rows train; what is predicted for needs no column of labels, and a label in it changes nothing."""
    run = fit("iris", model="random-forest")
    new = {"sepal length (cm)": [5.0, 6.5], "sepal width (cm)": [3.4, 3.0],
           "petal length (cm)": [1.5, 5.5], "petal width (cm)": [0.2, 2.0]}  # fmt: skip
    assert run.predict(pl.DataFrame(new)).names == ["setosa", "virginica"]
    assert run.predict(pl.DataFrame({**new, "species": ["virginica", "setosa"]})).names == [
        "setosa",
        "virginica",
    ]


@pytest.mark.curriculum("CML-04")
@pytest.mark.parametrize("model", ["linear-svm", "penalised-logistic-regression"])
def test_a_linear_classifier_scores_classes_by_planes(learn: Fit, model: str) -> None:
    """Three separable clouds in the plane: all right, and every class's score is W x + b."""
    random = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = np.array([[0, 4], [4, 0], [-4, -4]])[y] + random.uniform(-1, 1, (90, 2))
    run = learn(x, y, model)
    assert right(run, x, y) == 1
    corners = distances(run, [[0, 0], [1, 0], [0, 1], [3, -2]])
    assert corners.shape == (4, 3)
    w = (corners[1:3] - corners[0]).T
    differences = lambda scores: scores - scores[..., :1]  # noqa: E731 - shares of classes fix scores up to a common term
    assert differences(corners[3]) == pytest.approx(differences(w @ [3, -2] + corners[0]), abs=1e-6)


@pytest.mark.curriculum("CML-05")
@pytest.mark.parametrize("outputs", [[0, 0, 0, 1], [0, 1, 1, 1]])
def test_logistic_regression_learns_and_and_or(fit: Fit, outputs: list[int]) -> None:
    """ŷ = σ(wᵀx + b) is the probability of class 1, trained by gradient descent on the log loss."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
    run = fit(
        (x, np.array(outputs)), model="logistic-regression", optimizer="gradient-descent", learning_rate=1.0, epochs=500,
        schedule="constant", test=0, validation=0, folds=0,
    )  # fmt: skip
    assert right(run, x, np.array(outputs)) == 1
    weight, bias = (p.detach() for p in run.model.parameters())
    prepared = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
    sure = run.predict(x).probabilities
    assert sure is not None
    assert sure[:, 1].numpy() == pytest.approx(torch.sigmoid(prepared @ weight[0] + bias).numpy(), abs=1e-6)


@pytest.mark.curriculum("CML-06")
def test_squared_error_of_a_sigmoid_is_not_convex() -> None:
    """The second derivative of ½(σ(w) − 1)² changes its sign; that of the log loss, which is used, never does (E19)."""
    w = torch.linspace(-5, 5, 101, dtype=torch.float64).requires_grad_()
    one = torch.ones(101, dtype=torch.float64)

    def bends(losses: torch.Tensor) -> torch.Tensor:
        (slope,) = torch.autograd.grad(losses.sum(), w, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), w)
        return bend

    squared = bends(loss("half-squared-error")(activation("sigmoid").value(w)[:, None], one[:, None]))
    assert squared.min() < -0.01 and squared.max() > 0.01
    used = cr.Binary(["no", "yes"])
    assert (bends(used.losses(w[:, None], one.long())) > 0).all()


# ---- support vector machines


@pytest.mark.curriculum("CML-07")
def test_the_margin_of_two_points(learn: Fit) -> None:
    """Golden D19: (1, 1) against (−1, −1): w = (0.5, 0.5), b = 0, margin 2/‖w‖ = 2.828427; both are on the margin."""
    rows = [[1, 1], [-1, -1]]
    run = learn(rows, [1, 0], "linear-svm")
    origin, first, second = distances(run, [[0, 0], [1, 0], [0, 1]])[:, 0]
    w = first - origin, second - origin
    assert w == pytest.approx((0.5, 0.5), abs=1e-6) and origin == pytest.approx(0, abs=1e-6)
    assert 2 / math.hypot(*w) == pytest.approx(2.828427, abs=1e-6)
    assert distances(run, rows)[:, 0] == pytest.approx([1, -1], abs=1e-6)
    between = learn([*rows, [4, 3], [-2, -5]], [1, 0, 1, 0], "linear-svm")
    assert distances(between, [[3, 1], [0, 0]])[:, 0] == pytest.approx(
        [2, 0], abs=1e-3
    )  # far rows change nothing


@pytest.mark.curriculum("CML-08")
def test_a_kernel_is_a_product_in_a_larger_space(learn: Fit) -> None:
    """Golden D19: (1, 2)·(3, 4) squared is 121, and so is φ·φ, φ = (x₁², √2 x₁x₂, x₂²): a straight boundary there."""

    def raised(x: object) -> np.ndarray:
        a, b = np.asarray(x, np.float64).T
        return np.stack([a * a, math.sqrt(2) * a * b, b * b], 1)

    rows = [[1, 2], [3, 4]]
    assert np.prod([raised(rows)], 0)[0] @ raised(rows)[1] == pytest.approx(121)
    curved = {"kernel": "polynomial", "degree": 2, "gamma": 1.0, "constant": 0.0, "C": 1e4}
    run = learn(rows, [0, 1], "kernel-svm", **curved)
    machine = run.model.estimator
    order = {
        tuple(v): weight
        for v, weight in zip(machine.support_vectors_.tolist(), machine.dual_coef_[0], strict=True)
    }
    at, origin = distances(run, [[3, 4], [0, 0]])[:, 0]
    own = order[3, 4] * (9 + 16) ** 2
    assert (at - origin - own) / order[1, 2] == pytest.approx(121, rel=1e-6)
    x, y = make_circles(200, noise=0.05, factor=0.5, random_state=0)
    bent = learn(x, y, "kernel-svm", **curved | {"C": 10.0})
    straight = learn(raised(x), y, "kernel-svm", kernel="linear", C=10.0)
    assert right(bent, x, y) == 1
    assert distances(bent, x) == pytest.approx(distances(straight, raised(x)), abs=1e-2)


@pytest.mark.curriculum("CML-09")
def test_products_of_inputs_make_a_circle_straight(learn: Fit) -> None:
    """(2, 3) becomes {2, 3, 6, 4, 9} (E63), and f = W z + b of those tells a circle from what is around it."""
    x, y = make_circles(200, noise=0.05, factor=0.5, random_state=0)
    flat = learn(x, y, "penalised-logistic-regression", C=100.0)
    run = learn(x, y, "penalised-logistic-regression", C=100.0, degree=2)
    assert right(flat, x, y) < 0.7 and right(run, x, y) == 1
    products, plane = (part for _, part in run.model.estimator.steps)
    z = products.transform([[2.0, 3.0]])[0]
    assert sorted(z) == [2, 3, 4, 6, 9]
    near = products.transform(x[:5].astype(np.float32))
    assert distances(run, x[:5])[:, 0] == pytest.approx(near @ plane.coef_[0] + plane.intercept_[0], abs=1e-6)


# ---- neighbours


@pytest.mark.curriculum("CML-10")
def test_the_nearest_neighbour_of_a_training_row_is_itself(learn: Fit) -> None:
    x, y = moons(200, 0.4)
    assert right(learn(x, y, "nearest-neighbours", neighbours=1), x, y) == 1
    assert right(learn(x, y, "nearest-neighbours", neighbours=25), x, y) < 1


@pytest.mark.curriculum("CML-11")
def test_distances_over_all_pixels(learn: Fit) -> None:
    """x = (1, 5), y = (4, 1): ℓ1 7, ℓ2 5; which row is nearest depends on it."""
    rows, new = [[4, 1], [1, 10.6]], [[1, 5]]
    answers = {}
    for distance, wanted in (("manhattan", 7), ("euclidean", 5)):
        run = learn(rows, ["here", "there"], "nearest-neighbours", neighbours=1, distance=distance)
        found, at = run.model.estimator.kneighbors(new, n_neighbors=2)
        assert found[0][at[0].tolist().index(0)] == pytest.approx(wanted)
        answers[distance] = run.predict(np.array(new, np.float64)).names
    assert answers == {"manhattan": ["there"], "euclidean": ["here"]}


@pytest.mark.curriculum("CML-12")
def test_the_vote_of_three_is_not_that_of_one(learn: Fit) -> None:
    """Rows at distances 1 (A), 2 (B), 3 (B): one neighbour says A, three say B."""
    rows, labels = [[1], [2], [3]], ["A", "B", "B"]
    for neighbours, wanted in ((1, "A"), (3, "B")):
        run = learn(rows, labels, "nearest-neighbours", neighbours=neighbours)
        assert run.predict(np.array([[0.0]])).names == [wanted]


# ---- distributions


@pytest.mark.curriculum("CML-13")
def test_naive_bayes_tells_two_gaussians_apart(learn: Fit) -> None:
    random = np.random.default_rng(0)
    y = np.arange(400) % 2
    x = random.normal(size=(400, 2)) * [1, 3] + 5 * y[:, None]
    run = learn(x[:200], y[:200], "naive-bayes")
    assert right(run, x[200:], y[200:]) >= 0.95
    means = [x[:200][y[:200] == c].mean(0) for c in (0, 1)]
    spreads = [x[:200][y[:200] == c].std(0) for c in (0, 1)]
    of_class = [
        -(((x[200:] - m) / s) ** 2 / 2 + np.log(s)).sum(1) for m, s in zip(means, spreads, strict=True)
    ]
    assert distances(run, x[200:])[:, 0] == pytest.approx(of_class[1] - of_class[0], rel=1e-4, abs=1e-4)


@pytest.mark.curriculum("CML-14")
def test_a_shared_covariance_gives_a_straight_boundary(learn: Fit) -> None:
    """Log odds of the classes are W x + b with one covariance, and bend with one each."""
    random = np.random.default_rng(0)
    y = np.arange(300) % 2
    x = random.normal(size=(300, 2)) @ [[2, 1], [0, 1]] * (1 + y[:, None]) + 3 * y[:, None]
    line = np.linspace(-2, 2, 9)[:, None] * [1.0, 0.5]
    bends = {
        covariance: np.abs(np.diff(distances(learn(x, y, "gaussian-discriminant-analysis", covariance=covariance), line)[:, 0], 2)).max()
        for covariance in ("shared", "own")
    }  # fmt: skip
    assert bends["shared"] < 1e-6 and bends["own"] > 0.01


# ---- trees


@pytest.mark.curriculum("CML-20")
def test_a_tree_of_two_questions_learns_xor(learn: Fit) -> None:
    """The first question gains nothing, and is asked all the same."""
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    run = learn(x, y, "decision-tree", depth=2)
    tree = run.model.estimator.tree_
    assert right(run, x.astype(float), y) == 1 and tree.max_depth == 2
    assert tree.impurity[0] == tree.impurity[1] == 0.5
    assert right(learn(x, y, "decision-tree", depth=1), x.astype(float), y) == 0.5


@pytest.mark.curriculum("CML-21")
def test_a_gini_split_is_at_the_midpoint(learn: Fit) -> None:
    tree = learn([[1], [2], [5], [6]], ["a", "a", "b", "b"], "decision-tree").model.estimator.tree_
    assert tree.threshold[0] == 3.5 and tree.impurity.tolist() == [0.5, 0, 0]
    means = learn([[1], [2], [5], [6]], [10.5, 11.5, 20.25, 22.25], "decision-tree", depth=1)
    assert means.model.estimator.tree_.threshold[0] == 3.5
    values = means.predict(np.array([[0.0], [9.0]])).values
    assert values is not None and values[:, 0].tolist() == pytest.approx([11, 21.25])


@pytest.mark.curriculum("CML-22", "ENS-05")
def test_trees_together_beat_one_tree_on_noisy_moons(fit: Fit) -> None:
    """Bagging, boosting and the random forest are fitted and asked alike."""
    found = {
        model: fit(moons(1200, 0.35), model=model, test=0.5).metrics["test"]["accuracy"]
        for model in ("decision-tree", "bagging", "adaboost", "random-forest")
    }
    alone = found.pop("decision-tree")
    assert all(score > alone + 0.01 for score in found.values()), (alone, found)


@pytest.mark.curriculum("ENS-02")
def test_bagging_draws_rows_with_replacement_and_averages(learn: Fit) -> None:
    x, y = moons(1000, 0.3)
    estimator = learn(x, y, "bagging", trees=20).model.estimator
    shares = [len(np.unique(rows)) / len(x) for rows in estimator.estimators_samples_]
    assert np.mean(shares) == pytest.approx(1 - 1 / math.e, abs=0.005)
    run = learn(x, y, "bagging", trees=20, depth=3)
    votes = np.mean([tree.predict_proba(x.astype(np.float32)) for tree in run.model.estimator.estimators_], 0)
    sure = run.predict(x).probabilities
    assert sure is not None and sure.numpy() == pytest.approx(votes, abs=1e-9)
    assert len({tuple(tree.tree_.threshold) for tree in run.model.estimator.estimators_}) == 20


# ---- values


@pytest.mark.curriculum("CML-29")
@pytest.mark.parametrize("scaling", ["none", "standard"])
def test_house_prices_solved(fit: Fit, fixtures: Path, scaling: str) -> None:
    """Golden D24: price = −104.385 + 0.058376 size + 117.314 bedrooms."""
    chosen = {"scaling": scaling, "folds": 0}
    run = fit(
        fixtures / "housing.csv", target="price", model="least-squares", test=0, validation=0, settings=chosen
    )
    values = run.predict({"size": [2000.0, 3000, 2000], "bedrooms": [3.0, 3, 4]}).values
    assert values is not None
    at, larger, roomier = values[:, 0].tolist()
    size, bedrooms = (larger - at) / 1000, roomier - at
    assert size == pytest.approx(0.058376, abs=1e-6) and bedrooms == pytest.approx(117.314, abs=0.0005)
    assert at - 2000 * size - 3 * bedrooms == pytest.approx(-104.385, abs=0.0005)


@pytest.mark.curriculum("CML-17")
def test_kernel_regression_of_a_constant_is_the_constant(learn: Fit) -> None:
    """Nadaraya–Watson: a mean with weights exp(−d²/2h²) that sum to one, also far from all rows."""
    pytest.importorskip("statsmodels")
    x = np.array([[0.0], [1.0], [3.0], [7.0]])
    with_another = np.concatenate([x, [[1000.0]]])  # as a target of one value is refused
    run = learn(with_another, [4.0, 4, 4, 4, 9], "kernel-regression", bandwidth=0.5, task="regression")
    flat = run.predict(np.array([[-5.0], [2.2], [300.0]])).values
    assert flat is not None and flat[:, 0].tolist() == pytest.approx([4.0] * 3)
    y = np.array([1.0, -1.0, 2.0, 5.0])
    run = learn(x, y, "kernel-regression", bandwidth=0.8, task="regression")
    found = run.predict(np.array([[2.0]])).values
    weights = np.exp(-(((x[:, 0] - 2) / 0.8) ** 2) / 2)
    assert found is not None and found[0, 0].item() == pytest.approx(weights @ y / weights.sum(), rel=1e-6)


@pytest.mark.curriculum("CML-19")
def test_local_regression_follows_a_line(learn: Fit) -> None:
    pytest.importorskip("statsmodels")
    x = np.array([[0.0], [1.0], [3.0], [4.0], [7.0]])
    asked = np.array([[0.5], [2.0], [6.5]])
    line, means = (
        learn(x, 3 * x[:, 0] - 2, model, bandwidth=1.5, task="regression").predict(asked).values
        for model in ("local-regression", "kernel-regression")
    )
    assert line is not None and line[:, 0].tolist() == pytest.approx([-0.5, 4, 17.5], abs=1e-6)
    assert means is not None and abs(means[2, 0].item() - 17.5) > 0.1


# ---- what kinds there are


@pytest.mark.curriculum("CML-30")
def test_linear_techniques_are_marked_and_draw_straight_boundaries(learn: Fit) -> None:
    for name in ("linear-svm", "naive-bayes", "penalised-logistic-regression"):
        assert CLASSICAL[name].is_linear is True
    for name in ("perceptron", "logistic-regression"):
        assert MODELS[name].is_linear is True
    rows = dict(row[::3] for row in listed_models())
    assert {rows[name] for name in ("perceptron", "linear-svm", "naive-bayes", "logistic-regression")} == {
        "yes"
    }
    x, y = moons(200, 0.1)
    found = distances(learn(x, y, "linear-svm"), np.linspace(-2, 2, 9)[:, None] * [1.0, -0.7])
    assert np.abs(np.diff(found[:, 0], 2)).max() < 1e-5


def listed_models() -> list[tuple[str, ...]]:
    from chainrule.jobs.describe import list_models

    return list(list_models().rows)


@pytest.mark.curriculum("CML-31")
@pytest.mark.parametrize(
    "model", ["nearest-neighbours", "kernel-svm", "decision-tree", "random-forest", "mlp"]
)
def test_non_linear_techniques_are_marked_and_tell_moons_apart(fit: Fit, model: str) -> None:
    assert {**MODELS, **CLASSICAL}[model].is_linear is False
    assert dict(row[::3] for row in listed_models())[model] == "no"
    run = fit(moons(600, 0.1), model=model)
    assert run.metrics["test"]["accuracy"] >= 0.95


@pytest.mark.curriculum("CML-32")
def test_a_straight_boundary_suits_only_some_data(fit: Fit) -> None:
    scores = {m: fit(xor(), model=m).metrics["test"]["accuracy"] for m in ("linear-svm", "kernel-svm")}
    assert 0.4 <= scores["linear-svm"] <= 0.75 and scores["kernel-svm"] >= 0.95


@pytest.mark.curriculum("CML-33")
def test_two_classes_or_more_are_told_from_the_labels(fit: Fit) -> None:
    x = np.random.default_rng(0).normal(size=(90, 2))
    for labels, kind, shares in ((("no", "yes"), "binary", 2), (("a", "b", "c"), "multi-class", 3)):
        for model in ("linear-svm", "nearest-neighbours"):
            run = fit((x, np.array(labels)[np.arange(90) % len(labels)]), model=model)
            assert run.recipe.schema.target.kind == kind
            found = run.predict(x).probabilities
            assert found is not None and found.shape == (90, shares)
