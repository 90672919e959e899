"""A fitted estimator as bytes and back, without pickle: skops, and nothing but the types that stand here.

skops trusts whole packages by default. A file is asked for its types before skops is: one that holds any other is
refused, as is one that unpacks to more than a model takes. Trees and support vectors are read by compiled code that
checks nothing, so their numbers are looked at here.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.core.units import show_bytes

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


def estimator_bytes(estimator: Any) -> bytes:
    """Return a fitted estimator as the content of a .skops file."""
    import skops.io

    content: bytes = skops.io.dumps(estimator, compression=zipfile.ZIP_DEFLATED)
    return content


def read_estimator(content: bytes, where: str, features: int) -> Any:
    """Return the estimator of a .skops file, which takes rows of so many features.

    Raises: RunError naming the file, for one that is damaged, too large, or holds types that no classical model has
    """
    import skops.io

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            _check_size(file, where)
            schema = json.loads(file.read(SCHEMA))
        if foreign := sorted({name for name in _types(schema) if name not in TRUSTED}):
            raise RunError(
                f"{where} is refused: it holds {visible(', '.join(foreign), 200)}, which no classical model is made of"
            )
        estimator = skops.io.loads(content, trusted=list(TRUSTED))
        for one in _parts(estimator):
            _check_numbers(one, features)
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


def _parts(estimator: Any) -> Iterator[Any]:
    """Go through an estimator and all that it is made of."""
    waiting, seen = [estimator], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, np.ndarray) and part.dtype == object:
            waiting += part.reshape(-1).tolist()
        elif hasattr(part, "__dict__"):
            waiting += vars(part).values()


def _check_numbers(part: Any, features: int) -> None:
    """See that compiled code finds what it goes to by number. Raises: ValueError"""
    if hasattr(part, "tree_"):
        tree = part.tree_
        is_leaf = tree.children_left < 0
        _check_children(tree.children_left, tree.children_right, is_leaf)
        _check_range("the inputs of a tree", tree.feature[~is_leaf], features)
    if hasattr(part, "_predictors"):
        for predictor in (one for stage in part._predictors for one in stage):
            _check_predictor(predictor.nodes, features)
    if hasattr(part, "_n_support"):
        _check_support(part, features)


def _check_children(left: np.ndarray, right: np.ndarray, is_leaf: np.ndarray) -> None:
    """See that every question leads on to two later nodes, so that an answer comes to an end."""
    if not len(left):
        raise ValueError("a tree has no nodes")
    own = np.flatnonzero(~is_leaf)
    for children in (left[~is_leaf].astype(np.int64), right[~is_leaf].astype(np.int64)):
        if (children <= own).any() or (children >= len(left)).any():
            raise ValueError("a node of a tree leads to none of its later nodes")


def _check_predictor(nodes: np.ndarray, features: int) -> None:
    is_leaf = nodes["is_leaf"].astype(bool)
    _check_children(nodes["left"], nodes["right"], is_leaf)
    _check_range("the inputs of a tree", nodes["feature_idx"][~is_leaf], features)
    if nodes["is_categorical"].any():
        raise ValueError("a tree asks for categories, which prepared rows have none of")


def _check_range(what: str, numbers: np.ndarray, count: int) -> None:
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= count):
        raise ValueError(f"{what} go from {numbers.min()} to {numbers.max()}, of {count}")


def _check_support(machine: Any, features: int) -> None:
    """See that every support vector has its weights, as many as libsvm goes through."""
    vectors, of_classes = machine.support_vectors_, machine._n_support
    is_classifier = hasattr(machine, "classes_")
    classes = len(machine.classes_) if is_classifier else 2
    count = len(machine.support_)
    if vectors.shape != (count, features) or machine._dual_coef_.shape != (classes - 1, count):
        raise ValueError(
            f"support vectors of the shape {vectors.shape} for {count} rows of {features} inputs"
        )
    if machine._intercept_.shape != (classes * (classes - 1) // 2,):
        raise ValueError(f"{machine._intercept_.shape} boundaries between {classes} classes")
    if is_classifier and ((of_classes < 0).any() or len(of_classes) != classes or of_classes.sum() != count):
        raise ValueError(f"{of_classes.tolist()} support vectors of classes, of {count}")
