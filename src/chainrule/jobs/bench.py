"""`bench`: what this machine could do, what a training step reaches of it, and what bounds the step."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chainrule.core.device import choose_device
from chainrule.core.errors import ChainruleError, SettingError
from chainrule.core.text import visible
from chainrule.data.read import read
from chainrule.explanations.costs import ModelCosts, explain_costs
from chainrule.explanations.step_parts import BATCH, Part, StepParts, parts_of
from chainrule.jobs.material import Material, reading_of
from chainrule.jobs.planning import unmeasured_plan, ways_of
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request, called, check_names, make_request
from chainrule.jobs.workshop import make_training
from chainrule.report.bench_text import PlanTime, about_machine, table_of_parts, table_of_plans
from chainrule.report.result_file import ANY_FORM, write_result
from chainrule.train.layer_times import LayerWatch
from chainrule.train.machine import Machine, machine_of, measurements
from chainrule.train.plan import make_plan
from chainrule.train.recipe import Recipe
from chainrule.train.settings import with_named
from chainrule.train.step import AutogradStep, RuleStep
from chainrule.train.step_times import LEAST_STEPS, MOST_STEPS, TimedSteps, full_batches
from chainrule.train.task import LossFunction
from chainrule.train.training import Training

DATA = "digits"
ENDINGS = ANY_FORM
SECONDS = 3.0  # for the steps, of all plans together
FEW_ROWS = 2  # of a step that pays for calls alone; normalisation over a batch needs two
PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What was measured. `text` gives the tables; `save` writes a page, a picture or the values."""

    title: str
    about: str
    machine: Machine
    step: StepParts
    plans: tuple[PlanTime, ...]  # plain first
    left_out: Mapping[str, str]  # plans that do not apply, and why

    @property
    def bound(self) -> str:
        """What bounds the step under plain execution: calls, memory or arithmetic."""
        return self.step.bound(self.machine)

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 120) -> str:
        """Return the machine, the parts of a step, the step under each plan, and what bounds it."""
        return "\n".join(
            [
                *about_machine(self.machine), "", self.about, "", *table_of_parts(self.step, self.machine, width), "",
                *table_of_plans(self.plans, width), *self._said_of_left_out(), "", self.sentence(),
            ]
        )  # fmt: skip

    def sentence(self) -> str:
        """Say what bounds the step, and what to do."""
        best = min(self.plans, key=lambda plan: plan.seconds)
        faster = (
            f" Fastest here: --plan {best.name}, {best.times_plain:.1f}× plain." if best.is_faster else ""
        )
        return self.step.sentence(self.machine) + faster

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""
        return {
            "title": self.title,
            "about": self.about,
            "machine": self.machine.values(),
            "step": self.step.values(),
            "plans": [plan.values() for plan in self.plans],
            "left_out": dict(self.left_out),
            "bound": self.bound,
            "sentence": self.sentence(),
        }

    def plot(self) -> Any:
        """Return the parts of the step as a matplotlib figure."""
        from chainrule.report.bench_page import draw

        return draw(self.step, self.machine, self.title)

    def save(self, path: str | Path) -> Path:
        """Write it: .html a page, .png or .svg a picture, .json the values. Raises: SettingError."""
        from chainrule.report.bench_page import page, picture

        return write_result(
            path,
            page=lambda: page(
                self.step, self.machine, self.plans, title=self.title, about=self.about, sentence=self.sentence(),
                left_out=self._said_of_left_out(),
            ),
            values=self.values,
            picture=lambda ending: picture(self.step, self.machine, self.title, ending),
        )  # fmt: skip

    def _said_of_left_out(self) -> list[str]:
        return [f"{name} does not apply: {why}" for name, why in self.left_out.items()]


def bench(
    data: Any = DATA,
    *,
    target: str | None = None,
    model: str | nn.Module | None = None,
    model_settings: Mapping[str, Any] | None = None,
    loss: str | LossFunction | None = None,
    settings: Mapping[str, Any] | None = None,
    plans: tuple[str, ...] = (),
    runs: str | Path = "runs",
) -> Bench:
    """Measure this machine and a training step: what each kind of layer takes of it, and the step under each plan.

    `data`, `target`, `model` and `loss` are as in `fit`; `settings` are others by name, such as {"batch_size": 128}.
    `plans` are those to compare with plain; without any, all that apply. Nothing that is trained is kept.
    Raises: ChainruleError for what cannot be done
    """
    request = make_request(
        data,
        target=target,
        model=model,
        loss=loss,
        settings=settings,
        model_settings=model_settings,
        runs=runs,
    )
    return run_bench(request, plans)


