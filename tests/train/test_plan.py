"""Plans: what they are called, what is refused, and which way to run is chosen."""

from __future__ import annotations

import dataclasses
import functools
import time

import pytest
import torch
from torch import nn

from chainrule.core.errors import SettingError
from chainrule.models import build
from chainrule.nn.activations import Activate
from chainrule.optim.rules import optimizer
from chainrule.train import trials
from chainrule.train.agreement import Slope, agreement, slopes
from chainrule.train.candidates import candidates, other_threads, promise
from chainrule.train.choice import choose
from chainrule.train.dense_step import DenseStep
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan, make_plan
from chainrule.train.step import AutogradStep, RuleStep
from chainrule.train.task import build_task
from chainrule.train.trials import MakeStep

PLAIN = Plan(device="cpu", threads=1)
Batch = tuple[torch.Tensor, torch.Tensor]


def objective_of(*layers: nn.Module) -> Objective:
    torch.manual_seed(0)
    layers = layers or (nn.Linear(8, 16), Activate("relu"), nn.Linear(16, 3))
    return Objective(nn.Sequential(*layers), build_task("multi-class", ("a", "b", "c")))


def batches() -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(32, 8, generator=generator), torch.randint(3, (32,), generator=generator))
        for _ in range(3)
    ]


def make_step(plan: Plan, objective: Objective) -> RuleStep:
    if plan.step == "dense":
        return DenseStep(objective, lambda p: optimizer("momentum", p, learning_rate=0.1))
    return AutogradStep(objective, optimizer("momentum", objective.parameters(), learning_rate=0.1))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain", "plain (cpu, 1 thread)"),
        ("dense", "dense (cpu, 1 thread)"),
        ("dense,bfloat16", "dense,bfloat16 (cpu, 1 thread)"),
        ("bfloat16, channels-last", "bfloat16,channels-last (cpu, 1 thread)"),
        ("winograd, channels-last", "winograd (cpu, 1 thread)"),
        ("bfloat16,winograd", "bfloat16,winograd (cpu, 1 thread)"),
    ],
)
def test_is_called_by_what_is_not_plain(name: str, text: str) -> None:
    plan = make_plan(name, "cpu", 1000)
    assert str(plan) == text
    assert make_plan(plan.way, "cpu", 1000) == plan


def test_says_what_was_measured() -> None:
    measured = dataclasses.replace(PLAIN, step="dense", speed=5.13, loss_difference=0.0041)
    assert str(measured) == "dense (cpu, 1 thread) — 5.1 × plain, loss agrees to 0.41 %"


@pytest.mark.parametrize(
    "wrong",
    [{"step": "loop"}, {"precision": "half"}, {"layout": "rows"}, {"threads": 0}, {"step": "dense", "compiled": True},
     {"convolutions": "winograd"}, {"convolutions": "fast"}],
)  # fmt: skip
def test_a_plan_in_a_file_is_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"plan\."):
        dataclasses.replace(PLAIN, **wrong)  # type: ignore[arg-type]


def test_a_way_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingError, match="--plan takes auto, a run"):
        make_plan("fast", "cpu")


def test_chains_of_dense_layers_may_go_by_explicit_backprop() -> None:
    ways = {plan.way for plan in candidates(objective_of(), PLAIN)}
    assert {"plain", "dense"} <= ways
    assert not any("channels-last" in way for way in ways)


def test_the_fastest_that_agrees_is_chosen_and_the_network_is_untouched() -> None:
    objective = objective_of()
    before = {name: t.clone() for name, t in objective.state_dict().items()}
    choice = choose(objective, [PLAIN, dataclasses.replace(PLAIN, step="dense")], make_step, batches(), 10**6)
    assert choice.plan.step == "dense"
    assert choice.plan.speed is not None and choice.plan.speed > 1.5
    assert choice.plan.loss_difference == pytest.approx(0, abs=1e-5)
    assert all(torch.equal(before[name], t) for name, t in objective.state_dict().items())
    assert all(parameter.grad is None for parameter in objective.parameters())


class Cheating(DenseStep):
    """Fast, and wrong: it does nothing with the gradients of the first layer."""

    def differentiate(self, inputs: torch.Tensor, targets: torch.Tensor):  # type: ignore[no-untyped-def]
        outcome = super().differentiate(inputs, targets)
        next(self.objective.parameters()).grad.zero_()  # type: ignore[union-attr]
        return outcome


class Failing(AutogradStep):
    """A way that crashes."""

    def differentiate(self, inputs: torch.Tensor, targets: torch.Tensor):  # type: ignore[no-untyped-def]
        raise RuntimeError("could not create a primitive\nat line 1")


