"""Ensembles as users get them: one run folder, one model to serve, the bits of an uninterrupted run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import chainrule as cr
from chainrule.core.errors import ChainruleError
from chainrule.data.read import read
from chainrule.jobs.ensemble_training import EnsembleTraining, training_of
from chainrule.jobs.ensembles import bag, network_recipe, out_of_bag
from chainrule.jobs.events import EpochEnded, MemberTrained
from chainrule.jobs.fit import run_fit
from chainrule.jobs.material import Material, reading_of
from chainrule.jobs.members import judge_members
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings

SMALL = {"epochs": 4, "model": "mlp", "optimizer": "adam", "learning_rate": 0.01}


def prepared(data: Any = "iris", hidden: tuple[int, ...] = (8,), **settings: Any) -> tuple[Recipe, Material]:
    chosen = Settings(**{**SMALL, **settings})
    request = Request(data=data, settings=chosen, model_settings={"hidden": hidden})
    return prepare_run(request, read(data, reading_of(chosen, None)))


def trained(recipe: Recipe, material: Material) -> EnsembleTraining:
    training = EnsembleTraining(recipe, material)
    for _ in training.reports():
        pass
    return training


def rings(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two concentric rings, one class each."""
    random = np.random.default_rng(0)
    classes, angle = np.arange(rows) % 2, random.uniform(0, 2 * np.pi, rows)
    radius = 1.0 + classes + random.normal(0, 0.15, rows)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), classes


def test_a_deep_ensemble_is_one_run_with_one_model(tmp_path: Path) -> None:
    run = cr.fit("iris", **SMALL, members=3, quiet=True, runs=tmp_path)
    assert run.path.name == "iris-mlp-deep-1"
    members = run.model.members
    assert len(members) == 3
    x = torch.randn(5, 4)
    mean = torch.stack([member(x).softmax(-1) for member in members]).mean(0)
    assert torch.allclose(run.model(x).softmax(-1), mean, atol=1e-6)
    assert not torch.equal(members[0][0].weight, members[1][0].weight)
    saved = load_file(run.path / "model.safetensors")
    assert torch.equal(saved["model/members.2.0.weight"], members[2][0].weight)
    assert run.evaluate() == pytest.approx(run.metrics["test"])
    assert str(cr.verify(run.path)).startswith("equal bits")
    columns = [column.name for column in run.recipe.schema.columns]
    assert len(cr.load(run.path).predict({name: [1.0, 5.0] for name in columns}).names) == 2


def test_the_first_member_of_a_deep_ensemble_is_the_network_of_the_run_alone() -> None:
    recipe, material = prepared(members=2)
    alone = training_of(network_recipe(recipe), material, torch.device("cpu"))
    for _ in alone.reports():
        pass
    alone.restore_best_()
    mine = trained(recipe, material).objective.model.members[0].state_dict()
    for name, tensor in alone.objective.model.state_dict().items():
        assert torch.allclose(tensor, mine[name], atol=1e-5)


@pytest.mark.parametrize(
    ("ensemble", "model"),
    [("bagging", "mlp"), ("boosting", "logistic-regression"), ("snapshot", "mlp")],
)
def test_every_kind_predicts_verifies_and_opens_again(tmp_path: Path, ensemble: str, model: str) -> None:
    run = cr.fit(
        "breast-cancer", model=model, epochs=3, members=3, ensemble=ensemble, quiet=True, runs=tmp_path
    )
    assert str(cr.verify(run.path)).startswith("equal bits")
    assert cr.load(run.path).evaluate() == pytest.approx(run.metrics["test"])
    assert run.metrics["test"]["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("ensemble", "normalisation"),
    [("deep", None), ("bagging", "batch"), ("boosting", None), ("snapshot", None)],
)
def test_a_killed_ensemble_ends_with_the_same_bits(
    tmp_path: Path, ensemble: str, normalisation: str | None
) -> None:
    """With stacks, and with networks that are trained alone."""
    settings = Settings(**SMALL, members=4, ensemble=ensemble)
    of_model = {"hidden": (4,), "normalisation": normalisation}
    request = Request(
        data="iris",
        settings=settings,
        model_settings=of_model,
        runs=tmp_path,
        name="killed",
        checkpoint_seconds=0.0,
    )
    events = run_fit(request)
    ended = (event for event in events if isinstance(event, MemberTrained | EpochEnded))
    next(ended), next(ended)
    events.close()  # nothing is saved on this way out
    whole = cr.fit(
        "iris",
        **SMALL,
        members=4,
        ensemble=ensemble,
        model_settings=of_model,
        quiet=True,
        runs=tmp_path,
        name="whole",
    )
    assert not cr.load(tmp_path / "killed").is_finished
    resumed = cr.fit(resume=tmp_path / "killed", quiet=True)
    mine, other = resumed.model.state_dict(), whole.model.state_dict()
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[name], other[name]) for name in mine)


