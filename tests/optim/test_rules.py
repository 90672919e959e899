"""The update rules by their worked examples on f = θ², f' = 2θ, from θ = 1; and what may be asked of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.catalog import OPTIMIZERS, load
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.nn.activations import LEAKY_RELU, activation
from chainrule.optim.rules import Rule
from chainrule.train.settings import Settings
from chainrule.train.settings_text import parse_settings

Slope = Callable[[torch.Tensor], torch.Tensor]


def square_slope(theta: torch.Tensor) -> torch.Tensor:
    return 2 * theta


def walk(
    name: str, learning_rate: float, slope: Slope = square_slope, start: float = 1.0, **more: Any
) -> Iterator[tuple[float, Rule]]:
    """Make updates without end; give θ after each, and the rule."""
    theta = nn.Parameter(torch.tensor([[start]], dtype=torch.float64))
    rule = cr.optimizer(name, [theta], learning_rate=learning_rate, **more)
    while True:
        theta.grad = slope(theta.detach())
        rule.step()
        yield theta.item(), rule


def path(name: str, learning_rate: float, steps: int = 3, **more: Any) -> list[float]:
    return [theta for theta, _ in islice(walk(name, learning_rate, **more), steps)]


@pytest.mark.curriculum("GDF-01")
@pytest.mark.parametrize("name", ["gradient-descent", "sgd", "mini-batch"])
def test_gradient_descent(name: str) -> None:
    """D07. The step is the gradient times the learning rate (E65), from the current θ (E69)."""
    assert path(name, 0.1) == pytest.approx([0.8, 0.64, 0.512], abs=1e-12)


@pytest.mark.curriculum("GDF-13")
def test_momentum() -> None:
    """D01. The velocity of the deck has the rate inside: with a constant rate it is ours times the rate (E11)."""
    steps = [
        (theta, 0.1 * rule.tensors()["0/0/velocity"].item())
        for theta, rule in islice(walk("momentum", 0.1), 3)
    ]
    assert [theta for theta, _ in steps] == pytest.approx([0.8, 0.46, 0.062], abs=1e-12)
    assert [velocity for _, velocity in steps] == pytest.approx([0.2, 0.34, 0.398], abs=1e-12)


@pytest.mark.curriculum("GDF-14")
def test_momentum_unrolled() -> None:
    """D08. After three gradients of 1 the velocity is α (1 + β + β²); it is a sum and no average (E11)."""
    *_, (_, rule) = islice(walk("momentum", 0.1, slope=torch.ones_like), 3)
    assert 0.1 * rule.tensors()["0/0/velocity"].item() == pytest.approx(0.271, abs=1e-12)


def test_momentum_with_a_rate_that_changes_differs_from_the_form_with_the_rate_inside() -> None:
    """E11: V ← β V + α g, θ ← θ − V keeps the old rate in V, ours gives all of V the new one."""
    theta = nn.Parameter(torch.ones(1, 1, dtype=torch.float64))
    rule = cr.optimizer("momentum", [theta], learning_rate=0.1)
    inside, velocity = 1.0, 0.0
    for rate in (0.1, 0.01):
        rule.param_groups[0]["lr"] = rate
        theta.grad = torch.ones_like(theta)
        rule.step()
        velocity = 0.9 * velocity + rate
        inside -= velocity
    assert (theta.item(), inside) == pytest.approx((1 - 0.1 - 0.019, 1 - 0.1 - 0.1), abs=1e-12)


@pytest.mark.curriculum("GDF-16")
def test_nesterov() -> None:
    """D02, correct: the gradient is taken at θ − β V (E08). Parameters are that point; θ is it plus α β V."""
    found = [
        theta + 0.1 * 0.9 * rule.tensors()["0/0/velocity"].item()
        for theta, rule in islice(walk("nesterov", 0.1), 3)
    ]
    assert found == pytest.approx([0.8, 0.496, 0.17792], abs=1e-12)
    assert found[1:] != pytest.approx([0.424, -0.06688], abs=0.05), "the printed sign ends on the other side"


@pytest.mark.curriculum("GDF-17")
def test_adam() -> None:
    """D03, correct: bias corrections with the exponent t (E09). D04: ε outside the root (E10)."""
    found = path("adam", 0.1)
    assert found == pytest.approx([0.9, 0.800412, 0.701586], abs=1e-6)
    assert found[1:] != pytest.approx([0.766170, 0.611957], abs=0.03), (
        "the printed corrections stay those of t = 1"
    )
    (theta,) = path("adam", 1.0, steps=1, slope=lambda theta: torch.full_like(theta, 1e-6))
    assert 1 - theta == pytest.approx(0.990099, abs=1e-6), "inside the root it would be 0.01"


@pytest.mark.curriculum("GDF-18")
def test_defaults_of_adam() -> None:
    """G41: what is published is what stands where nothing was said; so it is with the slope of leaky-relu."""
    assert LEAKY_RELU.number == 0.01 and activation("leaky-relu") is LEAKY_RELU
    assert load("optimizer", "adam").defaults == {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    assert load("optimizer", "momentum").defaults == {"momentum": 0.9}
    rule = cr.optimizer("adam", [nn.Parameter(torch.ones(1))], learning_rate=0.1)
    assert [rule.param_groups[0][key] for key in ("beta1", "beta2", "epsilon")] == [0.9, 0.999, 1e-8]
    said = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}

    def slope(theta: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * theta) * 1e-7  # so small that ε counts

    assert path("adam", 0.1, steps=50, slope=slope) == path("adam", 0.1, steps=50, slope=slope, **said)


@pytest.mark.curriculum("GDF-19")
def test_adagrad() -> None:
    """D05. The rate shrinks with every gradient: a slope that stays takes ever shorter steps."""
    assert path("adagrad", 0.1) == pytest.approx([0.9, 0.833104, 0.780456], abs=1e-6)
    points = [1.0, *path("adagrad", 0.1, steps=100, slope=torch.ones_like)]
    steps = [a - b for a, b in pairwise(points)]
    assert steps == pytest.approx([0.1 / k**0.5 for k in range(1, 101)], rel=1e-6)


@pytest.mark.curriculum("GDF-20")
def test_rmsprop() -> None:
    """D05."""
    assert path("rmsprop", 0.1) == pytest.approx([0.683772, 0.498871, 0.369181], abs=1e-6)
    assert path("rmsprop", 0.1, rho=0.9) == path("rmsprop", 0.1) != path("rmsprop", 0.1, rho=0.99)


@pytest.mark.curriculum("GDF-21")
def test_adadelta() -> None:
    """D06."""
    found = path("adadelta", 1.0, rho=0.95, epsilon=1e-6)
    assert found == pytest.approx([0.995528, 0.991009, 0.986464], abs=1e-6)


@pytest.mark.curriculum("GDF-22")
def test_nadam() -> None:
    """D06, the simple form; `nadam` is Dozat's, whose momentum warms up, as torch has it."""
    assert path("simple-nadam", 0.1) == pytest.approx([0.81, 0.674130, 0.556829], abs=1e-6)
    assert path("nadam", 0.1)[0] == pytest.approx(1 - 0.1 * (1 + 0.45 * 0.1 / (1 - 0.45**2)), abs=1e-4)


