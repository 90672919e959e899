"""Measure why no model is best everywhere: bias and variance, what learning can know beyond its rows, local regression.

Command:  python docs/pages/generalisation.py        (extra `courses`)
Writes:   docs/generalisation.md and docs/pictures/generalisation-*.svg, in about ten seconds
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.report.canvas import add_heading, add_legend, add_plot_axes, new_figure, set_ticks
from chainrule.report.svg import COLOURS, drawing

DOCS = Path(__file__).resolve().parent.parent
GLOSSARY = {
    "Artificial intelligence": "making machines do what takes intelligence when people do it: play, plan, prove, understand "
    "speech. Rules written by hand count as well as learning does. (Some slides give it the definition of machine "
    "learning, \"learning without being explicitly programmed\"; that is one way to it, not the field.)",
    "Machine learning": "the part of artificial intelligence that learns from data, without being told rules, so as to "
    "answer for data that it has not seen. What it answers for has no labels: they are what is predicted.",
    "Deep learning": "the part of machine learning that learns many layers of representations, each made from the one "
    "before.",
}  # fmt: skip
DEGREES, POINTS, NOISE, RESAMPLES = (1, 4, 9), 25, 0.3, 200
GRID = np.linspace(0.03, 0.97, 200)
BITS, TAUGHT = 3, 5
LINES = ("#d55e00", "#0072b2", "#009e73")


@dataclass(frozen=True)
class Spread:
    """Fits of one degree to many training sets. Shapes: fits (resamples, points of the grid)."""

    degree: int
    fits: np.ndarray

    @property
    def bias(self) -> float:
        """Squared distance of the mean fit from the truth, averaged over the grid."""
        return float(np.square(self.fits.mean(0) - truth(GRID)).mean())

    @property
    def variance(self) -> float:
        """How far fits lie from their mean, squared, averaged over the grid."""
        return float(self.fits.var(0).mean())

    @property
    def error(self) -> float:
        """Squared distance of the fits from the truth: bias² and variance together."""
        return float(np.square(self.fits - truth(GRID)).mean())


def truth(x: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * x)


def spread(degree: int, resamples: int = RESAMPLES) -> Spread:
    """Fit a polynomial to many training sets that differ by chance alone."""
    random = np.random.default_rng(0)
    fits = []
    for _ in range(resamples):
        x = (np.arange(POINTS) + random.uniform(0, 1, POINTS)) / POINTS  # a row in each stretch
        y = truth(x) + random.normal(0, NOISE, POINTS)
        fits.append(np.polynomial.Polynomial.fit(x, y, degree, domain=(0, 1))(GRID))
    return Spread(degree, np.array(fits))


def learners() -> dict[str, Callable[[], Any]]:
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    return {
        "always the most frequent class": lambda: DummyClassifier(),
        "nearest neighbour": lambda: KNeighborsClassifier(1),
        "decision tree": lambda: DecisionTreeClassifier(random_state=0),
        "logistic regression": lambda: LogisticRegression(C=10.0),
    }


def free_lunch(labelings: Sequence[tuple[int, ...]]) -> dict[str, float]:
    """Return each learner's accuracy on the inputs that it was not taught, averaged over labelings of all inputs."""
    inputs = np.array(list(itertools.product((0, 1), repeat=BITS)))
    all_labels = np.array(labelings)
    answers = {}
    for name, make in learners().items():
        for taught in {tuple(labels) for labels in all_labels[:, :TAUGHT].tolist()}:
            answers[name, taught] = (
                make().fit(inputs[:TAUGHT], taught).predict(inputs[TAUGHT:])
                if len(set(taught)) > 1
                else np.full(len(inputs) - TAUGHT, taught[0])
            )
    return {
        name: float(
            np.mean(
                [answers[name, tuple(labels[:TAUGHT].tolist())] == labels[TAUGHT:] for labels in all_labels]
            )
        )
        for name in learners()
    }


def all_labelings() -> list[tuple[int, ...]]:
    return list(itertools.product((0, 1), repeat=2**BITS))


def threshold_labelings() -> list[tuple[int, ...]]:
    """Return the labelings of a threshold unit: 1 where enough weighted inputs are 1, an assumption about the world."""
    inputs = np.array(list(itertools.product((0, 1), repeat=BITS)))
    found = set()
    for weights in itertools.product((-2, -1, 0, 1, 2), repeat=BITS):
        for threshold in np.arange(-6.5, 7, 1):
            found.add(tuple((inputs @ np.array(weights) > threshold).astype(int).tolist()))
    return sorted(found)


def kernel_regression(
    x: np.ndarray, y: np.ndarray, at: np.ndarray, bandwidth: float, *, is_linear: bool
) -> np.ndarray:
    """Return statsmodels' local constant (Nadaraya and Watson) or local linear fit."""
    from statsmodels.nonparametric.kernel_regression import KernelReg

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # statsmodels will draw random numbers otherwise some day; none are drawn here
        fitted = KernelReg([y], [x], "c", reg_type="ll" if is_linear else "lc", bw=[bandwidth])
    found: np.ndarray = fitted.fit(at)[0]
    return found


def lowess(x: np.ndarray, y: np.ndarray, share: float = 0.4) -> np.ndarray:
    """Return statsmodels' locally weighted regression at the rows' own places."""
    from statsmodels.nonparametric.smoothers_lowess import lowess as smooth

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # residuals of a perfect line are all zero
        found: np.ndarray = smooth(y, x, frac=share, return_sorted=False)
    return found


