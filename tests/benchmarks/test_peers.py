"""The benchmarks can be imported without any of the peers, and the loops written by hand train."""

import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"
RECORD = {"ratio": 0.4, "low": 0.3, "high": 0.5}


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_benchmarks_import(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__


@pytest.mark.parametrize("peer", ["plain_loop", "index_loop", "sklearn_peer", "jax_peer", "skorch_peer"])
def test_peers_learn(peer: str) -> None:
    networks, sides = importlib.import_module("peers.networks"), importlib.import_module("peers.sides")
    side = next(side for side in sides.JOBS if side.module == peer)
    if side.missing:
        pytest.skip(f"{', '.join(side.missing)} not installed")
    drawn = np.random.default_rng(0)
    y = drawn.integers(0, 3, 120)
    x = (60 * y[:, None, None, None] + drawn.integers(0, 20, (120, 1, 4, 4))).astype(np.uint8)
    network = networks.mlp(16, 12, 3)
    answer = side.load().train(network, x, y, networks.Work(40, 20, 0.01, seed=0))
    assert (answer(x) == y).mean() > 0.95


def test_lenet_is_that_of_the_catalogue() -> None:
    networks, model = importlib.import_module("peers.networks"), importlib.import_module("peers.torch_model")
    from chainrule.models import build

    ours = build("lenet", inputs=(1, 28, 28), units=10)
    theirs = model.torch_model(networks.LENET)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    pictures = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours(pictures), theirs(pictures))


def test_a_peer_that_is_not_installed_is_named() -> None:
    sides, table = importlib.import_module("peers.sides"), importlib.import_module("table")
    absent = replace(sides.JOBS[0], name="Other", packages=("package_of_nobody",))
    present, skipped = sides.split_by_presence((sides.JOBS[0], absent))
    assert [side.name for side in present] == [sides.JOBS[0].name]
    assert skipped == {"Other": "package_of_nobody not installed"}
    found = {"seconds": 1.0, "accuracy": 0.9, **RECORD}
    shown = table.job_table(
        {"network": "MLP", "plan": "plain", "goal": 0.5, "skipped": skipped,
         "sides": {"chainrule": {**found, "seconds": 0.4}, "loop": found}}
    )  # fmt: skip
    assert "| Other | package_of_nobody not installed | | |" in shown
    assert "| loop | 1.00 | 0.900 | 1/2.50 (1/3.33 to 1/2.00) |" in shown
    assert "Goal: at most 1/2.00 of loop, the fastest peer: reached (1/2.50)." in shown


def test_a_run_is_opened_and_not_trained() -> None:
    """The benchmarks take the plan, the recipe and the data of a run at its first update."""
    networks, side = (
        importlib.import_module("peers.networks"),
        importlib.import_module("peers.chainrule_side"),
    )
    x, y = np.random.default_rng(0).standard_normal((32, 4), dtype=np.float32), np.arange(32) % 3
    run, plan = side.updates(networks.mlp(4, 5, 3), x, y, 0.01, 2, plan="plain")
    with run.stack:
        run()
    assert plan.startswith("plain (")


def test_the_interval_of_two_one_sided_tests() -> None:
    """A 90 % interval of the paired t statistic, as SciPy has it."""
    from scipy.stats import ttest_1samp

    differences = [0.004, -0.002, 0.0, 0.001, 0.003]
    found = importlib.import_module("plans_agree").interval(differences)
    expected = ttest_1samp(differences, 0).confidence_interval(0.9)
    assert found[1:] == pytest.approx((expected.low, expected.high))
