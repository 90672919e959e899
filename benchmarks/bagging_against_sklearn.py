"""Claim: bagging of 50 MLPs on wine takes at most 1/15 of the time of scikit-learn's BaggingClassifier(MLPClassifier).

Command:  python benchmarks/bagging_against_sklearn.py [--rounds 7] [--epochs 200]
Work:     wine, 50 networks 13-64-3, batch 32, Adam 0.001, two cores
Sides:    chainrule     the ensemble of `fit --members 50 --ensemble bagging` in memory: rows divided and prepared, members
                        trained; nothing judged or written
          scikit-learn  BaggingClassifier(MLPClassifier(...), 50, n_jobs=2) on the same prepared rows
Expected: scikit-learn / chainrule >= 15, equal test accuracy. The sides take turns in one process, after one warm-up each.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from harness import ratio_interval, record
from sklearn.ensemble import BaggingClassifier
from sklearn.neural_network import MLPClassifier

from chainrule.data.read import read
from chainrule.jobs.ensemble_training import EnsembleTraining, plan_of_members
from chainrule.jobs.material import Material, reading_of
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.train.settings import Settings

MEMBERS, UNITS, BATCH = 50, 64, 32


def ours(epochs: int) -> tuple[float, float, Material]:
    """Prepare and train; return seconds, test accuracy and the rows."""
    chosen = Settings(
        model="mlp", epochs=epochs, batch_size=BATCH, optimizer="adam", learning_rate=1e-3, schedule="constant",
        members=MEMBERS, ensemble="bagging", validation=0.0, dropout=0.0, label_smoothing=0.0, weight_decay=0.0,
    )  # fmt: skip
    request = Request(data="wine", settings=chosen, model_settings={"hidden": (UNITS,)})
    source = read("wine", reading_of(chosen, None))
    began = time.perf_counter()
    recipe, material = prepare_run(request, source)
    training = EnsembleTraining(replace(recipe, plan=plan_of_members(recipe, material)), material)
    for _ in training.reports():
        pass
    seconds = time.perf_counter() - began
    assert isinstance(material.inputs, torch.Tensor)
    rows = material.split.test
    with torch.no_grad():
        outputs = training.objective.model.eval()(material.inputs[rows])
    return seconds, float((outputs.argmax(-1).numpy() == material.examples.targets[rows]).mean()), material


def theirs(epochs: int, material: Material) -> tuple[float, float]:
    """Train on the same prepared rows; return seconds and test accuracy."""
    x, y = np.asarray(material.inputs, np.float64), material.examples.targets
    train, test = material.split.train, material.split.test
    network = MLPClassifier(
        (UNITS,), batch_size=BATCH, max_iter=epochs, n_iter_no_change=10**6, tol=0, alpha=0.0
    )
    began = time.perf_counter()
    model = BaggingClassifier(network, MEMBERS, n_jobs=2, random_state=0).fit(x[train], y[train])
    return time.perf_counter() - began, float(model.score(x[test], y[test]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of networks that have not converged
    found: dict[str, list[tuple[float, float]]] = {"chainrule": [], "scikit-learn": []}
    for turn in range(options.rounds + 1):
        seconds, accuracy, material = ours(options.epochs)
        other = theirs(options.epochs, material)
        if turn:
            found["chainrule"].append((seconds, accuracy))
            found["scikit-learn"].append(other)
    ratio, low, high = ratio_interval(
        *([s for s, _ in found[side]] for side in ("scikit-learn", "chainrule"))
    )
    result: dict[str, Any] = {
        "epochs": options.epochs,
        "members": MEMBERS,
        "ratio": ratio,
        "low": low,
        "high": high,
    }
    for side, rounds in found.items():
        result[side] = {
            "seconds": statistics.median(s for s, _ in rounds),
            "accuracy": statistics.mean(a for _, a in rounds),
        }
        print(f"{side}: {result[side]['seconds']:.3f} s, test accuracy {result[side]['accuracy']:.4f}")
    print(f"scikit-learn / chainrule: {ratio:.1f} ({low:.1f} to {high:.1f})")
    if not options.no_record:
        record("bagging_against_sklearn", result)


if __name__ == "__main__":
    main()
