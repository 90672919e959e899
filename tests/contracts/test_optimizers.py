"""What every update rule of the catalogue promises."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chainrule.catalog import OPTIMIZERS
from chainrule.core.errors import SettingError
from chainrule.optim.rules import Rule, optimizer

REFERENCES: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=1, foreach=False, fused=False),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=1, momentum=0.9, foreach=False, fused=False),
    "nesterov": lambda groups: torch.optim.SGD(
        groups, lr=1, momentum=0.9, nesterov=True, foreach=False, fused=False
    ),
    "adagrad": lambda groups: torch.optim.Adagrad(groups, foreach=False, fused=False),
    "adadelta": lambda groups: torch.optim.Adadelta(groups, foreach=False),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, alpha=0.9, foreach=False),
    "adam": lambda groups: torch.optim.Adam(groups, foreach=False, fused=False),
    "adamw": lambda groups: torch.optim.AdamW(groups, foreach=False, fused=False),
    "nadam": lambda groups: torch.optim.NAdam(groups, foreach=False),
}
GOOD_RATES = {
    "sgd": 0.05,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.5,
    "adadelta": 50.0,
    "rmsprop": 0.02,
}

pytestmark = pytest.mark.parametrize("name", OPTIMIZERS)


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).to(dtype)


def backward(model: nn.Module, step: int) -> None:
    """Give every parameter the gradient of a batch that is a function of the step."""
    generator = torch.Generator().manual_seed(step)
    parameter = next(model.parameters())
    x = torch.randn(8, 5, generator=generator, dtype=torch.float64).to(parameter.dtype)
    model.zero_grad()
    model(x).square().mean().backward()


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_equals_torch_optim(name: str, decay: float) -> None:
    """Thirty updates with a rate that changes: matrices decay, biases do not."""
    ours, theirs = network(), network()
    rule = optimizer(name, ours.parameters(), learning_rate=0.03, weight_decay=decay)
    parts = [[p for p in theirs.parameters() if (p.dim() > 1) is is_matrix] for is_matrix in (True, False)]
    reference = REFERENCES[name](
        [{"params": part, "weight_decay": decay * (place == 0)} for place, part in enumerate(parts)]
    )
    for step in range(30):
        rate = 0.03 * (1 - step / 40)
        for group in [*rule.param_groups, *reference.param_groups]:
            group["lr"] = rate
        backward(ours, step)
        backward(theirs, step)
        rule.step()
        reference.step()
    assert not torch.equal(weights(ours), weights(network())), "something was learnt"
    torch.testing.assert_close(weights(ours), weights(theirs), atol=1e-12, rtol=1e-10)


def test_decay_pulls_matrices_and_leaves_biases(name: str) -> None:
    models = network(), network()
    rules = [
        optimizer(name, model.parameters(), learning_rate=0.03, weight_decay=decay)
        for model, decay in zip(models, (0.0, 0.5), strict=True)
    ]
    for model, rule in zip(models, rules, strict=True):
        backward(model, 0)
        rule.step()
    for plain, decayed in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(plain, decayed) is (plain.dim() == 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_dtype(name: str, dtype: torch.dtype) -> None:
    model = network(dtype)
    rule = optimizer(name, model.parameters(), learning_rate=0.03)
    for step in range(3):
        backward(model, step)
        rule.step()
    assert weights(model).dtype == dtype and torch.isfinite(weights(model)).all()


def test_minimises_a_quadratic(name: str) -> None:
    """½ Σ cᵢ (θᵢ − tᵢ)² with curvatures from 1 to 10: a hundredth of the start within 300 updates."""
    curvature, target = torch.linspace(1, 10, 8), torch.linspace(-1, 1, 8)
    theta = nn.Parameter(torch.full((8,), 3.0))
    rule = optimizer(name, [theta], learning_rate=GOOD_RATES.get(name, 0.1))
    losses = []
    for _ in range(300):
        loss = (curvature * (theta - target).square()).sum() / 2
        losses.append(loss.item())
        theta.grad = None
        loss.backward()
        rule.step()
    assert losses[-1] < 0.01 * losses[0]


def test_state_saved_and_put_back_goes_on_with_the_same_bits(name: str) -> None:
    model = network(torch.float32)
    rule = optimizer(name, model.parameters(), learning_rate=0.03, weight_decay=0.1)
    for step in range(5):
        backward(model, step)
        rule.step()
    again = copy.deepcopy(model)
    saved = {key: tensor.clone() for key, tensor in rule.tensors().items()}
    other: Rule = optimizer(name, again.parameters(), learning_rate=0.03, weight_decay=0.1)
    other.load_(saved)
    for step in range(5, 10):
        for each, its_rule in ((model, rule), (again, other)):
            backward(each, step)
            its_rule.step()
        assert torch.equal(weights(model), weights(again)), step
    assert rule.tensors().keys() == other.tensors().keys()
    assert all(torch.equal(tensor, other.tensors()[key]) for key, tensor in rule.tensors().items())


def test_parameter_without_gradient_stays(name: str) -> None:
    used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    frozen = nn.Parameter(torch.ones(3), requires_grad=False)
    rule = optimizer(name, [used, unused, frozen], learning_rate=0.1)
    used.grad = torch.ones(3)
    rule.step()
    assert not torch.equal(used, torch.ones(3))
    assert torch.equal(unused, torch.ones(3)) and torch.equal(frozen, torch.ones(3))


def test_rate_zero_factor_moves_nothing(name: str) -> None:
    """A schedule that ends at 0 makes a last update that changes no weight."""
    model = network()
    rule = optimizer(name, model.parameters(), learning_rate=0.1, weight_decay=0.1)
    for group in rule.param_groups:
        group["lr"] = 0.0
    backward(model, 0)
    rule.step()
    assert torch.equal(weights(model), weights(network()))


@pytest.mark.parametrize("rate", [0.0, -0.1, math.inf, math.nan])
def test_bad_rates_are_refused(name: str, rate: float) -> None:
    with pytest.raises(SettingError, match="learning_rate must be a positive number; got"):
        optimizer(name, network().parameters(), learning_rate=rate)


@pytest.mark.parametrize("decay", [-0.1, math.inf, math.nan])
def test_bad_decays_are_refused(name: str, decay: float) -> None:
    with pytest.raises(SettingError, match="weight_decay must be 0 or a positive number; got"):
        optimizer(name, network().parameters(), learning_rate=0.1, weight_decay=decay)


def test_nothing_to_train_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="the model has no parameters to train"):
        optimizer(name, [nn.Parameter(torch.ones(1), requires_grad=False)], learning_rate=0.1)
