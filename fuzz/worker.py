"""One coverage-guided fuzzer, for one format, until it is ended: what `fuzz.run` starts in a process of its own.

A finding that Python sees is written to `--kept` and the search goes on, past all inputs of the same signature; one that
ends the process (a crash of native code, a hang, memory) is left in that folder by libFuzzer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["chainrule", "PIL", "zipfile", "gzip", "csv", "numpy.lib"]):
    from fuzz import formats, rule


def main() -> None:
    """Read the flags of this worker; what stands behind -- is libFuzzer's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--format", required=True)
    parser.add_argument("--kept", type=Path, required=True)
    ours, theirs = parser.parse_known_args()
    format = formats.FORMATS[ours.format].in_one_process()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-")).resolve() / "place"
    known = {json.loads(path.read_text("utf-8"))["signature"] for path in ours.kept.glob("*.json")}
    rule.renew(format, folder)
    with atheris.instrument_imports(include=["chainrule", "PIL"]):  # what is imported late
        for content in format.seeds():
            rule.check(format, content, folder)
    rule.limit_memory()

    def test_one_input(content: bytes) -> None:
        finding = rule.check(format, content, folder)
        if finding is not None and finding.signature not in known:
            known.add(finding.signature)
            keep(finding, shortened(content, finding, format, folder), format, ours.kept)

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        return format.mutate(content, Random(seed), lambda inner: atheris.Mutate(inner, most))[:most]

    atheris.Setup([sys.argv[0], *theirs], test_one_input, custom_mutator=mutate)
    atheris.Fuzz()


def keep(finding: rule.Finding, content: bytes, format: formats.Format, folder: Path) -> None:
    """Write an input and what it did, and print the command that repeats it."""
    path = folder / f"{format.name}-{hashlib.sha256(content).hexdigest()[:12]}"
    path.write_bytes(content)
    record = {"format": format.name, "signature": finding.signature, "text": finding.text, "input": path.name}
    path.with_name(f"{path.name}.json").write_text(json.dumps(record, indent=1), "utf-8")


def shortened(content: bytes, finding: rule.Finding, format: formats.Format, folder: Path) -> bytes:
    """Return a shorter input that breaks the rule in the same way: pieces are left out, large ones first."""
    tries, width = 300, len(content) // 2
    while width and tries:
        for start in range(0, len(content), width):
            shorter = content[:start] + content[start + width :]
            same = rule.check(format, shorter, folder)
            tries -= 1
            if same is not None and same.signature == finding.signature:
                content = shorter
                break
            if not tries:
                break
        else:
            width //= 2
    return content


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "1")

    main()
