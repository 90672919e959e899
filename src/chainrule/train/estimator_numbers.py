"""Whether the numbers in a fitted estimator lead anywhere: compiled code of trees and support vectors checks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def check_numbers(estimator: Any, features: int) -> None:
    """See that whatever an estimator is made of finds what it goes to by number, for rows of so many features.

    Raises: ValueError for a tree that leads nowhere or asks for an input that there is not, or support vectors without weights
    """
    for part in _parts(estimator):
        _check_part(part, features)


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


def _check_part(part: Any, features: int) -> None:
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
