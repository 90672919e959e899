"""Clean data gives no warning: what `fit` says before training on twenty data sets as their packages ship them.

    python benchmarks/false_alarms.py        (extra `bench`)

The list was fixed and committed before any check was written or tuned, and all of it is reported; the thresholds of
`chainrule.diagnose` were set on other data. Expected: 0 of 20 give a warning.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from harness import record
from tables_of_packages import TABLES, from_r

from chainrule.data.read import read
from chainrule.data.source import Source
from chainrule.diagnose.before import warnings
from chainrule.jobs.fit import Request, prepare_run
from chainrule.train.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """A data set without anything to object to: how to load it, and what to predict."""

    name: str
    target: str | None
    load: Callable[[], Source]


def built_in(name: str) -> Clean:
    """Return a data set that chainrule knows by name."""
    return Clean(name=name, target=None, load=lambda: read(name))


SETS = (
    *map(built_in, ("iris", "wine", "breast-cancer", "diabetes", "digits", "mnist-5k")),
    *(Clean(name=table.name, target=table.target, load=table.load) for table in TABLES),
    Clean(name="Carseats", target="Sales", load=from_r("ISLR", "Carseats")),
    Clean(name="OJ", target="Purchase", load=from_r("ISLR", "OJ")),
    Clean(name="Salaries", target="salary", load=from_r("carData", "Salaries")),
)


def said_of(clean: Clean) -> tuple[int, float, tuple[str, ...]]:
    """Return the rows of a set, the milliseconds that the checks take (best of three), and the warnings."""
    source = clean.load()
    recipe, material = prepare_run(Request(data=source, target=clean.target, settings=Settings()), source)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        said = warnings(
            source, recipe.schema, material.examples, material.split, material.copies, recipe.settings
        )
        times.append(time.perf_counter() - began)
    return len(source), 1000 * min(times), said


def main() -> None:
    """Print what is said of each set, and keep a record."""
    alarms = {}
    print(f"{'data':15}{'rows':>8}{'ms':>8}  warnings")
    for clean in SETS:
        rows, milliseconds, said = said_of(clean)
        alarms[clean.name] = len(said)
        print(f"{clean.name:15}{rows:8,}{milliseconds:8.1f}  {len(said)}")
        for sentence in said:
            print(f"{'':33}{sentence}")
    print(f"{sum(map(bool, alarms.values()))} of {len(SETS)} sets give a warning")
    record("false_alarms", {"sets": len(SETS), "warnings": alarms})


if __name__ == "__main__":
    main()
