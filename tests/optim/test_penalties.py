"""Penalties: the decks' numbers, exact zeros, and what coupled and decoupled have in common."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chainrule import AutogradStep, Objective, Regression, build, optimizer
from chainrule.catalog import OPTIMIZERS
from chainrule.core.errors import SettingError
from chainrule.optim.penalties import L1, L2, Penalty, penalised, penalty_of, soft_threshold

THETA = (1.0, -2.0, 3.0)


def weights(values: tuple[float, ...] = THETA) -> nn.Parameter:
    return nn.Parameter(torch.tensor([values], dtype=torch.float64))


def gradient_of(penalty: Penalty) -> list[float]:
    """What a penalty adds to the gradient of a loss that is flat."""
    (theta,) = penalty.weights
    theta.grad = torch.zeros_like(theta)
    penalty.before_update_(0.1)
    return theta.grad[0].tolist()


def step_for(
    model: nn.Module, rule: str, rate: float = 0.1, *, decay: float = 0.0, **strengths: Any
) -> AutogradStep:
    """An update of ½ (w·x − y)² with a penalty, as `fit` puts it together."""
    said = {"l1": 0.0, "penalty": None, **strengths}
    penalty, by_rule = penalty_of(model.parameters(), rule, weight_decay=decay, **said)
    bound = optimizer(rule, model.parameters(), learning_rate=rate, weight_decay=by_rule)
    return AutogradStep(Objective(model, Regression(["v"], "half-squared-error")), bound, penalty=penalty)


def linear(values: tuple[float, ...], *, bias: float | None = None) -> nn.Linear:
    model = nn.Linear(len(values), 1, bias=bias is not None).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([values]))
        if bias is not None:
            model.bias.fill_(bias)
    return model


def rows(count: int = 40, columns: int = 3) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(count, columns, generator=random, dtype=torch.float64)
    return x, x[:, :1] * 2 + 0.3 * torch.randn(count, 1, generator=random, dtype=torch.float64)


# ---- values and gradients


@pytest.mark.curriculum("REG-01")
def test_l2_adds_its_value_and_gradient() -> None:
    """D13. The deck's λ Σ θ² with λ = 0.1 is a weight decay of 0.2: 1.4, gradient 2 λ θ (E70)."""
    penalty = Penalty([weights()], l2=0.2)
    assert penalty.value().item() == pytest.approx(1.4, abs=1e-12)
    assert gradient_of(penalty) == pytest.approx([0.2, -0.4, 0.6], abs=1e-12)


@pytest.mark.curriculum("REG-01")
@pytest.mark.parametrize("kind", ["coupled", "decoupled"])
def test_a_step_of_gradient_descent_shrinks_weights_by_their_share(kind: str) -> None:
    """Factor 1 − 2 α λ = 1 − 0.1 · 0.2 where the loss of the data is flat; this loss is reported without the penalty."""
    model = linear(THETA)
    step = step_for(model, "sgd", decay=0.2, penalty=kind)
    outcome = step(torch.zeros(4, 3).double(), torch.zeros(4, 1).double())
    assert model.weight[0].tolist() == pytest.approx([0.98 * w for w in THETA], abs=1e-12)
    assert outcome.loss.item() == 0 and step.penalty is not None
    assert step.penalty.value().item() == pytest.approx(1.4 * 0.98**2, abs=1e-12)


@pytest.mark.curriculum("REG-03")
def test_l1_adds_its_value_and_subgradient() -> None:
    """D13."""
    penalty = Penalty([weights()], l1=0.1)
    assert penalty.value().item() == pytest.approx(0.6, abs=1e-12)
    assert gradient_of(penalty) == pytest.approx([0.1, -0.1, 0.1], abs=1e-12)


@pytest.mark.curriculum("REG-04")
def test_elastic_net_is_both() -> None:
    """D13. λ₁ = 0.1 and λ₂ = 0.01: 0.6 + 0.14. Neither alone is an elastic net (E30)."""
    penalty = Penalty([weights()], l1=0.1, l2=2 * 0.01)
    assert penalty.value().item() == pytest.approx(0.74, abs=1e-12)
    assert gradient_of(penalty) == pytest.approx([0.1 + 0.02, -0.1 - 0.04, 0.1 + 0.06], abs=1e-12)


