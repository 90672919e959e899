"""A fitted estimator as bytes and back, without pickle: skops, and nothing but the types that stand here.

skops trusts whole packages by default. A file is asked for its types before skops is: one that holds any other is
refused, as is one that unpacks to more than a model takes, or whose numbers compiled code would stumble over
(`estimator_numbers`).
"""

from __future__ import annotations

import functools
import importlib
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.core.units import show_bytes
from chainrule.train.estimator_numbers import check_numbers

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
MOST_BYTES = 4 << 30  # unpacked; a forest of 100 trees on 60,000 pictures takes 0.1 GB
MOST_OF_TEXT = 1 << 29  # of the list of parts, which is read into objects
SCHEMA = "schema.json"
DEFAULTS = "skops.io._trusted_types"  # what skops trusts by itself
RANDOM = {
    "NUMPY_RANDOM_BIT_GENERATOR_TYPE_NAMES": ["numpy.random.PCG64"]
}  # no type of a file: a part of Generator


def estimator_bytes(estimator: Any) -> bytes:
    """Return a fitted estimator as the content of a .skops file."""
    content: bytes = _skops().dumps(estimator, compression=zipfile.ZIP_DEFLATED)
    return content


def read_estimator(content: bytes, where: str, features: int) -> Any:
    """Return the estimator of a .skops file, which takes rows of so many features.

    Raises: RunError naming the file, for one that is damaged, too large, or holds types that no classical model has
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            _check_size(file, where)
            schema = json.loads(file.read(SCHEMA))
        if foreign := sorted({name for name in _types(schema) if name not in TRUSTED}):
            raise RunError(
                f"{where} is refused: it holds {visible(', '.join(foreign), 200)}, which no classical model is made of"
            )
        estimator = _skops().loads(content, trusted=list(TRUSTED))
        check_numbers(estimator, features)
    except RunError:
        raise
    except Exception as error:  # the content is anybody's, and skops raises whatever its parts do
        raise RunError(
            f"{where} is damaged or of another version: {visible(f'{type(error).__name__}: {error}', 300)}"
        ) from error
    return estimator


def _check_size(file: zipfile.ZipFile, where: str) -> None:
    parts = file.infolist()
    unpacked = sum(part.file_size for part in parts)
    text = file.getinfo(SCHEMA).file_size
    if unpacked > MOST_BYTES or text > MOST_OF_TEXT:
        raise RunError(
            f"{where} is refused: it unpacks to {show_bytes(unpacked)}, its list of parts to {show_bytes(text)}; "
            f"{show_bytes(MOST_BYTES)} and {show_bytes(MOST_OF_TEXT)} are the most"
        )


def _types(schema: Any) -> Iterator[str]:
    """Go through everything that a file says it holds; nothing is imported."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "__class__" in part or "__module__" in part:
                yield f"{part.get('__module__')}.{part.get('__class__')}"
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


@functools.cache
def _skops() -> ModuleType:
    """Return skops.io with no list of types of its own, so that it trusts TRUSTED alone.

    It makes that list when it is imported, from all of scikit-learn and by asking every loaded module for every ufunc: two
    seconds beside torch, which lists of ours spare. This copy is for here; who imports skops gets one with its own list.
    """
    if "skops.io" in sys.modules:
        return sys.modules["skops.io"]
    before = set(sys.modules)
    lists = ModuleType(DEFAULTS)
    lists.__dict__["__getattr__"] = _list_named
    sys.modules[DEFAULTS] = lists
    try:
        return importlib.import_module("skops.io")
    finally:
        for name in [
            name for name in sys.modules if name not in before and name.partition(".")[0] == "skops"
        ]:
            del sys.modules[name]


def _list_named(name: str) -> list[str]:
    if not name.isupper():
        raise AttributeError(name)
    return RANDOM.get(name, [])
