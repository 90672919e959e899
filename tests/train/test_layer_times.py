"""Layers of a real step are timed where the time passes, and looking changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import chainrule as cr
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.train import layer_times, machine
from chainrule.train.layer_times import LOSS, LayerWatch, cost_of_look
from chainrule.train.step import AutogradStep

CPU = torch.device("cpu")
FORWARD, BACKWARD = 2.0, 4.0  # seconds that the slow layer takes, by a clock that nothing else moves
CLOCK = [0.0]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_times, "now", lambda device: CLOCK[0])


class Slowly(torch.autograd.Function):
    """The identity, which takes its time in both directions."""

    @staticmethod
    def forward(context: object, x: Tensor) -> Tensor:
        CLOCK[0] += FORWARD
        return x.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        CLOCK[0] += BACKWARD
        return gradient


class Slow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Slowly.apply(x)


def make_step(*layers: nn.Module) -> AutogradStep:
    objective = cr.Objective(nn.Sequential(*layers), cr.MultiClass(("a", "b", "c")))
    return AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=0.1))


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(16, 5), torch.randint(0, 3, (16,))


def watched(step: AutogradStep) -> LayerWatch:
    watch = LayerWatch(step, CPU)
    with watch.watching():
        step(*batch())
    return watch


def test_the_time_is_found_in_the_layer_that_takes_it() -> None:
    watch = watched(make_step(nn.Linear(5, 8), Slow(), Activate("tanh"), nn.Linear(8, 3)))
    layers = watch.usual().layers
    assert [layer.name for layer in layers] == ["0", "1", "2", "3", LOSS]
    assert [layer.forward for layer in layers] == [0, FORWARD, 0, 0, 0]
    assert [layer.backward for layer in layers] == [0, BACKWARD, 0, 0, 0]
    assert watch.usual().whole == FORWARD + BACKWARD


def test_gradients_owed_and_bytes() -> None:
    first, _, last, loss = (
        watched(make_step(nn.Linear(5, 8), Activate("relu"), nn.Linear(8, 3))).usual().layers
    )
    assert (first.learns, first.passes_on) == (True, False), "the data need no gradient"
    assert (last.learns, last.passes_on) == (True, True)
    assert (first.input_bytes, first.weight_bytes, first.output_bytes) == (
        16 * 5 * 4,
        (5 * 8 + 8) * 4,
        16 * 8 * 4,
    )
    assert loss.layer is None and loss.passes_on and not loss.learns


def test_a_layer_that_gives_what_it_was_given_takes_no_other_s_time() -> None:
    """Dropout at rate 0 hands on the same tensor: the backward pass of the layer before is not its own."""
    layers = watched(make_step(nn.Linear(5, 8), Slow(), Dropout(0.0), nn.Linear(8, 3))).usual().layers
    assert [layer.backward for layer in layers] == [0, BACKWARD, 0, 0, 0]


def test_the_update_is_timed_apart() -> None:
    step = make_step(nn.Linear(5, 3))
    usual = step.optimizer.step

    def slow_step() -> None:
        CLOCK[0] += 3.0
        usual()

    step.optimizer.step = slow_step  # type: ignore[method-assign]
    found = watched(step).usual()
    assert found.update == 3.0 == found.whole and found.layers[0].backward == 0


def test_looking_changes_no_bit_and_leaves_no_hooks() -> None:
    results = []
    for looks in (False, True):
        torch.manual_seed(1)
        step = make_step(nn.Linear(5, 8), Activate("tanh"), nn.Linear(8, 3))
        for _ in range(3):
            if looks:
                watched(step)
            else:
                step(*batch())
        results.append([p.detach().clone() for p in step.objective.parameters()])
        modules = list(step.objective.modules())
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in modules)
        assert "_clip_and_update_" not in vars(step)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_steps_that_waited_do_not_count() -> None:
    watch = LayerWatch(step := make_step(nn.Linear(5, 8), Slow(), nn.Linear(8, 3)), CPU)
    for waits in (0.0, 50.0, 0.0, 70.0):
        with watch.watching():
            step(*batch())
            CLOCK[0] += waits
    assert watch.usual().whole == FORWARD + BACKWARD


def test_what_a_look_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_times, "now", machine.now)
    assert 0 <= cost_of_look(CPU) < 1e-2
    assert layer_times.faster_half([4, 1, 3, 2], key=float) == [1, 2]