@pytest.mark.parametrize(
    "options", [{"optimizer": "rmsprop", "clip_norm": 0.5}, {"clip_norm": 0.5, "l1": 1e-3}]
)
@pytest.mark.parametrize("ensemble", ["deep", "bagging"])
def test_members_that_are_missing_have_the_bits_that_they_have_beside_others(
    ensemble: str, options: dict[str, Any]
) -> None:
    recipe, material = prepared("diabetes", hidden=(16, 8), members=5, ensemble=ensemble, **options)
    whole = trained(recipe, material)
    state, tensors = whole.state(), whole.tensors()
    for missing in ({4}, {0, 3}, {1, 2, 3, 4}):
        kept = {number: one for number, one in state["members"].items() if int(number) not in missing}
        resumed = EnsembleTraining(recipe, material)
        resumed.restore(tensors, {**state, "members": kept, "is_finished": False})
        for _ in resumed.reports():
            pass
        again = resumed.tensors()
        assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items()), missing


@pytest.mark.curriculum("ENS-02")
def test_a_bag_holds_63_percent_of_the_rows() -> None:
    recipe, material = prepared("digits", members=20, ensemble="bagging")
    rows = material.split.train
    bags = [bag(recipe, material, member) for member in range(20)]
    shares = [len(np.unique(drawn)) / len(rows) for drawn in bags]
    assert all(len(drawn) == len(rows) and np.isin(drawn, rows).all() for drawn in bags)
    assert np.mean(shares) == pytest.approx(1 - 1 / np.e, abs=0.005)
    assert all(abs(share - 0.632) < 0.04 for share in shares)
    assert len({tuple(drawn) for drawn in bags}) == 20
    drawn = EnsembleTraining(recipe, material)._entry(3).rows
    assert drawn is not None and np.array_equal(drawn, bags[3])


def test_a_row_is_out_of_the_bag_only_without_a_copy_in_it() -> None:
    x = np.repeat(np.random.default_rng(0).normal(size=(60, 3)), 2, 0)
    y = np.repeat(np.arange(60) % 2, 2)
    _, material = prepared((x, y), members=2, ensemble="bagging")
    rows = material.split.train
    drawn = rows[:1]
    twin = material.copies[rows] == material.copies[drawn[0]]
    assert twin.sum() == 2
    assert np.array_equal(out_of_bag(material, drawn), ~twin)


@pytest.mark.curriculum("ENS-03")
def test_boosting_weighs_rows_and_words_by_errors() -> None:
    recipe, material = prepared(
        rings(), (1,), members=3, ensemble="boosting", epochs=40, learning_rate=0.03, validation=0.0
    )
    training = trained(recipe, material)
    assert training.row_weights.sum() == pytest.approx(1)
    says = [member.say for member in training.members.values()]
    for member in training.members.values():
        assert member.error is not None
        assert member.say == pytest.approx(0.5 * np.log((1 - member.error) / member.error))
    assert training.objective.model.shares.tolist() == pytest.approx(np.array(says) / sum(says))
    first = training.objective.model.eval().members[0]
    train = torch.from_numpy(material.split.train)
    labels = training.task.labels(first(material.inputs[train])).numpy()
    wrong = labels != material.examples.targets[material.split.train]
    assert training.members[0].error == pytest.approx(wrong.mean())


@pytest.mark.curriculum("ENS-04")
def test_boosted_stumps_beat_one_stump_on_rings() -> None:
    """A network with one hidden unit cuts the plane once; boosted ones surround the inner ring."""
    recipe, material = prepared(
        rings(), (1,), members=12, ensemble="boosting", epochs=40, learning_rate=0.03, validation=0.0
    )
    training = trained(recipe, material)
    ensemble, test = training.objective.model.eval(), torch.from_numpy(material.split.test)

    def accuracy(model: torch.nn.Module) -> float:
        labels = training.task.labels(model(material.inputs[test]))
        return float((labels.numpy() == material.examples.targets[material.split.test]).mean())

    assert accuracy(ensemble) > accuracy(ensemble.members[0]) + 0.05


