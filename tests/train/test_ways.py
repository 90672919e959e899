"""Ways of running a model: what they leave as it is, what they say when they cannot, and what the compiler does."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import chainrule as cr
from chainrule.core.errors import PlanError, SettingError, TrainingFailed
from chainrule.nn.initial import initialise_
from chainrule.nn.noise import Dropout
from chainrule.train import compiled
from chainrule.train.layout import channels_last, lay_out_

ALL = {"precision": torch.bfloat16, "channels_last": True}


def pictures(rows: int = 16, channels: int = 3) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    return torch.randn(rows, channels, 12, 12, generator=drawn), torch.arange(rows) % 3


def lenet(channels: int = 3) -> nn.Module:
    model = cr.build("lenet", inputs=(channels, 12, 12), units=3, normalisation="batch")
    initialise_(model, 0)
    return model


def step_of(model: nn.Module, **way: Any) -> cr.AutogradStep:
    objective = cr.Objective(model, cr.MultiClass(["a", "b", "c"])).train()
    return cr.AutogradStep(
        objective, cr.optimizer("momentum", objective.parameters(), learning_rate=0.01), seed=1, **way
    )


def updated(step: cr.AutogradStep, x: Tensor, y: Tensor, numbers: range = range(3)) -> list[float]:
    losses = []
    for number in numbers:
        step.prepare(number, 1.0)
        losses.append(step(x, y).loss.item())
    return losses


# ---- layout


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tensor_with_channels_last_says_so(channels: int) -> None:
    """A single channel too: torch chooses kernels by the strides."""
    x = torch.randn(2, channels, 5, 4)
    laid = channels_last(x)
    assert torch.equal(laid, x) and laid.stride() == (20 * channels, 1, 4 * channels, channels)
    rows = torch.randn(2, 3)
    assert channels_last(rows) is rows


def test_weights_state_and_what_is_restored_keep_the_layout() -> None:
    step = step_of(lenet(), channels_last=True)
    x, y = pictures()
    before = {name: t.clone() for name, t in step.objective.model.state_dict().items()}
    shapes = {name: t.shape for name, t in lenet().state_dict().items()}
    updated(step, x, y)
    step.objective.model.load_state_dict({name: t.contiguous() for name, t in before.items()})
    step.optimizer.load_({name: t.contiguous() for name, t in step.optimizer.tensors().items()})
    kernels = [p for p in step.objective.parameters() if p.dim() == 4]
    state = [t for t in step.optimizer.tensors().values() if t.dim() == 4]
    assert len(kernels) == len(state) == 2 and all(t.stride(1) == 1 for t in [*kernels, *state])
    assert all(p.grad is not None and p.grad.stride(1) == 1 for p in kernels)
    assert {name: t.shape for name, t in step.objective.model.state_dict().items()} == shapes


def test_the_layout_can_be_put_back() -> None:
    plain, laid = step_of(lenet()), step_of(lenet(), channels_last=True)
    lay_out_(laid.objective, laid.optimizer, torch.contiguous_format)
    laid.channels_last = False
    assert updated(plain, *pictures()) == updated(laid, *pictures())


# ---- precision


def test_weights_buffers_gradients_and_loss_stay_float32() -> None:
    step = step_of(lenet(), **ALL, clip_norm=1.0)
    x, y = pictures()
    plain = step_of(lenet(), clip_norm=1.0)
    assert updated(step, x, y) == pytest.approx(updated(plain, x, y), rel=0.01)
    model = step.objective.model
    tensors = [*model.parameters(), *(p.grad for p in model.parameters() if p.grad is not None)]
    statistics = [b for b in model.buffers() if b.is_floating_point()]
    assert {t.dtype for t in [*tensors, *statistics, *step.optimizer.tensors().values()]} == {torch.float32}
    for its, buffer in zip(plain.objective.model.buffers(), model.buffers(), strict=True):
        torch.testing.assert_close(buffer, its, rtol=0.02, atol=0.02)


def test_the_loss_is_taken_in_float32() -> None:
    """Products inside it too: autocast ends before it."""
    model = nn.Linear(1, 3)
    seen: list[torch.dtype] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append((outputs @ outputs.T).dtype)
        return nn.functional.cross_entropy(outputs, targets, reduction="none")

    objective = cr.Objective(model, cr.MultiClass(["a", "b", "c"], loss))
    rule = cr.optimizer("sgd", model.parameters(), learning_rate=0.1)
    cr.AutogradStep(objective, rule, precision=torch.bfloat16)(torch.ones(2, 1), torch.tensor([0, 1]))
    assert seen == [torch.float32]


def test_needs_weights_in_float32() -> None:
    with pytest.raises(SettingError, match=r"torch.bfloat16 are for weights in float32"):
        step_of(nn.Linear(2, 3).double(), precision=torch.bfloat16)


class Own(nn.Module):
    """A model of a user's: torch's own layers, two paths, an input that is not a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv1d(2, 4, 3, padding=1), nn.Conv1d(2, 4, 1)
        self.norm, self.drop, self.last = nn.LayerNorm(4), nn.Dropout(0.2), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.tanh(self.wide(x)) + self.narrow(x)
        return self.last(self.drop(self.norm(both.mean(-1))))


