"""What the list of parts of a .skops file may name: types that classical models are made of, each made in its own way.

skops calls what a part names, in the way that the part asks for: a type that may stand in a file must not be called with what
else stands there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from chainrule.train.boosted_text import check_boosted_text

_SKLEARN = (
    "_loss._loss.CyHalfBinomialLoss",
    "_loss._loss.CyHalfMultinomialLoss",
    "_loss._loss.CyHalfSquaredError",
    "_loss.link.IdentityLink",
    "_loss.link.Interval",
    "_loss.link.LogitLink",
    "_loss.link.MultinomialLogit",
    "_loss.loss.HalfBinomialLoss",
    "_loss.loss.HalfMultinomialLoss",
    "_loss.loss.HalfSquaredError",
    "calibration.CalibratedClassifierCV",
    "calibration._CalibratedClassifier",
    "calibration._SigmoidCalibration",
    "discriminant_analysis.LinearDiscriminantAnalysis",
    "discriminant_analysis.QuadraticDiscriminantAnalysis",
    "ensemble._bagging.BaggingClassifier",
    "ensemble._bagging.BaggingRegressor",
    "ensemble._forest.RandomForestClassifier",
    "ensemble._forest.RandomForestRegressor",
    "ensemble._hist_gradient_boosting.binning._BinMapper",
    "ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
    "ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
    "ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "ensemble._weight_boosting.AdaBoostClassifier",
    "ensemble._weight_boosting.AdaBoostRegressor",
    "linear_model._base.LinearRegression",
    "linear_model._logistic.LogisticRegression",
    "linear_model._ridge.Ridge",
    "multioutput.MultiOutputRegressor",
    "naive_bayes.GaussianNB",
    "neighbors._classification.KNeighborsClassifier",
    "neighbors._regression.KNeighborsRegressor",
    "pipeline.Pipeline",
    "preprocessing._label.LabelEncoder",
    "preprocessing._polynomial.PolynomialFeatures",
    "svm._classes.LinearSVC",
    "svm._classes.LinearSVR",
    "svm._classes.SVC",
    "svm._classes.SVR",
    "tree._classes.DecisionTreeClassifier",
    "tree._classes.DecisionTreeRegressor",
    "tree._tree.Tree",
)
TRUSTED = (
    *(f"sklearn.{name}" for name in _SKLEARN),
    "builtins.bool",
    "builtins.dict",
    "builtins.float",
    "builtins.int",
    "builtins.list",
    "builtins.str",
    "builtins.tuple",
    "chainrule.models.smoothing.Smoother",
    "collections.OrderedDict",
    "collections.defaultdict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "numpy.float32",
    "numpy.float64",
    "numpy.int32",
    "numpy.int64",
    "numpy.ndarray",
    "numpy.random._generator.Generator",
    "numpy.uint32",
    "numpy.uint64",
)
TREE = "sklearn.tree._tree.Tree"
LOSSES = tuple(name for name in TRUSTED if "._loss.Cy" in name)
_PLAIN = tuple(name for name in TRUSTED if name.startswith(("chainrule.", "lightgbm.", "sklearn.")))
_NUMPY = tuple(
    name for name in TRUSTED if name.startswith("numpy.") and not name.endswith(("dtype", "Generator"))
)
LOADERS: dict[str, tuple[str, ...]] = {
    "CachedNode": TRUSTED,  # a part that stands elsewhere
    "DTypeNode": ("numpy.dtype",),
    "DefaultDictNode": ("collections.defaultdict",),
    "DictNode": ("builtins.dict", "collections.OrderedDict"),
    "JsonNode": ("builtins.str",),
    "ListNode": ("builtins.list",),
    "LossNode": LOSSES,
    "NdArrayNode": _NUMPY,
    "ObjectNode": tuple(name for name in _PLAIN if name not in (TREE, *LOSSES)),
    "RandomGeneratorNode": ("numpy.random._generator.Generator",),
    "TreeNode": (TREE,),
    "TupleNode": ("builtins.tuple",),
    "TypeNode": TRUSTED,  # the type itself, which nothing calls
}  # by the name of a way to make a part: what is made in that way
BOOSTER = "lightgbm.basic.Booster"


def foreign_types(schema: Any) -> list[str]:
    """Return the types that a file says it holds and no classical model is made of; nothing is imported."""
    return sorted({name for part in _dicts(schema) if (name := _type_of(part)) and name not in TRUSTED})


def check_schema(schema: Any) -> None:
    """See that every part is made in the way of its type, and that what LightGBM would read is a model of its own.

    Raises: ValueError
    """
    ids = Counter(part["__id__"] for part in _dicts(schema) if isinstance(part.get("__id__"), int))
    for part in _dicts(schema):
        if (loader := part.get("__loader__")) is None:
            continue
        if _type_of(part) not in LOADERS.get(loader, ()):
            raise ValueError(f"a part of the type {_type_of(part)} is not made by {loader}")
        if _type_of(part) == BOOSTER and loader == "ObjectNode":
            check_boosted_text(_text_of(part, ids))


def _text_of(booster: dict[str, Any], ids: Counter[int]) -> str:
    """Return the model of a booster, which LightGBM reads when the part is made. Raises: ValueError

    Parts of one `__id__` are one part, the first of them: a booster's have to be its own.
    """
    held = booster["content"]
    text = held["content"]["_handle"]
    if held["__loader__"] != "DictNode" or text["__loader__"] != "JsonNode":
        raise ValueError("a booster holds no model")
    if any(ids[part["__id__"]] != 1 for part in (held, text)):
        raise ValueError("the model of a booster stands in two places")
    return str(json.loads(text["content"]))


def _type_of(part: dict[str, Any]) -> str:
    return (
        f"{part.get('__module__')}.{part.get('__class__')}"
        if "__class__" in part or "__module__" in part
        else ""
    )


def _dicts(schema: Any) -> Iterator[dict[str, Any]]:
    """Go through every part of a list of parts."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
