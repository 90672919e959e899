"""A file of a classical model is read without running anything that it brings."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import RunError
from chainrule.models.classical import build_classical
from chainrule.train import estimator_file
from chainrule.train.estimator_file import estimator_bytes, read_estimator

WITH_EXTRAS = ("lightgbm", "kernel-regression", "local-regression")
X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def rewritten(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """Return a file with its parts changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    change(parts)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return out.getvalue()


@pytest.fixture
def without_skops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a process that has not imported skops yet."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "skops"]:
        monkeypatch.delitem(sys.modules, name)
    estimator_file._skops.cache_clear()
    yield
    estimator_file._skops.cache_clear()


@pytest.mark.parametrize("name", [name for name in CLASSICAL if name not in WITH_EXTRAS])
def test_every_model_is_kept_and_read_with_our_list_of_types_alone(without_skops: None, name: str) -> None:
    for question in CLASSICAL[name].questions:
        fitted = build_classical(name, {}, question=question).fit(X, Y)
        again = read_estimator(estimator_bytes(fitted), "model.skops", 3)
        assert np.array_equal(again.predict(X), fitted.predict(X))
    assert "skops.io" not in sys.modules  # whoever imports it gets it with its own list
    assert (
        importlib.import_module("skops.io").get_untrusted_types(data=estimator_bytes(StandardScaler().fit(X)))
        == []
    )


def test_nothing_of_scikit_learn_is_imported_to_list_types() -> None:
    said = "import chainrule.train.estimator_file as f, sys; f._skops(); print('sklearn.gaussian_process' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_it_wrote_it_reads() -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(X, Y)
    again = read_estimator(estimator_bytes(forest), "model.skops", 3)
    assert np.array_equal(again.predict_proba(X), forest.predict_proba(X))


@pytest.mark.parametrize(
    ("brought", "said"),
    [
        (
            FunctionTransformer(os.system),
            "it holds posix.system, sklearn.preprocessing._function_transformer",
        ),
        (FunctionTransformer(print), "builtins.print"),
        (StandardScaler(), "it holds sklearn.preprocessing._data.StandardScaler"),
        ({"model": np.random.RandomState(0)}, "numpy.random.mtrand.RandomState"),
        ([os.path.join], "posixpath.join"),
    ],
)
def test_a_type_that_no_model_has_is_refused_before_it_is_made(brought: Any, said: str) -> None:
    """Also what skops itself would trust."""
    with pytest.raises(RunError, match=r"model\.skops is refused: it holds") as caught:
        read_estimator(skops.io.dumps(brought), "model.skops", 3)
    assert said in str(caught.value) and caught.value.exit_code == 2


def test_a_function_in_place_of_a_type_is_refused() -> None:
    def change(parts: dict[str, bytes]) -> None:
        schema = json.loads(parts["schema.json"])
        schema["content"]["content"]["kernel"] = {
            "__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": {}, "__id__": 9,
        }  # fmt: skip
        parts["schema.json"] = json.dumps(schema).encode()

    content = rewritten(estimator_bytes(SVC().fit(X, Y)), change)
    with pytest.raises(RunError, match=r"refused: it holds os\.system"):
        read_estimator(content, "model.skops", 3)


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = estimator_bytes(SVC().fit(X, Y))
    monkeypatch.setattr(estimator_file, "MOST_BYTES", 1000)
    with pytest.raises(RunError, match=r"model\.skops is refused: it unpacks to"):
        read_estimator(content, "model.skops", 3)


def test_a_size_that_is_a_lie_is_noticed() -> None:
    """The unpacked size that a file states is what zipfile reads at most."""
    content = bytearray(estimator_bytes(SVC().fit(X, Y)))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (10).to_bytes(4, "little")
    with pytest.raises(RunError, match=r"model\.skops is damaged"):
        read_estimator(bytes(content), "model.skops", 3)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no zip at all", b"\x80\x04N."])
def test_what_is_no_such_file(content: bytes) -> None:
    with pytest.raises(RunError, match=r"model\.skops is damaged or of another version"):
        read_estimator(content, "model.skops", 3)


def test_nesting_without_end() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000

    def change(parts: dict[str, bytes]) -> None:
        parts["schema.json"] = deep

    with pytest.raises(RunError, match=r"model\.skops is damaged"):
        read_estimator(rewritten(estimator_bytes(SVC().fit(X, Y)), change), "model.skops", 3)


def _tree_state(forest: RandomForestClassifier, field: str, value: int) -> None:
    tree = forest.estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"][field][0] = value
    tree.__setstate__(state)


def _refused(estimator: Any) -> None:
    with pytest.raises(RunError, match=r"model\.skops is damaged or of another version: ValueError"):
        read_estimator(estimator_bytes(estimator), "model.skops", 3)


@pytest.mark.parametrize(
    ("field", "value"), [("left_child", 10**9), ("right_child", 0), ("feature", 3), ("feature", -5)]
)
def test_a_forest_that_leads_compiled_code_astray_is_refused(field: str, value: int) -> None:
    forest = RandomForestClassifier(2, random_state=0).fit(X, Y)
    _tree_state(forest, field, value)
    _refused(forest)


@pytest.mark.parametrize(
    ("field", "value"), [("left", 10**6), ("right", 0), ("feature_idx", 7), ("is_categorical", 1)]
)
def test_boosted_trees_that_lead_compiled_code_astray_are_refused(field: str, value: int) -> None:
    boosted = HistGradientBoostingClassifier(max_iter=2).fit(X, Y)
    boosted._predictors[0][0].nodes[field][0] = value
    _refused(boosted)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("_n_support", lambda _: np.array([10**6, 1], np.int32)),
        ("_dual_coef_", lambda weights: weights[:, :2]),
        ("support_vectors_", lambda rows: rows[:, :1]),
        ("_intercept_", lambda _: np.zeros(0)),
    ],
)
def test_a_machine_that_leads_compiled_code_astray_is_refused(
    name: str, change: Callable[[Any], Any]
) -> None:
    machine = SVC().fit(X, Y)
    setattr(machine, name, change(getattr(machine, name)))
    _refused(machine)


def test_a_tree_of_more_inputs_than_rows_have() -> None:
    content = estimator_bytes(RandomForestClassifier(3, random_state=0).fit(X, Y))
    with pytest.raises(RunError, match="the inputs of a tree go from 0 to"):
        read_estimator(content, "model.skops", 1)