@pytest.mark.parametrize("term", [L1, L2], ids=lambda term: term.name)
def test_declared_derivatives_are_those_of_the_values(term: Any) -> None:
    at = torch.tensor([-2.0, -0.1, 0.4, 3.0], dtype=torch.float64, requires_grad=True)
    term.value(at).sum().backward()
    torch.testing.assert_close(at.grad, term.derivative(at.detach()), rtol=1e-12, atol=1e-12)
    # A small decoupled step is a step along the gradient.
    after = term.shrink(at.detach(), 1e-3)
    torch.testing.assert_close(after, at.detach() - 1e-3 * term.derivative(at.detach()), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("l1", "l2"), [(-0.1, 0.0), (0.0, -1.0), (float("nan"), 0.0), (0.0, float("inf"))])
def test_strengths_that_make_no_sense(l1: float, l2: float) -> None:
    with pytest.raises(SettingError, match="must be 0 or a positive number; got"):
        Penalty([weights()], l1=l1, l2=l2)


# ---- who is penalised, and where


def test_biases_and_gains_stay_free() -> None:
    """The printed sums start at 0 and take the intercept in; here it is left out (E31)."""
    model = build("mlp", inputs=4, units=2, hidden=(5,))
    assert [tuple(w.shape) for w in penalised(model.parameters())] == [(5, 4), (2, 5)]
    for kind in ("coupled", "decoupled"):
        model = linear(THETA, bias=5.0)
        x = torch.zeros(4, 3).double()
        step_for(model, "sgd", decay=0.2, l1=0.1, penalty=kind)(x, torch.full((4, 1), 5.0).double())
        assert model.bias.item() == 5.0 and not torch.equal(model.weight, linear(THETA).weight)


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_what_is_coupled_without_a_word(rule: str) -> None:
    """As ever: the rule itself decays, decoupled in adamw alone; an L1 penalty then follows it."""
    parameters = [weights()]
    penalty, by_rule = penalty_of(parameters, rule, l1=0.0, weight_decay=0.1, penalty=None)
    assert by_rule == 0.1
    assert (penalty is None) == (rule == "adamw") and (penalty is None or not penalty.acts)
    with_l1, _ = penalty_of(parameters, rule, l1=0.1, weight_decay=0.0, penalty=None)
    assert with_l1 is not None and with_l1.is_coupled == (rule != "adamw")
    assert penalty_of(parameters, rule, l1=0.0, weight_decay=0.0, penalty="coupled") == (None, 0.0)


def trained(rule: str, decay: float, kind: str | None, rate: float = 0.01) -> Tensor:
    model, (x, y) = linear(THETA), rows()
    step = step_for(model, rule, rate, decay=decay, penalty=kind)
    for _ in range(30):
        step(x, y)
    return model.weight.detach()


def test_coupled_and_decoupled_are_one_for_gradient_descent_alone() -> None:
    """E71: the same for plain gradient descent; Adam divides a coupled penalty, so decoupled it is AdamW."""
    near = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(trained("sgd", 0.5, "coupled"), trained("sgd", 0.5, "decoupled"), **near)
    torch.testing.assert_close(trained("adam", 0.5, "decoupled"), trained("adamw", 0.5, None), **near)
    torch.testing.assert_close(trained("adamw", 0.5, "coupled"), trained("adam", 0.5, None), **near)
    assert (trained("adam", 0.5, "coupled") - trained("adam", 0.5, "decoupled")).abs().max() > 1e-3


@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["coupled", "decoupled"])
def test_every_rule_takes_both(rule: str, kind: str) -> None:
    """The hook around a rule does what the rule's own decay does, where it has that kind."""
    own = None if (kind == "decoupled") == (rule == "adamw") else "other"
    shrunk, free = trained(rule, 0.5, kind), trained(rule, 0.0, None)
    assert shrunk.norm() < free.norm()
    if own is None:
        torch.testing.assert_close(shrunk, trained(rule, 0.5, None), rtol=0, atol=0)


def test_decay_in_proportion_to_the_loss_reaches_the_hook() -> None:
    model = linear(THETA)
    step = step_for(model, "sgd", decay=0.2, penalty="decoupled")
    step.decay_with_loss = True
    step(torch.zeros(4, 3).double(), torch.full((4, 1), 1.0).double())  # ½ · 1² = 0.5
    assert model.weight[0].tolist() == pytest.approx([(1 - 0.1 * 0.2 * 0.5) * w for w in THETA], abs=1e-12)


