"""Claim: `fit` costs no more than the loop that a good engineer writes by hand, and less than scikit-learn's MLP.

Command:  python benchmarks/fit_against_loop.py            (extra `samples`)
Work:     mnist-5k, 4,000 training rows, MLP 784-128-64-10, ten epochs, batch 64, Adam, plan plain.
Sides:    chainrule   seconds of fit: from data in memory to weights on disk, progress and checkpoints on
          loop        index-batched PyTorch loop with the same (fused) Adam, the weights written at the end
          sklearn     MLPClassifier with the same layers, batch, rate and epochs
Expected: chainrule / loop <= 1.03 (lower end of the 95 % interval over 15 interleaved pairs); chainrule / sklearn < 1
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from harness import interleaved, ratio_interval, record
from safetensors.torch import save_file
from sklearn.neural_network import MLPClassifier

from chainrule.data.builtin import mnist_5k
from chainrule.jobs.events import Finished
from chainrule.jobs.fit import run_fit
from chainrule.jobs.request import Request
from chainrule.jobs.show import Terminal
from chainrule.train.settings import Settings

EPOCHS, BATCH, RATE = 10, 64, 1e-3


def chainrule_side(source, folder: Path) -> float:
    """Fit with progress shown (into a buffer) and checkpoints on; report and yardsticks are not in fit_seconds."""
    from rich.console import Console

    settings = Settings(
        model="mlp", epochs=EPOCHS, batch_size=BATCH, optimizer="adam", learning_rate=RATE, schedule="constant",
        weight_decay=0.0, dropout=0.0, label_smoothing=0.0, validation=0.0, test=0.2, plan="plain",
    )  # fmt: skip
    request = Request(data=source, settings=settings, model_settings={"hidden": (128, 64)}, runs=folder)
    terminal = Terminal(Console(file=io.StringIO(), force_terminal=True))
    for event in terminal.show(run_fit(request)):
        if isinstance(event, Finished):
            return event.fit_seconds
    raise AssertionError


def loop_side(x: np.ndarray, y: np.ndarray, folder: Path) -> float:
    """The loop by hand: standardise, shuffle, index, step; weights to disk."""
    began = time.perf_counter()
    inputs = torch.from_numpy(x.reshape(len(x), -1)).float()
    inputs = (inputs - inputs.mean()) / inputs.std()
    targets = torch.from_numpy(y).long()
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    loss_function = torch.nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        order = torch.randperm(len(inputs))
        for i in range(0, len(inputs), BATCH):
            rows = order[i : i + BATCH]
            loss = loss_function(model(inputs[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    save_file(model.state_dict(), folder / "loop.safetensors")
    return time.perf_counter() - began


def sklearn_side(x: np.ndarray, y: np.ndarray) -> float:
    """The same work by scikit-learn."""
    began = time.perf_counter()
    flat = x.reshape(len(x), -1).astype(np.float32)
    flat = (flat - flat.mean()) / flat.std()
    model = MLPClassifier(
        (128, 64),
        batch_size=BATCH,
        learning_rate_init=RATE,
        max_iter=EPOCHS,
        alpha=0,
        n_iter_no_change=EPOCHS,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(flat, y)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    source = mnist_5k()
    rows = np.random.default_rng(0).permutation(len(source))[:4000]
    x, y = source.array[rows], np.asarray(source.targets)[rows].astype(np.int64)
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(KeyboardInterrupt):
        folder = Path(name)
        peers = {"loop": lambda: loop_side(x, y, folder), "sklearn": lambda: sklearn_side(x, y)}
        result: dict = {"pairs": pairs}
        for (
            peer,
            side,
        ) in peers.items():  # one peer at a time: what ran just before leaves its threads spinning
            seconds = interleaved({"chainrule": lambda: chainrule_side(source, folder), peer: side}, pairs)
            ratio, low, high = ratio_interval(seconds["chainrule"], seconds[peer])
            medians = {name: float(np.median(s)) for name, s in seconds.items()}
            result[peer] = {"ratio": ratio, "low": low, "high": high, "seconds": medians}
            shown = ", ".join(f"{name} {s:.3f} s" for name, s in medians.items())
            print(f"chainrule / {peer}: {ratio:.3f} (95 % interval {low:.3f} to {high:.3f}); medians {shown}")
        record("fit_against_loop", result)


if __name__ == "__main__":
    main()
