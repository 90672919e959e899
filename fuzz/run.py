"""Fuzz all formats, or some, for a time each.

Command:  python -m fuzz.run [--format NAME]… [--seconds 30] [--jobs 1] [--record FILE.jsonl]
Workers run one per format under a limit of memory and of seconds per input. Every stretch is a line of the record:
format, seconds of computing, executions, coverage, findings. With a record the campaign can be ended and taken up again: a format
runs until the lines of the record add up to its seconds. Inputs that opened new ground are kept in --work between
stretches. Exit code 1 if there are findings; they lie in WORK/findings with the command that repeats each.
`--repeat FILE --format NAME` opens one input and shows what it does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fuzz.formats import FORMATS
from fuzz.rule import MOST_SECONDS, limit_memory, renew

RSS_MEGABYTES = 3000  # imports take a third of it
START_SECONDS = 60  # that a worker may take to import and to read the corpus
END_SECONDS = 20
SLOW = (
    3  # times the seconds of computing that an input may take, by the clock; told apart when it is repeated
)


def main() -> int:
    """Read the flags; fuzz, or repeat one input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--format", action="append", choices=list(FORMATS), help="a format; repeat it; without it all"
    )
    parser.add_argument("--seconds", type=float, default=30, help="seconds of computing for each format")
    parser.add_argument("--jobs", type=int, default=1, help="formats at the same time")
    parser.add_argument(
        "--record", type=Path, help="JSON lines, one per stretch; what stands there counts as done"
    )
    parser.add_argument("--work", type=Path, default=Path(".fuzz"), help="folder of inputs and findings")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="open this one input")
    flags = parser.parse_args()
    chosen = flags.format or list(FORMATS)
    if flags.repeat:
        return repeat(chosen[0], flags.repeat)
    with ThreadPoolExecutor(flags.jobs) as workers:
        lines = list(workers.map(lambda name: fuzz(name, flags), chosen))
    findings = [finding for line in lines for finding in line["findings"]]
    print(
        f"{len(chosen)} formats, {sum(line['executions'] for line in lines):,} inputs, {len(findings)} findings"
    )
    return int(bool(findings))


def fuzz(name: str, flags: argparse.Namespace) -> dict[str, Any]:
    """Fuzz one format for the time that the record does not have yet; return all of it as one line."""
    total = {"format": name, "seconds": 0.0, "executions": 0, "coverage": 0, "findings": []}
    for line in recorded(flags.record, name):
        total = added(total, line)
    while (left := flags.seconds - total["seconds"]) > 1:
        line = stretch(name, left, flags.work)
        if flags.record:
            flags.record.parent.mkdir(parents=True, exist_ok=True)
            with flags.record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        total = added(total, line)
        if not line["executions"]:
            print(f"{name}: the worker ended before its first input; see {flags.work / name / 'log'}")
            break
    print(f"{name}: {total['executions']:,} inputs in {total['seconds']:.0f} s, coverage {total['coverage']}, "
          f"{len(total['findings'])} findings", flush=True)  # fmt: skip
    return total


def recorded(record: Path | None, name: str) -> list[dict[str, Any]]:
    """Return what a record says about a format."""
    if record is None or not record.exists():
        return []
    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    return [line for line in lines if line["format"] == name]


