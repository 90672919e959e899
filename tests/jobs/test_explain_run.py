"""A row of a run, explained: what came in, every number against autograd and the run's own engine, what is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import chainrule
from chainrule.core.errors import DataError, RunError, SettingError
from chainrule.explanations.backprop import backpropagate
from chainrule.explanations.passes import layers_of, said_of_calls
from chainrule.jobs.explain import Explanation
from chainrule.jobs.explain_run import explain_run
from chainrule.jobs.material import make_material, read_again
from chainrule.jobs.run import Run
from chainrule.jobs.workshop import make_training
from chainrule.report import pass_page

TABLE = """city,area,garden,price,kind
Bonn,50,yes,200.5,flat
Ulm,,no,310,house
Bonn,75,no,250,flat
Köln,120,yes,480,house
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


@pytest.fixture(scope="module")
def table(runs: Path) -> Path:
    head, *rows = TABLE.splitlines()
    path = runs / "homes.csv"
    path.write_text("\n".join([head, *(rows * 10)]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def iris(runs: Path) -> Run:
    return chainrule.fit(
        "iris", model_settings={"hidden": (8,)}, epochs=2, quiet=True, runs=runs, name="iris"
    )


@pytest.fixture(scope="module")
def homes(runs: Path, table: Path) -> Run:
    return chainrule.fit(
        table, target="price", model_settings={"hidden": (4,)}, epochs=2, quiet=True, runs=runs, name="homes"
    )


def autograd(run: Run, row: int) -> tuple[dict[str, torch.Tensor], float]:
    """Gradients and loss of a row, straight from the objective that the run trains."""
    source = read_again(run.recipe, None, run.folder)
    examples = run.recipe.schema.encode(source)
    material = make_material(source, examples, run.recipe.schema, run.recipe.settings)
    training = make_training(run.recipe, material, torch.device("cpu"))
    objective = training.step.objective
    objective.model.load_state_dict(run.model.state_dict())
    objective.model.eval()
    objective.task.train()
    assert examples.targets is not None
    loss = objective(
        material.inputs[row : row + 1], objective.task.encode(examples.targets[row : row + 1])
    ).loss
    loss.backward()
    return {n: p.grad for n, p in objective.model.named_parameters()}, loss.item()


@pytest.mark.parametrize("row", [0, 77, 149])
def test_every_number_of_a_row_equals_autograd(iris: Run, row: int) -> None:
    content = explain_run(iris, row)
    gradients, loss = autograd(iris, row)
    assert content.end is not None and content.end.cost == pytest.approx(loss, abs=1e-6)
    assert gradients.keys() == content.walk.gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(content.walk.gradients[name], gradient, atol=1e-6, rtol=1e-5)
    assert all(call.is_by_rule for call in content.walk.calls)
    answered = content.answer
    assert (
        answered.startswith("answer: ")
        and f"true: {('setosa', 'versicolor', 'virginica')[row // 50]}" in answered
    )


@pytest.mark.curriculum("ACT-19")
def test_layers_of_a_trained_network_keep_z_and_a(iris: Run) -> None:
    hidden = explain_run(iris, 3).values()["layers"][0]
    assert hidden["what"] == "dense 4 → 8, relu"
    assert hidden["a"] == [[max(0.0, z) for z in hidden["z"][0]]]
    assert hidden["derivative"] == [[float(z > 0) for z in hidden["z"][0]]]
    products = [b * d for b, d in zip(hidden["gradient_by_a"][0], hidden["derivative"][0], strict=True)]
    assert hidden["gradient_by_z"][0] == pytest.approx(products)


def test_the_update_is_the_first_of_the_runs_rule(iris: Run) -> None:
    """AdamW's first step is the rate in the direction of each gradient, and the decay."""
    content = explain_run(iris, 3)
    rate, decay = iris.recipe.settings.learning_rate, iris.recipe.settings.weight_decay
    assert rate and decay and f"the first update of adamw at the run's learning rate {rate:g}" in content.rule
    weight = content.layers[-1].weights[0]
    moving = weight.gradient.abs() > 1e-4
    expected = -rate * (weight.gradient.sign() + decay * weight.value)
    assert weight.update is not None and moving.any()
    torch.testing.assert_close(weight.update[moving], expected[moving], atol=1e-6, rtol=1e-3)


def test_plain_descent_and_clipping(runs: Path) -> None:
    plain = chainrule.fit(
        "iris",
        model="softmax-regression",
        optimizer="sgd",
        learning_rate=0.1,
        epochs=1,
        quiet=True,
        runs=runs,
        name="plain",
    )
    content = explain_run(plain, 60)
    assert content.rule == "w ← w − 0.1 ∂L/∂w (sgd at the run's learning rate), from this row alone"
    for weight in content.layers[0].weights:
        assert weight.update is not None
        torch.testing.assert_close(weight.update, -0.1 * weight.gradient, atol=1e-6, rtol=1e-4)
    assert (
        content.end is not None and content.cost_after is not None and content.cost_after < content.end.cost
    )


def test_the_run_stays_as_it_was(iris: Run) -> None:
    before = copy.deepcopy(iris.model.state_dict())
    files = {p.name: p.read_bytes() for p in iris.path.iterdir() if p.is_file()}
    explain_run(iris, 0)
    assert all(torch.equal(before[k], v) for k, v in iris.model.state_dict().items())
    assert {p.name: p.read_bytes() for p in iris.path.iterdir() if p.is_file()} == files
    assert not iris.model.training


def test_what_came_in_stands_beside_what_the_network_takes(homes: Run) -> None:
    content = explain_run(homes, 1)
    came = {c.name: (c.raw, c.value) for c in content.came}
    assert came["area is missing"] == ("", 1.0)
    assert came["city = Ulm"] == ("Ulm", 1.0) and came["city = Bonn"] == ("Ulm", 0.0)
    assert came["area"][0] == "" and came["area"][1] == pytest.approx(0, abs=1e-6)
    assert len(content.came) == homes.recipe.inputs
    assert content.answer.startswith("answer: price ") and "true 310" in content.answer
    predicted = homes.predict({"city": ["Ulm"], "area": [None], "garden": ["no"], "kind": ["house"]}).values
    assert predicted is not None
    assert f"{predicted.item():.4g}"[:3] in content.answer


def test_class_weights_and_two_classes(runs: Path, table: Path) -> None:
    run = chainrule.fit(
        table, target="kind", columns={"price": "ignore"}, class_weight="balanced", model_settings={"hidden": (3,)}, epochs=1, quiet=True, runs=runs, name="kinds"
    )  # fmt: skip
    content = explain_run(run, 2)
    gradients, loss = autograd(run, 2)
    assert content.end is not None and content.end.cost == pytest.approx(loss, abs=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(content.walk.gradients[name], gradient, atol=1e-6, rtol=1e-4)
    assert content.end.by_read is None and content.end.names == ("house",)


def test_large_networks_are_summed_up(runs: Path) -> None:
    run = chainrule.fit(
        "digits",
        model="mlp",
        model_settings={"hidden": (64, 32)},
        epochs=1,
        quiet=True,
        runs=runs,
        name="digits",
    )
    content = explain_run(run, 5)
    text = content.text(80)
    assert not content.is_small and "the 10 largest gradients" in text
    assert max(map(len, text.splitlines())) <= 80
    largest = max(float(g.abs().max()) for g in content.walk.gradients.values())
    first = text.split("the 10 largest gradients")[1].splitlines()[2].split()
    assert abs(float(first[-2].replace("−", "-"))) == pytest.approx(largest, rel=1e-3)
    layer, name = int(first[0]), first[1].partition("[")[0]
    assert name in {weight.full_name for weight in content.layers[layer - 1].weights}
    shown = Explanation(content, lambda: pass_page).html()
    assert "How the 2,048 gradients of weight are spread" in shown, "64 · 32 weights"
    json.dumps(content.values(), allow_nan=False)


def test_an_update_that_makes_the_loss_larger_is_commented(iris: Run) -> None:
    content = explain_run(iris, 3)
    assert content.end is not None and "It rose" not in content.text(80)
    risen = dataclasses.replace(content, cost_after=content.end.cost + 1)
    assert "It rose: a gradient holds only close to the weights" in risen.text(80)
    assert "It rose: " in Explanation(risen, lambda: pass_page).html()


def test_explain_takes_a_run_a_folder_or_a_name(iris: Run, runs: Path) -> None:
    texts = {
        str(chainrule.explain(subject, row=7, runs=runs))
        for subject in (iris, str(iris.path), iris.path, "iris")
    }
    assert len(texts) == 1 and "row 7 of iris in the run iris" in texts.pop()


@pytest.mark.parametrize("row", [-1, 150, 10**12])
def test_a_row_outside_the_data(iris: Run, row: int) -> None:
    with pytest.raises(
        SettingError, match=rf"row {row} is outside the data: iris has 150 rows, counted from 0 to 149"
    ):
        explain_run(iris, row)


def test_data_that_changed_or_is_gone(runs: Path, table: Path) -> None:
    path = runs / "moving.csv"
    path.write_bytes(table.read_bytes())
    run = chainrule.fit(
        path, target="price", model_settings={"hidden": (2,)}, epochs=1, quiet=True, runs=runs, name="moving"
    )
    path.write_text(path.read_text("utf-8").replace("480", "481"), encoding="utf-8")
    with pytest.raises(RunError, match=r"moving\.csv has changed since the run was started"):
        explain_run(run, 0)
    path.unlink()
    with pytest.raises(DataError, match=r"moving\.csv"):
        explain_run(run, 0)


def test_a_row_without_a_target(runs: Path, table: Path) -> None:
    path = runs / "holes.csv"
    path.write_text(table.read_text("utf-8").replace("Ulm,,no,310", "Ulm,,no,", 1), encoding="utf-8")
    run = chainrule.fit(
        path, target="price", model_settings={"hidden": (2,)}, epochs=1, quiet=True, runs=runs, name="holes"
    )
    with pytest.raises(DataError, match=r"holes\.csv, row 2 has no target, so there is no loss to explain"):
        explain_run(run, 1)
    assert "true 250" in explain_run(run, 2).answer


def test_rows_in_memory_and_a_loss_of_ones_own(runs: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    run = chainrule.fit(
        (x, y), model_settings={"hidden": (3,)}, epochs=1, quiet=True, runs=runs, name="memory"
    )
    assert explain_run(chainrule.load(run.path, data=(x, y)), 4).came[0].raw == f"{x[4, 0]:g}"
    with pytest.raises(RunError, match="was in memory; hand it over again"):
        explain_run(chainrule.load(run.path), 4)

    def own(outputs: Any, targets: Any) -> Any:
        return (outputs.squeeze(-1) - targets).square()

    mine = chainrule.fit(
        (x, y), model_settings={"hidden": (3,)}, epochs=1, loss=own, quiet=True, runs=runs, name="own"
    )
    with pytest.raises(RunError, match="was handed over as an object and is not kept"):
        explain_run(mine, 0)


def test_shared_layers_are_told() -> None:
    shared, alone = nn.Linear(2, 2), nn.Linear(2, 2)
    x = torch.ones(1, 2)
    for model, count in ((nn.Sequential(shared, nn.ReLU(), shared), 1), (nn.Sequential(shared, alone), 0)):
        walk = backpropagate(model, x, lambda y: y.sum())
        assert len(said_of_calls(layers_of(walk, model, None))) == count
