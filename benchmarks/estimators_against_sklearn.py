"""Claim: NeuralClassifier fits a small table in a third of the time of scikit-learn's MLPClassifier, sizes and epochs equal.

Command:  OMP_NUM_THREADS=1 python benchmarks/estimators_against_sklearn.py [--pairs 11]
Work:     digits, 1,347 rows of 64 numbers in memory; one hidden layer of ReLU, Adam at 0.001, 50 epochs, no decay:
          100 units in batches of 200 (scikit-learn's own defaults), 128 in batches of 64, 256 in batches of 32.
          And iris, 8 units, one epoch: what a fit costs beside its updates
Sides:    chainrule  cr.NeuralClassifier(...).fit(X, y), which also scales the columns
          sklearn    MLPClassifier(...).fit(X, y), on columns that were scaled before the clock starts
Expected: chainrule / sklearn <= 0.4 for each digits row (median of the paired ratios); iris within 3 ms of scikit-learn
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np
from harness import interleaved, ratio_interval, record, timed
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

import chainrule as cr

WORKS = [("digits", 50, 100, 200), ("digits", 50, 128, 64), ("digits", 50, 256, 32), ("iris", 1, 8, 32)]


def ours(epochs: int, units: int, batch_size: int) -> cr.NeuralClassifier:
    return cr.NeuralClassifier(
        hidden=(units,),
        epochs=epochs,
        batch_size=batch_size,
        optimizer="adam",
        learning_rate=1e-3,
        schedule="constant",
        weight_decay=0.0,
        dropout=0.0,
        settings={"label_smoothing": 0.0},
        random_state=0,
    )


def theirs(epochs: int, units: int, batch_size: int) -> MLPClassifier:
    return MLPClassifier(
        (units,), max_iter=epochs, batch_size=batch_size, alpha=0.0, n_iter_no_change=epochs + 1, random_state=0
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=11)
    pairs = parser.parse_args().pairs
    warnings.simplefilter("ignore")  # scikit-learn says that it has not converged
    inputs, numerals = load_digits(return_X_y=True)
    rows = train_test_split(inputs, numerals, random_state=0, stratify=numerals)[::2]
    tables = {"digits": rows, "iris": load_iris(return_X_y=True)}
    result: dict[str, Any] = {"pairs": pairs}
    for name, *said in WORKS:
        x, y = tables[name]
        scaled = scale(x)
        sides = {
            "chainrule": lambda said=said, x=x, y=y: timed(lambda: ours(*said).fit(x, y)),
            "sklearn": lambda said=said, x=scaled, y=y: timed(lambda: theirs(*said).fit(x, y)),
        }
        seconds = interleaved(sides, pairs)
        ratio, low, high = ratio_interval(seconds["chainrule"], seconds["sklearn"])
        medians = {side: float(np.median(taken)) for side, taken in seconds.items()}
        work = f"{name}, {said[1]} units, batch {said[2]}, {said[0]} epochs"
        result[work] = {"ratio": ratio, "low": low, "high": high, "seconds": medians}
        shown = ", ".join(f"{side} {1e3 * taken:.1f} ms" for side, taken in medians.items())
        print(f"{work}: {ratio:.3f} (95 % interval {low:.3f} to {high:.3f}); medians {shown}")
    record("estimators_against_sklearn", result)


if __name__ == "__main__":
    main()
