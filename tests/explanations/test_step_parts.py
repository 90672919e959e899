"""The parts of a step add up, count what they compute, and say what bounds it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.explanations.costs import explain_costs
from chainrule.explanations.step_parts import BATCH, REST, UPDATE, Part, StepParts, kind_of, parts_of
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.nn.normalisation import BatchNormalisation
from chainrule.train.layer_times import LayerWatch
from chainrule.train.machine import Machine

HERE = Machine(
    name="a processor", device="cpu", cores=2, threads=2, instruction_sets=(), float32=100e9, bfloat16=250e9,
    bandwidth=20e9, call_seconds=1e-6,
)  # fmt: skip


def watched(model: nn.Module, inputs: torch.Tensor) -> tuple[StepParts, float]:
    objective = cr.Objective(model, cr.MultiClass(("a", "b", "c")))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=0.1))
    watch = LayerWatch(step, torch.device("cpu"))
    with watch.watching():
        step(inputs, torch.zeros(len(inputs), dtype=torch.long))
    times = watch.usual()
    found = parts_of(
        times, explain_costs(model, tuple(inputs.shape[1:])), rows=len(inputs), seconds=times.whole + 1e-5,
        fetch=Part(name=BATCH, calls=1, forward=1e-5), update_bytes=64, few_rows=2, few_seconds=times.whole / 2,
    )  # fmt: skip
    return found, times.whole + 1e-5


def test_parts_add_up_to_the_step() -> None:
    model = nn.Sequential(
        nn.Linear(5, 8), BatchNormalisation(8), Activate("relu"), Dropout(0.2), nn.Linear(8, 8), Activate("relu"), nn.Linear(8, 3)
    )  # fmt: skip
    found, whole = watched(model, torch.randn(16, 5))
    assert [part.name for part in found.parts] == [
        "dense", "normalisation", "activation", "dropout", "loss", UPDATE, BATCH, REST,
    ]  # fmt: skip
    assert [part.calls for part in found.parts] == [3, 1, 2, 1, 1, 1, 1, 0]
    assert sum(part.seconds for part in found.parts) == pytest.approx(whole, rel=1e-9)
    assert all(part.seconds >= 0 for part in found.parts)


def test_operations_are_counted_forward_and_for_each_gradient_that_is_owed() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 4 * 4, 3))
    found, _ = watched(model, torch.randn(16, 1, 6, 6))
    convolution, dense = found.named("convolution"), found.named("dense")
    assert convolution is not None and dense is not None
    assert convolution.operations == 2 * 16 * (2 * 4 * 4 * 9) * 2, "the pictures need no gradient"
    assert dense.operations == 2 * 16 * (32 * 3) * 3
    assert found.operations == convolution.operations + dense.operations
    assert found.named("dropout") is None


def test_parts_that_looking_made_slower_than_the_step_are_shortened_alike() -> None:
    model = nn.Sequential(nn.Linear(5, 3))
    objective = cr.Objective(model, cr.MultiClass(("a", "b", "c")))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=0.1))
    watch = LayerWatch(step, torch.device("cpu"))
    with watch.watching():
        step(torch.randn(4, 5), torch.zeros(4, dtype=torch.long))
    found = parts_of(
        watch.usual(), None, rows=4, seconds=1e-9, fetch=Part(name=BATCH, calls=1, forward=1e-6), update_bytes=0,
        few_rows=2, few_seconds=1e-9,
    )  # fmt: skip
    assert sum(part.seconds for part in found.parts) == pytest.approx(1e-9)
    assert found.parts[-1] == Part(name=REST, calls=0, forward=0.0)
    assert found.operations == 0, "nothing was counted, nothing is claimed"


def step_of(*parts: Part, seconds: float = 10e-3, few_seconds: float = 1e-3) -> StepParts:
    return StepParts(parts=parts, rows=32, seconds=seconds, few_rows=2, few_seconds=few_seconds)


def test_what_bounds_a_step() -> None:
    products = Part(
        name="convolution", calls=2, forward=2e-3, backward=4e-3, operations=300_000_000, bytes=10**6
    )
    maps = Part(name="activation", calls=2, forward=1e-3, backward=2e-3, bytes=40_000_000)
    update = Part(name=UPDATE, calls=1, forward=5e-3, bytes=90_000_000)
    assert step_of(products, maps).bound(HERE) == "arithmetic"
    said = step_of(products, maps).sentence(HERE)
    assert "convolution layers take 60.0 % of it, at 50.0 % of this machine's float32 peak" in said
    assert "2.5 times that peak" in said
    slow_bfloat16 = step_of(products, maps).sentence(replace(HERE, bfloat16=90e9))
    assert "bfloat16" not in slow_bfloat16 and slow_bfloat16.endswith(
        "Fewer units or channels, or more cores, help."
    )
    larger = Part(name="activation", calls=2, forward=4e-3, backward=4e-3, bytes=40_000_000)
    assert step_of(products, larger).bound(HERE) == "memory"
    assert "activation takes 80.0 % of it" in step_of(products, larger).sentence(HERE)
    few = step_of(products, maps, few_seconds=7e-3)
    assert few.bound(HERE) == "calls"
    assert "with 2 rows instead of 32 it still takes 70.0 % of the time" in few.sentence(HERE)
    assert "--batch-size 128" in few.sentence(HERE)
    assert step_of(products, update, few_seconds=7e-3).bound(HERE) == "memory", "the update of many weights"


def test_a_layer_of_a_user_s_own_is_another_layer() -> None:
    class Own(nn.Module):
        pass

    assert kind_of(Own()) == "other layers" and kind_of(nn.BatchNorm2d(3)) == "normalisation"
