"""How sure a network is, and whether it may be: reliability, and for two classes what another threshold would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_figure
from chainrule.report.canvas import NARROW, add_heading, add_plot_axes, fit_text, new_figure, set_ticks
from chainrule.report.html import Child, Markup, columns, figure
from chainrule.report.standing import called, percent, score_of
from chainrule.report.summary import RunSummary
from chainrule.report.svg import COLOURS, drawing, inline_svg
from chainrule.train.metrics import BINS, Answers, measure
from chainrule.train.significance import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 340
_MOST_CORNERS = 400  # of a drawn curve
_RING: dict[str, Any] = {"mfc": COLOURS["paper"], "mec": COLOURS["wrong"], "mew": 2.2, "ms": 9, "ls": "none"}
_GUIDE: dict[str, Any] = {"color": COLOURS["muted"], "lw": 1.4, "dashes": (4, 2)}
_CURVE: dict[str, Any] = {"color": COLOURS["ours"], "lw": 2.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Rows by the confidence of their answer, only bins that hold some. Shapes: (bins,) each."""

    confidence: np.ndarray
    right: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What each threshold on the second class would give, from the strictest down.

    Shapes: (T,) each; `found` is the share of its rows that are flagged, `false` that of the others, `precision` the
    share of the flagged rows that are of it
    """

    score: np.ndarray
    found: np.ndarray
    false: np.ndarray
    precision: np.ndarray

    def at_half(self) -> int | None:
        """The place of the lowest probability that is answered with the second class, None if none is."""
        return int((self.score >= 0.5).sum()) - 1 if (self.score >= 0.5).any() else None


def certainty(summary: RunSummary) -> list[Child]:
    """Return the blocks of the section."""
    answers = summary.answers
    assert answers is not None
    split, _ = score_of(summary)
    blocks = [_reliability(answers, f"{called(summary, split or 'test')} {summary.what}")]
    both = 0 < int((answers.true == 1).sum()) < len(answers)
    if len(summary.classes) == 2 and both:
        name = visible(summary.classes[1], 60)
        thresholds = thresholds_of(answers)
        blocks += [_roc(thresholds, answers, name), _precision_recall(thresholds, answers, name)]
    return [columns(*blocks)]


def bins_of(answers: Answers) -> Bins:
    """Return mean confidence and the share that is right of each bin of confidence."""
    rows = np.bincount(answers.bins, minlength=BINS)
    seen = rows > 0
    confidence = np.bincount(answers.bins, answers.confidence, BINS)[seen] / rows[seen]
    share = np.bincount(answers.bins, answers.right, BINS)[seen] / rows[seen]
    return Bins(confidence=confidence, right=share, rows=rows[seen])


def thresholds_of(answers: Answers) -> Thresholds:
    """Return the curve over all thresholds; both classes must be there."""
    assert answers.probabilities is not None
    scores = answers.probabilities[:, 1]
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    inside = np.cumsum(answers.true[order] == 1)[ends]
    flagged = ends + 1
    positive = int((answers.true == 1).sum())
    return Thresholds(
        score=scores[order][ends],
        found=inside / positive,
        false=(flagged - inside) / (len(scores) - positive),
        precision=inside / flagged,
    )


def _reliability(answers: Answers, rows: str) -> Markup:
    bins = bins_of(answers)
    error = measure(answers, ["calibration-error"])["calibration-error"]
    mean, right = float(answers.confidence.mean()), float(answers.right.mean())
    leaning = "more" if mean > right else "less"
    told = (
        f"It was {percent(mean)} sure on average and {percent(right)} right: {leaning} sure than it may be."
    )
    if abs(mean - right) < 0.02:
        told = f"It was {percent(mean)} sure on average and {percent(right)} right."
    said = (
        f"{told} Each dot is a group of answers about as sure as each other: on the dashed line they are right as often as "
        f"they are sure, below it less often. Larger dots hold more of the {len(answers):,} {rows}; "
        f"the lines are 95\N{NO-BREAK SPACE}% intervals. Calibration error {show_figure(error)}."
    )
    svg = inline_svg(draw_reliability(bins), "reliability", f"Share right over confidence. {told}")
    return figure("Reliability", svg, said)


def _roc(thresholds: Thresholds, answers: Answers, name: str) -> Markup:
    score = measure(answers, ["auc"])["auc"]
    told = f"AUC {show_figure(score)}. On the dashed line a model would guess. The ring is the threshold 0.5."
    svg = inline_svg(draw_roc(thresholds), "roc", f"Share of {name} found over false alarms. {told}")
    return figure(f"ROC curve of {name}", svg, told)


def _precision_recall(thresholds: Thresholds, answers: Answers, name: str) -> Markup:
    score = measure(answers, ["average-precision"])["average-precision"]
    share = float((answers.true == 1).mean())
    told = (
        f"Average precision {show_figure(score)}. The dashed line is the share of {name} among the rows, {percent(share)}: "
        "what flagging at random gives. The ring is the threshold 0.5."
    )
    svg = inline_svg(
        draw_precision_recall(thresholds, share), "precision-recall", f"Precision over recall. {told}"
    )
    return figure(f"Precision and recall of {name}", svg, told)


def draw_reliability(bins: Bins) -> Figure:
    """Draw the share that is right over confidence, a dot per bin, with Wilson's interval of each."""
    low, high = wilson(bins.right, bins.rows)
    with drawing():
        axes = _unit_axes("confidence", "share that is right")
        axes.plot([0, 1], [0, 1], **_GUIDE)
        axes.vlines(bins.confidence, low, high, color=COLOURS["rival"], lw=2)
        areas = 30 + 220 * bins.rows / max(1, bins.rows.max())
        axes.scatter(bins.confidence, bins.right, s=areas, color=COLOURS["ours"], lw=0, zorder=3)
    return axes.figure  # type: ignore[return-value]


