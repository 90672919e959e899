"""The text of a LightGBM model is looked at before LightGBM reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.core.errors import RunError
from chainrule.train.boosted_text import check_boosted_text
from chainrule.train.estimator_file import estimator_bytes, read_estimator
from tests.train.test_estimator_file import rewritten

lightgbm = pytest.importorskip("lightgbm")
X = np.random.default_rng(0).normal(size=(90, 3))
ANSWERS = {"two classes": (X[:, 0] > 0).astype(int), "three classes": np.arange(90) % 3, "values": X[:, 1]}


def fitted(answers: str, rows: int = 90) -> Any:
    kind = lightgbm.LGBMRegressor if answers == "values" else lightgbm.LGBMClassifier
    return kind(n_estimators=3, num_leaves=4, verbosity=-1).fit(X[:rows], ANSWERS[answers][:rows])


def text_of(model: Any) -> str:
    return str(model._Booster.model_to_string())


@pytest.mark.parametrize("answers", ANSWERS)
@pytest.mark.parametrize("rows", [90, 12])  # twelve rows give trees of one leaf
def test_what_lightgbm_writes_is_a_model(answers: str, rows: int) -> None:
    model = fitted(answers, rows)
    check_boosted_text(text_of(model))
    assert np.array_equal(read_estimator(estimator_bytes(model), "model.skops").predict(X), model.predict(X))


def told_in_the_head(text: str) -> str:
    """Return the text with the lengths of its trees in its head as they are."""
    before, _, trees = text.partition("Tree=")
    sizes = [len(f"Tree={tree}") for tree in trees.partition("end of trees")[0].split("Tree=")]
    head = before.partition("tree_sizes=")[0]
    return f"{head}tree_sizes={' '.join(map(str, sizes))}\n\nTree={trees}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("left_child=1", "left_child=9", "leads to none of its later nodes or leaves"),
        ("left_child=1", "left_child=0", "leads to none"),
        ("left_child=1", "left_child=-7", "leads to none"),
        ("left_child=1", "left_child=1 1", "left_child of a tree of a booster is no list of"),
        ("left_child=1", "left_child=99999999999", "left_child of a tree"),
        ("split_feature=0", "split_feature=3", "the inputs of a booster's tree are not among 3"),
        ("split_feature=0", "split_feature=-1", "the inputs of a booster's tree"),
        ("leaf_value=", "leaf_value=1 ", "leaf_value of a tree"),
        ("num_leaves=", "num_leaves=1", "is no list of"),
        ("num_cat=0", "num_cat=1", "asks for categories"),
        ("is_linear=0", "is_linear=1", "holds linear models"),
        ("decision_type=2", "decision_type=3", "asks for categories, which prepared rows"),
        ("shrinkage=1", "shrinkage=1\ncat_boundaries=0 9", "other lines than a model has"),
        ("tree_sizes=", "tree_sizes=9", "is not"),
        ("max_feature_idx=2", "max_feature_idx=9", "has another length than the 10 inputs"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=3", "for 1 classes"),
        ("num_class=1", "num_class=2", "for 2 classes"),
        ("objective=binary sigmoid:1", "objective=multiclass num_class:99", "the objective of a booster is"),
        ("label_index=0", "label_index=0\naverage_output", "other lines"),
        ("end of trees", "no end", "the trees of a booster do not end"),
        ("tree\n", "", "is no model"),
    ],
)  # fmt: skip
def test_a_model_that_leads_astray_is_refused(old: str, new: str, said: str) -> None:
    text = text_of(fitted("two classes"))
    assert old in text
    changed = text.replace(old, new, 1)
    if text.index("Tree=0") < text.index(old) < text.index("end of trees"):
        changed = told_in_the_head(changed)
    with pytest.raises(ValueError, match=said):
        check_boosted_text(changed)


def _changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    def write(parts: dict[str, bytes]) -> None:
        schema = json.loads(parts["schema.json"])
        change(schema["content"]["content"])
        parts["schema.json"] = json.dumps(schema).encode()

    return rewritten(estimator_bytes(fitted("two classes")), write)


def _other_text(model: dict[str, Any]) -> None:
    held = model["_Booster"]["content"]["content"]["_handle"]
    held["content"] = json.dumps(json.loads(held["content"]).replace("split_feature=0", "split_feature=9", 1))


def _second_place(model: dict[str, Any]) -> None:
    """Parts of one number are one part, the first: it would be read in place of the one that is looked at."""
    held = model["_Booster"]["content"]["content"]["_handle"]
    model["objective"] = {**held, "content": '"tree"'}


def _no_text(model: dict[str, Any]) -> None:
    model["_Booster"]["content"]["content"]["_handle"]["content"] = "null"


def _settings(model: dict[str, Any]) -> None:
    model["boosting_type"]["content"] = '"gbdt predict_disable_shape_check=true"'


@pytest.mark.parametrize("change", [_other_text, _second_place, _no_text, _settings])
def test_a_file_with_such_a_model_is_refused(change: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(RunError, match=r"model\.skops is damaged or of another version: ValueError"):
        read_estimator(_changed(change), "model.skops")
