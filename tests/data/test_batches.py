"""Batches that are gathered several at once are those that would be gathered one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.core.errors import ShapeError
from chainrule.data import batches as module
from chainrule.data.augmentation import Augmentation
from chainrule.data.batches import ALIGNMENT, Batches


def one_by_one(batches: Batches, epoch: int, start: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The straightforward way: the rows of each batch by their numbers, augmented if that is asked for."""
    found = []
    parts = list(enumerate(batches.order(epoch).split(batches.batch_size)))
    for number, rows in parts[batches.rank :: batches.world_size][start:]:
        inputs = batches.inputs[rows]
        if batches.augmentation is not None:
            inputs = batches.augmentation(inputs, epoch, number)
        found.append((inputs, batches.targets[rows]))
    return found


def are_equal(
    ours: list[tuple[torch.Tensor, torch.Tensor]], theirs: list[tuple[torch.Tensor, torch.Tensor]]
) -> bool:
    return len(ours) == len(theirs) and all(
        torch.equal(x, inputs) and torch.equal(y, targets)
        for (x, y), (inputs, targets) in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("batch_size", [1, 7, 16, 32, 100, 1000])
@pytest.mark.parametrize("piece_bytes", [1, 5_000, 1 << 20])
def test_a_piece_gives_the_batches_that_it_was_gathered_for(batch_size, piece_bytes, monkeypatch) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", piece_bytes)
    rows = torch.arange(3, 303, 2)
    batches = Batches(torch.randn(303, 9), torch.arange(303), batch_size, rows=rows, seed=4)
    for epoch, start in ((0, 0), (3, 0), (3, min(2, len(batches)))):
        assert are_equal(list(batches.epoch(epoch, start)), one_by_one(batches, epoch, start))
    assert len(list(batches.epoch(0))) == len(batches)


@pytest.mark.parametrize(("rank", "world_size"), [(0, 1), (0, 3), (2, 3)])
def test_augmented_batches_and_those_of_one_process_among_several(rank, world_size) -> None:
    batches = Batches(
        torch.rand(100, 1, 6, 6), torch.arange(100), 16,
        rank=rank, world_size=world_size, augmentation=Augmentation(["shift", "crop"]),
    )  # fmt: skip
    assert are_equal(list(batches.epoch(2)), one_by_one(batches, 2))
    assert are_equal(list(batches.epoch(2, start=1)), one_by_one(batches, 2, start=1))


@pytest.mark.parametrize(("batch_size", "features"), [(32, 30), (16, 1), (10, 3), (7, 13)])
def test_every_batch_begins_where_a_tensor_of_its_own_would(batch_size: int, features: int) -> None:
    """Matrix products may sum in another order elsewhere: a run's last bits would then depend on the pieces."""
    batches = Batches(torch.randn(200, features), torch.arange(200), batch_size)
    assert all(inputs.data_ptr() % ALIGNMENT == 0 for inputs, _ in batches.epoch(0))


@pytest.mark.parametrize("piece_bytes", [1, 1 << 20])
@pytest.mark.parametrize("members", [(), (3,)], ids=["one network", "a stack"])
def test_weights_go_with_their_rows(members: tuple[int, ...], piece_bytes: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", piece_bytes)
    weights = torch.rand(*members, 100)
    batches = Batches(torch.randn(100, 8), torch.arange(100), 16, weights=weights, rows=torch.arange(5, 95))
    for inputs, targets, drawn in batches.epoch(1, start=2):
        assert torch.equal(inputs, batches.inputs[targets])
        assert torch.equal(drawn, weights[..., targets])


def test_weights_of_another_number_of_rows() -> None:
    with pytest.raises(ShapeError, match=r"weights must be one per row, 10 in all; got the shape \(9,\)"):
        Batches(torch.randn(10, 2), torch.arange(10), 4, weights=torch.ones(9))


class Shifting(nn.Module):
    """Moves its inputs in place by what it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(4))
        self.dense = nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        inputs += self.shift
        return self.dense(inputs)


def test_a_model_may_change_its_inputs_in_place() -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 4), torch.randint(0, 3, (64,))
    before = inputs.clone()
    objective = cr.Objective(Shifting(), cr.MultiClass(["a", "b", "c"]))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=0.1))
    reports = list(cr.updates(step, Batches(inputs, targets, 16), cr.schedule("constant", steps=8)))
    assert len(reports) == 8 and objective.model.shift.abs().min() > 0
    assert torch.equal(inputs, before), "the rows themselves stay"
