"""Measure what depth, width, starting weights and batch normalisation change, on handwritten digits and two rings.

Command:  python docs/pages/depth.py
Writes:   docs/depth.md and docs/pictures/depth-*.svg, in about a minute on two cores
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import chainrule as cr
from chainrule.core.units import show_tick
from chainrule.nn.initial import initialise_
from chainrule.report.canvas import add_heading, add_legend, add_plot_axes, new_figure, set_ticks
from chainrule.report.svg import COLOURS, drawing
from chainrule.train.loop import evaluate

DOCS = Path(__file__).resolve().parent.parent
DEPTHS, UNITS, RATE = (0, 1, 2, 4, 8), 32, 0.003
VARIANTS = (  # name, activation, starting weights, normalisation
    ("relu, he", "relu", "he", None),
    ("sigmoid, xavier", "sigmoid", "xavier", None),
    ("sigmoid, xavier, batch", "sigmoid", "xavier", "batch"),
)
DEEP = 20
FLOWS = (
    ("sigmoid", "xavier"),
    ("tanh", "xavier"),
    ("relu", "he"),
    ("relu", "xavier"),
    ("relu", "normal:0.01"),
)
STARTS, START_RATES, START_STEPS = ("normal:0.01", "xavier", "he", "normal:1"), (0.001, 0.1), 50
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
WIDTHS = (3, 6, 20, 100)
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # told apart by the colour-blind too
Rows = tuple[Tensor, Tensor]


def digits(seed: int, most: int | None = None) -> tuple[Rows, Rows]:
    """Return training and test rows of scikit-learn's digits, drawn by a seed."""
    pictures, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(pictures))[:most]
    inputs, targets = torch.tensor(pictures[order] / 8 - 1, dtype=torch.float32), torch.tensor(labels[order])
    cut = len(order) * 2 // 3
    return (inputs[:cut], targets[:cut]), (inputs[cut:], targets[cut:])


def network(
    depth: int, seed: int, *, activation: str, initial: str, normalisation: str | None = None
) -> nn.Module:
    """Build a network for digits with so many hidden layers, started by a seed."""
    hidden = (UNITS,) * depth
    model = cr.build(
        "mlp", inputs=64, units=10, hidden=hidden, activation=activation, normalisation=normalisation
    )
    initialise_(model, seed, initial)
    return model


def train(
    model: nn.Module,
    task: cr.MultiClass | cr.Binary,
    rows: Rows,
    rule: str,
    rate: float,
    epochs: int,
    size: int,
) -> float:
    """Train at a constant rate; returns the mean training loss of the last epoch, infinite where it diverged."""
    objective = cr.Objective(model, task)
    step = cr.AutogradStep(objective, cr.optimizer(rule, model.parameters(), learning_rate=rate))
    batches = cr.Batches(*rows, size)
    try:
        *_, last = cr.epochs(step, batches, None, cr.schedule("constant", steps=epochs * len(batches)))
    except cr.ChainruleError:  # the rate was too high
        return math.inf
    return last.train_loss


def accuracy(model: nn.Module, task: cr.MultiClass | cr.Binary, rows: Rows) -> float:
    return evaluate(cr.Objective(model, task), cr.Batches(*rows, 4096))["accuracy"]


def ten() -> cr.MultiClass:
    return cr.MultiClass([str(digit) for digit in range(10)])


def by_depth(seeds: int, epochs: int, most: int | None) -> dict[str, list[list[float]]]:
    """Return per variant and depth the test accuracies, one per draw of the rows."""
    found: dict[str, list[list[float]]] = {}
    for name, activation, initial, normalisation in VARIANTS:
        found[name] = [
            [
                _judged(network(depth, seed, activation=activation, initial=initial, normalisation=normalisation),
                        seed, epochs, most)
                for seed in range(seeds)
            ]
            for depth in DEPTHS
        ]  # fmt: skip
    return found


def _judged(model: nn.Module, seed: int, epochs: int, most: int | None) -> float:
    trained, judged = digits(seed, most)
    train(model, ten(), trained, "adam", RATE, epochs, 32)
    return accuracy(model, ten(), judged)


def gradient_norms(activation: str, initial: str, depth: int = DEEP) -> list[float]:
    """Return the size of the gradient of every hidden layer's weights before the first update, the first layer first.

    In float64, as the smallest are 0 in float32.
    """
    model = network(depth, 0, activation=activation, initial=initial).double()
    (inputs, targets), _ = digits(0)
    nn.functional.cross_entropy(model(inputs[:256].double()), targets[:256]).backward()
    dense = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    return [float(layer.weight.grad.norm()) for layer in dense[:-1] if layer.weight.grad is not None]


def after_start(initial: str, rate: float, normalisation: str | None) -> float:
    """Return the loss on all training rows after 50 updates of a network with 4 hidden layers."""
    rows, _ = digits(0)
    model = network(4, 0, activation="relu", initial=initial, normalisation=normalisation)
    every = cr.Batches(*rows, len(rows[0]))
    train(model, ten(), rows, "sgd", rate, START_STEPS, len(rows[0]))
    return float(evaluate(cr.Objective(model, ten()), every)["loss"])


