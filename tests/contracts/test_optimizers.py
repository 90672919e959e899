"""What every update rule of the catalogue promises."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chainrule.catalog import OPTIMIZERS, load
from chainrule.core.errors import SettingError, ShapeError
from chainrule.optim.rules import Rule, optimizer


def plain_sgd(groups: Any, **hyper: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=1, foreach=False, fused=False, **hyper)


REFERENCES: dict[str, Callable[..., torch.optim.Optimizer]] = {  # by our names of hyper-parameters
    "gradient-descent": plain_sgd,
    "sgd": plain_sgd,
    "mini-batch": plain_sgd,
    "momentum": lambda groups, momentum=0.9: plain_sgd(groups, momentum=momentum),
    "nesterov": lambda groups, momentum=0.9: plain_sgd(groups, momentum=momentum, nesterov=True),
    "adagrad": lambda groups, epsilon=1e-10: torch.optim.Adagrad(
        groups, eps=epsilon, foreach=False, fused=False
    ),
    "adadelta": lambda groups, rho=0.9, epsilon=1e-6: torch.optim.Adadelta(
        groups, rho=rho, eps=epsilon, foreach=False
    ),
    "rmsprop": lambda groups, rho=0.9, epsilon=1e-8: torch.optim.RMSprop(
        groups, alpha=rho, eps=epsilon, foreach=False
    ),
    "adam": lambda groups, beta1=0.9, beta2=0.999, epsilon=1e-8: torch.optim.Adam(
        groups, betas=(beta1, beta2), eps=epsilon, foreach=False, fused=False
    ),
    "adamw": lambda groups, beta1=0.9, beta2=0.999, epsilon=1e-8: torch.optim.AdamW(
        groups, betas=(beta1, beta2), eps=epsilon, foreach=False, fused=False
    ),
    "nadam": lambda groups, beta1=0.9, beta2=0.999, epsilon=1e-8: torch.optim.NAdam(
        groups, betas=(beta1, beta2), eps=epsilon, foreach=False
    ),
}
WITHOUT_REFERENCE = {
    "simple-nadam"
}  # torch has it not: its golden example stands in tests/optim/test_golden.py
OTHERS = {"momentum": 0.8, "beta1": 0.7, "beta2": 0.9, "rho": 0.95, "epsilon": 1e-3}  # than the defaults
GOOD_RATES = {
    "gradient-descent": 0.05,
    "sgd": 0.05,
    "mini-batch": 0.05,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.5,
    "adadelta": 50.0,
    "rmsprop": 0.02,
}
MEMBERS = 4
EACH: dict[str, list[float]] = {  # hyper-parameters of four members
    "learning_rate": [0.01, 0.03, 0.002, 0.03],
    "weight_decay": [0.0, 0.1, 0.01, 0.3],
    "momentum": [0.9, 0.5, 0.0, 0.8],
    "beta1": [0.9, 0.5, 0.8, 0.95],
    "beta2": [0.999, 0.9, 0.99, 0.95],
    "rho": [0.9, 0.95, 0.5, 0.99],
    "epsilon": [1e-8, 1e-3, 1e-6, 1e-4],
}

pytestmark = pytest.mark.parametrize("name", OPTIMIZERS)


def takes(name: str) -> set[str]:
    """Return the hyper-parameters that a rule has beside rate and decay."""
    return set(load("optimizer", name).defaults)


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


@pytest.mark.parametrize(("hyper", "decay"), [("defaults", 0.0), ("others", 0.1)])
def test_equals_torch_optim(name: str, hyper: str, decay: float) -> None:
    """A hundred updates with a rate that changes: matrices decay, biases do not."""
    if name in WITHOUT_REFERENCE:
        return
    said = {key: OTHERS[key] for key in takes(name)} if hyper == "others" else {}
    ours, theirs = network(), network()
    rule = optimizer(name, ours.parameters(), learning_rate=0.03, weight_decay=decay, **said)
    parts = [[p for p in theirs.parameters() if (p.dim() > 1) is is_matrix] for is_matrix in (True, False)]
    reference = REFERENCES[name](
        [{"params": part, "weight_decay": decay * (place == 0)} for place, part in enumerate(parts)], **said
    )
    for step in range(100):
        rate = 0.03 * (1 - step / 120)
        for group in [*rule.param_groups, *reference.param_groups]:
            group["lr"] = rate
        backward(ours, step)
        backward(theirs, step)
        rule.step()
        reference.step()
    assert not torch.equal(weights(ours), weights(network())), "something was learnt"
    torch.testing.assert_close(weights(ours), weights(theirs), atol=1e-12, rtol=1e-10)


def stack() -> list[nn.Parameter]:
    """Return a matrix and a bias for each of four members, all different."""
    generator = torch.Generator().manual_seed(1)
    shapes = (MEMBERS, 3, 5), (MEMBERS, 3)
    return [nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64)) for s in shapes]


def pull(parameters: list[nn.Parameter], step: int) -> None:
    """Give parameters a gradient that depends on where they are and on the step."""
    for place, parameter in enumerate(parameters):
        parameter.grad = torch.sin(parameter.detach() * (1 + place) + step) + 0.3 * parameter.detach()


def test_member_of_a_stack_moves_as_it_would_alone(name: str) -> None:
    """A hundred updates: with the same hyper-parameters for all, with rates and decays of their own, with all their own."""
    has = [key for key in EACH if key in takes(name) or key in ("learning_rate", "weight_decay")]
    for differing in ([], ["learning_rate", "weight_decay"], has):
        hyper = {
            key: torch.tensor(EACH[key], dtype=torch.float64) if key in differing else EACH[key][0]
            for key in has
        }
        together = stack()
        rule = optimizer(name, together, members=MEMBERS, **hyper)
        alone = [[nn.Parameter(p[k].detach().clone()) for p in stack()] for k in range(MEMBERS)]
        rules = [
            optimizer(name, parameters, **{key: EACH[key][k if key in differing else 0] for key in has})
            for k, parameters in enumerate(alone)
        ]  # fmt: skip
        for step in range(100):
            pull(together, step)
            rule.step()
            for parameters, its_rule in zip(alone, rules, strict=True):
                pull(parameters, step)
                its_rule.step()
        for k, parameters in enumerate(alone):
            for place, parameter in enumerate(parameters):
                torch.testing.assert_close(
                    together[place][k], parameter.data, atol=1e-12, rtol=1e-12, msg=f"{differing}, member {k}"
                )


def test_stack_saved_and_put_back_goes_on_with_the_same_bits(name: str) -> None:
    first, again = stack(), stack()
    rules = [
        optimizer(name, each, learning_rate=torch.tensor(EACH["learning_rate"])) for each in (first, again)
    ]
    for step in range(6):
        if step == 3:
            for here, there in zip(first, again, strict=True):
                there.data.copy_(here.data)
            rules[1].load_({key: tensor.clone() for key, tensor in rules[0].tensors().items()})
        for parameters, rule in zip((first, again), rules, strict=True):
            if step < 3 and rule is rules[1]:
                continue
            pull(parameters, step)
            rule.step()
    assert all(torch.equal(here, there) for here, there in zip(first, again, strict=True))


@pytest.mark.parametrize("members", [None, MEMBERS])
def test_maximise_goes_up(name: str, members: int | None) -> None:
    down, up = stack(), stack()
    for parameters, sign, maximise in ((down, 1, False), (up, -1, True)):
        rule = optimizer(
            name, parameters, learning_rate=0.1, weight_decay=0.1, members=members, maximise=maximise
        )
        for step in range(3):
            pull(parameters, step)
            for parameter in parameters:
                parameter.grad = sign * parameter.grad
            rule.step()
    for a, b in zip(down, up, strict=True):
        torch.testing.assert_close(a, b, atol=1e-14, rtol=0)


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


@pytest.mark.curriculum("GDF-24")
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


def test_hyperparameters_of_other_rules_are_refused(name: str) -> None:
    for key in OTHERS.keys() - takes(name):
        with pytest.raises(
            SettingError, match=rf"the optimizer {name} has no {key} \(optimizers with {key}: "
        ):
            optimizer(name, network().parameters(), learning_rate=0.1, **{key: 0.5})


def test_values_that_a_hyperparameter_cannot_have_are_refused(name: str) -> None:
    for key in takes(name):
        wanted = "a positive number" if key == "epsilon" else "at least 0 and below 1"
        for value in (-0.1, math.nan, math.inf, *([] if key == "epsilon" else [1.0])):
            with pytest.raises(SettingError, match=f"^{key} must be {wanted}; got"):
                optimizer(name, network().parameters(), learning_rate=0.1, **{key: value})


def test_bad_stacks_are_refused(name: str) -> None:
    four, five = torch.full((4,), 0.1), torch.full((5,), 0.1)
    with pytest.raises(SettingError, match=r"learning_rate must be a positive number; got -1 \(member 2\)"):
        optimizer(name, stack(), learning_rate=torch.tensor([1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(ShapeError, match="as many members each; got learning_rate for 4, weight_decay for 5"):
        optimizer(name, stack(), learning_rate=four, weight_decay=five)
    with pytest.raises(
        ShapeError, match=r"learning_rate is for 5 members, .* the shape \(4, 3, 5\), not \(5, …\)"
    ):
        optimizer(name, stack(), learning_rate=five)
    with pytest.raises(
        ShapeError, match=r"learning_rate must be a number or one per member; got the shape \(4, 1\)"
    ):
        optimizer(name, stack(), learning_rate=four[:, None])
