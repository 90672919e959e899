"""Rows about learning without a target: what `chainrule explore` shows of data where the answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule import catalog
from chainrule.models.unsupervised import CLUSTERING, DENSITY, REDUCTION, TAGS, scott

METHODS = {name: catalog.load("method", name) for name in catalog.KINDS["method"].entries}
Table = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def blobs(*centres: tuple[float, float], rows: int = 60, spread: float = 0.5) -> tuple[Table, np.ndarray]:
    """Return rows around centres, in a shuffled order, and the blob of each."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(np.arange(len(centres)), rows))
    points = np.array(centres)[labels] + random.normal(0, spread, (len(labels), 2))
    return {"height": points[:, 0], "weight": points[:, 1]}, labels


def rings(rows: int = 150) -> tuple[Table, np.ndarray]:
    """Return two rings around one centre."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat([0, 1], rows))
    angle, radius = random.uniform(0, 2 * np.pi, 2 * rows), np.array([1.0, 3.0])[labels]
    radius = radius + random.normal(0, 0.05, 2 * rows)
    return {"x": radius * np.cos(angle), "y": radius * np.sin(angle)}, labels


def is_same_division(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether two labellings put the same rows together."""
    pairs = set(zip(found.tolist(), wanted.tolist(), strict=True))
    return len(pairs) == len(set(found.tolist())) == len(set(wanted.tolist()))


@pytest.mark.curriculum("CML-01")
def test_each_type_of_learning_has_its_command_and_no_method_asks_for_a_target() -> None:
    """Supervised models answer `fit`; methods without a target carry a tag of unsupervised learning."""
    assert {METHODS[name].tag for name in METHODS} == set(TAGS)
    table, labels = blobs((0, 0), (6, 6))
    assert cr.explore(table).target is None, "explore needs no labels"
    with pytest.raises(cr.ChainruleError, match="inputs and targets"):
        cr.fit(np.stack(list(table.values()), 1))
    run = cr.fit((np.stack(list(table.values()), 1), labels), epochs=1, quiet=True)
    assert run.recipe.schema.target.classes, "fit learns from labels"


@pytest.mark.curriculum("CML-23", "CML-37")
def test_k_means_recovers_two_blobs() -> None:
    table, labels = blobs((150, 50), (190, 90), spread=3)
    found = cr.explore(table, method="k-means")
    assert is_same_division(found.labels, labels)
    assert "the silhouette is highest at 2" in found.grouping.why
    told = {one.column: float(one.here) for one in found.apart[0]}
    first = found.labels == 0
    assert told["height"] == pytest.approx(table["height"][first].mean(), rel=1e-3), (
        "in the column's own units"
    )


@pytest.mark.curriculum("CML-23")
def test_inertia_never_rises() -> None:
    """Neither from one round of k-means to the next nor with a further cluster; it is what is left within clusters."""
    table = {name: np.random.default_rng(place).normal(size=200) for place, name in enumerate("abc")}
    found = [
        cr.explore(table, method=f"k-means:{rounds}", clusters=5).grouping.estimator.inertia_
        for rounds in range(1, 9)
    ]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(found))
    assert found[-1] < found[0]
    chosen = cr.explore(table).grouping
    shares = list(chosen.inertias.values())
    assert len(shares) == 10 and shares[0] == 1
    assert all(later < earlier for earlier, later in pairwise(shares))
    rows = np.stack([(values - values.mean()) / values.std() for values in table.values()], 1)
    within = sum(
        np.square(rows[chosen.labels == k] - rows[chosen.labels == k].mean(0)).sum()
        for k in range(len(chosen.sizes))
    )
    assert within / np.square(rows).sum() == pytest.approx(chosen.inertias[len(chosen.sizes)], rel=1e-4)


@pytest.mark.curriculum("CML-24")
def test_mean_shift_finds_two_modes() -> None:
    table, labels = blobs((0, 0), (5, 5))
    found = cr.explore(table, method="mean-shift")
    assert len(found.grouping.sizes) == 2 and is_same_division(found.labels, labels)
    x = np.stack(list(table.values()), 1)
    peaks = METHODS["mean-shift"](x, number=1.5).cluster_centers_
    assert np.sort(peaks[:, 0]) == pytest.approx([0, 5], abs=0.35)


@pytest.mark.curriculum("CML-25")
def test_spectral_clustering_separates_rings() -> None:
    table, labels = rings()
    found = cr.explore(table, method="spectral-clustering")
    assert is_same_division(found.labels, labels)
    assert "2 clusters" in found.grouping.why
    assert not is_same_division(cr.explore(table, method="k-means", clusters=2).labels, labels)


@pytest.mark.curriculum("CML-26")
def test_log_likelihood_of_a_mixture_never_falls() -> None:
    table, labels = blobs((0, 0), (5, 5), (0, 5))
    found = cr.explore(table, method="gaussian-mixture")
    assert is_same_division(found.labels, labels)
    assert "BIC is lowest at 3" in found.grouping.why
    wine = cr.explore("wine", method="gaussian-mixture", clusters=4).density.course
    assert len(wine) > 3, "enough rounds to see"
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(wine))


