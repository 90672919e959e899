"""Models ranked by the same folds: as text, as values and as a page, with what may be concluded from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chainrule.core.text import visible
from chainrule.core.units import show_figure, show_interval, show_seconds
from chainrule.report.html import Page, aligned
from chainrule.report.result_file import ANY_FORM, write_result
from chainrule.report.standing import without_inputs
from chainrule.train.significance import Spread

ENDINGS = ANY_FORM
RARE = 0.05  # a difference less probable than this, where there is none, counts as one
MANY_REPEATS = 10
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class ModelScore:
    """A model's scores fold by fold, and what they come to; seconds are of all its trainings."""

    name: str
    family: str
    spread: Spread
    scores: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models, the better one first: the difference of their means, its p-value alone and among all pairs."""

    one: str
    other: str
    difference: float
    p: float
    corrected: float

    @property
    def is_significant(self) -> bool:
        """Whether the difference is more than chance."""
        return self.corrected < RARE


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model that was not ranked, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelComparison:
    """Models, the best first, and every pair of them."""

    data: str
    metric: str
    models: tuple[ModelScore, ...]
    pairs: tuple[Pair, ...]
    base: float | None
    folds: int
    repeats: int
    rows: int
    left_out: tuple[LeftOut, ...] = ()
    command: str = ""

    @property
    def best(self) -> ModelScore:
        """The model with the best mean."""
        return self.models[0]

    def pair(self, one: str, other: str) -> Pair:
        """Return two models' comparison, in either order."""
        return next(pair for pair in self.pairs if {pair.one, pair.other} == {one, other})

    def ties(self) -> list[str]:
        """Return the models that are not told apart from the best."""
        return [pair.other for pair in self.pairs if pair.one == self.best.name and not pair.is_significant]

    def __str__(self) -> str:
        return self.text()

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""
        return {
            "data": self.data,
            "metric": self.metric,
            "folds": self.folds,
            "repeats": self.repeats,
            "rows": self.rows,
            "base_rate": self.base,
            "models": [
                {
                    "name": one.name,
                    "family": one.family,
                    "seconds": one.seconds,
                    "scores": list(one.scores),
                    **asdict(one.spread),
                }
                for one in self.models
            ],
            "not_told_apart_from_best": self.ties(),
            "pairs": [{**asdict(pair), "is_significant": pair.is_significant} for pair in self.pairs],
            "left_out": [asdict(one) for one in self.left_out],
            "conclusion": self.conclusion(),
        }

    def text(self, width: int = 100) -> str:
        """Return the ranking, what differs, and what follows from it."""
        lines = [self.about(), "", *self._ranking(), "", *self.sentences(), self.conclusion()]
        if self.left_out:
            lines += ["", "left out:", *(f"  {one.name}: {visible(one.why, 300)}" for one in self.left_out)]
        return "\n".join(lines)

    def about(self) -> str:
        """Say what was done."""
        times = f", repeated {self.repeats} times" if self.repeats > 1 else ""
        return (
            f"{len(self.models)} models on {visible(self.data)} ({self.rows:,} rows), ranked by {self.metric}: the same {self.folds} "
            f"folds for all{times}"
        )

    def sentences(self) -> list[str]:
        """Say which model leads, which are not told apart from it, and how many pairs differ."""
        if not self.pairs:
            return []
        ties, many = self.ties(), len(self.pairs)
        differ = sum(pair.is_significant for pair in self.pairs)
        among = f"{self.best.name} has the best mean, and "
        if not ties:
            among += "every other model is significantly behind it."
        elif len(ties) == len(self.models) - 1:
            among += "these rows do not tell it apart from any other model."
        elif len(ties) > MOST_NAMED:
            among += f"these rows do not tell it apart from {len(ties)} others, {', '.join(ties[:MOST_NAMED])} the best of them."
        else:
            among += f"these rows do not tell it apart from {_joined(ties)}."
        advice = [f"More repeats tell more apart (--repeats {MANY_REPEATS})."]
        pairs = "the one pair differs" if many == differ == 1 else f"{differ} of {many} pairs differ"
        return [
            among,
            f"{pairs[0].upper()}{pairs[1:]} significantly (corrected resampled t-test, Holm's correction, 5 %).",
            *advice * bool(ties and self.repeats < MANY_REPEATS),
        ]

    def conclusion(self) -> str:
        """Say what the no-free-lunch theorem lets one conclude."""
        return (
            "No free lunch (Wolpert): averaged over all targets that rows could have, every model is right equally often on rows "
            f"that it never saw. So this ranking holds for rows like those of {visible(self.data)}, by {self.metric}, with these "
            f"settings, and for no other data; where {self.best.name} leads, what it assumes fits this data."
        )

    def against_best(self, name: str) -> tuple[str, str]:
        """Say how a model stands to the best, and the p-value of their difference among all pairs."""
        if name == self.best.name:
            return "best mean", ""
        pair = self.pair(self.best.name, name)
        return "behind" if pair.is_significant else "not told apart", show_p(pair.corrected)

    def _ranking(self) -> list[str]:
        base = [] if self.base is None else [self.base]
        means = [*(one.spread.mean for one in self.models), *base]
        scores = aligned(means, 3 if max(map(abs, means)) < 1 else 4)
        rows = [
            (str(place), one.name, score, show_interval(one.spread.low, one.spread.high), show_seconds(one.seconds), *self.against_best(one.name))
            for place, (one, score) in enumerate(zip(self.models, scores, strict=False), 1)
        ]  # fmt: skip
        if base:
            rows.append(("", without_inputs(self.metric), scores[-1], "", "", "", ""))
        head = ("#", "model", self.metric, "95 % interval", "time", "beside the best", "p")
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lefts = {1, 5}
        return [
            "  ".join(
                cell.ljust(w) if i in lefts else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in [head, *rows]
        ]

    def plot(self, paper: str = "none") -> Any:
        """Return every model's mean with its interval and folds as a matplotlib figure."""
        from chainrule.report.comparison_page import draw

        return draw(self, paper)

    def page(self) -> Page:
        """Return the page: ranking, intervals, pairs, what may be concluded, what was left out."""
        from chainrule.report.comparison_page import page

        return page(self)

    def save(self, path: str | Path) -> Path:
        """Write it: .html a page, .png or .svg a picture, .json the values. Raises: SettingError"""
        from chainrule.report.comparison_page import picture

        return write_result(
            path, page=self.page, values=self.values, picture=lambda ending: picture(self, ending)
        )


def _joined(names: Sequence[str]) -> str:
    return " and ".join([*filter(None, [", ".join(names[:-1])]), names[-1]])


def show_p(p: float) -> str:
    """Write a p-value.

    >>> show_p(0.0321), show_p(0.00002), show_p(1.0), show_p(0.0496)
    ('0.032', '< 0.001', '1', '0.0496')
    """
    is_near = round(p, 2) == RARE  # two digits would hide on which side
    return "< 0.001" if p < 0.001 else show_figure(p, 3 if is_near else 2)
