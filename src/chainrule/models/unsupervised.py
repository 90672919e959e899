"""What finds structure in rows without a target: scikit-learn's methods, each declared once with its tag and purpose.

A method is called with rows and gives scikit-learn's fitted estimator. `size` is a number of clusters, Gaussians,
components or factors; `number` is what may follow the name, as in `mean-shift:0.5`.
Shapes: rows x (N, features) float64
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CLUSTERING, DENSITY, REDUCTION = "clustering", "density-estimation", "dimensionality-reduction"
TAGS = (CLUSTERING, DENSITY, REDUCTION)
ROUNDS = 300  # of k-means at most: rows to centres, centres to means
RESTARTS = 10  # of k-means and of mixtures, from other starting centres; the best is kept
NARROWEST = 0.01  # variance that every direction of a Gaussian has at least; columns have 1
NEIGHBOURS = 10
BANDWIDTH_SHARE = 0.3  # of pairs of rows that lie within the bandwidth which mean-shift takes by itself

Fit = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method: what it is for, what speaks against it, its settings and what they are without a word.

    More than `most_rows` rows take too long or too much memory; `needs_size` tells whether a number has to be chosen.
    """

    name: str
    tag: str
    purpose: str
    drawbacks: str
    settings: Mapping[str, str] = field(default_factory=dict)
    fit: Fit
    most_rows: int = 10_000
    needs_size: bool = True

    def __call__(
        self, x: np.ndarray, *, size: int | None = None, number: float | None = None, seed: int = 0
    ) -> Any:
        """Fit to rows and return scikit-learn's estimator."""
        from threadpoolctl import threadpool_limits

        # one thread: sums are taken in one order, and threads that wait for each other cost more than they give here
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")  # fewer distinct rows than clusters, a graph in several parts
            return self.fit(x, size, number, seed)


def kernel_density(x: np.ndarray, bandwidth: float) -> Any:
    """Put a Gaussian of this deviation at every row; their mean is the density."""
    from sklearn.neighbors import KernelDensity

    return KernelDensity(bandwidth=bandwidth, rtol=1e-6).fit(x)


def scott(x: np.ndarray) -> float:
    """Return the bandwidth of Scott's rule, n^(−1/(d+4)) deviations: right for one Gaussian, wide for several.

    Source: Scott 1992, Multivariate Density Estimation, equation 6.42. Differs: one deviation for all directions
    """
    rows, directions = x.shape
    spread = float(np.sqrt(x.var(0).mean()))
    return (spread or 1.0) * float(rows ** (-1 / (directions + 4)))


def neighbour_graph(x: np.ndarray, neighbours: int) -> np.ndarray:
    """Return which rows are among each other's nearest: 1 both ways, ½ one way. Shapes: (N, N)."""
    from sklearn.neighbors import kneighbors_graph

    near = kneighbors_graph(x, min(neighbours, len(x) - 1), include_self=False).toarray()
    graph: np.ndarray = (near + near.T) / 2
    return graph


