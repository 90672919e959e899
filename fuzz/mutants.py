"""Open the corpus of some formats and fresh mutants of it, without coverage: what the tests run in a process of its own.

`python -m fuzz.mutants --formats csv,npz --count 100 --seed 7 --kept FOLDER`

Prints one JSON object per format. The input at hand lies in FOLDER/current, so that one which ends the process is known.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from fuzz.formats import FORMATS, Format
from fuzz.mutators import plain_change
from fuzz.rule import Finding, Hang, alarm, check, limit_memory, renew


def main() -> None:
    """Read the flags, and open inputs format by format."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.kept.mkdir(parents=True, exist_ok=True)
    formats = [FORMATS[name] for name in arguments.formats.split(",")]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as made:
        folder = Path(made).resolve() / "place"
        for format in formats:  # everything is imported before memory is limited
            renew(format, folder)
            check(format, format.seeds()[0], folder)
        limit_memory()
        for format in formats:
            print(json.dumps(open_all(format, arguments, folder)), flush=True)


def open_all(format: Format, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Open the corpus of a format and its mutants; return what was found, each finding once."""
    renew(format, folder)
    found: dict[str, dict[str, str]] = {}
    began, slowest = time.perf_counter(), 0.0
    whole, changed = format.corpus(), mutants(format, arguments.count, arguments.seed)
    inputs = [(format, *one) for one in whole] + [(format.in_one_process(), *one) for one in changed]
    for opened, name, content in inputs:
        (arguments.kept / "current").write_bytes(content)
        started = time.perf_counter()
        finding = checked(opened, content, folder)
        slowest = max(slowest, time.perf_counter() - started)
        if finding is not None and finding.signature not in found:
            path = arguments.kept / f"{format.name}-{len(found)}"
            path.write_bytes(content)
            repeat = f"python -m fuzz.run --repeat {path} --format {format.name}"
            found[finding.signature] = {"input": name, "text": finding.text, "repeat": repeat}
    seconds = round(time.perf_counter() - began, 2)
    return {
        "format": format.name, "inputs": len(inputs), "seconds": seconds, "slowest": round(slowest, 3), "findings": found,
    }  # fmt: skip


def checked(format: Format, content: bytes, folder: Path) -> Finding | None:
    """Open one input under the alarm."""
    try:
        with alarm():
            return check(format, content, folder)
    except Hang as hang:
        renew(format, folder)
        return Finding("hang", str(hang))


def mutants(format: Format, count: int, seed: int) -> list[tuple[str, bytes]]:
    """Make inputs from the corpus by small changes; the same ones for the same seed."""
    random = Random(f"{format.name} {seed}")
    change = plain_change(random, format.tokens)
    whole = [content for _, content in format.corpus()]
    return [
        (f"mutant {n} of seed {seed}", format.mutate(random.choice(whole), random, change))
        for n in range(count)
    ]


if __name__ == "__main__":
    main()
