"""`explore`: what rows look like without a target: few numbers for many, clusters, densities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.catalog import parametrised
from chainrule.core.errors import SettingError
from chainrule.core.text import visible
from chainrule.explanations.components import find_components
from chainrule.explanations.density import find_density
from chainrule.explanations.grouping import find_groups
from chainrule.jobs.explore_told import tell
from chainrule.jobs.explored_rows import make_explored_rows, read_rows
from chainrule.jobs.material import reading_of
from chainrule.models.unsupervised import CLUSTERING, DENSITY, GAUSSIAN_MIXTURE, PCA, REDUCTION, Method
from chainrule.report.exploration import Exploration
from chainrule.train.settings import Settings

USUAL = {REDUCTION: "pca", CLUSTERING: "k-means", DENSITY: "gaussian-mixture"}
WIDE = 50  # prepared columns; of more, the first principal components are divided into clusters
DENSE = 10  # directions in which densities are taken, at most
HELD = 0.99  # of the variance, by those directions


class Chosen(NamedTuple):
    """A method and the number behind its name, as in `mean-shift:0.5`."""

    method: Method
    number: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """One method per tag."""

    reduction: Chosen
    clustering: Chosen
    density: Chosen

    @property
    def slowest(self) -> Method:
        """The method that takes the fewest rows."""
        chosen = (self.reduction, self.clustering, self.density)
        return min((one.method for one in chosen), key=lambda method: method.most_rows)


def explore(
    data: Any,
    *,
    target: str | None = None,
    method: str | Sequence[str] = (),
    clusters: int | None = None,
    components: int | None = None,
    seed: int = 0,
    columns: Sequence[str] = (),
    decimal: str | None = None,
    runs: str | Path = "runs",
    track: Callable[..., Any] | None = None,
) -> Exploration:
    """Look at rows without a target: which few numbers hold most of them, which clusters they form, which are unusual.

    `data` is as in `fit`, or inputs alone. `target` names a column that has no part in it and is compared with the
    clusters; without it, it is one that comes with the data or is called target, label, class or y. `method` names
    one method per kind (chainrule names method). `columns` say what columns are, as NAME=KIND. The same seed gives the same figures.
    Raises: ChainruleError for what cannot be done
    """
    methods = choose_methods([method] if isinstance(method, str) else method)
    _check_numbers(clusters, components)
    source = read_rows(
        data, reading_of(Settings(seed=seed), target, cache=Path(runs) / ".cache", track=track)
    )
    rows = make_explored_rows(
        source, methods.slowest, target=target, columns=columns, decimal=decimal, seed=seed
    )
    reduction, clustering, density = methods.reduction.method, methods.clustering, methods.density
    is_principal = reduction is PCA
    principal = find_components(rows.x, PCA, components if is_principal else None, seed)
    reduced = principal if is_principal else find_components(rows.x, reduction, components, seed)
    turned = principal.estimator.transform(rows.x)
    is_wide = rows.x.shape[1] > WIDE
    grouping = find_groups(
        turned if is_wide else rows.x, clustering.method, clusters, clustering.number, seed
    )
    directions, about_directions = _dense(turned, principal.shares)
    gaussians = clusters if clustering.method is density.method else None
    dense = find_density(directions, density.method, gaussians, density.number, seed)
    about_space = (
        f"clusters are looked for in the first {turned.shape[1]} principal components of {rows.x.shape[1]:,} columns",
    ) * is_wide
    return tell(rows, reduced, grouping, dense, notes=(*about_space, about_directions), seed=seed)


def choose_methods(names: Sequence[str]) -> Methods:
    """Return one method per tag, the usual ones where none is named; a mixture that is named gives the clusters too.

    Raises: UnknownNameError with the nearest; SettingError for two of one tag
    """
    found: dict[str, Chosen] = {}
    for name in names:
        method, number = parametrised("method", name)
        if number is not None and number <= 0:
            raise SettingError(f"the number of {method.name} must be above 0; got {visible(name)!r}")
        if method.tag in found:
            raise SettingError(
                f"{found[method.tag].method.name} and {method.name} are both for {method.tag}: name one of them at a time"
            )
        found[method.tag] = Chosen(method, number)
    if DENSITY in found and found[DENSITY].method is GAUSSIAN_MIXTURE and CLUSTERING not in found:
        found[CLUSTERING] = found[DENSITY]
    for tag, name in USUAL.items():
        found.setdefault(tag, Chosen(*parametrised("method", name)))
    return Methods(reduction=found[REDUCTION], clustering=found[CLUSTERING], density=found[DENSITY])


def _check_numbers(clusters: int | None, components: int | None) -> None:
    if clusters is not None and clusters < 1:
        raise SettingError(f"--clusters takes a number from 1; got {clusters}")
    if components is not None and components < 2:
        raise SettingError(f"--components takes a number from 2, which make a map; got {components}")


def _dense(turned: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the directions in which densities are taken: few, none of them without variance."""
    held = np.cumsum(shares)
    real = int((shares > 1e-9).sum())
    count = max(1, min(DENSE, real, int(np.searchsorted(held, HELD)) + 1))
    those = "1 principal component" if count == 1 else f"{count} principal components"
    return turned[:, :count], (
        f"densities are taken in {those}, which hold{'s' * (count == 1)} {100 * held[count - 1]:.1f} % of the variance"
    )