def _k_means(x: np.ndarray, size: int | None, number: float | None, seed: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(size or 8, n_init=RESTARTS, max_iter=int(number or ROUNDS), random_state=seed).fit(x)


def _mean_shift(x: np.ndarray, size: int | None, number: float | None, seed: int) -> Any:
    from sklearn.cluster import MeanShift, estimate_bandwidth

    width = number or estimate_bandwidth(x, quantile=BANDWIDTH_SHARE, n_samples=1000, random_state=seed)
    return MeanShift(bandwidth=width or None, bin_seeding=True).fit(x)


def _spectral(x: np.ndarray, size: int | None, number: float | None, seed: int) -> Any:
    from sklearn.cluster import SpectralClustering

    graph = neighbour_graph(x, int(number or NEIGHBOURS))
    return SpectralClustering(
        size or 8, affinity="precomputed", assign_labels="cluster_qr", random_state=seed
    ).fit(graph)


def _mixture(x: np.ndarray, size: int | None, number: float | None, seed: int) -> Any:
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(
        size or 1, reg_covar=NARROWEST, n_init=3, max_iter=200, random_state=seed
    ).fit(x)  # fmt: skip


def _kernel_density(x: np.ndarray, size: int | None, number: float | None, seed: int) -> Any:
    return kernel_density(x, number or scott(x))


def _pca(x: np.ndarray, size: int | None, number: float | None, seed: int) -> Any:
    from sklearn import decomposition

    return decomposition.PCA(size, random_state=seed).fit(x)


def _factors(x: np.ndarray, size: int | None, number: float | None, seed: int) -> Any:
    from sklearn.decomposition import FactorAnalysis

    turned = "varimax" if (size or 2) > 1 else None
    return FactorAnalysis(size or 2, rotation=turned, max_iter=3000, tol=1e-4, random_state=seed).fit(x)


CLUSTERS_BY = "--clusters; without it {} chooses"
K_MEANS = Method(
    name="k-means",
    tag=CLUSTERING,
    purpose="a first division of rows into groups of like rows; fast on many rows",
    drawbacks="takes clusters to be round and of like width; every row belongs to one, also what fits none",
    settings={
        "clusters": CLUSTERS_BY.format("the highest silhouette"),
        "rounds": f"k-means:NUMBER at most; {ROUNDS} without it",
        "restarts": f"{RESTARTS}, the best is kept",
    },
    fit=_k_means,
)
MEAN_SHIFT = Method(
    name="mean-shift",
    tag=CLUSTERING,
    purpose="clusters as the peaks of the density, where their number is what is asked",
    drawbacks="slow; the bandwidth decides how many peaks there are",
    settings={
        "bandwidth": f"mean-shift:NUMBER; without it {100 * BANDWIDTH_SHARE:.0f} % of the pairs of rows lie within it"
    },
    fit=_mean_shift,
    most_rows=3000,
    needs_size=False,
)
SPECTRAL_CLUSTERING = Method(
    name="spectral-clustering",
    tag=CLUSTERING,
    purpose="clusters of any shape, such as rings and bands, from the graph of near rows",
    drawbacks="compares every row with every other; a chain of few rows between clusters joins them",
    settings={
        "clusters": CLUSTERS_BY.format("the largest relative gap between eigenvalues of the graph"),
        "neighbours": f"spectral-clustering:NUMBER; {NEIGHBOURS} without it",
    },
    fit=_spectral,
    most_rows=2000,
)
GAUSSIAN_MIXTURE = Method(
    name="gaussian-mixture",
    tag=DENSITY,
    purpose="how dense rows lie, from few Gaussians of any width and slant; they serve as clusters too",
    drawbacks="finds Gaussians where there are none; needs many rows for many columns",
    settings={
        "clusters": CLUSTERS_BY.format("the lowest BIC"),
        "least variance": f"{NARROWEST:g} of a column's",
    },
    fit=_mixture,
)
KERNEL_DENSITY = Method(
    name="kernel-density",
    tag=DENSITY,
    purpose="how dense rows lie, whatever the shape, in few dimensions",
    drawbacks="needs rows in a number that grows like a power of the dimensions",
    settings={
        "bandwidth": "kernel-density:NUMBER; without it the one with the highest log-density of rows left out"
    },
    fit=_kernel_density,
    most_rows=3000,
    needs_size=False,
)
PCA = Method(
    name="pca",
    tag=REDUCTION,
    purpose="few numbers per row that keep most of the variance; a map of the rows in two of them",
    drawbacks="sees straight directions only, and takes what varies much for what matters",
    settings={"components": "--components; without it as many as hold 90 % of the variance, at least 2"},
    fit=_pca,
)
FACTOR_ANALYSIS = Method(
    name="factor-analysis",
    tag=REDUCTION,
    purpose="hidden causes behind columns that go together, each column with noise of its own",
    drawbacks="factors can be turned without fitting worse (varimax chooses), so names for them are readings",
    settings={
        "components": "--components; without it the fewest under which rows held out are as likely as they get"
    },
    fit=_factors,
)
