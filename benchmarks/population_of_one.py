"""Claim: a population of one network takes as long as the network trained by `fit`, and a few milliseconds to begin.

Command:  python benchmarks/population_of_one.py [--rounds 31] [--epochs 30]
Work:     digits, an MLP 64-64-64-10, batch 64, Adam 0.001, no validation; from rows made ready to the trained weights
Sides:    one            the training of `fit`, by explicit backprop in float32 on one thread
          planned        the same under the plan that `fit` settles on for this network on this machine
          population     `PopulationRun` with this one network
          deterministic  the same in deterministic mode, where one network goes the way of a stack
Expected: population / one <= 1.1 with these 30 epochs, closer to 1 with more: it takes about 5 ms to begin. The sides take turns in one process, after one warm-up each.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from harness import interleaved, ratio_interval, record, timed

from chainrule.data.read import read
from chainrule.jobs.entries import Entry, alone
from chainrule.jobs.material import reading_of
from chainrule.jobs.planning import plan_for
from chainrule.jobs.population import PopulationRun
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request
from chainrule.jobs.workshop import draw_start_, make_training
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings


def entry(epochs: int) -> Entry:
    """Return the network with its rows, under the plan of `fit`."""
    chosen = Settings(
        model="mlp", epochs=epochs, batch_size=64, optimizer="adam", learning_rate=1e-3, schedule="constant", validation=0.0,
        dropout=0.0, label_smoothing=0.0, weight_decay=0.0,
    )  # fmt: skip
    request = Request(data="digits", settings=chosen, model_settings={"hidden": (64, 64)})
    recipe, material = prepare_run(request, read("digits", reading_of(chosen, None)))
    with TemporaryDirectory() as runs:
        training = make_training(recipe, material, torch.device("cpu"))
        recipe = replace(recipe, plan=plan_for(recipe, training, Path(runs)).plan)
    return Entry(recipe=recipe, material=material)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    network = entry(options.epochs)

    def one(recipe: Recipe) -> None:
        with recipe.plan.applied() as device:
            training = make_training(recipe, network.material, device)
            draw_start_(training.step.objective.model, recipe)
            for _ in training.reports():
                pass

    def population(*, is_deterministic: bool) -> None:
        for _ in PopulationRun([network], is_deterministic=is_deterministic).train():
            pass

    sides: dict[str, Callable[[], float]] = {
        "one": lambda: timed(lambda: one(alone(network))),
        "planned": lambda: timed(lambda: one(network.recipe)),
        "population": lambda: timed(lambda: population(is_deterministic=False)),
        "deterministic": lambda: timed(lambda: population(is_deterministic=True)),
    }
    seconds = interleaved(sides, options.rounds)
    result: dict[str, object] = {
        "epochs": options.epochs,
        "rounds": options.rounds,
        "plan": str(network.recipe.plan),
    }
    for name, took in seconds.items():
        median, low, high = ratio_interval(took, seconds["one"])
        print(
            f"{name:14} {1e3 * statistics.median(took):8.1f} ms   {median:.3f} of one ({low:.3f} to {high:.3f})"
        )
        result[name] = {"seconds": statistics.median(took), "ratio": [median, low, high]}
    if not options.no_record:
        record("population_of_one", result)


if __name__ == "__main__":
    main()
