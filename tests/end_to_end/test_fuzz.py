"""Every format holds to the rule of `fuzz/rule.py`: its corpus, all that fuzzing ever found, and fresh mutants.

The inputs are opened in two processes that have a limit of memory and an alarm; FUZZ_SEED makes other mutants.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from random import Random

import pytest

import chainrule as cr
from chainrule.core.errors import DataError
from fuzz import mutators, seeds
from fuzz.formats import CORPUS, FORMATS, Format
from fuzz.rule import alarm, check, renew

ROOT = Path(__file__).parent.parent.parent
SEED = os.environ.get("FUZZ_SEED", "0")
COUNT = 40


def opened(part: int, kept: Path, workers: contextlib.ExitStack) -> subprocess.Popen[bytes]:
    """Start a process that opens half of the formats."""
    command = [
        *(sys.executable, "-m", "fuzz.mutants", "--formats", ",".join(list(FORMATS)[part::2])),
        *("--count", str(COUNT), "--seed", SEED, "--kept", str(kept)),
    ]
    paths = os.pathsep.join(path for path in sys.path if path)
    worker = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    workers.enter_context(worker)
    workers.callback(worker.kill)
    return worker


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Open everything, in two processes, and return what each format did."""
    kept = tmp_path_factory.mktemp("fuzz")
    found = {}
    with contextlib.ExitStack() as stack:
        workers = [opened(part, kept / str(part), stack) for part in (0, 1)]
        for part, worker in enumerate(workers):
            assert worker.stdout is not None
            done = [json.loads(line) for line in worker.stdout]
            found |= {one["format"]: one for one in done}
            for name in list(FORMATS)[part::2][len(done) :][:1]:
                ended = (
                    f"the process ended with {worker.wait()} on the input in {kept / str(part) / 'current'}"
                )
                found[name] = {"inputs": 0, "findings": {ended: {"text": ended, "repeat": ""}}}
    return found


@pytest.mark.timeout(900)  # half a minute on two cores that nothing else wants
@pytest.mark.parametrize("name", FORMATS)
def test_no_input_breaks_the_rule(name: str, outcomes: dict[str, dict]) -> None:
    assert name in outcomes, "a format before this one ended the process"
    found = outcomes[name]["findings"]
    assert not found, "\n".join(f"{one['text']}\n{one['repeat']}" for one in found.values())
    assert outcomes[name]["inputs"] >= COUNT + len(FORMATS[name].corpus())


def test_the_corpus_is_small_and_has_its_formats() -> None:
    for path in CORPUS.rglob("*"):
        if path.is_file():
            assert path.parent.name in FORMATS and path.stat().st_size < 20_000, path


def failing(action):
    return Format(
        name="made-up", write=lambda c, f: (f / "x").write_bytes(c), open=action, seeds=lambda: [b"x"]
    )


@pytest.mark.parametrize(
    ("action", "signature"),
    [
        (lambda folder: 1 / 0, "ZeroDivisionError at test_fuzz.py:<lambda>"),
        (lambda folder: (folder / "y").write_text("left"), "left behind: made-up"),
        (lambda folder: (folder / "x").write_text("changed"), "left behind: made-up"),
        (lambda folder: __import__("warnings").warn("odd", stacklevel=1), "UserWarning at "),
        (lambda folder: sys.exit(3), "SystemExit at test_fuzz.py:<lambda>"),
    ],
)
def test_the_rule_sees(action, signature: str, tmp_path: Path) -> None:
    format = failing(action)
    renew(format, tmp_path / "place")
    finding = check(format, b"1", tmp_path / "place")
    assert finding is not None and finding.signature.startswith(signature)


def test_the_rule_sees_what_never_ends(tmp_path: Path) -> None:
    def compute(folder: Path) -> None:
        while True:
            pass

    format = failing(compute)
    renew(format, tmp_path / "place")
    with alarm(0.2):
        finding = check(format, b"1", tmp_path / "place")
    assert finding is not None and finding.signature.startswith("Hang at test_fuzz.py")


def test_the_rule_lets_pass_what_is_refused(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise DataError("rows.csv, line 3: this is told")

    format = failing(refuse)
    renew(format, tmp_path / "place")
    assert check(format, b"1", tmp_path / "place") is None


def test_changes_reach_behind_the_checksums() -> None:
    """A mutated PNG has chunks with right checksums, a mutated checkpoint is sealed anew, a zip opens."""
    change = mutators.plain_change(Random(1), ())
    pictures = [mutators.png_chunks(seeds.pictures("png")[0], Random(n), change) for n in range(30)]
    for content in pictures:
        length = int.from_bytes(content[8:12])
        assert zlib.crc32(content[12 : 16 + length]) == int.from_bytes(content[16 + length : 20 + length])
    (checkpoint,) = FORMATS["checkpoint"].seeds()
    changed = [mutators.sealed_checkpoint(checkpoint, Random(n), change) for n in range(20)]
    for content in changed:
        about = mutators.split_tensors(content)[0]["__metadata__"]
        assert about["seal"] == str(zlib.crc32((about["state"] + about["crc32"]).encode()))
    assert len({*pictures}) > 20 and len({*changed}) > 15


@pytest.mark.parametrize("name", ["model.safetensors", "history.csv", "report.html"])
def test_what_is_derived_may_be_gone_or_garbage(name: str, tmp_path: Path) -> None:
    seeds.place_run(tmp_path)
    path = tmp_path / "runs" / "run"
    for content in (b"", bytes(range(256)) * 4):
        (path / name).write_bytes(content)
        run = cr.load(path)
        assert (
            len(run.history) == 2 and run.evaluate()["accuracy"] >= 0 and run.predict(tmp_path / "rows.csv")
        )
        assert (path / name).read_bytes() == content