@pytest.mark.curriculum("GDF-23")
def test_adamw() -> None:
    """D06. Where the gradient is zero θ shrinks by exactly 1 − α λ; Adam with an L2 penalty does not (E71)."""
    assert path("adamw", 0.1, weight_decay=0.01) == pytest.approx([0.899, 0.798519, 0.698911], abs=1e-6)
    nothing: Slope = torch.zeros_like
    assert path("adamw", 0.1, slope=nothing, weight_decay=0.01) == pytest.approx(
        [0.999, 0.999**2, 0.999**3], abs=1e-15
    )
    assert path("adam", 0.1, slope=nothing, weight_decay=0.01)[0] == pytest.approx(0.9, abs=1e-6)
    for_sgd = path("sgd", 0.1, weight_decay=0.01)[0]
    assert for_sgd == pytest.approx(1 - 0.1 * (2 + 0.01), abs=1e-12), (
        "for sgd penalty and decay are one thing"
    )


@pytest.mark.curriculum("GDF-24")
def test_the_eleven_of_the_course() -> None:
    named = [
        "gradient-descent",
        "sgd",
        "mini-batch",
        "momentum",
        "nesterov",
        "adagrad",
        "rmsprop",
        "adam",
        "adamw",
        "adadelta",
        "nadam",
    ]
    assert len(named) == 11 and set(named) <= OPTIMIZERS.keys()
    for name in named:
        rate = {"adadelta": 5.0, "adagrad": 0.5}.get(name, 0.05)
        theta = path(name, rate, steps=300, start=2.0)[-1]
        assert abs(theta) < 0.1, f"{name} ends at {theta}"


