"""Layer-wise pre-training: a real start of a run, that resumes and verifies, and is refused where it has no sense."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chainrule.core.errors import RunError, SettingError
from chainrule.data.batches import Batches
from chainrule.jobs.events import EpochEnded
from chainrule.jobs.fit import run_fit
from chainrule.jobs.request import Request
from chainrule.jobs.run import Run
from chainrule.jobs.verify import verify
from chainrule.models import build
from chainrule.nn.initial import initialise_
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.plan import Plan
from chainrule.train.pretraining import check_can_pretrain, pretrain_
from chainrule.train.settings import Settings
from tests.jobs.making import make_training


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with Plan(device="cpu", threads=1).applied():
        yield


@pytest.mark.curriculum("INI-07", "UNS-03")
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_lowers_the_loss_of_the_first_epoch(activation: str) -> None:
    def first_epoch(pretrain: int | None) -> dict[str, float]:
        training = make_training(
            "digits", model="mlp", pretrain=pretrain, epochs=10, batch_size=32, optimizer="sgd", learning_rate=0.1,
            schedule="constant", weight_decay=0.0, dropout=0.0, label_smoothing=0.0,
            model_settings={"hidden": (64, 64, 64), "activation": activation},
        )  # fmt: skip
        list(islice(training.reports(), len(training.batches)))
        return training.history[0]

    random, pretrained = first_epoch(None), first_epoch(2)
    assert pretrained["train_loss"] < 0.9 * random["train_loss"]
    assert pretrained["validation_loss"] < 0.9 * random["validation_loss"]


def rows() -> Tensor:
    """Sixteen columns that are three numbers and their mixtures: three numbers tell them all."""
    source = torch.Generator().manual_seed(0)
    return torch.randn(200, 3, generator=source) @ torch.randn(3, 16, generator=source)


def test_learns_without_targets_and_leaves_the_output_layer() -> None:
    def pretrained(targets: Tensor) -> dict[str, Tensor]:
        model = build("mlp", inputs=16, units=2, hidden=(8, 4), dropout=0.5, activation="tanh").train()
        initialise_(model, 0)
        pretrain_(model, Batches(rows(), targets, 20), epochs=3, seed=0)
        assert model.training and all(p.grad is None for p in model.parameters())
        return model.state_dict()

    start = build("mlp", inputs=16, units=2, hidden=(8, 4), dropout=0.5)
    initialise_(start, 0)
    found, other = pretrained(torch.zeros(200)), pretrained(torch.arange(200))
    assert all(torch.equal(found[key], other[key]) for key in found)
    changed = {key for key, value in start.state_dict().items() if not torch.equal(found[key], value)}
    assert changed == {"0.weight", "0.bias", "3.weight", "3.bias"}


def test_a_run_resumes_and_verifies(tmp_path: Path) -> None:
    def request(name: str) -> Request:
        settings = Settings(model="mlp", epochs=4, pretrain=2)
        return Request(data="iris", settings=settings, runs=tmp_path, name=name, checkpoint_seconds=0)

    for _ in run_fit(request("whole")):
        pass
    for event in run_fit(request("stopped")):
        if isinstance(event, EpochEnded):
            break
    for _ in run_fit(Request(resume=tmp_path / "stopped")):
        pass
    whole, again = (
        load_checkpoint(tmp_path / name / "checkpoint.safetensors")[0] for name in ("whole", "stopped")
    )
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    assert verify(tmp_path / "whole").outcome == "equal bits"
    with pytest.raises(RunError, match=r"the setting pretrain \(2\) is not yet supported in scripts"):
        Run(tmp_path / "whole").code()


@pytest.mark.parametrize("model", ["mlp", "softmax-regression"])
def test_networks_that_have_nothing_to_pretrain(model: str) -> None:
    of_model = {"hidden": ()} if model == "mlp" else {}
    said = r"through a chain of dense layers.*leave out pretrain"
    with pytest.raises(SettingError, match=said):
        make_training("iris", model=model, pretrain=1, model_settings=of_model)
    with pytest.raises(SettingError, match=said):
        check_can_pretrain(build("lenet", inputs=(1, 14, 14), units=3))