@pytest.mark.curriculum("CML-18")
def test_kernel_density_integrates_to_one() -> None:
    """In two columns, by the trapezoidal rule over a grid; with the bandwidth that the data chose."""
    table, _ = blobs((0, 0), (5, 5))
    density = cr.explore(table, method="kernel-density").density
    grid = np.linspace(-8, 8, 321)
    points = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    heights = np.exp(density.estimator.score_samples(points)).reshape(321, 321)
    assert np.trapezoid(np.trapezoid(heights, grid), grid) == pytest.approx(1, abs=1e-3)
    rows = density_rows(cr.explore(table))
    assert 0 < density.estimator.bandwidth < 0.7 * scott(rows), "Scott's rule is too wide for two blobs"
    assert "bandwidth" in density.why


@pytest.mark.curriculum("CML-27")
def test_one_component_holds_a_line() -> None:
    x = np.linspace(-3, 4, 50)
    found = cr.explore({"x": x, "y": x})
    assert found.components.shares == pytest.approx([1, 0], abs=1e-12)
    assert found.components.loadings[0] == pytest.approx([1, 1])
    assert "the first alone 100.0 %" in found.components.why


@pytest.mark.curriculum("CML-28")
def test_factor_analysis_recovers_the_covariance() -> None:
    """Rows from two factors: ΛΛᵀ + Ψ of the fit is the covariance of the columns."""
    random = np.random.default_rng(3)
    loadings = np.array([[0.9, 0.8, 0.7, 0, 0, 0.1], [0, 0.1, 0, 0.9, 0.8, 0.7]])
    noise = np.sqrt(1 - np.square(loadings).sum(0))
    rows = random.normal(size=(4000, 2)) @ loadings + random.normal(size=(4000, 6)) * noise
    found = cr.explore({f"q{i}": rows[:, i] for i in range(6)}, method="factor-analysis")
    made = found.components
    assert made.count == 2 and "2 factors, of 1 to 3" in made.why
    estimator = made.estimator
    covariance = estimator.components_.T @ estimator.components_ + np.diag(estimator.noise_variance_)
    assert covariance == pytest.approx(np.corrcoef(rows, rowvar=False), abs=0.02)
    assert covariance == pytest.approx(loadings.T @ loadings + np.diag(noise**2), abs=0.06)
    assert made.misfit == pytest.approx(np.abs(covariance - np.corrcoef(rows, rowvar=False)).max(), abs=1e-3)
    recovered = {tuple(np.flatnonzero(row > 0.5)) for row in made.loadings}
    assert recovered == {(0, 1, 2), (3, 4, 5)}, "varimax gives each factor its own columns"


@pytest.mark.curriculum("CML-35")
@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_exactly_one_tag(name: str) -> None:
    """A method can do what its tag says, and the estimator's own face agrees."""
    method = METHODS[name]
    assert [tag for tag in TAGS if tag == method.tag] == [method.tag]
    estimator = method(np.random.default_rng(0).normal(size=(30, 3)), size=2)
    face = {CLUSTERING: "labels_", DENSITY: "score_samples", REDUCTION: "transform"}
    assert hasattr(estimator, face[method.tag])
    used = {m.name for m in cr.explore("iris", method=name).methods}
    assert name in used, "and explore takes it"


@pytest.mark.curriculum("CML-38")
@pytest.mark.parametrize("method", ["gaussian-mixture", "kernel-density"])
def test_log_density_of_held_out_rows_is_reported(method: str) -> None:
    """Two blobs are more likely under what fits two blobs than under one Gaussian, and a lost row is named."""
    table, _ = blobs((0, 0), (7, 7))
    table = {name: np.append(values, 20.0 * (name == "height")) for name, values in table.items()}
    found = cr.explore(table, method=method)
    density = found.density
    assert density.mean > density.gaussian + 0.2
    assert found.values()["density"]["held_out_log_density"] == density.mean
    assert "mean log-density of rows held out" in str(found)
    assert density.lowest(1) == [120] and found.row_names[0] == "row 121"
    inside = density.estimator.score_samples(density_rows(found)).mean()
    assert density.mean < inside, "a model likes the rows that it was fitted to better"


def density_rows(found: object) -> np.ndarray:
    """Return the rows as the density saw them: all components, of which two were kept."""
    rows: np.ndarray = found.components.coordinates  # type: ignore[attr-defined]
    signs = np.sign((found.components.estimator.components_ * found.components.loadings).sum(1))  # type: ignore[attr-defined]
    return rows * signs


@pytest.mark.curriculum("CML-39")
@pytest.mark.parametrize("method", ["pca", "factor-analysis"])
def test_reduction_gives_fewer_columns(method: str) -> None:
    found = cr.explore("wine", method=method, components=3)
    assert found.coordinates.shape == (178, 3) and len(found.features) == 13
    assert found.components.loadings.shape == (3, 13)
