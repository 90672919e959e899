"""What keeps a network from learning its training rows by heart, as `fit` takes it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet, Lasso, Ridge
from torch import nn
from typer.testing import CliRunner

import chainrule as cr
from chainrule.apps.cli import app
from chainrule.data.augmentation import Augmentation
from chainrule.jobs.run import Run
from chainrule.models import build
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.training import Training

Fit = Callable[..., Run]
ROWS = 120
LAMBDA = 0.1


@pytest.fixture
def descend(fit: Fit) -> Fit:
    """Fit linear regression on all rows at once until it stands still; inputs and targets are standardised on the way."""
    return functools.partial(
        fit,
        model="linear-regression",
        validation=0,
        test=0,
        batch_size=ROWS,
        epochs=400,
        optimizer="momentum",
        learning_rate=0.05,
        schedule="linear",
    )


def table() -> tuple[np.ndarray, np.ndarray]:
    """Eight columns, of which three say something; far from 0, so that an intercept matters."""
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 8)) * 5 + 20
    return x, x @ [3, -2, 1.5, 0, 0, 0, 0, 0] + random.normal(0, 5, ROWS) + 100


def standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(0)) / values.std(0)


def coefficients(run: Run) -> np.ndarray:
    return run.model[0].weight[0].detach().numpy()


@pytest.mark.curriculum("REG-02")
def test_the_stronger_the_decay_the_smaller_the_weights(descend: Fit) -> None:
    runs = [descend("diabetes", batch_size=442, weight_decay=decay) for decay in (0.0, 0.03, 0.3, 3.0)]
    norms = [float(np.linalg.norm(coefficients(run))) for run in runs]
    assert norms[0] > 1.05 * norms[1] > 1.05**2 * norms[2] > 1.05**3 * norms[3] > 0
    # Data loss and penalty apart; what decay costs, the data loss pays.
    assert "train_penalty" not in runs[0].history[-1]
    for run, decay, norm in zip(runs[1:], (0.03, 0.3, 3.0), norms[1:], strict=True):
        assert run.history[-1]["train_penalty"] == pytest.approx(decay * norm**2 / 2, rel=1e-4)
    losses = [run.history[-1]["train_loss"] for run in runs]
    assert losses == sorted(losses) and losses[0] < losses[-1]


@pytest.mark.curriculum("REG-05", "REG-06")
@pytest.mark.parametrize(
    ("kind", "settings", "peer"),
    [
        ("lasso", {"l1": LAMBDA}, Lasso(LAMBDA / 2, tol=1e-10)),
        ("ridge", {"weight_decay": LAMBDA}, Ridge(ROWS * LAMBDA / 2)),
        ("elastic net", {"l1": LAMBDA, "weight_decay": LAMBDA}, ElasticNet(LAMBDA, l1_ratio=0.5, tol=1e-10)),
    ],
)
def test_penalised_regression_beside_scikit_learn(
    descend: Fit, kind: str, settings: dict[str, float], peer: Lasso | Ridge | ElasticNet
) -> None:
    """Our loss is a mean over rows: Ridge's sum has n times its strength, Lasso's half mean half of it (E32)."""
    x, y = table()
    run = descend((x, y), **settings)
    wanted = peer.fit(standardised(x), standardised(y)).coef_
    np.testing.assert_allclose(coefficients(run), wanted, atol=2e-6)
    assert run.model[0].bias.item() == pytest.approx(0, abs=1e-6), "the intercept is not penalised"
    zeros = (coefficients(run) == 0).tolist()
    assert zeros == ([False] * 8 if kind == "ridge" else (wanted == 0).tolist())
    assert kind == "ridge" or zeros == [False] * 3 + [True] * 5
    if kind != "ridge":
        assert "5 of 8 weights are exactly 0" in (run.path / "report.html").read_text("utf-8")


@pytest.mark.curriculum("REG-05")
def test_the_proximal_step_of_gradient_descent_gives_the_lasso_too(descend: Fit) -> None:
    x, y = table()
    settings = {"penalty": "decoupled"}
    run = descend((x, y), l1=LAMBDA, optimizer="sgd", learning_rate=0.3, settings=settings)
    wanted = Lasso(LAMBDA / 2, tol=1e-10).fit(standardised(x), standardised(y)).coef_
    np.testing.assert_allclose(coefficients(run), wanted, atol=2e-6)
    assert (coefficients(run) == 0).tolist() == [False] * 3 + [True] * 5


VALIDATION_LOSSES = (5, 4, 3, 3.1, 3.2, 3.3, 1.0, 0.5)


@pytest.mark.curriculum("REG-09")
def test_patience_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation losses 5, 4, 3, 3.1, 3.2, 3.3 with patience 3: it stops after epoch 6, the best was epoch 3."""
    x, y = torch.randn(8, 2), torch.randn(8, 1)
    objective = cr.Objective(nn.Linear(2, 1), cr.Regression(["v"]))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", objective.parameters(), learning_rate=0.1))
    batches, losses = cr.Batches(x, y, 4), iter(VALIDATION_LOSSES)
    monkeypatch.setattr("chainrule.train.training.evaluate", lambda *_: {"loss": next(losses)})
    training = Training(step, batches, batches, cr.schedule("constant", steps=16), patience=3)
    weights = {}
    for report in training.reports():
        weights[report.epoch] = objective.model.weight.detach().clone()
    assert [row["validation_loss"] for row in training.history] == [5, 4, 3, 3.1, 3.2, 3.3]
    assert (training.best_epoch, training.is_finished, training.number) == (3, True, 12)
    training.restore_best_()
    assert torch.equal(objective.model.weight, weights[3]) and not torch.equal(weights[3], weights[6])