def test_boosting_ends_where_nothing_is_left_to_learn() -> None:
    recipe, material = prepared("wine", (64,), members=5, ensemble="boosting", epochs=40)
    training = trained(recipe, material)
    assert training.is_finished and training.reason is not None
    assert "makes no mistake on the training rows" in training.reason
    assert len(training.members) < 5


def test_boosting_of_values_takes_the_weighted_median() -> None:
    recipe, material = prepared("diabetes", members=3, ensemble="boosting")
    assert recipe.settings.vote == "median"
    training = trained(recipe, material)
    assert all(member.error is not None and 0 < member.error < 0.5 for member in training.members.values())


def test_snapshots_are_taken_where_the_rate_is_lowest() -> None:
    recipe, material = prepared(members=3, ensemble="snapshot", epochs=6)
    training = training_of(recipe, material, torch.device("cpu"))
    rates = {report.step: training.training.step.rate for report in training.reports()}  # type: ignore[attr-defined]
    ends: list[int] = training.ends  # type: ignore[attr-defined]
    assert len(ends) == 3 and ends[-1] == training.steps
    for end in ends[:-1]:
        assert rates[end] < 0.3 * rates[end + 1]
    weights = [member[0].weight for member in training.objective.model.members]
    assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"members": 1}, "--members must be at least 2; got 1"),
        ({"ensemble": "deep"}, "say how many with --members"),
        ({"vote": "average"}, "say how many with --members"),
        ({"members": 3, "ensemble": "forest"}, "deep, bagging, boosting or snapshot; got 'forest'"),
        ({"members": 3, "vote": "median"}, "average or majority where the target holds classes"),
        ({"members": 3, "plan": "dense"}, "leave --plan out"),
        ({"members": 3, "device": "cuda"}, "leave out --device cuda"),
        ({"members": 3, "ensemble": "snapshot", "schedule": "step"}, "--schedule step does not go with"),
        ({"members": 3, "ensemble": "snapshot", "patience": 3}, "--patience 3 does not go with"),
        ({"members": 3, "ensemble": "snapshot", "epochs": 2}, "too few for 3 members"),
        ({"members": 3, "model": "random-forest"}, "is a classical model"),
        ({"members": 3, "model": torch.nn.Linear(4, 3)}, "handed over as an object"),
    ],
    ids=str,
)
def test_what_cannot_be_an_ensemble_is_refused(tmp_path: Path, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ChainruleError, match=words):
        cr.fit("iris", **asked, quiet=True, runs=tmp_path)
    assert not list(tmp_path.glob("iris*"))


def test_few_rows_are_judged_by_ensembles(tmp_path: Path) -> None:
    x, y = rings(30)
    run = cr.fit((x, y), **SMALL, members=2, settings={"folds": 3}, quiet=True, runs=tmp_path)
    judging, right = run.record["judging"], run.metrics["test"]["accuracy"] * 30
    assert judging["networks"] == 3 * judging["rounds"] and "never saw" in judging["said"]
    judged = right * judging["rounds"]
    assert judged == pytest.approx(round(judged)), "every row is judged once a round"
    assert len(run.model.members) == 2


def test_the_report_sets_members_beside_the_ensemble(tmp_path: Path) -> None:
    run = cr.fit("iris", **SMALL, members=4, ensemble="bagging", quiet=True, runs=tmp_path)
    found = run.record["ensemble"]
    assert found["together"] == pytest.approx(run.metrics["test"])
    assert found["growing"][-1] == pytest.approx(run.metrics["test"]["accuracy"])
    assert found["growing"][0] == pytest.approx(found["members"][0]["metrics"]["accuracy"])
    bagged = found["out_of_bag"]
    assert 0.7 < bagged["rows"] / bagged["of"] < 0.95  # by chance 1 − 0.632⁴ = 0.84
    said = " ".join(found["said"])
    for words in ("members together reach accuracy", "differently", "calibration error", "out of the bag"):
        assert words in said
    page = (run.path / "report.html").read_text("utf-8")
    assert "<h2>Members</h2>" in page and "this ensemble" in page


def test_diversity_is_counted_over_pairs() -> None:
    recipe, material = prepared(members=3)
    training = trained(recipe, material)
    found = judge_members(recipe, material, training, "test")["ensemble"]
    rows = torch.from_numpy(material.split.test)
    model = training.objective.model.eval()
    labels = [training.task.labels(member(material.inputs[rows])) for member in model.members]
    pairs = [(0, 1), (0, 2), (1, 2)]
    differing = [float((labels[a] != labels[b]).float().mean()) for a, b in pairs]
    assert found["disagreement"] == pytest.approx(np.mean(differing))
