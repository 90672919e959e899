"""Write the tables of activations and losses from their declarations, and draw the activations.

Command:  python docs/pages/elements.py
Writes:   docs/activations.md, docs/losses.md, docs/pictures/activations.svg
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from chainrule.catalog import ACTIVATIONS, LOSSES
from chainrule.nn.activations import Activation, activation
from chainrule.nn.losses import Loss, loss
from chainrule.report.svg import COLOURS, drawing

DOCS = Path(__file__).resolve().parent.parent
START = "<!-- Written by docs/pages/elements.py from the declarations; changes here are lost. -->\n"
FAR, COLUMNS = 4.0, 4  # of the drawing
TASKS = {"regression": "values", "binary": "two classes", "multi-class": "several classes"}


def activations_page() -> str:
    """Return the page of activations."""
    found = [activation(name) for name in ACTIVATIONS]
    shapes = [f for f in found if f.is_element_wise]
    return "\n".join(
        [
            START + "# Activations",
            "",
            "f takes z, the sum that a unit makes of its inputs, and gives a = f(z). A number after a colon changes c where "
            "there is one: `--set activation=leaky-relu:0.2`. `chainrule names activation NAME` shows one.",
            "",
            table(("name", "f(z)", "derivative", "range", "what for"), map(_named, found)),
            "",
            "![Every activation with its derivative](pictures/activations.svg)",
            "",
            "Blue: a = f(z); dashed: its derivative.",
            "",
            "## What passes back",
            "",
            "Measured on the declarations: the largest slope, where the slope fades to 0, whether f(−z) = −f(z) (then inputs "
            "around 0 give values around 0), and the z of kinks. At a kink the slope is the one that autograd takes: that "
            "of relu at 0 is 0, where some books write 1, the slope to the right of it. In a chain of layers slopes "
            f"multiply: twenty sigmoids pass at most 0.25²⁰ = {0.25**20:.1e} of a gradient back, relu and its kin all of it "
            "where z > 0.",
            "",
            table(("name", "largest slope", "slope fades", "zero-centred", "kinks at"), map(_traits, shapes)),
            "",
            "## For and against",
            "",
            table(("name", "for it", "against it"), ((f.name, f.advantages, f.drawbacks) for f in found)),
            "",
        ]
    )


def losses_page() -> str:
    """Return the page of losses."""
    found = [loss(name) for name in LOSSES]
    return "\n".join(
        [
            START + "# Losses",
            "",
            "A loss is one number per row, from the outputs z of the network (before sigmoid or softmax) or its values p, and "
            "the target t; K is the number of outputs. What is minimised is the mean over the rows. A number after a "
            "colon changes c where there is one: `--set loss=huber:0.5`. All stay finite at z = ±1000.",
            "",
            table(
                ("name", "loss of a row", "derivative by the outputs", "for", "c"), map(_named_loss, found)
            ),
            "",
            table(("name", "what for", "against it"), ((f.name, f.purpose, f.drawbacks) for f in found)),
            "",
        ]
    )


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table in Markdown; a bar in a formula stands for itself."""
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _named(f: Activation) -> tuple[str, ...]:
    low, high = (f"{bound:.4g}".replace("inf", "∞").replace("-", "−") for bound in f.bounds)
    name = f.name if f.number is None else f"{f.name}:{f.number:g}"
    return name, f.formula, f.derivative_formula, f"{low} to {high}", f.purpose


def _traits(f: Activation) -> tuple[str, ...]:
    z = torch.linspace(-10, 10, 200_001, dtype=torch.float64)
    far = torch.tensor([-1e6, 1e6], dtype=torch.float64)
    below, above = (f.derivative(far, f(far)).abs() < 1e-9).tolist()
    sides = {(True, True): "both sides", (True, False): "below", (False, True): "above", (False, False): "–"}
    is_odd = torch.allclose(f(-z), -f(z), atol=1e-12)
    slope = f.derivative(z, f(z)).max().item()
    kinks = ", ".join(f"{kink:g}".replace("-", "−") for kink in f.kinks) or "–"
    return f.name, f"{slope:.4g}", sides[below, above], "yes" if is_odd else "no", kinks


def _named_loss(f: Loss) -> tuple[str, ...]:
    tasks = ", ".join(TASKS[task] for task in f.tasks) or "labels that may hold together; no task of fit"
    return f.name, f.formula, f.derivative_formula, tasks, "" if f.number is None else f"{f.number:g}"


def draw_activations(path: Path) -> None:
    """Draw every element-wise activation in a panel, its derivative dashed."""
    from matplotlib.figure import Figure

    found = [f for f in map(activation, ACTIVATIONS) if f.is_element_wise]
    count = -(-len(found) // COLUMNS)
    z = torch.linspace(-FAR, FAR, 801, dtype=torch.float64)
    with drawing():
        figure = Figure(figsize=(COLUMNS * 2.9, count * 2.3), layout="constrained")
        panels = list(figure.subplots(count, COLUMNS, sharex=True, sharey=True).flat)
        for panel, f in zip(panels, found, strict=False):
            slope, value = f.derivative(z, f(z)), f(z)
            if not f.is_trainable:  # a jump is no line
                value = value.masked_fill(z.abs() < 0.006, torch.nan)
            panel.plot(z, slope, color=COLOURS["wrong"], linestyle="--", linewidth=1.5)
            panel.plot(z, value, color=COLOURS["ours"], linewidth=2.2)
            panel.set(title=f.name, ylim=(-1.8, 3), xticks=(-3, 0, 3), yticks=(-1, 0, 1, 2))
            panel.grid(True)
            for side in ("top", "right"):
                panel.spines[side].set_visible(False)
        for panel in panels[len(found) :]:
            panel.axis("off")
        figure.savefig(path, metadata={"Date": None, "Creator": None}, facecolor="white")


def main() -> None:
    """Write the pages and the drawing."""
    (DOCS / "pictures").mkdir(exist_ok=True)
    (DOCS / "activations.md").write_text(activations_page(), encoding="utf-8")
    (DOCS / "losses.md").write_text(losses_page(), encoding="utf-8")
    draw_activations(DOCS / "pictures" / "activations.svg")


if __name__ == "__main__":
    main()
