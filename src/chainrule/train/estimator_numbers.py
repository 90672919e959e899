"""Whether the numbers in a fitted estimator lead anywhere: compiled code of its parts checks nothing.

Every part that hands numbers of its own to compiled code is looked at by itself. That the rows that it is asked for are as
wide as its `n_features_in_` says scikit-learn sees to, whatever the part stands in; so that has to be there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

KERNELS = ("linear", "poly", "rbf", "sigmoid")
DISTANCES = ("euclidean", "manhattan", "chebyshev", "cosine")
BOOSTER_SETTINGS = {"deterministic", "force_row_wise", "force_col_wise", "verbosity"}
LEAF = -1


def check_numbers(estimator: Any) -> None:
    """See that whatever an estimator is made of finds what it goes to by number.

    Raises: ValueError for a tree that leads nowhere or asks for an input that there is not, support vectors without
        weights, training rows without answers
    """
    for part in _parts(estimator):
        names = vars(part) if hasattr(part, "__dict__") else ()
        if shadowed := [name for name in names if hasattr(type(part), name)]:
            raise ValueError(f"a {type(part).__name__} holds {', '.join(shadowed)}, which its type has")
        check = CHECKS.get(type(part).__name__)
        if check and (
            check in OF_TREES or any(name.endswith("_") for name in names)
        ):  # fitted: scikit-learn's own rule
            check(part)


def _parts(estimator: Any) -> Iterator[Any]:
    """Go through an estimator and all that it is made of."""
    waiting, seen = [estimator], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, type):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, np.ndarray) and part.dtype == object:
            waiting += part.reshape(-1).tolist()
        elif hasattr(part, "__dict__"):
            waiting += vars(part).values()


def _check_decision_tree(part: Any) -> None:
    tree = part.tree_
    if type(tree).__name__ != "Tree" or tree.n_features != _inputs(part):
        raise ValueError(f"a tree for other rows than those of {_inputs(part)} inputs")


def _check_tree(tree: Any) -> None:
    is_leaf = tree.children_left == LEAF  # what compiled code goes by: any other number is a node to it
    _check_children(tree.children_left, tree.children_right, is_leaf)
    _check_range("the inputs of a tree", tree.feature[~is_leaf], tree.n_features)


def _check_children(left: np.ndarray, right: np.ndarray, is_leaf: np.ndarray) -> None:
    """See that every question leads on to two later nodes, so that an answer comes to an end."""
    if not len(left):
        raise ValueError("a tree has no nodes")
    own = np.flatnonzero(~is_leaf)
    for children in (left[~is_leaf].astype(np.int64), right[~is_leaf].astype(np.int64)):
        if (children <= own).any() or (children >= len(left)).any():
            raise ValueError("a node of a tree leads to none of its later nodes")


def _check_boosting(part: Any) -> None:
    if part._preprocessor is not None:
        raise ValueError("boosted trees see other rows than those that are asked for")
    for predictor in (one for stage in part._predictors for one in stage):
        nodes = predictor.nodes
        _check_range("the inputs of a tree", nodes["feature_idx"][nodes["is_leaf"] == 0], _inputs(part))


def _check_predictor(predictor: Any) -> None:
    nodes = predictor.nodes
    _check_children(nodes["left"], nodes["right"], nodes["is_leaf"] != 0)
    if nodes["is_categorical"].any():
        raise ValueError("a tree asks for categories, which prepared rows have none of")


def _check_range(what: str, numbers: np.ndarray, count: int) -> None:
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= count):
        raise ValueError(f"{what} go from {numbers.min()} to {numbers.max()}, of {count}")


def _check_support(machine: Any) -> None:
    """See that every support vector has its weights, as many as libsvm goes through."""
    if machine._sparse is not False or not _is_one_of(machine.kernel, KERNELS):
        raise ValueError("support vectors of a kernel that no model has")
    _check_arrays(
        machine,
        ("support_", "support_vectors_", "_n_support", "_dual_coef_", "_intercept_", "_probA", "_probB"),
    )
    is_classifier = type(machine).__name__ == "SVC"
    classes = _classes(machine) if is_classifier else 2  # of values libsvm makes two
    count, of_classes, vectors = len(machine.support_), machine._n_support, machine.support_vectors_
    if vectors.shape != (count, _inputs(machine)) or machine._dual_coef_.shape != (classes - 1, count):
        raise ValueError(
            f"support vectors of the shape {vectors.shape} for {count} rows of {_inputs(machine)} inputs"
        )
    if machine._intercept_.shape != (classes * (classes - 1) // 2,):
        raise ValueError(f"{machine._intercept_.shape} boundaries between {classes} classes")
    if of_classes.shape != (classes,) or (
        is_classifier and ((of_classes < 0).any() or of_classes.sum() != count)
    ):
        raise ValueError(f"{of_classes.tolist()} support vectors of classes, of {count}")
    if machine._probA.size or machine._probB.size:
        raise ValueError("support vectors with probabilities of their own, which no model has")


def _check_neighbours(part: Any) -> None:
    """See that every training row has its answer, and that there are as many as are asked."""
    if part._fit_method != "brute" or part.metric_params or part.effective_metric_params_:
        raise ValueError("neighbours that are searched for in a way that no model has")
    if not all(_is_one_of(name, DISTANCES) for name in (part.metric, part.effective_metric_)):
        raise ValueError("neighbours by a distance that no model has")
    _check_arrays(part, ("_fit_X", "_y"))
    rows, answers, wanted = part._fit_X, part._y, part.n_neighbors
    if rows.ndim != 2 or rows.shape[1] != _inputs(part) or not _is_number(part.n_samples_fit_, len(rows)):
        raise ValueError(f"training rows of the shape {rows.shape} for rows of {_inputs(part)} inputs")
    if type(wanted) is not int or not 1 <= wanted <= len(rows):
        raise ValueError(f"{wanted} neighbours of {len(rows)} training rows")
    if answers.ndim not in (1, 2) or len(answers) != len(rows):
        raise ValueError(f"answers of the shape {answers.shape} for {len(rows)} training rows")
    if type(part).__name__ == "KNeighborsClassifier":
        if answers.ndim != 1 or answers.dtype.kind not in "iu" or part.outputs_2d_ is not False:
            raise ValueError("answers of neighbours that are no numbers of classes")
        _check_range("the classes of neighbours", answers, _classes(part))


def _check_smoother(part: Any) -> None:
    _check_arrays(part, ("x_", "y_", "widths_"))
    rows, inputs = len(part.y_), _inputs(part)
    if part.x_.shape != (rows, inputs) or part.y_.shape != (rows,) or part.widths_.shape != (inputs,):
        raise ValueError(f"training rows of the shape {part.x_.shape} with {part.y_.shape} answers")


def _check_booster(part: Any) -> None:
    """See that settings go to LightGBM as one word each (`boosted_text` looks at its model)."""
    if foreign := part._other_params.keys() - BOOSTER_SETTINGS:
        raise ValueError(f"LightGBM with the settings {foreign}")
    for name, value in part.get_params().items():
        if not (value is None or isinstance(value, int | float) or re.fullmatch(r"\w*", value)):
            raise ValueError(f"LightGBM with {name}={value!r}")


def _check_arrays(part: Any, names: tuple[str, ...]) -> None:
    for name in names:
        found = getattr(part, name)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf":
            raise ValueError(f"{name} of a {type(part).__name__} is no array of numbers")


def _inputs(part: Any) -> int:
    """Return how many inputs the rows have that a part answers. Raises: ValueError if it does not say"""
    found = getattr(part, "n_features_in_", None)
    if type(found) is not int or found < 1:
        raise ValueError(f"a {type(part).__name__} does not say how many inputs its rows have")
    return found


def _classes(part: Any) -> int:
    if not isinstance(part.classes_, np.ndarray) or part.classes_.ndim != 1 or len(part.classes_) < 1:
        raise ValueError(f"the classes of a {type(part).__name__} are no list")
    return len(part.classes_)


def _is_one_of(value: Any, names: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in names


def _is_number(value: Any, wanted: int) -> bool:
    return type(value) is int and value == wanted


OF_TREES = (_check_tree, _check_predictor)
CHECKS: dict[str, Callable[[Any], None]] = {
    "DecisionTreeClassifier": _check_decision_tree,
    "DecisionTreeRegressor": _check_decision_tree,
    "HistGradientBoostingClassifier": _check_boosting,
    "HistGradientBoostingRegressor": _check_boosting,
    "KNeighborsClassifier": _check_neighbours,
    "KNeighborsRegressor": _check_neighbours,
    "LGBMClassifier": _check_booster,
    "LGBMRegressor": _check_booster,
    "SVC": _check_support,
    "SVR": _check_support,
    "Smoother": _check_smoother,
    "Tree": _check_tree,
    "TreePredictor": _check_predictor,
}