@pytest.mark.curriculum("REG-10")
def test_all_four_are_selectable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L1 and L2, dropout, early stopping, augmentation, on one command line; each is found in what the run did."""
    monkeypatch.chdir(tmp_path)
    shifted: list[int] = []

    def spy(self: Augmentation, pictures: torch.Tensor, epoch: int, batch: int) -> torch.Tensor:
        shifted.append(len(pictures))
        return change(self, pictures, epoch, batch)

    change = Augmentation.__call__
    monkeypatch.setattr(Augmentation, "__call__", spy)
    said = (
        "fit digits --set hidden=32 --epochs 40 --learning-rate 0.02 --set l1=0.001 --weight-decay 0.01 --optimizer adam "
        "--dropout 0.2 --patience 2 --augment shift --name all --quiet"
    )
    ended = CliRunner().invoke(app, said.split())
    assert ended.exit_code == 0, ended.output
    run = cr.load("runs/all")
    weights = torch.cat([p.detach().flatten() for p in run.model.parameters() if p.dim() > 1])
    penalty = run.history[run.record["best_epoch"] - 1]["train_penalty"]
    assert penalty == pytest.approx(
        (0.001 * weights.abs().sum() + 0.005 * weights.square().sum()).item(), rel=1e-4
    )
    assert (weights == 0).sum() > 20
    assert [layer.rate for layer in run.model if hasattr(layer, "rate")] == [0.2]
    assert len(run.history) == run.record["best_epoch"] + 2 < 40
    assert run.recipe.settings.augment == ("shift",)
    assert sum(shifted) == len(run.history) * run.record["rows"]["train"]
    assert run.metrics["test"]["accuracy"] > 0.75
    assert cr.verify(run.path).outcome == "equal bits"


def test_a_run_with_all_of_them_goes_on_where_it_was(tmp_path: Path, fit: Fit) -> None:
    """In the middle of an epoch, from its checkpoint alone."""
    from chainrule.jobs.material import make_material, read_again
    from chainrule.jobs.workshop import make_training

    settings = {"penalty": "decoupled", "clip_value": 0.01}
    run = fit("digits", epochs=2, l1=0.1, augment="shift,crop", clip_norm=0.1, settings=settings)
    recipe = run.recipe
    source = read_again(recipe, None, run.folder)
    material = make_material(source, recipe.schema.encode(source), recipe.schema, recipe.settings)
    with recipe.plan.applied() as device:
        first = make_training(recipe, material, device)
        for _ in zip(range(7), first.reports(), strict=False):
            pass
        saved = {name: tensor.clone() for name, tensor in first.tensors().items()}, first.state()
        second = make_training(recipe, material, device)
        second.restore(*saved)
        for _ in second.reports():
            pass
    wanted = load_checkpoint(run.folder.checkpoint)[0]
    found = second.tensors()
    assert all(torch.equal(wanted[name], tensor) for name, tensor in found.items())


@pytest.mark.curriculum("REG-12")
@pytest.mark.parametrize(("shape", "flat"), [((1, 28, 28), 400), ((3, 32, 32), 576), ((3, 44, 44), 1296)])
def test_pooling_leaves_a_quarter(shape: tuple[int, ...], flat: int) -> None:
    """Each 2 × 2 pooling of lenet; without its second one the dense layer would have four times as many weights."""
    model = build("lenet", inputs=shape, units=10)
    pools, x = [], torch.randn(2, *shape)
    for layer in model:
        before, x = x, layer(x)
        if isinstance(layer, nn.MaxPool2d):
            pools.append((before[0].numel(), x[0].numel()))
        elif isinstance(layer, nn.Flatten):
            assert x.shape == (2, flat)
    assert len(pools) == 2 and all(before == 4 * after for before, after in pools)
    assert (
        pools[1][1] == flat
        and next(layer for layer in model if isinstance(layer, nn.Linear)).in_features == flat
    )


@pytest.mark.curriculum("REG-13")
def test_decay_or_more_rows_mend_a_polynomial_of_degree_9(descend: Fit) -> None:
    """Ten noisy points of a sine are met exactly, and missed between; noise alone makes an error of 0.3."""
    found = {}
    for name, count, settings in (
        ("overfit", 10, {}),
        ("decay", 10, {"weight_decay": 0.2}),
        ("more rows", 100, {}),
    ):
        test = {"test": None, "test_data": points(200, seed=9)}
        run = descend(points(count, seed=1), batch_size=count, epochs=2000, **test, **settings)
        assert coefficients(run).shape == (9,)
        found[name] = run.metrics["train"]["rmse"], run.metrics["test"]["rmse"]
    assert found["overfit"][0] < 1e-3 and found["overfit"][1] > 0.45
    assert found["decay"][0] > 0.1 and found["decay"][1] < 0.37
    assert found["more rows"][1] < 0.33


def points(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The powers of t up to the ninth, made orthogonal (Legendre), so that descent gets to the end."""
    random = np.random.default_rng(seed)
    t = np.linspace(-1, 1, 10) if count == 10 else random.uniform(-1, 1, count)
    return np.polynomial.legendre.legvander(t, 9)[:, 1:], np.sin(np.pi * t) + random.normal(0, 0.3, count)