def draw_spreads(spreads: Sequence[Spread], file: Path) -> None:
    """Draw some fits of each degree, their mean, and the truth."""
    with drawing():
        figure = new_figure(860, 290, COLOURS["paper"])
        for place, found in enumerate(spreads):
            axes = figure.add_axes((0.005 + place / 3, 0.02, 0.32, 0.78))
            axes.plot(GRID, found.fits[:25].T, color=COLOURS["rival"], lw=0.7, alpha=0.7)
            axes.plot(GRID, truth(GRID), color=COLOURS["ink"], lw=1.6, dashes=(4, 2))
            axes.plot(GRID, found.fits.mean(0), color=COLOURS["ours"], lw=2.4)
            axes.set(xticks=[], yticks=[], ylim=(-1.9, 1.9), xlim=(0, 1))
            add_heading(axes, f"degree {found.degree}", up=28, weight="bold")
            said = f"bias² {found.bias:.3f}, variance {found.variance:.3f}"
            add_heading(axes, said, color=COLOURS["muted"], fontsize=13)
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def draw_local(x: np.ndarray, y: np.ndarray, file: Path) -> None:
    """Draw noisy rows with the local constant and the local linear fit."""
    with drawing():
        figure = new_figure(760, 380, COLOURS["paper"])
        axes = add_plot_axes(figure, width=760, top=60)
        axes.plot(x, y, "o", color=COLOURS["rival"], ms=5)
        axes.plot(GRID, truth(GRID), color=COLOURS["ink"], lw=1.4, dashes=(4, 2), label="the truth")
        for (name, is_linear), colour in zip(
            (("local constant", False), ("local linear", True)), LINES, strict=False
        ):
            axes.plot(
                GRID,
                kernel_regression(x, y, GRID, 0.08, is_linear=is_linear),
                color=colour,
                lw=2.4,
                label=name,
            )
        axes.set(xlim=(0, 1), ylim=(-1.9, 1.9))
        set_ticks(axes)
        add_legend(axes)
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    sides = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, sides, *rows))


def page(spreads: Sequence[Spread], exact: dict[str, float], resamples: int) -> str:
    everywhere, assumed = free_lunch(all_labelings()), free_lunch(threshold_labelings())
    noise = NOISE**2
    fits = [
        [str(s.degree), f"{s.bias:.4f}", f"{s.variance:.4f}", f"{s.error:.4f}", f"{s.error + noise:.4f}"]
        for s in spreads
    ]
    lunch = [[name, f"{everywhere[name]:.4f}", f"{assumed[name]:.4f}"] for name in everywhere]
    words = "\n".join(f"- **{name}**: {said}" for name, said in GLOSSARY.items())
    return f"""# What can be learned beyond the rows

Written by `python docs/pages/generalisation.py` (extra `courses`); every number is computed by it.

{words}

## Bias and variance

A model that is too simple misses the truth whatever rows it is given: bias. One that is too rich follows the rows that it
happened to get: variance. Here a sine is the truth; {resamples} training sets of {POINTS} rows with noise of deviation
{NOISE:g} are drawn, and polynomials fitted to each.

![Fits to 25 training sets, their mean, the truth](pictures/generalisation-variance.svg)

{table(["degree", "bias²", "variance", "error", "error on new rows, with their noise"], fits)}

Error is bias² and variance together. Neither the simplest nor the richest polynomial wins; what is in between depends on
the number of rows. `chainrule fit` looks for it on validation rows.

## No free lunch

There are {2**BITS} inputs of {BITS} bits. A learner is taught the labels of {TAUGHT} and asked for the other {2**BITS - TAUGHT}. Averaged over all
{len(all_labelings())} ways to label them, every learner is right half of the time, whatever it does: for each labeling there is another that agrees
on what was taught and differs on what is asked (Wolpert 1996, 2002). Once the world is known to be of some kind, here the
{len(threshold_labelings())} labelings of a threshold unit, learners differ, by how well they fit that kind.

{table(["learner", "all labelings", "labelings of a threshold unit"], lunch)}

So a comparison of models holds for data like the data that it was made on, and no model is best on all.

## Fits that are made on the spot

Kernel regression answers with a mean of near rows, weighted by their distance (Nadaraya and Watson); local regression
fits a line to them instead. Where the truth is a constant, the first is exact: largest error {exact["constant"]:.0e}. Where it is a
straight line, the second is (largest error {exact["line"]:.0e}; lowess, which also weighs outliers down, {exact["lowess"]:.0e}), while the
first is off by {exact["edge"]:.2f} at the edges, where all near rows lie on one side.

![Local constant and local linear fits](pictures/generalisation-local.svg)
""".replace("e-", "e−")


def exactness() -> dict[str, float]:
    """Return the largest errors where a local fit should be exact, and that of the local constant on a line."""
    x = np.linspace(0, 1, 41)
    line = 3 * x - 1
    constant = kernel_regression(x, np.full(41, 2.5), x, 0.1, is_linear=False)
    return {
        "constant": float(np.abs(constant - 2.5).max()),
        "line": float(np.abs(kernel_regression(x, line, x, 0.1, is_linear=True) - line).max()),
        "lowess": float(np.abs(lowess(x, line) - line).max()),
        "edge": float(np.abs(kernel_regression(x, line, x, 0.1, is_linear=False) - line).max()),
    }


def main(docs: Path = DOCS, *, resamples: int = RESAMPLES) -> None:
    """Write page and pictures into a folder."""
    pictures = docs / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    spreads = [spread(degree, resamples) for degree in DEGREES]
    draw_spreads(spreads, pictures / "generalisation-variance.svg")
    random = np.random.default_rng(1)
    x = np.sort(random.uniform(0, 1, 80))
    draw_local(x, truth(x) + random.normal(0, NOISE, 80), pictures / "generalisation-local.svg")
    (docs / "generalisation.md").write_text(page(spreads, exactness(), resamples), encoding="utf-8")


if __name__ == "__main__":
    main()
