"""Compare all update rules on four loss landscapes and on handwritten digits.

Command:  python docs/pages/optimizers.py
Writes:   docs/optimizers.md and docs/pictures/optimizers-*.svg, in about a minute on two cores
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import chainrule as cr
from chainrule.catalog import load
from chainrule.report.canvas import new_figure
from chainrule.report.svg import COLOURS, drawing

DOCS = Path(__file__).resolve().parent.parent
RULES = (
    "sgd",
    "momentum",
    "nesterov",
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
    "adamw",
    "nadam",
    "simple-nadam",
)
PANELS = (RULES[:5], RULES[5:])
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # told apart by the colour-blind too
RATES = tuple(round(10**power * head, 6) for power in (-4, -3, -2, -1, 0, 1) for head in (1, 3))
STEPS = 150
WEIGHT_DECAY = 0.01  # of adamw; without it adamw is adam


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """A loss of two parameters: where paths begin, what part of the plane is drawn, and what is hard about it."""

    name: str
    title: str
    formula: str
    loss: Callable[[Tensor, Tensor], Tensor]
    start: tuple[float, float]
    least: float  # the lowest loss there is
    across: tuple[float, float]
    up: tuple[float, float]


_X = min(np.roots([4, 0, -4, 0.3]).real)  # where the slope of (x² − 1)² + 0.3 x is 0, on the left
LOWEST_OF_TWO = float((_X**2 - 1) ** 2 + 0.3 * _X)
LANDSCAPES = (
    Landscape(
        name="ravine", title="a ravine", formula="½ x² + 10 y²", start=(-4, 1), least=0.0,
        loss=lambda x, y: x**2 / 2 + 10 * y**2, across=(-4.6, 1.6), up=(-1.8, 1.8),
    ),
    Landscape(
        name="plateau", title="a plateau", formula="1 − exp(−(x² + y²) / 2)", start=(-3, 1.5), least=0.0,
        loss=lambda x, y: 1 - torch.exp(-(x**2 + y**2) / 2), across=(-3.6, 2), up=(-2, 2.2),
    ),
    Landscape(
        name="saddle", title="a saddle", formula="x² − y² + y⁴ / 4", start=(1, 1e-3), least=-1.0,
        loss=lambda x, y: x**2 - y**2 + y**4 / 4, across=(-1.6, 1.6), up=(-2.1, 2.1),
    ),
    Landscape(
        name="minima", title="a local minimum", formula="(x² − 1)² + 0.3 x + y² / 2", start=(2, 1), least=LOWEST_OF_TWO,
        loss=lambda x, y: (x**2 - 1) ** 2 + 0.3 * x + y**2 / 2, across=(-1.9, 2.3), up=(-1.3, 1.5),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Path2:
    """Where one rule went: points (steps + 1, 2), and the loss at each."""

    rate: float
    points: np.ndarray
    losses: np.ndarray


def walk(rule: str, landscape: Landscape, rates: Sequence[float] = RATES, steps: int = STEPS) -> list[Path2]:
    """Follow a rule from the landscape's start, with every rate at once: each is one member of a stack."""
    start = torch.tensor(landscape.start, dtype=torch.float64)
    where = nn.Parameter(start.repeat(len(rates), 1))
    decay = WEIGHT_DECAY if rule == "adamw" else 0.0
    update = cr.optimizer(rule, [where], learning_rate=torch.tensor(rates), weight_decay=decay)
    points, losses = [], []
    for step in range(steps + 1):
        loss = landscape.loss(*where.unbind(1))
        points.append(where.detach().clone())
        losses.append(loss.detach())
        if step < steps:
            (where.grad,) = torch.autograd.grad(loss.sum(), where)
            update.step()
    every, lost = torch.stack(points, 1).numpy(), torch.stack(losses, 1).numpy()
    return [Path2(rate, every[member], lost[member]) for member, rate in enumerate(rates)]