class NotFinite(DenseStep):
    """A way whose loss is not a number."""

    def differentiate(self, inputs: torch.Tensor, targets: torch.Tensor):  # type: ignore[no-untyped-def]
        outcome = super().differentiate(inputs, targets)
        return outcome._replace(loss=outcome.loss * torch.nan)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Cheating, "it computes something else: loss differs by"),
        (Failing, "it fails (could not create a primitive)"),
        (NotFinite, "it computes something else: loss differs by inf %"),
    ],
)
def test_what_is_wrong_or_fails_is_left_out(kind: type, said: str) -> None:
    def make(plan: Plan, objective: Objective) -> RuleStep:
        def rule(parameters):  # type: ignore[no-untyped-def]
            return optimizer("momentum", parameters, learning_rate=0.1)

        if plan.step == "autograd":
            return make_step(plan, objective)
        return kind(objective, rule(objective.parameters()) if kind is Failing else rule)  # type: ignore[no-any-return]

    choice = choose(objective_of(), [PLAIN, dataclasses.replace(PLAIN, step="dense")], make, batches(), 10**6)
    assert choice.plan.is_plain
    assert said in str(choice.trials[1])


def test_memory_that_runs_out_leaves_a_way_out() -> None:
    def make(plan: Plan, objective: Objective) -> RuleStep:
        if plan.step == "dense":
            raise MemoryError("no memory")
        return make_step(plan, objective)

    choice = choose(objective_of(), [PLAIN, dataclasses.replace(PLAIN, step="dense")], make, batches(), 10**6)
    assert choice.plan.is_plain
    assert "it fails (no memory)" in choice.trials[1].refused


def test_a_network_that_fails_plainly_is_left_to_the_run() -> None:
    objective = objective_of(nn.Linear(9, 3))
    choice = choose(objective, [PLAIN, dataclasses.replace(PLAIN, step="dense")], make_step, batches(), 10**6)
    assert choice.plan == PLAIN


def test_a_plainer_way_stands_where_another_is_hardly_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "MARGIN", 0.0)
    choice = choose(
        objective_of(), [PLAIN, dataclasses.replace(PLAIN, step="dense")], make_step, batches(), 10**6
    )
    assert choice.plan.is_plain


def test_every_way_gets_three_turns_and_more_while_there_is_time(clocked: MakeStep) -> None:
    ways = [PLAIN, dataclasses.replace(PLAIN, step="dense")]
    for updates, turns in ((400, range(3, 60)), (10**9, (trials.MOST_TURNS,))):
        first, second = choose(objective_of(), ways, clocked, batches(), updates).trials
        assert len(first.seconds) == len(second.seconds)
        assert len(first.seconds) in turns


class Clocked(AutogradStep):
    """An update takes a hundredth of a second, by a clock that stands still otherwise."""

    now = 0.0

    def differentiate(self, *batch: torch.Tensor):  # type: ignore[no-untyped-def, override]
        Clocked.now += 0.01
        return super().differentiate(*batch)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> MakeStep:
    monkeypatch.setattr(time, "perf_counter", lambda: Clocked.now)
    return lambda _, objective: Clocked(
        objective, optimizer("momentum", objective.parameters(), learning_rate=0.1)
    )


def test_trials_take_a_twentieth_of_the_run_and_the_most_promising_ways_come_first(clocked: MakeStep) -> None:
    """Trials of 800 updates may take 28: 4 first ones, 3 turns of plain execution, and 5 for every other way."""
    ways = [PLAIN, *(dataclasses.replace(PLAIN, threads=count) for count in range(2, 40))]
    ways.append(dataclasses.replace(PLAIN, step="dense"))
    choice = choose(objective_of(), ways, clocked, batches(), 800)
    assert choice.seconds <= 0.05 * 800 * 0.01
    assert choice.trials[-1].seconds, "explicit backprop promises most and is tried first"
    assert choice.tried == 5
    assert str(choice.trials[-2]).endswith("not timed, the run is too short for it")
    assert all(len(trial.seconds) >= 3 for trial in choice.trials if trial.seconds)


def test_a_run_too_short_for_any_other_way_runs_plainly_and_says_so(clocked: MakeStep) -> None:
    ways = [PLAIN, dataclasses.replace(PLAIN, precision="bfloat16")]
    choice = choose(objective_of(), ways, clocked, batches(), 60)
    assert choice.tried == 1
    assert choice.plan.is_plain and choice.plan.speed is None
    assert choice.plan.update_seconds == pytest.approx(0.01)
    assert choice.plan.reason.endswith("to try others would take more than a twentieth of the run")