def added(total: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """Add a stretch to what came before it."""
    return {
        "format": total["format"],
        "seconds": total["seconds"] + line["seconds"],
        "executions": total["executions"] + line["executions"],
        "coverage": max(total["coverage"], line["coverage"]),
        "findings": list(dict.fromkeys([*total["findings"], *line["findings"]])),
    }


def stretch(name: str, seconds: float, work: Path) -> dict[str, Any]:
    """Run one worker until its time is over or an input ends it; return its line of the record."""
    grown, kept = (work / name / "corpus").resolve(), (work / "findings").resolve()
    for folder in (grown, kept):
        folder.mkdir(parents=True, exist_ok=True)
    for place, (_, content) in enumerate(FORMATS[name].corpus()):
        (grown / f"whole-{place}").write_bytes(content)
    before = set(kept.iterdir())
    command = [
        sys.executable, "-m", "fuzz.worker", "--format", name, "--kept", str(kept), f"-max_total_time={int(seconds) or 1}",
        f"-timeout={SLOW * MOST_SECONDS}", f"-rss_limit_mb={RSS_MEGABYTES}", "-max_len=65536", "-print_final_stats=1",
        "-report_slow_units=5", f"-artifact_prefix={kept}/{name}-", *_dictionary(name, work), str(grown),
    ]  # fmt: skip
    with (
        (work / name / "log").open("w", encoding="utf-8", errors="replace") as log,
        tempfile.TemporaryDirectory(prefix="fuzz-") as place,
    ):
        limits = {
            **os.environ,
            "TMPDIR": place,
            "POLARS_MAX_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        spent = computed(subprocess.Popen(command, stdout=log, stderr=log, env=limits), seconds)
    text = (work / name / "log").read_text("utf-8", errors="replace")
    return {
        "format": name,
        "seconds": round(min(spent, seconds), 1),
        "executions": max(map(int, re.findall(r"^#(\d+)", text, re.MULTILINE)), default=0),
        "coverage": max(map(int, re.findall(r" cov: (\d+)", text)), default=0),
        "findings": [
            told(name, path)
            for path in sorted(set(kept.iterdir()) - before)
            if path.name.startswith(f"{name}-") and is_finding(name, path)
        ],
    }


def computed(worker: subprocess.Popen[bytes], seconds: float) -> float:
    """Wait for a worker and return the seconds that it computed: a busy machine fuzzes less in the same time.

    One that has not ended long after its `seconds` hangs in native code, which hears no alarm, and is killed.
    """
    latest = time.monotonic() + seconds + START_SECONDS + END_SECONDS
    while True:
        ended, code, used = os.wait4(worker.pid, os.WNOHANG)
        if ended:
            worker.returncode = os.waitstatus_to_exitcode(code)
            return used.ru_utime + used.ru_stime
        if time.monotonic() > latest:
            worker.kill()
        time.sleep(0.2)


def is_finding(name: str, path: Path) -> bool:
    """Whether a file that a worker left is a finding: one that ended the worker must break the rule outside it too."""
    if path.suffix == ".json" or "slow-unit" in path.name:
        return False
    if path.with_name(f"{path.name}.json").exists():
        return True
    command = [sys.executable, "-m", "fuzz.run", "--format", name, "--repeat", str(path)]
    try:
        ended = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=3 * START_SECONDS
        )
    except subprocess.TimeoutExpired:
        return True
    if not ended.returncode:
        path.unlink()
    return bool(ended.returncode)


def told(name: str, path: Path) -> str:
    """Print a finding with the command that repeats it, and return its name in one line."""
    about = path.with_name(f"{path.name}.json")
    signature = json.loads(about.read_text("utf-8"))["signature"] if about.exists() else path.name
    print(f"{name}: {signature}\n    python -m fuzz.run --format {name} --repeat {path}", flush=True)
    return f"{name}: {signature}"


def _dictionary(name: str, work: Path) -> list[str]:
    """Return the flag that gives libFuzzer the tokens of a format."""
    if not FORMATS[name].tokens:
        return []
    path = work / name / "tokens"
    lines = (
        '"' + "".join(f"\\x{byte:02x}" for byte in token) + '"\n'
        for token in FORMATS[name].tokens
        if len(token) < 64
    )
    path.write_text("".join(lines), "ascii")
    return [f"-dict={path.resolve()}"]


def repeat(name: str, path: Path) -> int:
    """Open one input under the limits and print what it does."""
    from fuzz.mutants import checked

    with tempfile.TemporaryDirectory(prefix="fuzz-") as made:
        folder = Path(made).resolve() / "place"
        renew(FORMATS[name], folder)
        seed = FORMATS[name].seeds()[0]
        checked(FORMATS[name], seed, folder)  # imports are neither the input's time nor its memory
        limit_memory()
        finding = checked(FORMATS[name], path.read_bytes(), folder)
    print(f"{path}: " + ("the rule holds" if finding is None else f"{finding.signature}\n{finding.text}"))
    return int(finding is not None)


if __name__ == "__main__":
    sys.exit(main())