def best(paths: Sequence[Path2], landscape: Landscape) -> Path2:
    """Return the path with the lowest loss on the average of its second half, among those that stay in the picture."""
    low, high = np.array([landscape.across, landscape.up]).T

    def cost(path: Path2) -> float:
        late = path.losses[len(path.losses) // 2 :]
        stays = bool(((path.points >= low) & (path.points <= high)).all())
        return float(late.mean()) if stays else math.inf

    return min(paths, key=cost)


def steps_to(path: Path2, least: float) -> int | None:
    """Return after how many updates 99 % of the way down is made for good, None if it never is."""
    level = least + 0.01 * (path.losses[0] - least)
    above = np.flatnonzero(~(path.losses <= level))
    after = 0 if not len(above) else int(above[-1]) + 1
    return after if after < len(path.losses) else None


def draw(landscape: Landscape, paths: dict[str, Path2], file: Path) -> None:
    """Draw the paths of all rules over contour lines, in two panels."""
    x, y = np.meshgrid(np.linspace(*landscape.across, 90), np.linspace(*landscape.up, 90))
    heights = landscape.loss(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    levels = np.quantile(heights, np.linspace(0.02, 0.98, 14))
    with drawing():
        figure = new_figure(860, 430, COLOURS["paper"])
        for place, rules in enumerate(PANELS):
            axes = figure.add_axes((0.055 + 0.49 * place, 0.1, 0.435, 0.7))
            axes.contour(
                x,
                y,
                heights,
                levels=np.unique(levels),
                colors=COLOURS["line"],
                linewidths=1,
                linestyles="solid",
            )
            for rule, colour in zip(rules, LINES, strict=True):
                points = paths[rule].points
                axes.plot(
                    *points.T, color=colour, linewidth=1.6, label=f"{rule} {paths[rule].rate:g}", alpha=0.9
                )
                axes.plot(*points[-1], "o", color=colour, markersize=6)
            axes.plot(*landscape.start, "s", color=COLOURS["ink"], markersize=7)
            axes.set(xlim=landscape.across, ylim=landscape.up)
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0, 1.01),
                ncols=2,
                frameon=False,
                fontsize=13,
                borderaxespad=0.2,
            )
        figure.savefig(file, metadata={"Date": None, "Creator": None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Digits, divided: rows to train on, to choose the rate by, and to judge by."""

    train: cr.Batches
    validation: cr.Batches
    test: cr.Batches


def digits(batch_size: int, seed: int, most: int | None = None) -> Digits:
    """Return scikit-learn's digits in batches, drawn by a seed."""
    pictures, labels = load_digits(return_X_y=True)
    inputs, targets = torch.tensor(pictures / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))[:most]
    parts = order.tensor_split([len(order) * 2 // 3, len(order) * 5 // 6])
    train, validation, test = (
        cr.Batches(inputs, targets, batch_size, rows=rows, seed=seed) for rows in parts
    )
    return Digits(train=train, validation=validation, test=test)


def train(rule: str, rate: float, data: Digits, seed: int, epochs: int) -> tuple[float, float, float]:
    """Train 64-32-10 and return the training loss of the last epoch, and loss and accuracy of the validation rows."""
    torch.manual_seed(seed)
    model = cr.build("mlp", inputs=64, units=10, hidden=(32,))
    decay = WEIGHT_DECAY if rule == "adamw" else 0.0
    update = cr.optimizer(rule, model.parameters(), learning_rate=rate, weight_decay=decay)
    step = cr.AutogradStep(cr.Objective(model, cr.MultiClass([str(digit) for digit in range(10)])), update)
    constant = cr.schedule("constant", steps=epochs * len(data.train))
    try:
        *_, last = cr.epochs(step, data.train, data.validation, constant)
    except cr.ChainruleError:  # the rate was too high
        return math.inf, math.inf, 0.0
    from chainrule.train.loop import evaluate

    return last.train_loss, last.validation_loss, evaluate(step.objective, data.test)["accuracy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule reached on digits with its best rate, seed by seed."""

    rule: str
    batch_size: int
    rate: float
    updates: int
    losses: list[float]
    accuracies: list[float]


def compare(
    rule: str, batch_size: int, rates: Sequence[float], seeds: int, epochs: int, most: int | None
) -> Outcome:
    """Choose the rate by the validation loss of one draw of the rows, then train on others."""
    first = digits(batch_size, 1000, most)
    rate = min(rates, key=lambda rate: train(rule, rate, first, 1000, epochs)[1])
    data = [digits(batch_size, seed, most) for seed in range(seeds)]
    found = [train(rule, rate, each, seed, epochs) for seed, each in enumerate(data)]
    return Outcome(
        rule=rule, batch_size=first.train.batch_size, rate=rate, updates=epochs * len(first.train),
        losses=[loss for loss, _, _ in found], accuracies=[accuracy for _, _, accuracy in found],
    )  # fmt: skip


def rates_of(rule: str, few: bool) -> tuple[float, ...]:
    """Return the rates that are tried on digits, around where each kind of rule works."""
    wide = (
        (0.01, 0.03, 0.1, 0.3, 1.0)
        if rule in ("sgd", "momentum", "nesterov", "adagrad")
        else (0.001, 0.003, 0.01, 0.03, 0.1)
    )
    wide = (1.0, 3.0, 10.0) if rule == "adadelta" else wide
    return wide[1::2] if few else wide


def is_number(cell: str) -> bool:
    return cell[:1].isdigit()


def plain(value: float, digits: str) -> str:
    """Write a number without a minus before 0."""
    text = f"{value:{digits}}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    sides = ["---:" if is_number(rows[0][place]) else "---" for place in range(len(head))]
    lines = [head, sides, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def slope(landscape: Landscape) -> str:
    """Return the length of the gradient at the start."""
    start = torch.tensor(landscape.start, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(landscape.loss(*start), start)
    return f"{gradient.norm():.2g}"


def landscape_part(landscape: Landscape, paths: dict[str, Path2]) -> str:
    rows = []
    for rule, path in paths.items():
        steps = steps_to(path, landscape.least)
        x, y = path.points[-1]
        said = "never" if steps is None else str(steps)
        rows.append(
            [
                rule,
                f"{path.rate:g}",
                said,
                f"{max(0.0, path.losses[-1] - landscape.least):.1g}",
                f"({plain(x, '.2f')}, {plain(y, '.2f')})",
            ]
        )
    head = ["rule", "rate", "updates to 99 %", "loss left", "ends at"]
    return f"""## {landscape.title[0].upper()}{landscape.title[1:]}: {landscape.formula}

![Paths of ten update rules on {landscape.title}](pictures/optimizers-{landscape.name}.svg)

{REMARKS[landscape.name].format(slope=slope(landscape))}

{table(head, rows)}
"""


REMARKS = {
    "ravine": "The gradient points across the floor rather than along it. Plain descent can take no higher rate than the "
    "steep direction allows; velocity adds up along the floor and cancels across it.",
    "plateau": "The gradient at the start has the length {slope}. Plain descent takes a first step of that times the rate; a "
    "rule that divides by the size of the gradient takes one of about the rate itself.",
    "saddle": "At (0, 0) the gradient is 0, and yet it is no minimum. From y = 0 exactly every rule ends there. These paths "
    "begin at y = 0.001 and have to leave along the direction in which the gradient is smallest.",
    "minima": "The lowest point lies at (−1.04, 0). The paths begin beyond another minimum, at (0.96, 0), where 0.6 of the "
    "loss is left. Which of the two a path ends in is a matter of rule and rate: a long step or a velocity may carry it "
    "over the hill between them. None of the rules promises the lowest.",
}


def page(
    parts: Sequence[str], rules: Sequence[Outcome], sizes: Sequence[Outcome], seeds: int, epochs: int
) -> str:
    formulas = [[rule, *(cell.replace("|", "\\|") for cell in _declared(rule))] for rule in RULES]
    return f"""# Update rules compared

Written by `python docs/pages/optimizers.py`; every number is computed by it. g is the gradient, α the learning rate.
`gradient-descent` and `mini-batch` are `sgd` under other names: the batch size tells them apart (last table).

{table(["rule", "update", "beside the rate"], formulas)}

Each rule has the best of {len(RATES)} rates from {RATES[0]:g} to {RATES[-1]:g} on each landscape that does not leave the
picture (lowest mean loss over the second half of {STEPS} updates), written beside its name in the pictures; other hyper-parameters are the defaults, adamw decays by {WEIGHT_DECAY:g}. A square
marks the start, a dot the end; adamw lies over adam, nearly the same here. "Updates to 99 %" counts until 99 % of the height between start and lowest point is
made for good.

{chr(10).join(parts)}
## Handwritten digits

scikit-learn's 1,797 digits, a network 64-32-10 with ReLU, {epochs} epochs of batches of 32 at a constant rate. The rate is the
best by validation loss on one draw of the rows; figures are means over {seeds} other draws, with the least and the most.

{table(["rule", "rate", "training loss", "test accuracy"], [_row(outcome) for outcome in rules])}

The order of rules on one data set with one network says little about others: differences of a per cent are within what
the draw of the rows does.

### Batch, mini-batch, stochastic

The same rule, sgd, and the same {epochs} epochs: each row is seen as often, and the smaller the batch the more updates.

{table(["rows per update", "updates", "rate", "training loss", "test accuracy"], [[str(o.batch_size), f"{o.updates:,}", *_row(o)[1:]] for o in sizes])}
"""


def _declared(rule: str) -> tuple[str, str]:
    found = load("optimizer", rule)
    return found.formula, ", ".join(f"{name} {value:g}" for name, value in found.defaults.items())


def _row(outcome: Outcome) -> list[str]:
    low, high = min(outcome.accuracies), max(outcome.accuracies)
    loss, accuracy = statistics.mean(outcome.losses), statistics.mean(outcome.accuracies)
    return [outcome.rule, f"{outcome.rate:g}", f"{loss:.4f}", f"{accuracy:.3f} ({low:.3f} to {high:.3f})"]


def main(docs: Path = DOCS, *, seeds: int = 4, epochs: int = 12, most: int | None = None) -> None:
    """Write page and pictures into a folder; `most` takes fewer digits."""
    torch.set_num_threads(1)
    (docs / "pictures").mkdir(parents=True, exist_ok=True)
    parts = []
    for landscape in LANDSCAPES:
        paths = {rule: best(walk(rule, landscape), landscape) for rule in RULES}
        draw(landscape, paths, docs / "pictures" / f"optimizers-{landscape.name}.svg")
        parts.append(landscape_part(landscape, paths))
    few = most is not None
    rules = [compare(rule, 32, rates_of(rule, few), seeds, epochs, most) for rule in RULES]
    sizes = [
        compare("sgd", size, rates, 1 if size == 1 else seeds, epochs, most)
        for size, rates in ((10_000, (0.3, 1.0, 3.0)), (32, rates_of("sgd", few)), (1, (0.003, 0.01, 0.03)))
    ]
    (docs / "optimizers.md").write_text(page(parts, rules, sizes, seeds, epochs), encoding="utf-8")


if __name__ == "__main__":
    main()
