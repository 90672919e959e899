"""Which plan a run goes by: the one that was asked for, that of another run, one measured before, or one measured now.

Compiling comes last and apart, since it takes many seconds: only where the updates of the run are predicted to save more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from chainrule.core.errors import ChainruleError
from chainrule.core.processor import machine_name
from chainrule.data.batches import Batch, Batches
from chainrule.jobs import folder as folders
from chainrule.jobs.workshop import make_step
from chainrule.train import compile_costs, own_kernels, plan_cache, winograd
from chainrule.train.candidates import candidates, other_threads
from chainrule.train.choice import choose
from chainrule.train.compile_costs import Prospect
from chainrule.train.compile_trial import try_compiled
from chainrule.train.native_build import SAVED_BY_WORK, SAVED_SECONDS, is_compiled, pays, why_no_library
from chainrule.train.native_step import why_not_native_step
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan, make_plan, multiply_adds, names_a_way
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.training import Training, Trains

TRIED = 4  # batches that trials go over
LEAST_UPDATES = 100  # of the run: a twentieth of fewer holds not even the first look at plain execution
SLOWER = 1.5  # times the predicted time of the first epoch, from which on a plan is measured anew
AROUND_SECONDS = 20e-6  # of an update: its batch, the schedule and the report
COMPILED = "/compiled"  # after the name of a plan: the same plan compiled
UNSEEN_SECONDS = 0.05  # of an epoch that no prediction holds: validation, history, the terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan of a run, the name under which it is kept, and how it came about, a sentence each.

    `prospect` is there where compiling the plan is worth trying: `try_compiling`. `notes` are for everybody, `details` for
    whoever asks.
    """

    plan: Plan
    key: str = ""
    details: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    prospect: Prospect | None = None


def check_plan(settings: Settings, runs: Path) -> Plan:
    """Return the plan that a run starts from, before its network is known. Raises: SettingError, RunError"""
    if names_a_way(settings.plan):
        return make_plan(settings.plan, settings.device)
    return _plan_of(settings, runs)


def plan_for(recipe: Recipe, training: Training, runs: Path) -> Planned:
    """Return the plan of a run, now that its network is known; measured, where nothing was asked for."""
    settings = recipe.settings
    if not names_a_way(settings.plan):
        return Planned(plan=_plan_of(settings, runs))
    asked = unmeasured_plan(recipe, training)
    return Planned(plan=asked) if settings.plan != "auto" else _measured(recipe, training, asked)


def unmeasured_plan(recipe: Recipe, training: Training) -> Plan:
    """Return the plan that was asked for, with as many threads as the work of a batch is worth."""
    plan = make_plan(recipe.settings.plan, recipe.settings.device, _work(training))
    return replace(plan, machine=machine_name())


def _work(training: Training) -> int:
    batches = training.batches
    return multiply_adds(training.step.objective.model, batches.inputs[:1]) * batches.batch_size


def ways_of(recipe: Recipe, training: Training) -> list[str]:
    """Return the ways to run that apply to a network here, as `--plan` takes them."""
    plain = unmeasured_plan(recipe, training)
    return [plan.way for plan in candidates(training.step.objective, plain)]


def is_elsewhere(plan: Plan) -> bool:
    """Whether a plan was made on another machine."""
    return plan.machine not in ("", machine_name())


def plan_anew(recipe: Recipe, training: Training) -> Planned:
    """Return the plan of a run that was moved here. The kind of step stays: what is saved of the optimizer depends on it."""
    plain = unmeasured_plan(recipe, training)
    if recipe.plan.step == "dense":
        return Planned(plan=replace(plain, step="dense"))
    return _measured(recipe, training, plain, is_moved=True)


def _plan_of(settings: Settings, runs: Path) -> Plan:
    """Return the plan of another run. Raises: SettingError where there is no such run"""
    try:
        folder = folders.find(Path(settings.plan), runs)
    except ChainruleError:
        make_plan(settings.plan, settings.device)  # says what --plan takes
        raise
    return Recipe.from_json(folder.recipe(), str(folder.path / folders.RECIPE)).plan


def _measured(recipe: Recipe, training: Training, plain: Plan, *, is_moved: bool = False) -> Planned:
    objective, updates = training.step.objective, training.schedule.steps
    _compile_if_worth(objective, plain, updates, _work(training))
    key = _key(recipe, training)
    for name in (key, _of_length(key, updates)):
        kept = plan_cache.find(name)
        if kept is not None and not (is_moved and kept.step == "dense"):
            planned = Planned(plan=replace(kept, reason="measured in an earlier run"), key=name)
            return _kept_compiled(planned, updates) or _with_prospect(planned, training)
    ways = [way for way in candidates(objective, plain) if not (is_moved and way.step == "dense")]
    if len(ways) == 1 and not other_threads(plain, _work(training)):
        return Planned(plan=replace(plain, reason=f"{plain.reason}; no other way applies here"))
    if updates < LEAST_UPDATES:
        reason = f"{plain.reason}; {updates:,} updates are too few to try others"
        return Planned(plan=replace(plain, reason=reason))
    return _with_prospect(_chosen(recipe, training, ways, key), training)


def _compile_if_worth(objective: Objective, plain: Plan, updates: int, work: int) -> None:
    """Compile what this network could go by, once for this machine, where this run alone saves half of what that takes."""
    if plain.device != "cpu":
        return
    of_chains, of_filters = (
        updates * (SAVED_SECONDS + work * SAVED_BY_WORK),
        updates * work * winograd.SAVED_BY_WORK,
    )
    if pays(of_chains) and not is_compiled() and why_not_native_step(objective) is None:
        why_no_library()
    if pays(of_filters, winograd.COMPILE_SECONDS) and winograd.has_fitting_layers(objective.model):
        own_kernels.compile_all()


