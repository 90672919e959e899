"""Claim: the deterministic mode costs nothing where layers are dense, and what it costs with normalisation is published.

Command:  python benchmarks/deterministic_cost.py [--rounds 11]
Work:     digits, 32 MLPs 64-64-64-10 that differ in learning rate, batch 64, Adam, on two cores; `dense`: as they are,
          `normalised`: with batch normalisation, through which members of a stack have no bits of their own
Sides:    usual          `PopulationRun`, which measures the fastest way and takes it
          deterministic  the same in deterministic mode, which measures nothing
Expected: deterministic / usual about 1 for dense chains; above it with normalisation. The sides take turns in one process,
          after one warm-up each.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from harness import interleaved, ratio_interval, record, timed

from chainrule.data.read import read
from chainrule.jobs.entries import Entry
from chainrule.jobs.material import reading_of
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.train.settings import Settings

NETWORKS = 32
KINDS = {"dense": (None, 20), "normalised": ("batch", 5)}  # normalisation and epochs


def entries(normalisation: str | None, epochs: int) -> list[Entry]:
    """Return the networks with their rows."""
    chosen = Settings(
        model="mlp", epochs=epochs, batch_size=64, optimizer="adam", learning_rate=1e-3, schedule="constant", validation=0.0,
        dropout=0.0, label_smoothing=0.0, weight_decay=0.0,
    )  # fmt: skip
    request = Request(
        data="digits", settings=chosen, model_settings={"hidden": (64, 64), "normalisation": normalisation}
    )
    recipe, material = prepare_run(request, read("digits", reading_of(chosen, None)))
    return [
        Entry(
            recipe=replace(recipe, settings=replace(recipe.settings, learning_rate=float(rate))),
            material=material,
        )
        for rate in np.geomspace(1e-4, 1e-2, NETWORKS)
    ]


def train(networks: list[Entry], *, is_deterministic: bool) -> None:
    for _ in PopulationRun(networks, is_deterministic=is_deterministic).train():
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    result: dict[str, object] = {"networks": NETWORKS, "rounds": options.rounds}
    for kind, (normalisation, epochs) in KINDS.items():
        networks = entries(normalisation, epochs)
        sides: dict[str, Callable[[], float]] = {
            "usual": lambda networks=networks: timed(lambda: train(networks, is_deterministic=False)),  # type: ignore[misc]
            "deterministic": lambda networks=networks: timed(lambda: train(networks, is_deterministic=True)),  # type: ignore[misc]
        }
        seconds = interleaved(sides, options.rounds)
        median, low, high = ratio_interval(seconds["deterministic"], seconds["usual"])
        usual = statistics.median(seconds["usual"])
        print(f"{kind:10} usual {usual:6.3f} s   deterministic {100 * (median - 1):+.1f} % ({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f})")  # fmt: skip
        result[kind] = {"epochs": epochs, "usual_seconds": usual, "ratio": [median, low, high]}
    if not options.no_record:
        record("deterministic_cost", result)


if __name__ == "__main__":
    main()
