"""A way to run beside the same way compiled: what is taken, what is said, and what is not counted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from chainrule.core.errors import PlanError
from chainrule.optim.rules import optimizer
from chainrule.train import compiled
from chainrule.train.compile_trial import CompileTrial, try_compiled
from chainrule.train.objective import Objective, Outcome
from chainrule.train.plan import Plan
from chainrule.train.step import AutogradStep, RuleStep
from chainrule.train.task import build_task

PLAIN = Plan(device="cpu", threads=1, speed=1.0, loss_difference=0.0, update_seconds=0.01)


class Clock:
    """Time that passes only when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "perf_counter", found)
    return found


class Timed(AutogradStep):
    """A step whose updates take as long as is said, and whose first batch is compiled."""

    clock: Clock
    seconds = 0.01
    before: Callable[[], None] | None = None
    factor = 1.0

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        self.clock.now += self.seconds
        return super().__call__(inputs, targets, weights)

    def differentiate(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Outcome:
        if self.before is not None:
            self.before()
            self.before = None
        outcome = super().differentiate(inputs, targets, weights)
        for parameter in self.objective.parameters():
            assert parameter.grad is not None
            parameter.grad *= self.factor
        return Outcome(outcome.loss * self.factor, outcome.losses * self.factor, outcome.outputs)


def tried(
    clock: Clock,
    *,
    compiled_seconds: float = 0.005,
    fails: str = "",
    factor: float = 1.0,
    updates: int = 1000,
) -> CompileTrial:
    def compile_first() -> None:
        clock.now += 12.0
        if fails:
            raise PlanError(fails)

    def make(plan: Plan, objective: Objective) -> RuleStep:
        step = Timed(objective, optimizer("momentum", objective.parameters(), learning_rate=0.1))
        step.clock = clock
        if plan.compiled:
            step.seconds, step.before, step.factor = compiled_seconds, compile_first, factor
        return step

    torch.manual_seed(0)
    objective = Objective(nn.Linear(4, 3), build_task("multi-class", ("a", "b", "c")))
    weights = {name: t.clone() for name, t in objective.state_dict().items()}
    batches = [(torch.randn(8, 4), torch.arange(8) % 3) for _ in range(3)]
    trial = try_compiled(objective, PLAIN, PLAIN, make, batches, updates)
    assert all(torch.equal(weights[name], t) for name, t in objective.state_dict().items())
    return trial


def test_what_is_faster_is_taken_and_its_cost_is_said_apart(clock: Clock) -> None:
    trial = tried(clock)
    assert trial.seconds == pytest.approx(12.0) and trial.gain == pytest.approx(2.0)
    assert trial.plan is not None and trial.plan.way == "compiled"
    assert trial.plan.speed == pytest.approx(2.0) and trial.plan.update_seconds == pytest.approx(0.005)
    assert str(trial) == "compiling took 12.0 s, and an update is 2.00 × as fast as uncompiled"


def test_the_time_of_compiling_is_not_that_of_trials(clock: Clock) -> None:
    """A twentieth of 100,000 updates of 10 ms is 50 s: all turns fit, although compiling took 12 s of them."""
    few, many = tried(clock, updates=1), tried(clock, updates=100_000)
    assert len(few.compiled.seconds) == 3 and len(many.compiled.seconds) == 60


@pytest.mark.parametrize("seconds", [0.0098, 0.02])
def test_what_is_hardly_faster_or_slower_is_not_taken(clock: Clock, seconds: float) -> None:
    trial = tried(clock, compiled_seconds=seconds)
    assert trial.plan is None
    assert str(trial).endswith(f"{0.01 / seconds:.2f} × as fast as uncompiled; the run goes on without it")


def test_what_fails_says_why(clock: Clock) -> None:
    trial = tried(clock, fails="torch.compile failed (CppCompileError): no room")
    assert (trial.plan, trial.gain) == (None, 0.0)
    assert str(trial) == "compiling took 12.0 s and failed; the run goes on without it"
    assert "torch.compile failed (CppCompileError): no room" in str(trial.compiled)


def test_what_computes_something_else_is_never_taken(clock: Clock) -> None:
    trial = tried(clock, factor=1.1)
    assert (trial.plan, trial.gain) == (None, 0.0)
    assert "it computes something else: loss differs by 10 %" in str(trial.compiled)
    assert str(trial) == "compiling took 12.0 s and computes something else; the run goes on without it"


# ---- the real compiler


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(compiled.CACHE, raising=False)
    yield tmp_path / "chainrule" / "compiled"
    os.environ.pop(compiled.CACHE, None)


def really_tried(objective: Objective) -> CompileTrial:
    batches = [(torch.randn(8, 4), torch.arange(8) % 3) for _ in range(3)]
    return try_compiled(objective, PLAIN, PLAIN, really_made, batches, 1)


def really_made(plan: Plan, objective: Objective) -> RuleStep:
    rule = optimizer("momentum", objective.parameters(), learning_rate=0.1)
    return AutogradStep(objective, rule, compiled_rows=8 if plan.compiled else None)


@pytest.mark.slow
def test_a_network_is_compiled_once_and_found_again(own_cache: Path) -> None:
    torch.manual_seed(0)
    objective = Objective(nn.Sequential(nn.Linear(4, 3)), build_task("multi-class", ("a", "b", "c")))
    first = really_tried(objective)
    assert first.is_cold and first.gain > 0 and first.compiled.agreement is not None
    assert own_cache.stat().st_mode & 0o777 == 0o700
    made = compiled.compilations()
    second = really_tried(objective)
    assert not second.is_cold and second.gain > 0 and compiled.compilations() == made
    assert second.seconds < first.seconds


@pytest.mark.slow
def test_a_compiler_that_fails_leaves_the_way_uncompiled(
    own_cache: Path,
) -> None:
    import torch._inductor.config

    torch.manual_seed(0)
    with torch._inductor.config.patch({"cpp.cxx": (None, "/bin/false")}):
        trial = really_tried(Objective(nn.Linear(4, 3), build_task("multi-class", ("a", "b", "c"))))
    assert (trial.plan, trial.gain) == (None, 0.0)
    assert "torch.compile failed" in str(trial.compiled)