def _key(recipe: Recipe, training: Training) -> str:
    """Return the name under which the plan of a job is kept."""
    about = {
        name: getattr(recipe.settings, name)
        for name in (
            "optimizer", "l1", "weight_decay", "penalty", "clip_norm", "clip_value", "decay_with_loss", "device",
        )
    }  # fmt: skip
    about["native"], about["winograd"] = is_compiled(), own_kernels.are_compiled()
    return plan_cache.key_of(training.step.objective, training.batches, about, recipe.versions["chainrule"])


def _of_length(key: str, updates: int) -> str:
    """Return the name for runs of one length: a longer run has time for more ways."""
    return f"{key}/{updates} updates"


def _chosen(recipe: Recipe, training: Training, ways: list[Plan], key: str) -> Planned:
    """Try ways, of which the first is plain execution, and keep the plan that is chosen, unless nothing was measured."""
    updates = training.schedule.steps
    with ways[0].applied():  # for whatever is computed around trials too
        choice = choose(
            training.step.objective,
            ways,
            lambda plan, copy: make_step(replace(recipe, plan=plan), copy),
            _some(training.batches),
            updates,
            _work(training),
        )
    is_whole, tried = choice.tried == len(choice.trials), choice.tried
    name = key if is_whole else _of_length(key, updates) if tried > 1 else ""
    if choice.plan.update_seconds is None:
        name = ""
    failed = plan_cache.keep(name, choice.plan) if name else ""
    return Planned(
        plan=choice.plan,
        key=name,
        details=(
            f"tried {tried} of {len(choice.trials)} ways to run in {choice.seconds:.2f} s:",
            *(f"  {trial}" for trial in choice.trials),
            *([failed] if failed else []),
        ),
    )


def _kept_compiled(planned: Planned, updates: int) -> Planned | None:
    """Return the plan as an earlier run compiled it, where reading what was compiled takes less than it saves."""
    kept = plan_cache.find(planned.key + COMPILED)
    if kept is None or kept.update_seconds is None or planned.plan.update_seconds is None:
        return None
    saving = updates * (planned.plan.update_seconds - kept.update_seconds)
    if saving <= compile_costs.WORTH * compile_costs.WARM_SECONDS:
        return None
    return replace(planned, plan=replace(kept, reason="compiled and measured in an earlier run"))


def _with_prospect(planned: Planned, training: Training) -> Planned:
    """Say whether compiling is worth trying, and in the details why not."""
    if planned.plan.step != "autograd":
        return planned
    if compile_costs.compiler() is None:
        return replace(
            planned, details=(*planned.details, "compiling is not tried: there is no C++ compiler")
        )
    found = compile_costs.prospect(
        training.step.objective.model, planned.plan, training.schedule.steps - training.number
    )
    if found.is_worth_it:
        return replace(planned, prospect=found)
    return replace(planned, details=(*planned.details, f"compiling is not tried: {found}"))


def try_compiling(planned: Planned, recipe: Recipe, training: Training) -> Planned:
    """Return the plan compiled, where that is faster and computes the same; what it took is kept for later runs."""
    prospect, objective = planned.prospect, training.step.objective
    assert prospect is not None
    trial = try_compiled(
        objective,
        replace(unmeasured_plan(recipe, training), threads=planned.plan.threads),
        planned.plan,
        lambda plan, copy: make_step(replace(recipe, plan=plan), copy),
        _some(training.batches),
        training.schedule.steps - training.number,
    )
    model = objective.model
    kept = [
        compile_costs.keep(model, planned.plan, seconds=trial.seconds, gain=trial.gain, is_cold=trial.is_cold)
    ]
    if trial.plan is not None and planned.key:
        kept.append(plan_cache.keep(planned.key + COMPILED, trial.plan))
    return replace(
        planned,
        plan=trial.plan or planned.plan,
        notes=(*planned.notes, str(trial)),
        details=(f"  {trial.uncompiled}", f"  {trial.compiled}", *(failed for failed in kept if failed)),
        prospect=None,
    )


def _some(batches: Batches) -> list[Batch]:
    """Return some whole batches of the first epoch."""
    return list(islice(batches.epoch(0), min(TRIED, max(1, len(batches) - 1))))


def about_slowness(planned: Planned, seconds: float, updates: int) -> str | None:
    """Say that an epoch took much longer than was measured, and forget the plan then."""
    predicted = updates * ((planned.plan.update_seconds or 0.0) + AROUND_SECONDS) + UNSEEN_SECONDS
    if planned.plan.compiled:
        predicted += compile_costs.WARM_SECONDS
    if not planned.key or seconds <= SLOWER * predicted:
        return None
    plan_cache.drop(planned.key)
    plan_cache.drop(planned.key + COMPILED)
    return (
        f"the first epoch took {seconds:.2f} s, and {predicted:.2f} s were to be expected of this plan: another program may "
        "have wanted the machine. The plan is not kept: the next run measures anew"
    )


def about_saving(planned: Planned, training: Trains) -> str:
    """Say what a measured plan was to save, and what the run took."""
    plan = planned.plan
    if plan.speed is None or plan.update_seconds is None:
        return f"plan {plan.way}: {plan.reason}"
    made = training.number
    took = sum(row["seconds"] for row in training.history)
    return (
        f"plan {plan.way} ({plan.reason}): {made:,} updates in {took:.2f} s with validation; predicted were "
        f"{made * plan.update_seconds:.2f} s, and {made * plan.update_seconds * plan.speed:.2f} s of plain execution"
    )
