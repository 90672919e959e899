"""Scripts of ensembles: members with the bits of plain PyTorch, and the answers that the run puts together from theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import chainrule as cr
from chainrule.core.errors import RunError
from chainrule.data.read import read
from chainrule.jobs import folder as folders
from chainrule.jobs.derived import write_model
from chainrule.jobs.ensembles import BAGGING, bag, network_recipe
from chainrule.jobs.material import reading_of
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.run import Run
from chainrule.jobs.workshop import draw_start_, make_model, make_task, make_training
from chainrule.models.ensemble import Ensemble
from chainrule.train.loop import evaluate
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan
from chainrule.train.settings import Settings
from tests.jobs.scripts import Trained, check, check_layout, houses, replace_rows, run_script


def train_plainly(table: Path, runs: Path, target: str, of_model: dict[str, Any], **settings: Any) -> Trained:
    """Train each member as plain PyTorch does, and keep what a script is compared with."""
    asked = Settings(**{"model": "mlp", "epochs": 4, "members": 3, **settings})
    request = Request(data=table, target=target, settings=asked, model_settings=of_model)
    recipe, material = prepare_run(request, read(table, reading_of(asked, target)))
    recipe = replace(recipe, plan=Plan(device="cpu", threads=1))
    folder = folders.create(runs, "run", "run", recipe.to_json())
    task = make_task(recipe, material, None)
    ensemble = make_model(recipe, task.units, None)
    assert isinstance(ensemble, Ensemble)
    with recipe.plan.applied() as device:
        for number, member in enumerate(ensemble.members):
            own = network_recipe(recipe, number)
            rows = bag(recipe, material, number) if recipe.settings.ensemble == BAGGING else None
            training = make_training(own, material, device, rows=rows)
            draw_start_(training.step.objective.model, own)
            for _ in training.reports():
                pass
            training.restore_best_()
            member.load_state_dict(training.step.objective.model.state_dict())
        objective = Objective(ensemble, task)
        write_model(folder, objective, material.prepare)
        batches = replace_rows(training.batches, material.rows("test"))
        metrics = {"test": evaluate(objective, batches)}
    return Trained(Run(folder.path), metrics)


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("price", {"ensemble": "bagging"}),
        ("price,rent", {"members": 4, "vote": "median", "validation": 0.0}),
        ("price", {"metric": "mae", "patience": 2, "ensemble": "bagging", "vote": "median"}),
        ("garden", {"ensemble": "bagging"}),
        ("garden", {"vote": "majority", "class_weight": "balanced"}),
        ("garden", {"loss": "hinge"}),
        ("city", {"optimizer": "rmsprop", "ensemble": "bagging"}),
        ("city", {"vote": "majority", "metric": "f1"}),
    ],
    ids=str,
)
def test_an_ensemble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, settings: dict[str, Any]
) -> None:
    table = houses(tmp_path / "houses.csv")
    of_model = {"hidden": (8, 5), "dropout": 0.2, "normalisation": "batch"}
    script = check(train_plainly(table, tmp_path, target, of_model, **settings), capsys)
    assert ("def bag(" in script) == (settings.get("ensemble") == "bagging")


def test_the_script_of_a_run_answers_as_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its members were trained as a stack, with other rounding."""
    run = cr.fit("iris", model="mlp", epochs=5, members=3, ensemble="bagging", quiet=True, runs=tmp_path)
    script = run.code()
    check_layout(script)
    assert "it ends with the weights of the run but for rounding; it saves" in " ".join(script.split())
    found, printed = run_script(script, run.path, capsys)
    wanted = run.model.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[name], wanted[name], atol=1e-4) for name in wanted)
    assert float(printed["test loss"]) == pytest.approx(run.metrics["test"]["loss"], abs=1e-4)


@pytest.mark.parametrize("ensemble", ["boosting", "snapshot"])
def test_members_that_depend_on_each_other_are_refused(tmp_path: Path, ensemble: str) -> None:
    run = cr.fit("iris", model="mlp", epochs=4, members=2, ensemble=ensemble, quiet=True, runs=tmp_path)
    with pytest.raises(
        RunError, match=rf"the setting ensemble \({ensemble}\) is not yet supported in scripts"
    ):
        run.code()
