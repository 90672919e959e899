"""The pages on reward, chance and generalisation run, and what they say of rows of the curriculum is so."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs/pages"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_page", PAGES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reinforcement() -> ModuleType:
    pytest.importorskip("gymnasium")
    return load("reinforcement")


@pytest.fixture(scope="module")
def probabilistic() -> ModuleType:
    pytest.importorskip("pgmpy")
    pytest.importorskip("hmmlearn")
    return load("probabilistic")


@pytest.fixture(scope="module")
def generalisation() -> ModuleType:
    pytest.importorskip("statsmodels")
    return load("generalisation")


@pytest.mark.curriculum("CML-02")
def test_q_learning_solves_the_grid_from_rewards_alone(reinforcement: ModuleType) -> None:
    world = reinforcement.lake(is_slippery=False)
    learned = reinforcement.learn(world, 1500)
    fields = reinforcement.path(world, learned.policy)
    assert fields[0] == 0 and fields[-1] == 15 and len(fields) == 7, "the shortest way to the goal"
    assert reinforcement.success(world, learned.policy, 20) == 1
    assert learned.values[0].max() == pytest.approx(reinforcement.DISCOUNT**5, abs=1e-3)
    assert learned.rewards[:50].mean() < 0.5 < learned.rewards[-200:].mean(), "it was not born with it"


def test_value_iteration_is_bellmans_fixed_point(reinforcement: ModuleType) -> None:
    world = reinforcement.lake(is_slippery=True)
    values, rules = reinforcement.best_values(world), world.unwrapped.P
    for state in range(16):
        for action in range(4):
            wanted = sum(
                p * (reward + reinforcement.DISCOUNT * values[after].max() * (not is_end))
                for p, after, reward, is_end in rules[state][action]
            )
            assert values[state, action] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.curriculum("CML-16")
def test_marginals_of_three_nodes_by_enumeration(probabilistic: ModuleType) -> None:
    """P(wet) by hand: 0.8·0.4·0.9 + 0.2·(0.99·0.8 + 0.01·0.99) = 0.44838; pgmpy says the same of every question."""
    assert sum(probabilistic.joint().values()) == pytest.approx(1, abs=1e-12)
    assert probabilistic.by_enumeration("wet") == pytest.approx(0.44838, abs=1e-9)
    assert probabilistic.by_enumeration("sprinkler") == pytest.approx(0.8 * 0.4 + 0.2 * 0.01)
    for node, _, known in probabilistic.QUESTIONS:
        assert probabilistic.by_pgmpy(node, known) == pytest.approx(
            probabilistic.by_enumeration(node, known), abs=1e-9
        )


@pytest.mark.curriculum("CML-15")
@pytest.mark.parametrize("days", [(0,), (0, 1, 2), (2, 2, 0, 1, 0, 2, 1)])
def test_forward_and_viterbi_are_the_sum_and_the_best_of_all_paths(
    probabilistic: ModuleType, days: tuple[int, ...]
) -> None:
    paths = probabilistic.of_paths(days)
    score, decoded, of_path = probabilistic.by_hmmlearn(days)
    assert len(paths) == 2 ** len(days)
    assert math.exp(score) == pytest.approx(sum(paths.values()), rel=1e-9)
    assert decoded == max(paths, key=lambda path: paths[path])
    assert math.exp(of_path) == pytest.approx(max(paths.values()), rel=1e-9)


@pytest.mark.curriculum("CML-17")
def test_kernel_regression_of_a_constant_is_the_constant(generalisation: ModuleType) -> None:
    x, at = np.random.default_rng(0).uniform(0, 1, 30), np.linspace(0, 1, 11)
    found = generalisation.kernel_regression(x, np.full(30, 2.5), at, 0.1, is_linear=False)
    assert found == pytest.approx(np.full(11, 2.5), abs=1e-9)
    noisy = generalisation.kernel_regression(x, x, at, 0.1, is_linear=False)
    weights = np.exp(-np.square((at[:, None] - x) / 0.1) / 2)
    assert noisy == pytest.approx(weights @ x / weights.sum(1), abs=1e-6), "Nadaraya and Watson's mean"


@pytest.mark.curriculum("CML-19")
def test_local_regression_reproduces_a_line(generalisation: ModuleType) -> None:
    x = np.sort(np.random.default_rng(0).uniform(0, 1, 30))
    line = 4 * x - 3
    assert generalisation.kernel_regression(x, line, x, 0.1, is_linear=True) == pytest.approx(line, abs=1e-9)
    assert generalisation.lowess(x, line) == pytest.approx(line, abs=1e-9)
    assert generalisation.exactness()["edge"] > 0.05, "which a mean of near rows does not"


@pytest.mark.curriculum("GEN-05")
def test_simple_fits_are_biased(generalisation: ModuleType) -> None:
    straight, fourth = generalisation.spread(1), generalisation.spread(4)
    assert straight.bias > 10 * fourth.bias
    assert straight.error == pytest.approx(straight.bias + straight.variance, rel=1e-9)


@pytest.mark.curriculum("GEN-06")
def test_rich_fits_vary(generalisation: ModuleType) -> None:
    straight, ninth = generalisation.spread(1), generalisation.spread(9)
    assert len(ninth.fits) == 200
    assert ninth.variance > 2 * straight.variance
    assert ninth.error == pytest.approx(ninth.bias + ninth.variance, rel=1e-9)


@pytest.mark.curriculum("GEN-15")
def test_no_learner_is_best_over_all_labelings(generalisation: ModuleType) -> None:
    everywhere = generalisation.free_lunch(generalisation.all_labelings())
    assert len(generalisation.all_labelings()) == 2**8 and len(everywhere) == 4
    assert list(everywhere.values()) == pytest.approx([0.5] * 4, abs=1e-12)
    assumed = generalisation.free_lunch(generalisation.threshold_labelings())
    assert len(generalisation.threshold_labelings()) == 104, "the separable functions of three bits"
    assert assumed["logistic regression"] > 0.6, "with an assumption that holds, learning pays"


@pytest.mark.curriculum("CML-36")
def test_glossary_tells_artificial_intelligence_from_machine_learning(generalisation: ModuleType) -> None:
    """One slide gives the first the definition of the second."""
    words = generalisation.GLOSSARY
    assert list(words) == ["Artificial intelligence", "Machine learning", "Deep learning"]
    own, _, slide = words["Artificial intelligence"].partition("(Some slides")
    assert "learns" not in own and "definition of machine learning" in slide
    assert "learns from data" in words["Machine learning"] and "not seen" in words["Machine learning"]
    assert "many layers of representations" in words["Deep learning"]
    written = (PAGES.parent / "generalisation.md").read_text("utf-8")
    assert all(f"**{word}**: {said}" in written for word, said in words.items())


def test_pages_at_small_scale(
    reinforcement: ModuleType, probabilistic: ModuleType, generalisation: ModuleType, tmp_path: Path
) -> None:
    reinforcement.main(tmp_path, episodes=800)
    probabilistic.main(tmp_path)
    generalisation.main(tmp_path, resamples=20)
    for name, said in (
        ("reinforcement", "reaches the goal in 6 steps"),
        ("probabilistic", "| P(wet) | 0.448380 | 0.448380 |"),
        ("generalisation", "| logistic regression | 0.5000 |"),
    ):
        assert said in (tmp_path / f"{name}.md").read_text("utf-8")
    assert len(list((tmp_path / "pictures").glob("*.svg"))) == 4
