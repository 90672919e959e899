"""Plans of whole runs: measured once, kept, taken from another run, and chosen anew on another machine."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import chainrule as cr
from chainrule.core.errors import RunError, SettingError
from chainrule.core.processor import machine_name
from chainrule.jobs import planning
from chainrule.jobs.events import Said
from chainrule.jobs.fit import run_fit
from chainrule.jobs.planning import Planned, about_slowness
from chainrule.jobs.request import Request
from chainrule.train import candidates, choice, compile_costs, compiled, plan_cache, trials
from chainrule.train.agreement import Agreement
from chainrule.train.compile_trial import CompileTrial
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan
from chainrule.train.settings import Settings
from chainrule.train.trials import Trial


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(planning, "LEAST_UPDATES", 40)
    monkeypatch.setattr(choice, "SHARE", 100.0)  # of runs that are short, so that every way is tried
    monkeypatch.setattr(trials, "MOST_TURNS", 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "chainrule" / "plans"


def said(data: str, tmp_path: Path, **settings: object) -> list[str]:
    request = Request(data=data, settings=Settings(**settings), runs=tmp_path / "runs", verbose=True)  # type: ignore[arg-type]
    return [event.text for event in run_fit(request) if isinstance(event, Said)]


def fit(tmp_path: Path, **settings: object) -> cr.Run:
    return cr.fit("digits", epochs=10, runs=tmp_path / "runs", quiet=True, settings=settings)


def test_is_measured_once_and_then_read(tmp_path: Path, cache: Path) -> None:
    first = said("digits", tmp_path, epochs=10)
    assert any(line.startswith("tried ") for line in first)
    assert any("dense" in line for line in first)
    again = said("digits", tmp_path, epochs=10)
    assert not any(line.startswith("tried ") for line in again)
    plans = [cr.load(path).recipe.plan for path in sorted((tmp_path / "runs").glob("digits*"))]
    assert plans[0].way == plans[1].way != "plain"
    assert plans[1].reason == "measured in an earlier run"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert cr.verify(tmp_path / "runs" / "digits-mlp-1").outcome == "equal bits"


def test_few_updates_are_not_measured(tmp_path: Path) -> None:
    run = cr.fit("iris", epochs=2, runs=tmp_path, quiet=True)
    assert run.recipe.plan.is_plain
    assert "too few to try others" in run.recipe.plan.reason


def test_a_run_too_short_to_try_anything_keeps_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "SHARE", 0.001)
    lines = said("digits", tmp_path, epochs=2)
    assert any(line.startswith("tried 1 of ") for line in lines)
    assert any(line.endswith("not timed, the run is too short for it") for line in lines)
    assert not (cache / plan_cache.FILE).exists()


def test_what_a_short_run_found_is_not_taken_by_a_longer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose_from_two(objective: Objective, plans: Sequence[Plan], *others: Any) -> choice.Choice:
        found = choice.choose(objective, plans[:2], *others)
        return replace(found, trials=(*found.trials, Trial(plan=plans[-1])))

    monkeypatch.setattr(planning, "choose", choose_from_two)
    assert any(line.startswith("tried 2 of 3 ways") for line in said("digits", tmp_path, epochs=2))
    assert not any(line.startswith("tried ") for line in said("digits", tmp_path, epochs=2))
    assert any(line.startswith("tried 2 of 3 ways") for line in said("digits", tmp_path, epochs=3))


def test_the_plan_of_another_run_is_taken(tmp_path: Path) -> None:
    first = fit(tmp_path, plan="dense")
    second = fit(tmp_path, plan=str(first.path))
    assert second.recipe.plan == first.recipe.plan
    third = fit(tmp_path, plan=first.path.name)
    assert third.recipe.plan == first.recipe.plan


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--plan takes auto, a run"):
        fit(tmp_path, plan="digits-mlp-9")
    (tmp_path / "runs").mkdir()
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 1}', b"\xff" * 50])
def test_a_damaged_cache_is_measured_over(tmp_path: Path, cache: Path, content: bytes) -> None:
    for folder in (cache.parent, cache):
        folder.mkdir(mode=0o700, parents=True)
    (cache / plan_cache.FILE).write_bytes(content)
    assert any(line.startswith("tried ") for line in said("digits", tmp_path, epochs=10))
    assert len(json.loads((cache / plan_cache.FILE).read_text())) >= 1


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path, cache: Path) -> None:
    cache.parent.mkdir(mode=0o700, parents=True)
    cache.write_text("a file where the folder should be")
    lines = said("digits", tmp_path, epochs=10)
    assert any("the plan is not kept for later runs" in line for line in lines)


def test_a_slow_first_epoch_drops_the_plan() -> None:
    plan = Plan(device="cpu", threads=1, step="dense", speed=5.0, update_seconds=0.001)
    plan_cache.keep("name", plan)
    planned = Planned(plan=plan, key="name")
    assert about_slowness(planned, 1.2, 1000) is None
    assert plan_cache.find("name") == plan
    text = about_slowness(planned, 1.8, 1000)
    assert text is not None and "1.80 s, and 1.07 s were to be expected" in text
    assert plan_cache.find("name") is None


def test_a_run_on_another_machine_chooses_anew(tmp_path: Path) -> None:
    run = fit(tmp_path, plan="auto")
    recipe = run.folder.recipe()
    recipe["plan"]["machine"] = "another processor"
    run.folder.write_recipe(recipe)
    lines = [
        event.text
        for event in run_fit(Request(resume=run.path, runs=tmp_path / "runs"))
        if isinstance(event, Said)
    ]
    assert any("was made on another processor; on this machine the run goes on by" in line for line in lines)
    assert cr.load(run.path).recipe.plan.machine == machine_name()


def test_a_resumed_run_keeps_its_plan(tmp_path: Path) -> None:
    run = fit(tmp_path, plan="dense,bfloat16")
    assert cr.fit(resume=run.path, quiet=True).recipe.plan == run.recipe.plan


def test_a_run_whose_plan_is_damaged(tmp_path: Path) -> None:
    run = fit(tmp_path, plan="dense")
    recipe = run.folder.recipe()
    recipe["plan"]["step"] = "loop"
    run.folder.write_recipe(recipe)
    with pytest.raises(RunError, match=r"plan\.step should be autograd or native or dense; got 'loop'"):
        fit(tmp_path, plan=str(run.path))


# ---- compiling


@pytest.fixture
def worth_compiling(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table by which compiling costs nothing and gains a lot; no explicit backprop; a compiler that changes nothing."""
    for name in ("why_not_native_step", "why_not_dense"):
        monkeypatch.setattr(candidates, name, lambda _: "it is not wanted here")
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(compile_costs, "compiler", lambda: "/usr/bin/g++")
    monkeypatch.setenv(compiled.CACHE, str(cache))
    for folder in (cache.parent, cache):
        folder.mkdir(mode=0o700, parents=True)
    entry = {"where": compile_costs.where(), "kind": compile_costs.OTHER, "layers": 3, "way": "plain"}
    (cache / compile_costs.FILE).write_text(json.dumps([entry | {"seconds": 0.001, "gain": 5.0}]))


