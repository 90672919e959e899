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
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

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
        again = read_estimator(estimator_bytes(fitted), "model.skops")
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
    again = read_estimator(estimator_bytes(forest), "model.skops")
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
        read_estimator(skops.io.dumps(brought), "model.skops")
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
        read_estimator(content, "model.skops")


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = estimator_bytes(SVC().fit(X, Y))
    monkeypatch.setattr(estimator_file, "MOST_BYTES", 1000)
    with pytest.raises(RunError, match=r"model\.skops is refused: it unpacks to"):
        read_estimator(content, "model.skops")


def test_a_size_that_is_a_lie_is_noticed() -> None:
    """The unpacked size that a file states is what zipfile reads at most."""
    content = bytearray(estimator_bytes(SVC().fit(X, Y)))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (10).to_bytes(4, "little")
    with pytest.raises(RunError, match=r"model\.skops is damaged"):
        read_estimator(bytes(content), "model.skops")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no zip at all", b"\x80\x04N."])
def test_what_is_no_such_file(content: bytes) -> None:
    with pytest.raises(RunError, match=r"model\.skops is damaged or of another version"):
        read_estimator(content, "model.skops")


def test_nesting_without_end() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000

    def change(parts: dict[str, bytes]) -> None:
        parts["schema.json"] = deep

    with pytest.raises(RunError, match=r"model\.skops is damaged"):
        read_estimator(rewritten(estimator_bytes(SVC().fit(X, Y)), change), "model.skops")


def _tree_state(tree: Any, field: str, value: int, node: int = 0) -> None:
    state = tree.__getstate__()
    state["nodes"][field][node] = value
    tree.__setstate__(state)


def _refused(estimator: Any, said: str = "") -> None:
    with pytest.raises(RunError, match=rf"model\.skops is damaged or of another version: ValueError.*{said}"):
        read_estimator(estimator_bytes(estimator), "model.skops")


@pytest.mark.parametrize(
    ("field", "value"),
    [("left_child", 10**9), ("left_child", -2), ("right_child", 0), ("right_child", -1), ("feature", 3), ("feature", -5)],
)  # fmt: skip
def test_a_forest_that_leads_compiled_code_astray_is_refused(field: str, value: int) -> None:
    forest = RandomForestClassifier(2, random_state=0).fit(X, Y)
    _tree_state(forest.estimators_[0].tree_, field, value)
    _refused(forest)


def test_a_leaf_is_what_compiled_code_takes_for_one() -> None:
    """It goes on from every node whose left child is any other number than -1."""
    tree = DecisionTreeClassifier(max_depth=1).fit(X, Y)
    _tree_state(tree.tree_, "left_child", -100, node=1)
    _refused(tree, "a node of a tree leads to none of its later nodes")


@pytest.mark.parametrize("inputs", [2, None, 3.0])
def test_a_tree_for_other_rows_than_its_model_checks_is_refused(inputs: Any) -> None:
    tree = DecisionTreeClassifier().fit(X, Y)
    tree.n_features_in_ = inputs
    _refused(tree)


@pytest.mark.parametrize(
    ("field", "value"), [("left", 10**6), ("right", 0), ("feature_idx", 7), ("is_categorical", 1)]
)
def test_boosted_trees_that_lead_compiled_code_astray_are_refused(field: str, value: int) -> None:
    boosted = HistGradientBoostingClassifier(max_iter=2).fit(X, Y)
    boosted._predictors[0][0].nodes[field][0] = value
    _refused(boosted)