def test_runs_a_model_of_the_users() -> None:
    torch.manual_seed(0)
    model, x, y = Own(), torch.randn(30, 2, 7), torch.arange(30) % 3
    plain = updated(step_of(copy.deepcopy(model), reseeds=True), x, y)
    assert updated(step_of(model, reseeds=True, **ALL), x, y) == pytest.approx(plain, rel=0.01)


@pytest.mark.parametrize("way", [{"precision": torch.bfloat16}, {"channels_last": True}, ALL])
def test_names_the_layer_where_the_loss_stops_being_finite(way: dict[str, Any]) -> None:
    model = lenet()
    model[4].weight.data[0, 0] = float("nan")
    step = step_of(model, **way)
    step.prepare(6, 1.0)
    with pytest.raises(
        TrainingFailed, match=r"not finite at step 7; first in the weights of layer 4 \(Conv2d\)"
    ):
        step(*pictures())


# ---- the compiler


def test_importing_imports_no_compiler() -> None:
    code = "import chainrule as cr, sys; cr.AutogradStep; sys.exit('torch._inductor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(compiled.CACHE, raising=False)
    monkeypatch.setattr(Dropout, "forward", Dropout.forward)  # put back afterwards
    yield tmp_path / "chainrule" / "compiled"
    os.environ.pop(compiled.CACHE, None)


@pytest.mark.slow
def test_compiled_batches_agree_repeat_and_leave_the_rest_alone(
    own_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of one size; the last of an epoch runs as it is. Noise, statistics and updates are those of the plain step."""
    model = cr.build("mlp", inputs=6, units=3, hidden=(8,), dropout=0.3, normalisation="batch")
    initialise_(model, 0)
    x, y = torch.randn(16, 6, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3

    def run(**way: Any) -> tuple[list[float], dict[str, Tensor]]:
        step = step_of(copy.deepcopy(model), **way)
        losses = (
            updated(step, x, y) + updated(step, x[:5], y[:5], range(3, 4)) + updated(step, x, y, range(4, 14))
        )
        return losses, step.objective.model.state_dict()

    plain, _ = run()
    ends = [run(compiled_rows=16) for _ in range(3)]
    assert ends[0][0] == pytest.approx(plain, rel=1e-4)
    assert all(losses == ends[0][0] for losses, _ in ends)
    assert all(torch.equal(end[name], ends[0][1][name]) for _, end in ends for name in end)
    assert own_cache.stat().st_mode & 0o777 == 0o700 and any(own_cache.iterdir())
    assert capfd.readouterr() == ("", ""), "the compiler's words are not for the user"
    lowered, _ = run(compiled_rows=16, precision=torch.bfloat16)
    assert lowered == pytest.approx(plain, rel=0.01)


@pytest.mark.slow
def test_says_in_one_sentence_that_there_is_no_compiler(tmp_path: Path) -> None:
    code = """
import torch, chainrule as cr
o = cr.Objective(torch.nn.Linear(2, 3), cr.MultiClass(["a", "b", "c"]))
s = cr.AutogradStep(o, cr.optimizer("sgd", o.parameters(), learning_rate=0.1), compiled_rows=4)
try:
    s(torch.ones(4, 2), torch.arange(4) % 3)
except cr.core.errors.PlanError as error:
    print(error)
print(s(torch.ones(3, 2), torch.arange(3)).loss.item() > 0)
"""
    environment = os.environ | {"CXX": "/nowhere/g++", "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop(compiled.CACHE, None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == "" and len(said) == 2 and said[1] == "True"
    assert said[0].startswith("torch.compile failed (") and "/nowhere/g++" in said[0]


def test_what_fails_in_the_compiler_is_one_error(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("\nno room left\nwhile writing")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(PlanError, match=r"^torch.compile failed \(RuntimeError\): no room left$"):
        step_of(lenet(), compiled_rows=16)(*pictures())