def test_short_runs_import_no_compiler(tmp_path: Path) -> None:
    code = f"""
import sys, chainrule as cr
cr.fit("digits", epochs=3, runs={str(tmp_path)!r}, quiet=True)
sys.exit(any(name in sys.modules for name in ("torch._dynamo", "torch._inductor.compile_fx")))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("worth_compiling")
def test_what_compiling_did_not_gain_is_said_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slower(function: Callable[..., object], **_: object) -> Callable[..., object]:
        return lambda *given: (time.sleep(0.01), function(*given))[1]

    monkeypatch.setattr(torch, "compile", slower)
    lines = said("digits", tmp_path, epochs=10)
    assert any(line.startswith("compiling should take about 0 s and save") for line in lines)
    (line,) = [line for line in lines if line.startswith("compiling took")]
    assert line.endswith("the run goes on without it")
    assert any(line.strip().startswith(("compiled", "bfloat16,compiled")) for line in lines), "the details"
    assert len(compile_costs.read()) == 2 and compile_costs.read()[-1].gain < 1.1
    later = said("digits", tmp_path, epochs=10)
    assert not any(line.startswith("compiling took") for line in later)


@pytest.mark.usefixtures("worth_compiling")
def test_what_was_compiled_is_kept_beside_the_uncompiled_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gained(_: object, __: Plan, chosen: Plan, *___: object) -> CompileTrial:
        agreement = Agreement(loss_difference=0.0, cosine=1.0)
        before = Trial(plan=chosen, seconds=[1.0], agreement=agreement)
        after = Trial(plan=replace(chosen, compiled=True), seconds=[0.0001], agreement=agreement)
        return CompileTrial(uncompiled=before, compiled=after, seconds=9.0, is_cold=True)

    monkeypatch.setattr(planning, "try_compiled", gained)
    monkeypatch.setattr(compile_costs, "WARM_SECONDS", 0.0)
    run = fit(tmp_path)
    assert run.recipe.plan.compiled and compile_costs.read()[-1].seconds == 9.0
    assert cr.verify(run.path).outcome == "equal bits"
    again = fit(tmp_path).recipe.plan
    assert again.compiled and again.reason == "compiled and measured in an earlier run"
    monkeypatch.setattr(compile_costs, "WARM_SECONDS", 1e9)
    (tmp_path / "cache" / "chainrule" / "plans" / compile_costs.FILE).unlink()
    assert not fit(tmp_path).recipe.plan.compiled, "reading what was compiled would take longer than it saves"


@pytest.mark.usefixtures("worth_compiling")
def test_without_a_compiler_the_details_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_costs, "compiler", lambda: None)
    lines = said("digits", tmp_path, epochs=10)
    assert "compiling is not tried: there is no C++ compiler" in lines


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["/bin/false", "/nowhere/g++"])
def test_a_run_without_a_working_compiler_goes_on(tmp_path: Path, compiler: str) -> None:
    """Although the table promises a saving: the compiler is started, fails or is not found, and the run ends as it should."""
    code = f"""
import json, os, chainrule as cr
from chainrule.core.user_cache import user_cache_folder
from chainrule.train import candidates, compile_costs
candidates.why_not_dense = lambda _: "not wanted here"
entry = dict(where=compile_costs.where(), kind=compile_costs.OTHER, layers=3, way="plain", seconds=0.001, gain=5.0)
(user_cache_folder("plans") / compile_costs.FILE).write_text(json.dumps([entry]))
run = cr.fit("digits", epochs=10, runs={str(tmp_path)!r})
assert not run.recipe.plan.compiled
print([entry.gain for entry in compile_costs.read()])
"""
    environment = os.environ | {"CXX": compiler, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    failed = "and failed; the run goes on without it" in done.stdout
    assert failed is (compiler == "/bin/false")
    assert done.stdout.splitlines()[-1] == ("[5.0, 0.0]" if failed else "[5.0]")