# ---- exact zeros


def test_soft_threshold() -> None:
    found = soft_threshold(torch.tensor([1.0, -2.0, 0.3, -0.3, 0.5]), 0.5)
    assert found.tolist() == [0.5, -1.5, 0, 0, 0]


@pytest.mark.curriculum("REG-05")
@pytest.mark.parametrize("rule", [rule for rule in OPTIMIZERS if rule != "adadelta"])
def test_l1_sets_weights_to_exactly_0_under_every_rule(rule: str) -> None:
    """Only the first column says something. L2 leaves the others small; L1, in the loss, makes them 0 and keeps them so."""
    x, y = rows(60, 5)
    rates = {"adagrad": 0.3, "sgd": 0.3}
    found = {}
    for name, strengths in (("lasso", {"l1": 0.1}), ("ridge", {"decay": 0.1})):
        model = linear((0.5, -0.5, 0.5, -0.5, 0.5))
        step = step_for(model, rule, rates.get(rule, 0.02), penalty="coupled", **strengths)
        for number in range(600):
            step.prepare(number, 1 - number / 600)
            step(x, y)
        found[name] = model.weight[0].detach()
    assert found["lasso"][1:].tolist() == [0.0] * 4 and 1.5 < found["lasso"][0] < 2
    assert (found["ridge"] != 0).all()


def test_a_weight_leaves_0_to_the_side_where_the_loss_falls() -> None:
    """At 0 the gradient of −y x counts only as far as it is longer than l1."""
    for target, wanted in ((0.5, 0.0), (1.0, 0.1 * 0.3), (-1.0, -0.1 * 0.3)):
        model = linear((0.0,))
        step_for(model, "sgd", l1=0.7)(torch.ones(1, 1).double(), torch.full((1, 1), target).double())
        assert model.weight.item() == pytest.approx(wanted, abs=1e-12)


# ---- members


def test_strengths_per_member_are_those_of_each_alone() -> None:
    strengths, decays = torch.tensor([0.0, 0.1, 0.5]), torch.tensor([0.3, 0.0, 0.2])
    random = torch.Generator().manual_seed(0)
    start, gradient = torch.randn(3, 4, 2, generator=random), torch.randn(3, 4, 2, generator=random)
    start[:, 0, 0], gradient[:, 0, 0] = 0.05, 1.0  # crosses 0, where only a member with an L1 penalty stops
    for coupled in (True, False):
        together = nn.Parameter(start.clone())
        together.grad = gradient.clone()
        penalty = Penalty([together], l1=strengths, l2=decays, is_coupled=coupled)
        values = penalty.value()
        penalty.before_update_(0.1)
        with torch.no_grad():
            together -= 0.1 * together.grad
        penalty.after_update_(0.1)
        for member in range(3):
            alone = nn.Parameter(start[member].clone())
            alone.grad = gradient[member].clone()
            own = Penalty([alone], l1=strengths[member].item(), l2=decays[member].item(), is_coupled=coupled)
            assert own.value().item() == pytest.approx(values[member].item(), rel=1e-6)
            own.before_update_(0.1)
            with torch.no_grad():
                alone -= 0.1 * alone.grad
            own.after_update_(0.1)
            torch.testing.assert_close(together[member], alone, rtol=1e-6, atol=1e-7)
    assert [w.shape[0] for w in penalised([torch.zeros(3, 4, requires_grad=True)], has_members=True)] == []


# ---- scales


@pytest.mark.curriculum("REG-06")
def test_penalised_costs_have_the_printed_minimum() -> None:
    """Σ (y − x·w)² + λ Σ w², a sum over n rows, has its minimum at (XᵀX + λ I)⁻¹ Xᵀ y.

    The training loss is a mean: the same minimum is that of a weight decay of 2 λ / n beside the mean of squares, λ / n
    beside half of it (E32).
    """
    x, y = rows()
    lam = 5.0
    closed = torch.linalg.solve(x.T @ x + lam * torch.eye(3).double(), x.T @ y)[:, 0]
    model = linear((0.0, 0.0, 0.0))
    step = step_for(model, "momentum", 0.2, decay=lam / len(x))
    for _ in range(600):
        step(x, y)
    torch.testing.assert_close(model.weight[0].detach(), closed, rtol=0, atol=1e-6)