def draw_roc(thresholds: Thresholds) -> Figure:
    """Draw the share of the class that is found over the share of the others that is flagged too."""
    with drawing():
        axes = _unit_axes("others flagged too", "share of the class found")
        axes.plot([0, 1], [0, 1], **_GUIDE)
        _draw(axes, np.append(0.0, thresholds.false), np.append(0.0, thresholds.found))
        _ring(axes, thresholds, thresholds.false, thresholds.found)
    return axes.figure  # type: ignore[return-value]


def draw_precision_recall(thresholds: Thresholds, share: float) -> Figure:
    """Draw precision over recall, and the share of the class as what chance gives."""
    with drawing():
        axes = _unit_axes("recall", "precision")
        axes.plot([0, 1], [share, share], **_GUIDE)
        found, precision = thresholds.found, thresholds.precision
        _draw(axes, np.append(0.0, found), np.append(precision[:1], precision), is_step=True)
        _ring(axes, thresholds, found, precision)
    return axes.figure  # type: ignore[return-value]


def _unit_axes(across: str, up: str) -> Axes:
    axes = add_plot_axes(new_figure(NARROW, _HEIGHT))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    axes.grid(True, axis="both")
    set_ticks(axes)
    axes.set_xlabel(fit_text(across, 300))
    add_heading(axes, fit_text(up, 310), color=COLOURS["muted"])
    return axes


def _draw(axes: Axes, x: np.ndarray, y: np.ndarray, *, is_step: bool = False) -> None:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_CORNERS)).round().astype(int))
    axes.plot(x[kept], y[kept], drawstyle="steps-pre" if is_step else "default", **_CURVE)


def _ring(axes: Axes, thresholds: Thresholds, x: np.ndarray, y: np.ndarray) -> None:
    at = thresholds.at_half()
    if at is not None:
        axes.plot(x[at : at + 1], y[at : at + 1], marker="o", zorder=5, clip_on=False, **_RING)
