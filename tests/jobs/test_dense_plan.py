"""`--plan dense`: whole runs by explicit backprop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import chainrule as cr
from chainrule.core.errors import SettingError
from chainrule.train.plan import Plan
from chainrule.train.training import Training
from tests.jobs.making import make_training

RUNS: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 6},
    "iris": {"epochs": 20, "batch_size": 16, "optimizer": "momentum", "learning_rate": 0.05, "class_weight": "balanced"},
    "diabetes": {"epochs": 10, "l1": 0.001, "clip_norm": 0.5},
    "breast-cancer": {"epochs": 6, "optimizer": "rmsprop", "learning_rate": 0.001, "pretrain": 2},
}  # fmt: skip


def trained(data: str, plan: str, **settings: Any) -> Training:
    with Plan(device="cpu", threads=1).applied():
        training = make_training(data, plan=plan, **settings)
        for _ in training.reports():
            pass
    return training


@pytest.mark.parametrize("data", RUNS)
def test_a_run_is_that_of_autograd_to_the_precision_of_float32(data: str) -> None:
    plain, dense = (trained(data, plan, **RUNS[data]) for plan in ("plain", "dense"))
    assert type(dense.step) is cr.DenseStep
    torch.testing.assert_close(torch.tensor(dense.losses), torch.tensor(plain.losses), rtol=1e-4, atol=1e-5)
    theirs = plain.step.objective.model.state_dict()
    for name, weights in dense.step.objective.model.state_dict().items():
        torch.testing.assert_close(weights, theirs[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("plan", ["dense", "dense,bfloat16"])
@pytest.mark.parametrize("data", RUNS)
def test_repeated_and_taken_up_runs_have_the_same_bits(data: str, plan: str) -> None:
    whole, again = (trained(data, plan, **RUNS[data]) for _ in range(2))
    with Plan(device="cpu", threads=1).applied():
        first = make_training(data, plan=plan, **RUNS[data])
        for _ in zip(range(len(first.batches) * 3 // 2), first.reports(), strict=False):
            pass
        saved = {name: tensor.clone() for name, tensor in first.tensors().items()}, first.state()
        second = make_training(data, plan=plan, **RUNS[data])
        second.restore(*saved)
        for _ in second.reports():
            pass
    wanted = whole.tensors()
    for found in (again.tensors(), second.tensors()):
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_products_in_bfloat16_reach_the_same_accuracy() -> None:
    runs = [trained("digits", plan, epochs=8) for plan in ("dense", "dense,bfloat16")]
    first, second = (run.history[-1] for run in runs)
    assert second["train_loss"] == pytest.approx(first["train_loss"], rel=0.02)
    assert second["validation_accuracy"] == pytest.approx(first["validation_accuracy"], abs=0.03)
    assert runs[0].losses != runs[1].losses


def test_the_updates_are_counted() -> None:
    """A checkpoint has their number, whether or not the rule's formula needs it."""
    for rule in ("momentum", "adam"):
        state = trained("iris", "dense", epochs=2, optimizer=rule).tensors()
        made = [tensor for name, tensor in state.items() if name.endswith("/updates")]
        assert made
        assert all(tensor.eq(state["losses"].numel()).all() for tensor in made)


def test_is_kept_in_the_recipe_and_used_again(tmp_path: Path) -> None:
    run = cr.fit("iris", epochs=3, settings={"plan": "dense"}, runs=tmp_path, quiet=True)
    assert run.recipe.plan.step == "dense"
    assert "dense (cpu" in (run.path / "report.html").read_text()
    assert cr.verify(run.path).outcome == "equal bits"
    assert "The run went by the plan dense; this is plain PyTorch" in " ".join(run.code().split())


def test_is_refused_where_it_does_not_apply(tmp_path: Path) -> None:
    with pytest.raises(
        SettingError,
        match=r"--plan dense does not apply: layer 2 .BatchNormalisation.*; --plan plain runs any",
    ):
        cr.fit(
            "digits",
            epochs=1,
            settings={"plan": "dense"},
            model_settings={"normalisation": "batch"},
            runs=tmp_path,
            quiet=True,
        )
    assert not [path for path in tmp_path.iterdir() if path.name != ".cache"]