@pytest.mark.curriculum("GDF-26")
def test_the_step_size_has_one_name(tmp_path: Path) -> None:
    """E51: α, η and lr are the learning rate, in rules, settings and flags alike."""
    assert "learning_rate" in inspect.signature(cr.optimizer).parameters
    assert (
        "learning_rate" in inspect.signature(cr.fit).parameters and Settings(learning_rate=0.5).learning_rate
    )
    for other in ("lr", "eta", "alpha", "step_size"):
        with pytest.raises(
            UnknownNameError, match=f"no setting is called '{other}'; the step size is learning_rate"
        ):
            parse_settings([f"{other}=0.1"], dict)
        assert other not in inspect.signature(cr.optimizer).parameters
    assert parse_settings(["learning-rate=0.1"], dict) == ({"learning_rate": 0.1}, {})


@pytest.mark.curriculum("GDF-01", "GDF-12")
def test_gradient_descent_takes_all_rows_at_once(tmp_path: Path) -> None:
    """Asked for by the name of the rule or by --batch-size all; the recipe holds how many rows that are."""
    quiet: dict[str, Any] = {
        "model": "softmax-regression",
        "learning_rate": 0.5,
        "runs": tmp_path,
        "quiet": True,
    }
    by_name = cr.fit("iris", optimizer="gradient-descent", **quiet)
    by_size = cr.fit("iris", optimizer="sgd", batch_size="all", **quiet)
    assert by_name.recipe.settings.batch_size == by_size.recipe.settings.batch_size == 105
    assert by_name.history[-1]["steps"] == len(by_name.history) >= 200, "an update per epoch"
    losses = [row["train_loss"] for row in by_name.history]
    assert losses == [row["train_loss"] for row in by_size.history]
    assert all(later < earlier for earlier, later in pairwise(losses)), "smooth: no update goes up"
    smaller = cr.fit("iris", optimizer="gradient-descent", batch_size=32, epochs=3, **quiet)
    assert (smaller.recipe.settings.batch_size, smaller.history[-1]["steps"]) == (32, 3 * 4), (
        "what is said counts"
    )


def test_hyperparameters_reach_the_rule(tmp_path: Path) -> None:
    runs = [
        cr.fit(
            "iris", optimizer="momentum", settings={"momentum": share}, epochs=3, runs=tmp_path, quiet=True
        )
        for share in (None, 0.9, 0.5)
    ]
    unsaid, same, other = ([row["train_loss"] for row in run.history] for run in runs)
    assert unsaid == same != other


def test_hyperparameters_that_a_rule_does_not_have_are_refused_before_the_data_is_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        SettingError, match=r"the optimizer sgd has no beta1 \(optimizers with beta1: adam, adamw, "
    ):
        cr.fit("nowhere.csv", optimizer="sgd", settings={"beta1": 0.5}, runs=tmp_path, quiet=True)
    with pytest.raises(
        SettingError, match=r"adamw has no momentum \(optimizers with momentum: momentum, nesterov\)"
    ):
        cr.fit("iris", settings={"momentum": 0.5}, runs=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())