def test_boosted_trees_that_see_other_rows_are_refused() -> None:
    boosted = HistGradientBoostingClassifier(max_iter=2).fit(X, Y)
    boosted._preprocessor = PolynomialFeatures(1).fit(X)
    _refused(boosted, "other rows than those that are asked for")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("_n_support", lambda _: np.array([10**6, 1], np.int32)),
        ("_dual_coef_", lambda weights: weights[:, :2]),
        ("support_vectors_", lambda rows: rows[:, :1]),
        ("_intercept_", lambda _: np.zeros(0)),
        ("_probA", lambda _: np.ones(1)),
        ("_sparse", lambda _: True),
        ("kernel", lambda _: "precomputed"),
        ("_impl", lambda _: "one_class"),
        ("classes_", lambda _: np.arange(9)),
    ],
)
@pytest.mark.parametrize("kind", [SVC, SVR])
def test_a_machine_that_leads_compiled_code_astray_is_refused(
    kind: type, name: str, change: Callable[[Any], Any]
) -> None:
    machine = kind().fit(X, Y)
    if (kind, name) == (SVR, "classes_"):
        return
    found = change(getattr(machine, name))
    setattr(machine, name, np.ones(9, np.int32) if (kind, name) == (SVR, "_n_support") else found)
    _refused(machine)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("_y", lambda y: y[:-1]),
        ("_y", lambda y: y + 10**18),
        ("_y", lambda y: y - 1),
        ("_y", lambda y: y.astype(float)),
        ("classes_", lambda classes: classes[:1]),
        ("classes_", list),
        ("outputs_2d_", lambda _: True),
        ("n_neighbors", lambda _: 61),
        ("n_neighbors", lambda _: 2.0),
        ("n_samples_fit_", lambda _: 50),
        ("_fit_X", lambda x: x[:, :1]),
        ("_fit_X", lambda x: x[:10]),
        ("metric", lambda _: "seuclidean"),
        ("effective_metric_", lambda _: "precomputed"),
        ("effective_metric_params_", lambda _: {"V": np.ones(1)}),
        ("_fit_method", lambda _: "kd_tree"),
    ],
)
def test_neighbours_that_lead_compiled_code_astray_are_refused(
    name: str, change: Callable[[Any], Any]
) -> None:
    neighbours = KNeighborsClassifier(algorithm="brute", metric="euclidean").fit(X, Y)
    setattr(neighbours, name, change(getattr(neighbours, name)))
    _refused(neighbours)


def test_a_part_that_stands_in_for_what_its_type_has_is_refused() -> None:
    machine = SVC().fit(X, Y)
    machine.predict_proba = 3
    _refused(machine, "a SVC holds predict_proba, which its type has")


@pytest.mark.parametrize(
    ("kind", "loader"),
    [
        ("lightgbm.basic.Booster", "LossNode"),
        ("lightgbm.basic.Booster", "NdArrayNode"),
        ("numpy.ndarray", "LossNode"),
        ("numpy.ndarray", "SparseMatrixNode"),
        ("sklearn.tree._tree.Tree", "ObjectNode"),
        ("builtins.list", "SetNode"),
    ],
)
def test_a_type_that_is_made_in_another_way_than_its_own_is_refused(kind: str, loader: str) -> None:
    """A way to make parts calls the type with what else stands in the file."""
    module, _, name = kind.rpartition(".")

    def change(parts: dict[str, bytes]) -> None:
        schema = json.loads(parts["schema.json"])
        schema["content"]["content"]["C"] = {"__class__": name, "__module__": module, "__loader__": loader}
        parts["schema.json"] = json.dumps(schema).encode()

    content = rewritten(estimator_bytes(SVC().fit(X, Y)), change)
    with pytest.raises(RunError, match=f"a part of the type {kind} is not made by {loader}"):
        read_estimator(content, "model.skops")


def test_reading_warns_of_nothing() -> None:
    """Neither of another version, nor of how an array is written: warnings are errors here."""

    def change(parts: dict[str, bytes]) -> None:
        schema = json.loads(parts["schema.json"])
        encoder = schema["content"]["content"]["_label_encoder"]["content"]["content"]
        encoder.pop("_sklearn_version")
        parts["schema.json"] = json.dumps(schema).encode()
        for name, part in parts.items():
            if name.endswith(".npy"):  # as Python 2 wrote whole numbers
                parts[name] = part.replace(b"(1, 1), }  ", b"(1L, 1L), }")

    boosted = HistGradientBoostingClassifier(max_iter=2).fit(X, Y)
    again = read_estimator(rewritten(estimator_bytes(boosted), change), "model.skops")
    assert np.array_equal(again.predict(X), boosted.predict(X))
