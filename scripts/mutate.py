"""Break features on purpose, one at a time, and see whether the tests marked with their row of the curriculum notice.

Command:  python scripts/mutate.py [--sample 60] [--seed 0] [--area NEU]… [--row NEU-08]… [--jobs 2]
`tests/breaks/*.toml` holds for each row a snippet of the code and a plausible mistake in its place. Breaks are drawn
evenly from those of the areas asked for (without --area, of all). All tests of the drawn rows must pass before anything is broken. Then each break is
made in a copy of the tree, and only the tests marked with its row are run. A break counts as caught if one of them
fails; a tree that cannot be collected at all does not count.
Expected: at least 58 of 60 caught. Exit code 1 if fewer than 29 of 30 are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parent.parent
BREAKS = Path("tests/breaks")
RECORD = Path(".rows/proven.json")
NEEDED = 29 / 30
SECONDS = 600  # for the tests of one row
FAILED = 1  # pytest's exit code where tests ran and some failed


@dataclass(frozen=True, slots=True)
class Break:
    """A row, and a mistake in one file that the row's tests must notice."""

    row: str
    file: str
    old: str
    new: str

    def apply(self, tree: Path) -> str:
        """Make the mistake; return the text to put back. Raises: ValueError if the snippet is not there once."""
        path = tree / self.file
        text = path.read_text("utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.row}: the snippet stands {text.count(self.old)} times in {self.file}")
        path.write_text(text.replace(self.old, self.new), "utf-8")
        return text


def read_breaks(folder: Path) -> list[Break]:
    """Read every table `[[break]]` of a folder's TOML files, in the order of their names."""
    return [
        Break(**entry)
        for path in sorted(folder.glob("*.toml"))
        for entry in tomllib.loads(path.read_text("utf-8"))["break"]
    ]


def drawn(breaks: Sequence[Break], count: int, seed: int) -> list[Break]:
    """Draw breaks of different rows, the same for the same seed."""
    by_row = {found.row: found for found in random.Random(seed).sample(breaks, len(breaks))}
    rows = random.Random(seed).sample(sorted(by_row), min(count, len(by_row)))
    return [by_row[row] for row in sorted(rows)]


def copy_tree(into: Path) -> None:
    """Copy what the tests need: the files that are under version control or could be."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)


def pytest(tree: Path, arguments: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of a tree against that tree's code."""
    command = [
        sys.executable,
        "-B",
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=SECONDS)


def tests_of(tree: Path, rows: Sequence[str]) -> dict[str, list[str]]:
    """Run the tests of rows in a tree that nothing is broken in; return their names by row. Exits if one fails."""
    ran = pytest(tree, ["tests", "--rows", ",".join(rows)])
    if ran.returncode:
        sys.exit(f"the tests must pass before anything is broken:\n{ran.stdout[-3000:]}{ran.stderr[-1000:]}")
    outcomes = json.loads((tree / RECORD).read_text("utf-8"))["outcomes"]
    return {row: sorted(outcomes.get(row, {})) for row in rows}


def outcome(found: Break, tests: Sequence[str], tree: Path) -> str:
    """Make one break, run its row's tests, and undo it: caught, or what happened instead."""
    if not tests:
        return "no test is marked with this row"
    before = found.apply(tree)
    try:
        ran = pytest(tree, ["-x", *tests])
    except subprocess.TimeoutExpired:
        return "caught"  # the mistake made an endless loop
    finally:
        (tree / found.file).write_text(before, "utf-8")
    if ran.returncode == FAILED:
        return "caught"
    return "NOT caught" if not ran.returncode else f"the tests could not be run (exit code {ran.returncode})"


def main() -> int:
    """Draw, break, and count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=60, help="breaks to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--area", action="append", help="areas to draw from, such as NEU; repeat it")
    parser.add_argument("--row", action="append", help="rows to draw from; repeat it")
    parser.add_argument("--jobs", type=int, default=2, help="breaks at the same time")
    flags = parser.parse_args()
    breaks = [
        found
        for found in read_breaks(ROOT / BREAKS)
        if (not flags.area or found.row[:3] in flags.area) and (not flags.row or found.row in flags.row)
    ]
    chosen = drawn(breaks, flags.sample, flags.seed)
    if not chosen:
        parser.error(f"no break of these rows stands in {BREAKS}")
    print(f"{len(breaks)} breaks, {len(chosen)} drawn with seed {flags.seed}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        return run(chosen, [Path(place, str(number)) for number in range(flags.jobs)])


def run(chosen: Sequence[Break], trees: Sequence[Path]) -> int:
    """Make every break in one of the copies and print what came of it."""
    for tree in trees:
        copy_tree(tree)
    tests = tests_of(trees[0], [found.row for found in chosen])
    free: Queue[Path] = Queue()
    for tree in trees:
        free.put(tree)

    def one(found: Break) -> str:
        tree = free.get()
        try:
            told = outcome(found, tests[found.row], tree)
        finally:
            free.put(tree)
        print(f"{found.row}  {found.file}: {told}", flush=True)
        return told

    with ThreadPoolExecutor(len(trees)) as workers:
        caught = list(workers.map(one, chosen)).count("caught")
    print(f"{caught} of {len(chosen)} caught")
    return int(caught < NEEDED * len(chosen))


if __name__ == "__main__":
    sys.exit(main())
