"""What `explore` found: components, clusters and densities of rows, as text, as values and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.core.text import visible
from chainrule.core.units import show_figure, show_number, signed
from chainrule.explanations.apart import Difference
from chainrule.explanations.components import Components
from chainrule.explanations.density import Density
from chainrule.explanations.grouping import Grouping
from chainrule.models.unsupervised import Method
from chainrule.report.result_file import VALUES_OR_PAGE, write_result

ENDINGS = VALUES_OR_PAGE
LINES = 12  # clusters that are told one by one
SHOWN = 3  # components, columns of each, and unusual rows in the text


def show_signed(value: float, decimals: int) -> str:
    """Write a number with a minus sign that is one.

    >>> show_signed(-0.5, 2), show_signed(-0.001, 2)
    ('−0.50', '0.00')
    """
    # adding zero to a negative zero leaves a plain one
    text = f"{round(value, decimals) + 0:.{decimals}f}" if abs(value) < 1e6 else show_number(value)
    return signed(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetBeside:
    """A column that clusters are compared with and that had no part in them. Shapes: cells (N,), NaN where missing."""

    name: str
    cells: np.ndarray
    classes: tuple[str, ...]
    agreement: float

    @property
    def sentence(self) -> str:
        """How well the clusters agree with it."""
        name, figure = visible(self.name, 60), show_figure(self.agreement, 3)
        if self.classes:
            return f"clusters and '{name}': adjusted Rand index {figure} (1: the same groups; 0: no more than chance gives)"
        return f"clusters and '{name}': {max(0.0, 100 * self.agreement):.0f} % of its variance lies between clusters"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSheet:
    """Pictures that stand for a cluster: the mean of its pictures, and those nearest to it. Shapes: each (C, H, W)."""

    mean: np.ndarray
    nearest: Sequence[tuple[str, np.ndarray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """What is known of rows without a target. `str` gives the text; `save` writes a page or the values.

    `rows` are the row numbers in the data that were looked at, counted from 0; `features` name the prepared columns.
    Shapes: rows (N,); labels, coordinates and log-densities as many
    """

    name: str
    about: str
    notes: tuple[str, ...]
    total: int
    rows: np.ndarray
    row_names: tuple[str, ...]  # of the rows that are unusual, in order
    features: tuple[str, ...]
    shape: tuple[int, ...]  # of a picture; empty for tables
    components: Components
    grouping: Grouping
    density: Density
    apart: tuple[tuple[Difference, ...], ...]  # per cluster
    far: tuple[tuple[Difference, ...], ...]  # per unusual row
    target: TargetBeside | None
    sheets: tuple[PictureSheet, ...] = ()
    unusual_pictures: tuple[np.ndarray, ...] = ()
    seed: int = 0

    @property
    def labels(self) -> np.ndarray:
        """The cluster of each row, 0 the largest."""
        return self.grouping.labels

    @property
    def coordinates(self) -> np.ndarray:
        """The rows in few numbers. Shapes: (N, components)."""
        return self.components.coordinates

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods that were used, each once."""
        return tuple(
            {m.name: m for m in (self.components.method, self.grouping.method, self.density.method)}.values()
        )

    def __str__(self) -> str:
        return self.text()

    def top(self, component: int, most: int = SHOWN) -> list[tuple[str, float]]:
        """Return the columns that a component is made of, with their correlations with it."""
        weights = self.components.loadings[component]
        order = np.argsort(-np.abs(weights), kind="stable")[:most]
        return [(self.features[i], float(weights[i])) for i in order]

    def text(self, width: int = 100) -> str:
        """Return the summary."""
        parts = [self.about, *self.notes, "", *self._components_text(), "", *self._clusters_text(), ""]
        return "\n".join([*parts, *self._density_text()])

    def _components_text(self) -> list[str]:
        found = self.components
        lines = [f"{found.method.name}: {found.why}"]
        for place in range(0 if self.shape else min(SHOWN, found.count)):
            made = ", ".join(
                f"{visible(name, 40)} {show_signed(value, 2)}" for name, value in self.top(place)
            )
            lines.append(f"  {place + 1}  {100 * found.shares[place]:5.1f} %  {made}")
        if found.misfit is not None:
            lines.append(f"  correlations of columns follow from the factors to within {found.misfit:.2f}")
        return lines

    def _clusters_text(self) -> list[str]:
        lines = [f"{self.grouping.method.name}: {self.grouping.why}"]
        sizes, what = self.grouping.sizes.tolist(), "pictures" if self.shape else "rows"
        for place, size in enumerate(sizes[:LINES]):
            said = "; ".join(one.text for one in self.apart[place]) or (
                "" if self.shape else "near the mean of all rows in every column"
            )
            lines.append(f"  {place + 1}  {size:>6,} {what[: -1 if size == 1 else None]}  {said}".rstrip())
        if len(sizes) > LINES:
            rest = sum(sizes[LINES:])
            lines.append(f"  and {len(sizes) - LINES} smaller ones with {rest:,} of them together")
        return [*lines, *([self.target.sentence] if self.target else [])]

    def density_sentences(self) -> list[str]:
        """Say how likely held-out rows are."""
        found = self.density
        better = found.mean - found.gaussian
        than = (
            "as under a single Gaussian"
            if abs(better) < 0.05
            else f"{abs(better):.2f} {'more' if better > 0 else 'less'} than under a single Gaussian"
        )
        return [
            f"{found.method.name}: {found.why}",
            f"mean log-density of rows held out {show_signed(found.mean, 2)}, {than}",
        ]

    def _density_text(self) -> list[str]:
        lines = [*self.density_sentences(), "lowest log-densities, held out:"]
        for place, row in enumerate(self.density.lowest(SHOWN)):
            said = "; ".join(one.text for one in self.far[place])
            value = show_signed(self.density.log_density[row], 1)
            lines.append(f"  {self.row_names[place]}  {value}  {said}".rstrip())
        return lines

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""
        components, grouping, density = self.components, self.grouping, self.density
        return {
            "data": self.name,
            "rows": self.total,
            "rows_used": len(self.rows),
            "methods": {m.tag: m.name for m in self.methods},
            "notes": list(self.notes),
            "components": {
                "kept": components.count,
                "shares": components.shares.tolist(),
                "why": components.why,
                "misfit": components.misfit,
                "columns": [dict(self.top(place, 10)) for place in range(components.count)],
            },
            "clusters": {
                "number": len(grouping.sizes),
                "sizes": grouping.sizes.tolist(),
                "why": grouping.why,
                "criterion": grouping.criterion,
                "scores": {str(size): score for size, score in grouping.scores.items()},
                "silhouette": grouping.silhouette,
                "apart": [[one.text for one in found] for found in self.apart],
                "labels": dict(zip((self.rows + 1).tolist(), (grouping.labels + 1).tolist(), strict=True)),
            },
            "target": None
            if self.target is None
            else {"name": self.target.name, "agreement": self.target.agreement},
            "density": {
                "held_out_log_density": density.mean,
                "single_gaussian": density.gaussian,
                "why": density.why,
                "unusual": [
                    {
                        "row": int(self.rows[row]) + 1,
                        "name": self.row_names[place],
                        "log_density": float(density.log_density[row]),
                    }
                    for place, row in enumerate(density.lowest())
                ],
            },
        }

    def save(self, path: str | Path) -> Path:
        """Write it: .html a page, .json the values. Raises: SettingError."""
        from chainrule.report.explore_page import page

        return write_result(path, page=lambda: page(self), values=self.values)
