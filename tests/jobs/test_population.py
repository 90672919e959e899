"""Networks trained together are those that would have been trained alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chainrule.catalog import OPTIMIZERS
from chainrule.data.read import read
from chainrule.data.reading import Reading
from chainrule.jobs.entries import ALONE, AUTOGRAD, DENSE, NATIVE, Entry, alone, possible_ways
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import draw_start_, make_training
from chainrule.train.course import Row
from chainrule.train.settings import Settings
from chainrule.train.training import Training

RATES = {"adagrad": 0.03, "adadelta": 1.0, "sgd": 0.1, "gradient-descent": 0.1, "mini-batch": 0.1}
NEAR_ZERO = (
    "rmsprop",
    "adadelta",
    "adagrad",
)  # they divide by how long the gradient was: noise becomes a step


def entry(
    data: Any = "iris",
    hidden: tuple[int, ...] = (10, 8),
    model: dict[str, Any] | None = None,
    **settings: Any,
) -> Entry:
    """Prepare a network of few epochs as `fit` would."""
    chosen = {"model": "mlp", "epochs": 3, "batch_size": 32, "optimizer": "adam", "learning_rate": 0.003, "schedule": "constant"}  # fmt: skip
    request = Request(
        data=data,
        target=None,
        settings=Settings(**{**chosen, **settings}),
        model_settings={"hidden": hidden, **(model or {})},
        model=None,
        loss=None,
        runs=Path("nowhere"),
        name=None,
        resume=None,
    )
    recipe, material = prepare_run(request, read(data, Reading(target=None)))
    return Entry(recipe=recipe, material=material)


def differing(base: Entry, **values: Sequence[Any]) -> list[Entry]:
    """Return entries that differ in some settings, one for each value."""
    made = []
    for place in range(len(next(iter(values.values())))):
        own = {name: given[place] for name, given in values.items()}
        dropout = own.get("dropout")
        of_model = base.recipe.model_settings | ({} if dropout is None else {"dropout": dropout})
        settings = replace(base.recipe.settings, **own)
        made.append(replace(base, recipe=replace(base.recipe, settings=settings, model_settings=of_model)))
    return made


def train(entries: list[Entry], **options: Any) -> PopulationRun:
    """Train a population; stacks of dense layers unless something else is said."""
    if not {"ways", "is_deterministic"} & options.keys():
        options["ways"] = [possible_ways(entries[0])[0]]
    run = PopulationRun(entries, **{"judged": "test", **options})
    for _ in run.train():
        pass
    return run


def judged(run: PopulationRun) -> list[Row | None]:
    """Return what each network showed on the rows that it was judged on."""
    return [run.shown(number).row for number in range(len(run.entries))]


def train_alone(entry: Entry) -> Training:
    recipe = alone(entry)
    with recipe.plan.applied() as device:
        training = make_training(recipe, entry.material, device, rows=entry.rows)
        draw_start_(training.step.objective.model, recipe)
        for _ in training.reports():
            pass
    training.restore_best_()
    return training


def weights_of(run: PopulationRun, number: int) -> list[Tensor]:
    return list(run.network(number).state_dict().values())


def furthest(run: PopulationRun, number: int, training: Training) -> float:
    own = training.step.objective.model.state_dict().values()
    return max((a - b).abs().max().item() for a, b in zip(own, weights_of(run, number), strict=True))


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_members_equal_networks_alone(optimizer: str) -> None:
    rate = RATES.get(optimizer, 0.003)
    base = entry(optimizer=optimizer, learning_rate=rate, batch_size=32)
    entries = differing(
        base,
        learning_rate=[rate, rate / 3, rate / 10],
        weight_decay=[0.0, 0.01, 0.1],
        dropout=[0.1, 0.2, 0.4],
    )
    run = train(entries, cores=1)
    assert len(run.lanes) == 1
    for number, one in enumerate(entries):
        training = train_alone(one)
        limit = 2e-3 if optimizer in NEAR_ZERO else 1e-5
        assert furthest(run, number, training) < limit
        mine = [row["validation_loss"] for row in run.history(number)]
        assert mine == pytest.approx([row["validation_loss"] for row in training.history], abs=limit)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "focal", "weight_decay": 0.01, "l1": 0.001},
        {"clip_norm": 0.1, "schedule": "cosine", "warmup_epochs": 1},
        {"clip_value": 0.01, "penalty": "decoupled", "weight_decay": 0.1},
        {"class_weight": "balanced", "label_smoothing": 0.0},
        {"model": {"activation": "sigmoid"}},
        {"model": {"activation": "softplus"}, "dropout": 0.3},
    ],
    ids=str,
)
def test_members_equal_networks_alone_in_every_way(settings: dict[str, Any]) -> None:
    entries = differing(entry(**settings), seed=[0, 1, 2])
    run = train(entries, cores=1)
    assert len(run.lanes) == 1
    for number, one in enumerate(entries):
        assert furthest(run, number, train_alone(one)) < 1e-5


@pytest.mark.parametrize("data", ["diabetes", "breast-cancer", "digits"])
def test_every_question_is_answered_as_alone(data: str) -> None:
    entries = differing(entry(data, decay_with_loss=data == "diabetes"), learning_rate=[0.003, 0.001])
    run = train(entries, cores=1)
    for number, one in enumerate(entries):
        assert furthest(run, number, train_alone(one)) < 1e-5
        found = judged(run)[number]
        assert found is not None and np.isfinite(found["loss"])


@pytest.mark.parametrize("data", ["iris", "diabetes", "breast-cancer"])
def test_bits_do_not_depend_on_the_neighbours(data: str) -> None:
    """In stacks of one, two, three and seven, on one core and two."""
    rates = list(np.geomspace(1e-4, 1e-2, 7))
    entries = differing(
        entry(data), learning_rate=rates, dropout=[0.1 * k for k in range(1, 8)], seed=[0, 1, 0, 1, 2, 2, 0]
    )
    whole = train(entries, cores=1)
    for most, cores in ((1, 2), (2, 2), (3, 1)):
        parts = train(entries, most=most, cores=cores, is_deterministic=True)
        for number in range(7):
            assert all(map(torch.equal, weights_of(whole, number), weights_of(parts, number)))
        assert judged(whole) == judged(parts)


def test_a_member_that_fails_leaves_its_neighbours_alone() -> None:
    base = entry(
        optimizer="sgd",
        schedule="constant",
        clip_norm=None,
        label_smoothing=0.0,
        loss="squared-error",
        data="diabetes",
    )
    good = differing(base, learning_rate=[0.01, 0.02])
    bad = differing(base, learning_rate=[1e6])
    run = train([good[0], *bad, good[1]], cores=1)
    assert run.failure(1) is not None and "not finite at step" in run.failure(1)
    assert judged(run)[1] is None
    without = train(good, cores=1)
    for mine, other in ((0, 0), (2, 1)):
        assert all(map(torch.equal, weights_of(run, mine), weights_of(without, other)))


def test_members_stop_early_and_leave_the_stack() -> None:
    base = entry(epochs=40, patience=1)
    entries = differing(base, learning_rate=[0.1, 0.05, 0.03, 0.0003], patience=[1, 1, 1, 30])
    run = train(entries, cores=1)
    for number, one in enumerate(entries):
        training = train_alone(one)
        assert len(run.history(number)) == len(training.history)
        assert furthest(run, number, training) < 1e-4
    assert len({len(run.history(number)) for number in range(4)}) > 1


def test_members_that_were_taken_out_keep_what_they_learned() -> None:
    entries = differing(entry(epochs=6), learning_rate=[0.01, 0.003, 0.001])
    run = PopulationRun(entries, cores=1, ways=[DENSE])
    assert sum(run.train(2)) == 6
    run.leave([1])
    kept = weights_of(run, 1)
    assert sum(run.train()) == 8
    assert all(map(torch.equal, kept, weights_of(run, 1)))
    assert [len(run.history(number)) for number in range(3)] == [6, 2, 6]
    whole = train(entries, cores=1, ways=[DENSE])
    for number in (0, 2):
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))


@pytest.mark.parametrize("cores", [1, 2])
def test_those_that_stay_close_ranks(cores: int) -> None:
    base = entry(epochs=6, validation=0.2, patience=6, model={"dropout": 0.2}, decay_with_loss=True)
    rates = [0.01 / 2**number for number in range(8)]
    entries = differing(
        base, learning_rate=rates, dropout=[0.1, 0.2] * 4, weight_decay=[0.0, 0.1] * 4, seed=list(range(8))
    )
    options: dict[str, Any] = {"is_deterministic": True, "varied": ["weight_decay"]}
    run = PopulationRun(entries, cores=cores, most=2, judged="test", **options)
    assert [lane.numbers for lane in run.lanes] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert sum(run.train(3)) == 24
    answers = dict(run.outputs("test"))
    run.leave([0, 3, 4, 5, 6])
    assert sorted(lane.numbers for lane in run.lanes) == [
        [0],
        [1, 2],
        [3],
        [4, 5],
        [6],
        [7],
    ]  # 1, 2 and 7 stood apart
    assert all(torch.equal(answers[number], found) for number, found in run.outputs("test"))
    assert sum(run.train()) == 9
    whole = train(entries, cores=1, **options)
    for number in (1, 2, 7):
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))
        assert run.best_epoch(number) == whole.best_epoch(number)
        rows = [[{**row, "seconds": 0.0} for row in one.history(number)] for one in (run, whole)]
        assert rows[0] == rows[1]
    assert [len(run.history(number)) for number in (0, 3, 6)] == [3, 3, 3]
    assert all(torch.equal(answers[n], found) for n, found in run.outputs("test", among=[0, 3, 4, 5, 6]))


@pytest.mark.parametrize("normalisation", ["batch", "layer", "group:2"])
def test_layers_that_autograd_goes_through_are_stacked_too(normalisation: str) -> None:
    base = entry(model={"normalisation": normalisation}, batch_size=40)
    entries = differing(base, learning_rate=[0.003, 0.001], dropout=[0.1, 0.3], seed=[0, 1])
    assert possible_ways(base) == (AUTOGRAD, ALONE)
    run = train(entries, cores=1)
    assert len(run.lanes) == 1
    for number, one in enumerate(entries):
        training = train_alone(one)
        mine = [row["train_loss"] for row in run.history(number)]
        assert mine == pytest.approx([row["train_loss"] for row in training.history], rel=1e-4)


def test_networks_without_a_stack_are_trained_alone() -> None:
    entries = differing(entry(pretrain=1), learning_rate=[0.01, 0.003])
    assert possible_ways(entries[0]) == (ALONE,)
    run = train(entries)
    assert len(run.lanes) == 2
    for number, one in enumerate(entries):
        assert furthest(run, number, train_alone(one)) == 0


def test_the_fastest_way_is_taken_and_can_be_told() -> None:
    entries = differing(entry(), learning_rate=[0.01, 0.003, 0.001])
    run = PopulationRun(entries)
    assert run.ways[0] in (NATIVE, DENSE, AUTOGRAD, ALONE)
    again = PopulationRun(entries, ways=run.ways)
    for one in (run, again):
        for _ in one.train():
            pass
    for number in range(3):
        assert all(map(torch.equal, weights_of(run, number), weights_of(again, number)))


def test_rows_of_ones_own_and_weights() -> None:
    """Two members on rows drawn with repetition; weights that count a row twice are the row twice."""
    base = entry(batch_size=150, epochs=2, dropout=0.0)
    rows = base.material.split.train
    drawn = np.random.default_rng(0).choice(rows, len(rows))
    run = train([replace(base, rows=drawn), replace(base, rows=rows)], cores=1)
    assert len(run.lanes) == 1
    assert furthest(run, 0, train_alone(replace(base, rows=drawn))) < 1e-5
    counts = np.bincount(drawn, minlength=len(base.material.examples)).astype(np.float64)
    weighted = train([replace(base, weights=counts), base], cores=1)
    assert furthest(weighted, 0, train_alone(replace(base, rows=drawn))) < 1e-5


@pytest.mark.parametrize(("data", "settings"), [("diabetes", {}), ("wine", {"class_weight": "balanced"})])
def test_rows_of_ones_own_leave_the_task_as_it_is(data: str, settings: dict[str, Any]) -> None:
    """The scale of values, and the weights of classes, are those of all training rows, whichever way a member goes."""
    base = entry(data, epochs=2, **settings)
    rows, targets = base.material.split.train, base.material.targets
    drawn = np.resize(rows[np.argsort(targets[rows].reshape(len(rows)))[len(rows) // 3 :]], len(rows))
    stacked, by_itself = (train([replace(base, rows=drawn)], ways=[way]) for way in (DENSE, ALONE))
    for one, other in zip(weights_of(stacked, 0), weights_of(by_itself, 0), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_members_that_stay_may_all_be_without_what_others_had() -> None:
    """Those with weight decay leave: the state of the rule keeps its shape, and the others their bits."""
    entries = differing(entry(epochs=4), learning_rate=[0.01, 0.003, 0.001], weight_decay=[0.1, 0.0, 0.0])
    run = PopulationRun(entries, cores=1, is_deterministic=True)
    list(run.train(2))
    run.leave([0])
    list(run.train())
    whole = train(entries, cores=1, is_deterministic=True)
    for number in (1, 2):
        assert all(map(torch.equal, weights_of(run, number), weights_of(whole, number)))