def run_bench(request: Request, plans: tuple[str, ...] = ()) -> Bench:
    """Do what a request asks. Raises: SettingError for a plan that does not apply; ChainruleError as in `fit`"""
    check_names(request.settings)
    for name in plans:
        make_plan(name, request.settings.device)
    reading = reading_of(request.settings, request.target, cache=request.runs / ".cache", track=request.track)
    request = replace(request, settings=with_named(request.settings, {"plan": PLAIN}))
    recipe, material = prepare_run(request, read(request.data, reading))
    device = choose_device(recipe.plan.device)
    training = make_training(recipe, material, device, model=request.model, loss=request.loss)
    others, left_out = _other_steps(
        request, recipe, material, device, plans, ["dense", *ways_of(recipe, training)]
    )
    plan = unmeasured_plan(recipe, training)
    with torch.random.fork_rng(devices=[]), plan.applied():
        machine = _machine(device, request)
        timed, watch = _measure(training, others, device, request)
    few = min(FEW_ROWS, training.batches.batch_size)
    return Bench(
        title=f"A training step on {visible(called(request.data), 60)}",
        about=_about(recipe, training, machine),
        machine=machine,
        step=_parts(training, timed, watch, few),
        plans=_plan_times(timed),
        left_out=left_out,
    )


def _other_steps(
    request: Request,
    recipe: Recipe,
    material: Material,
    device: torch.device,
    plans: tuple[str, ...],
    ways: list[str],
) -> tuple[dict[str, RuleStep], dict[str, str]]:
    """Return the step of every other plan that applies; of the rest why not, unless they were asked for by name."""
    steps: dict[str, RuleStep] = {}
    left_out: dict[str, str] = {}
    for name in plans or dict.fromkeys(ways):
        if name in ("auto", PLAIN):
            continue
        try:
            planned = replace(recipe, plan=make_plan(name, device.type))
            made = make_training(planned, material, device, model=request.model, loss=request.loss)
        except SettingError as error:
            if plans:
                raise
            left_out[name] = _reason(str(error))
        else:
            steps[name] = made.step
    return steps, left_out


def _reason(said: str) -> str:
    """Return the reason out of "--plan X does not apply: REASON; ADVICE"."""
    return said.partition("does not apply: ")[2].partition(";")[0] or said


def _machine(device: torch.device, request: Request) -> Machine:
    jobs = measurements(device).items()
    found = {
        name: measure()
        for name, measure in (
            jobs if request.track is None else request.track(jobs, len(jobs), "measuring the machine")
        )
    }
    return machine_of(device, found)


def _measure(
    training: Training, others: dict[str, RuleStep], device: torch.device, request: Request
) -> tuple[TimedSteps, LayerWatch]:
    """Make steps under each plan in turn, and watched ones, until the time for it is over."""
    step = training.step
    assert isinstance(step, AutogradStep)
    timed, watch = TimedSteps({PLAIN: step, **others}, device), LayerWatch(step, device)
    batches = full_batches(training.batches)
    timed.warm_up(next(batches))
    began = time.perf_counter()

    def turns() -> Iterator[int]:
        for turn in itertools.count():
            spent = time.perf_counter() - began
            if turn >= LEAST_STEPS and (spent > SECONDS or turn >= MOST_STEPS):
                return
            yield turn

    few = min(FEW_ROWS, training.batches.batch_size)
    tracked = turns() if request.track is None else request.track(turns(), MOST_STEPS, "making steps")
    for _ in tracked:
        timed.run(batches, few, watch)
    return timed, watch


def _parts(training: Training, timed: TimedSteps, watch: LayerWatch, few: int) -> StepParts:
    batches = training.batches
    rows, fetch = batches.batch_size, timed.seconds("fetch")
    parameters = sum(p.numel() * p.element_size() for p in training.step.objective.parameters())
    state = sum(t.numel() * t.element_size() for t in training.step.optimizer.tensors().values())
    row = batches.inputs[:1]
    row_bytes = (
        row.numel() * row.element_size() + batches.targets[:1].numel() * batches.targets.element_size()
    )
    return parts_of(
        watch.usual(),
        _costs(training.step.objective.model, tuple(row.shape[1:])),
        rows=rows,
        seconds=timed.seconds(PLAIN) + fetch,
        fetch=Part(name=BATCH, calls=1, forward=fetch, bytes=2 * rows * row_bytes),
        update_bytes=3 * parameters
        + 2 * state,  # weights read and written, gradients read, state read and written
        few_rows=few,
        few_seconds=timed.seconds("few") + fetch,
    )


def _costs(model: nn.Module, shape: tuple[int, ...]) -> ModelCosts | None:
    """Count the multiply-adds of the layers; None for a model of a user's own that cannot be counted so."""
    try:
        return explain_costs(model, shape)
    except (ChainruleError, RuntimeError, NotImplementedError):
        return None


def _plan_times(timed: TimedSteps) -> tuple[PlanTime, ...]:
    fetch = timed.seconds("fetch")
    plain = timed.seconds(PLAIN) + fetch
    return tuple(
        PlanTime(name=name, seconds=timed.seconds(name) + fetch, plain_seconds=plain) for name in timed.steps
    )


def _about(recipe: Recipe, training: Training, machine: Machine) -> str:
    settings = recipe.settings
    parameters = sum(p.numel() for p in training.step.objective.model.parameters())
    plural = "" if machine.threads == 1 else "s"
    return (
        f"{settings.model}, {parameters:,} parameters, {settings.optimizer}, batches of {training.batches.batch_size}, "
        f"{machine.threads} thread{plural}:"
    )