def by_rate(normalisation: str | None, epochs: int, most: int | None) -> list[float]:
    """Return the training loss of 8 hidden layers after some epochs of plain descent, for every rate."""
    rows, _ = digits(0, most)
    found = []
    for rate in RATES:
        model = network(8, 0, activation="relu", initial="he", normalisation=normalisation)
        found.append(train(model, ten(), rows, "sgd", rate, epochs, 32))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A network of one hidden layer on two noisy rings."""

    width: int
    model: nn.Module
    trained: float
    judged: float


def rings(count: int, seed: int) -> Rows:
    """Return points of two rings that overlap by noise, and the ring of each."""
    random = np.random.default_rng(seed)
    ring = np.arange(count) % 2
    angle, radius = random.uniform(0, 2 * np.pi, count), 1 + ring + 0.45 * random.normal(size=count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return torch.tensor(points, dtype=torch.float32), torch.from_numpy(ring)


def by_width(epochs: int) -> list[Fitted]:
    """Fit the same 120 points with wider and wider hidden layers; 4,000 others judge."""
    rows, fresh, task = rings(120, 0), rings(4000, 1), cr.Binary(["inner", "outer"])
    found = []
    for width in WIDTHS:
        model = cr.build("mlp", inputs=2, units=1, hidden=(width,), activation="tanh")
        initialise_(model, 0, "xavier")
        train(model, task, rows, "adam", 0.03, epochs, len(rows[0]))
        trained, judged = accuracy(model, task, rows), accuracy(model, task, fresh)
        found.append(Fitted(width=width, model=model, trained=trained, judged=judged))
    return found


def draw_depth(found: dict[str, list[list[float]]], file: Path) -> None:
    """Draw accuracy by depth, a dot for every draw of the rows."""
    with drawing():
        figure = new_figure(760, 400, COLOURS["paper"])
        axes = add_plot_axes(figure, width=760, top=40)
        for (name, accuracies), colour in zip(found.items(), LINES, strict=False):
            places = range(len(DEPTHS))
            axes.plot(places, [fmean(each) for each in accuracies], color=colour, linewidth=2, label=name)
            for place, each in zip(places, accuracies, strict=True):
                axes.plot([place] * len(each), each, "o", color=colour, markersize=4, alpha=0.6)
        axes.set_ylim(0, 1.02)
        set_ticks(axes)
        axes.set_xticks(range(len(DEPTHS)), [str(depth) for depth in DEPTHS])
        axes.set_xlabel("hidden layers")
        add_legend(axes)
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def draw_flows(found: dict[str, list[float]], file: Path) -> None:
    """Draw the size of gradients layer by layer, on a logarithmic scale."""
    with drawing():
        figure = new_figure(760, 430, COLOURS["paper"])
        axes = add_plot_axes(figure, width=760, top=66)
        for (name, norms), colour in zip(found.items(), LINES, strict=True):
            axes.plot(range(1, len(norms) + 1), norms, "o-", color=colour, markersize=4, label=name)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(show_tick)
        axes.set_xlabel("hidden layer, 1 next to the inputs")
        axes.set_xticks([1, 5, 10, 15, 20])
        add_legend(axes)
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def draw_widths(fits: Sequence[Fitted], file: Path) -> None:
    """Draw the 120 points and where each network sees which ring."""
    (points, ring), side = rings(120, 0), torch.linspace(-3.6, 3.6, 160)
    grid = torch.cartesian_prod(side, side)
    with drawing(), torch.no_grad():
        figure = new_figure(860, 270, COLOURS["paper"])
        for place, fit in enumerate(fits):
            axes = figure.add_axes((0.005 + 0.25 * place, 0.02, 0.24, 0.76))
            outer = (fit.model(grid)[:, 0] > 0).reshape(160, 160).T.numpy()
            axes.contourf(
                side,
                side,
                outer,
                levels=[-0.5, 0.5, 1.5],
                colors=[COLOURS["ours"], COLOURS["wrong"]],
                alpha=0.22,
            )
            for which, colour in ((0, COLOURS["ours"]), (1, COLOURS["wrong"])):
                axes.plot(*points[ring == which].T.numpy(), "o", color=colour, markersize=4)
            axes.set(xticks=[], yticks=[], xlim=(-3.6, 3.6), ylim=(-3.6, 3.6))
            add_heading(axes, f"{fit.width} units", up=26, fontweight="bold")
            add_heading(axes, f"{fit.trained:.3f} and {fit.judged:.3f}", color=COLOURS["muted"], fontsize=13)
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    sides = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, sides, *rows))


def loss_said(loss: float) -> str:
    return "diverged" if not math.isfinite(loss) else f"{loss:.3f}" if loss < 1000 else f"{loss:.1e}"


def _spread(accuracies: Sequence[float]) -> str:
    return f"{fmean(accuracies):.3f} ({min(accuracies):.3f} to {max(accuracies):.3f})"


def highest(losses: Sequence[float]) -> str:
    """Return the highest rate with which the loss came below 1."""
    return max(
        (f"{rate:g}" for rate, loss in zip(RATES, losses, strict=True) if loss < 1), key=float, default="none"
    )


def page(
    depths: dict[str, list[list[float]]],
    flows: dict[str, list[float]],
    starts: dict[str, list[float]],
    rates: dict[str, list[float]],
    fits: Sequence[Fitted],
    epochs: int,
) -> str:
    names = list(depths)
    by_layers = [
        [str(depth), *(_spread(depths[name][i]) for name in names)] for i, depth in enumerate(DEPTHS)
    ]
    flowing = [
        [name, f"{n[0]:.1e}", f"{n[-1]:.1e}", f"{n[0] / n[-1]:.1e}" if n[-1] else "–"]
        for name, n in flows.items()
    ]
    begun = [[name, *map(loss_said, losses)] for name, losses in starts.items()]
    paced = [[name, *map(loss_said, losses), highest(losses)] for name, losses in rates.items()]
    widths = [[str(fit.width), f"{fit.trained:.3f}", f"{fit.judged:.3f}"] for fit in fits]
    start_head = [f"rate {rate:g}{said}" for said in ("", ", batch") for rate in START_RATES]
    return f"""# Depth and width