def test_a_short_run_takes_explicit_backprop_untimed_if_it_computes_the_same(clocked: MakeStep) -> None:
    def cheating(plan: Plan, objective: Objective) -> RuleStep:
        if plan.step == "autograd":
            return clocked(plan, objective)
        return Cheating(objective, lambda p: optimizer("momentum", p, learning_rate=0.1))

    ways = [PLAIN, *(dataclasses.replace(PLAIN, step="dense", precision=p) for p in ("float32", "bfloat16"))]
    taken = choose(objective_of(), ways, clocked, batches(), 60)
    assert taken.tried == 1 and taken.plan.way == "dense" and taken.plan.speed is None
    assert taken.plan.reason.startswith("faster than plain wherever it was measured")
    assert choose(objective_of(), ways, clocked, batches(), 60, 500_000).plan.is_plain, "not sure enough"
    refused = choose(objective_of(), ways, cheating, batches(), 60)
    assert refused.plan.is_plain
    assert "it computes something else" in str(refused.trials[1])


def test_a_short_run_takes_the_first_sure_way_and_goes_on_where_that_is_refused(clocked: MakeStep) -> None:
    ways = [PLAIN, *(dataclasses.replace(PLAIN, step=step) for step in ("native", "dense"))]
    opened: list[str] = []

    def make(plan: Plan, objective: Objective, failing: str = "") -> RuleStep:
        opened.append(plan.way)
        if plan.step == failing:
            return Cheating(objective, lambda p: optimizer("momentum", p, learning_rate=0.1))
        return clocked(plan, objective)

    taken = choose(objective_of(), ways, make, batches(), 60)
    assert opened == ["plain", "native"] and taken.plan.way == "native"
    opened.clear()
    other = choose(objective_of(), ways, functools.partial(make, failing="native"), batches(), 60)
    assert opened == ["plain", "native", "dense"] and other.plan.way == "dense"
    assert other.plan.update_seconds is None and other.plan.reason.startswith("faster than plain wherever")
    assert "it computes something else" in str(other.trials[1])
    neither = choose(objective_of(), ways[:2], functools.partial(make, failing="native"), batches(), 60)
    assert neither.plan.is_plain


def test_the_best_way_is_tried_with_other_threads(clocked: MakeStep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.train.candidates.PROCESSORS", 2)
    choice = choose(objective_of(), [PLAIN], clocked, batches(), 2000, 3_000_000)
    assert [len(trial.seconds) >= 3 for trial in choice.trials] == [True, True]
    assert choice.trials[1].plan == dataclasses.replace(PLAIN, threads=2)
    short = choose(objective_of(), [PLAIN], clocked, batches(), 100, 3_000_000)
    assert short.tried == 1 and short.plan.threads == 1


def test_threads_are_tried_where_either_number_may_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.train.candidates.PROCESSORS", 2)
    assert other_threads(PLAIN, 1_000_000) == ()
    assert other_threads(PLAIN, 3_000_000) == (2,)
    assert other_threads(dataclasses.replace(PLAIN, threads=2), 7_000_000) == (1,)
    assert other_threads(dataclasses.replace(PLAIN, threads=2), 27_000_000) == ()


def test_what_mostly_wins_is_promising() -> None:
    names = ["compiled", "bfloat16", "bfloat16,channels-last", "dense"]
    ways = sorted((make_plan(name, "cpu") for name in names), key=promise)
    assert [plan.way for plan in ways] == names[::-1]


def test_agreement_is_that_of_the_worst_batch() -> None:
    one = Slope(loss=1.0, gradient=torch.tensor([1.0, 0.0], dtype=torch.float64))
    off = Slope(loss=1.02, gradient=torch.tensor([1.0, 1.0], dtype=torch.float64))
    found = agreement([one, off], [one, one])
    assert found.loss_difference == pytest.approx(0.02)
    assert found.cosine == pytest.approx(0.5**0.5)
    assert not found.is_close
    assert agreement([one], [one]).is_close


def test_slopes_are_taken_at_the_same_weights() -> None:
    objective = objective_of()
    step = make_step(PLAIN, objective)
    before = [p.clone() for p in objective.parameters()]
    first, second = slopes(step, batches()[:1]), slopes(step, batches()[:1])
    assert first[0].loss == second[0].loss
    assert all(map(torch.equal, before, objective.parameters()))


def test_a_model_of_the_catalogue_with_dropout_agrees_in_its_noise() -> None:
    model = build("mlp", inputs=8, units=3, hidden=(16,), dropout=0.5)
    objective = Objective(model, build_task("multi-class", ("a", "b", "c")))
    choice = choose(objective, [PLAIN, dataclasses.replace(PLAIN, step="dense")], make_step, batches(), 10**6)
    assert not choice.trials[1].refused
