"""What a worker of a cluster does with JSON and arrays is what a population does with entries, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.core.errors import SettingError
from chainrule.data.read import read
from chainrule.data.reading import Reading
from chainrule.jobs.cluster_task import look_around, pack_rows, train_group, unpack_rows
from chainrule.jobs.entries import Entry, varied_among
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.train.settings import Settings

MODELS: tuple[dict[str, Any], ...] = (
    {"hidden": (10, 8), "dropout": 0.2},
    {"hidden": (8,), "normalisation": "batch"},
)


def entries(of_model: dict[str, Any]) -> list[Entry]:
    """Networks with rates and decays of their own, on rows with a test and a validation part."""
    made: list[Entry] = []
    for rate, decay in ((0.01, 0.0), (0.003, 0.01), (0.001, 0.01)):
        settings = Settings(
            model="mlp", epochs=5, batch_size=16, optimizer="adam", learning_rate=rate, schedule="constant",
            weight_decay=decay, patience=2,
        )  # fmt: skip
        request = Request(data="iris", settings=settings, model_settings=of_model, runs=Path("nowhere"))
        recipe, material = prepare_run(request, read("iris", Reading(target=None)))
        made.append(Entry(recipe=recipe, material=made[0].material if made else material))
    return made


def sent(some: list[Entry], epochs: int | None, varied: set[str], **differing: str) -> list[Any]:
    recipes = [json.dumps(entry.recipe.to_json()) for entry in some]
    rows = pack_rows(some[0].material)
    return train_group(recipes, rows, epochs, ["accuracy"], sorted(varied), {**look_around(), **differing})


@pytest.fixture(autouse=True)
def _as_on_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")


@pytest.mark.parametrize("of_model", MODELS)
def test_a_group_has_the_bits_of_a_population(of_model: dict[str, Any]) -> None:
    """Also in groups of one and two, and after two of the epochs: each rung of halving begins anew."""
    every = entries(of_model)
    run = PopulationRun(every, is_deterministic=True, judged="test", metrics=["accuracy"])
    varied = varied_among(every)
    assert varied == {"learning_rate", "weight_decay"}
    for epochs in (2, None):
        for _ in run.train(epochs):
            pass
        shown = [run.shown(number) for number in range(len(every))]
        expected = [(one.row, one.epochs, one.failure) for one in shown]
        assert sent(every, epochs, varied) == expected
        assert sent(every[:1], epochs, varied) + sent(every[1:], epochs, varied) == expected


def test_a_network_that_diverges_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        model="mlp", epochs=3, batch_size=16, optimizer="sgd", learning_rate=1e6, schedule="constant", loss="squared-error"
    )  # fmt: skip
    request = Request(data="diabetes", settings=settings, model_settings={"hidden": (8,)}, runs=Path("no"))
    recipe, material = prepare_run(request, read("diabetes", Reading(target=None)))
    [(row, _, failure)] = sent([Entry(recipe=recipe, material=material)], None, set())
    assert row is None and failure is not None and "not finite" in failure


def test_rows_come_out_as_they_went_in() -> None:
    material = entries(MODELS[0])[0].material
    packed = pack_rows(material)
    for array in packed.values():
        array.flags.writeable = False  # as Ray has them
    again = unpack_rows(packed)
    assert np.array_equal(np.asarray(again.inputs), np.asarray(material.inputs))
    assert np.array_equal(again.targets, material.targets)
    for part in ("train", "validation", "test"):
        assert np.array_equal(again.rows(part), material.rows(part))
    again.inputs[0] = 0.0  # memory of its own
    assert not np.array_equal(np.asarray(again.inputs), np.asarray(material.inputs))


def test_a_machine_that_came_later_with_other_versions_refuses() -> None:
    some = entries(MODELS[0])[:1]
    with pytest.raises(SettingError, match=r"the machine .* has torch .*, this one torch 1\.0: .*same bits"):
        sent(some, 1, set(), torch="1.0")