Written by `python docs/pages/depth.py`; every number is computed by it, on scikit-learn's 1,797 digits unless said
otherwise. Hidden layers have {UNITS} units. "batch" is batch normalisation between W a + b and the activation.

## How deep

![Test accuracy by number of hidden layers](pictures/depth-accuracy.svg)

{epochs} epochs of adam at {RATE:g} in batches of 32; means over draws of the rows, with the least and the most. One or two
hidden layers help, then more of them do not: what a network can represent is not what it learns in a given time. Networks
of sigmoids fall far behind as they get deeper, unless their sums are normalised; the next picture says why.

{table(["hidden layers", *names], by_layers)}

## What comes back to the first layers

![Size of the gradient in each of {DEEP} hidden layers](pictures/depth-gradients.svg)

The size (norm) of the gradient of each layer's weights in a network of {DEEP} hidden layers, before the first update. In
every layer on the way back the slope of the activation is a factor: at most 1/4 for a sigmoid, 1 or 0 for ReLU, where
He's start makes up for the zeros. With starting weights that are too small ReLU's gradients vanish too, and those of
tanh do not with Xavier's. So activation and start go together: "only ReLU keeps gradients" says too much.

{table(["activation, start", "first layer", "last hidden layer", "ratio"], flowing)}

## Where it starts

The loss of four hidden layers of ReLU after {START_STEPS} updates of plain descent on all training rows; without any
learning it is about ln 10 = {math.log(10):.3f}. With batch normalisation the sums are brought
to one scale in every layer, and the network learns from any of these starts at rate 0.1, though not equally fast; too
small a rate stays too small.

{table(["start", *start_head], begun)}

## How fast

The loss of eight hidden layers of ReLU, started by He's rule, after {max(1, epochs // 3)} epochs of plain descent in
batches of 32. The last column is the highest of these rates with which the loss comes below 1.

{table(["", *(f"{rate:g}" for rate in RATES), "highest"], paced)}

## How wide

![Where networks of 3 to 100 units see which of two rings](pictures/depth-widths.svg)

Two rings that overlap by noise, 120 points to train on, one hidden layer of tanh, adam at 0.03. Above each picture the
accuracy on these points and on 4,000 others. A wider layer draws a richer boundary; it follows the noise as well, which
the others do not share.

{table(["units", "accuracy on the 120", "on 4,000 others"], widths)}
"""


def main(docs: Path = DOCS, *, seeds: int = 3, epochs: int = 12, most: int | None = None) -> None:
    """Write page and pictures into a folder; `most` takes fewer digits."""
    torch.set_num_threads(1)
    pictures = docs / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    depths = by_depth(seeds, epochs, most)
    flows = {f"{activation}, {initial}": gradient_norms(activation, initial) for activation, initial in FLOWS}
    starts = {
        initial: [after_start(initial, rate, batch) for batch in (None, "batch") for rate in START_RATES]
        for initial in STARTS
    }
    rates = {
        said: by_rate(batch, max(1, epochs // 3), most)
        for said, batch in (("plain", None), ("batch", "batch"))
    }
    fits = by_width(50 * epochs)
    draw_depth(depths, pictures / "depth-accuracy.svg")
    draw_flows(flows, pictures / "depth-gradients.svg")
    draw_widths(fits, pictures / "depth-widths.svg")
    (docs / "depth.md").write_text(page(depths, flows, starts, rates, fits, epochs), encoding="utf-8")


if __name__ == "__main__":
    main()
