"""Which rows of the curriculum are proven: read the rows, read what the last test session recorded, print a table.

A row is proven if at least one test marked with it ran, and every one that ran passed. `make rows` runs the tests
first; the record is `.rows/proven.json`, written by the plugin in `tests/conftest.py`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CURRICULUM = Path("docs/curriculum.md")
RECORD = Path(".rows/proven.json")

# "Rows that ask for no code": history, course frame, links, analogies. TOO-02 has a check; a test may prove others.
AREAS_WITHOUT_CODE = ("HIS", "COU", "TOO")
ROWS_WITHOUT_CODE = ("NEU-01", "FFN-32")
ROWS_WITH_CODE = ("TOO-02",)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the curriculum: `OUT-06`, its name, and the area that it stands in."""

    id: str
    name: str
    area: str

    @property
    def asks_for_no_code(self) -> bool:
        """Whether documentation covers the row, so that it stays unproven without being owed."""
        if self.id in ROWS_WITH_CODE:
            return False
        return self.area in AREAS_WITHOUT_CODE or self.id in ROWS_WITHOUT_CODE


def read_rows(text: str) -> list[Row]:
    """Find the rows in the tables of the area sections; tables elsewhere refer to rows and are passed over.

    >>> read_rows("## OUT — Output layers (1)\\n| ID | Name |\\n|---|---|\\n| OUT-06 | Softmax layer | … |\\n")
    [Row(id='OUT-06', name='Softmax layer', area='OUT')]
    """
    rows: list[Row] = []
    area = ""
    for line in text.splitlines():
        if line.startswith("## "):
            found = re.match(r"## ([A-Z]{3}) — ", line)
            area = found[1] if found else ""
        elif area and (found := re.match(rf"\| ({area}-\d\d) \| (.+?) (?<!\\)\|", line)):
            rows.append(Row(found[1], found[2], area))
    return rows


def proven_rows(outcomes: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the proven rows with their tests, from the outcome of every marked test by row and test.

    A skipped or expected-to-fail test says nothing; a failed one says that the row is not proven.
    >>> proven_rows({"A-01": {"t1": "passed", "t2": "skipped"}, "A-02": {"t1": "passed", "t3": "failed"}})
    {'A-01': ['t1']}
    """
    found = {}
    for row, tests in outcomes.items():
        passed = sorted(test for test, outcome in tests.items() if outcome == "passed")
        if passed and "failed" not in tests.values():
            found[row] = passed
    return dict(sorted(found.items()))


def table(rows: Iterable[Row], proven: Iterable[str]) -> str:
    """Write a line per area, the rows still owed, and the last line with the three sums.

    A row that asks for no code counts as unproven in the last line unless a test proves it.
    """
    rows, done = list(rows), set(proven)
    lines = [f"{'area':<6}{'proven':>8}{'unproven':>10}{'no code':>9}{'total':>7}  still owed"]
    for area in dict.fromkeys(row.area for row in rows):
        here = [row for row in rows if row.area == area]
        without = [row for row in here if row.asks_for_no_code and row.id not in done]
        owed = [row for row in here if not row.asks_for_no_code and row.id not in done]
        count = len(here) - len(without) - len(owed)
        lines.append(
            f"{area:<6}{count:>8}{len(owed):>10}{len(without):>9}{len(here):>7}  {_spans(owed)}".rstrip()
        )
    count = sum(row.id in done for row in rows)
    lines += ["", f"rows: {count} proven, {len(rows) - count} unproven, {len(rows)} total"]
    return "\n".join(lines)


def _spans(rows: list[Row]) -> str:
    """Write row numbers with runs joined: 03, 07–09."""
    spans: list[list[int]] = []
    for number in (int(row.id[-2:]) for row in rows):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{a:02d}" if a == b else f"{a:02d}–{b:02d}" for a, b in spans)


def main(root: Path = ROOT) -> int:
    """Print the table; 1 if there is no record to read."""
    rows = read_rows((root / CURRICULUM).read_text(encoding="utf-8"))
    try:
        record = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        print(f"{root / RECORD} is missing: run the tests first (make rows does)", file=sys.stderr)
        return 1
    print(
        f"from a session of {record['tests']} tests: pytest {' '.join(record['arguments'])}".rstrip() + "\n"
    )
    print(table(rows, proven_rows(record["outcomes"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
