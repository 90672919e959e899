"""Decision trees, alone and together: CART, bagging, random forest, AdaBoost, gradient boosting.

`depth` is the most questions on the way to a leaf (None: until rows no longer differ), `smallest_leaf` the fewest rows
of a leaf, `trees` how many there are. Several values are answered by one model each.
"""

from __future__ import annotations

from typing import Any

from chainrule.catalog import CLASSES
from chainrule.core.errors import SettingError, missing_extra
from chainrule.models.classical import above, one_of, whole

GAINS = {"gini": "gini", "entropy": "entropy"}


def decision_tree(
    *,
    question: str,
    seed: int,
    class_weight: str | None,
    depth: int | None = None,
    smallest_leaf: int = 1,
    gain: str = "gini",
) -> Any:
    """Grow a CART: each question halves an input where classes, or values, then differ most.

    `gain` for classes is gini or entropy; a question that gains nothing is asked where rows still differ, so that XOR is
    learnt. A leaf answers with the shares of its classes, or its mean.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    chosen = _growth(depth, smallest_leaf) | {"random_state": _state(seed)}
    criterion = one_of(GAINS, gain=gain)
    if question != CLASSES:
        return DecisionTreeRegressor(**chosen)
    return DecisionTreeClassifier(criterion=criterion, class_weight=class_weight, **chosen)


def bagging(
    *,
    question: str,
    seed: int,
    class_weight: str | None,
    trees: int = 50,
    share: float = 1.0,
    depth: int | None = None,
    smallest_leaf: int = 1,
) -> Any:
    """Grow each tree on rows drawn with replacement, and average their answers: variance falls, bias stays.

    `share` is how many rows are drawn, of all training rows; with 1 a tree sees 63.2 % of the rows, some repeatedly.
    """
    from sklearn.ensemble import BaggingClassifier, BaggingRegressor

    whole(1, trees=trees)
    above(0, share=share)
    if share > 1:
        raise SettingError(f"share takes a number up to 1; got {share:g}")
    tree = decision_tree(
        question=question, seed=seed, class_weight=class_weight, depth=depth, smallest_leaf=smallest_leaf
    )
    kind = BaggingClassifier if question == CLASSES else BaggingRegressor
    return kind(tree, n_estimators=trees, max_samples=float(share), random_state=_state(seed))


def random_forest(
    *,
    question: str,
    seed: int,
    class_weight: str | None,
    trees: int = 100,
    depth: int | None = None,
    smallest_leaf: int = 1,
    inputs_per_split: float | None = None,
) -> Any:
    """Grow trees as bagging does, each split on a fresh draw of the inputs, so that the trees differ more.

    `inputs_per_split` is the share of inputs that a split may choose from; without it the root of their number for
    classes, all of them for values.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    whole(1, trees=trees)
    above(0, inputs_per_split=inputs_per_split)
    if inputs_per_split is not None and inputs_per_split > 1:
        raise SettingError(f"inputs_per_split takes a share up to 1; got {inputs_per_split:g}")
    chosen = _growth(depth, smallest_leaf) | {
        "n_estimators": trees,
        "random_state": _state(seed),
        "n_jobs": -1,
    }
    share = None if inputs_per_split is None else float(inputs_per_split)
    if question != CLASSES:
        return RandomForestRegressor(max_features=share or 1.0, **chosen)
    return RandomForestClassifier(max_features=share or "sqrt", class_weight=class_weight, **chosen)


def adaboost(
    *, question: str, seed: int, class_weight: str | None, trees: int = 50, depth: int | None = None
) -> Any:
    """Grow small trees in turn, each on rows weighted by what the trees before got wrong; they vote by how good they are.

    Without `depth` a tree asks one question for classes (a stump) and three for values.
    """
    from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor

    whole(1, trees=trees)
    usual = 1 if question == CLASSES else 3
    tree = decision_tree(question=question, seed=seed, class_weight=class_weight, depth=depth or usual)
    kind = AdaBoostClassifier if question == CLASSES else AdaBoostRegressor
    return kind(tree, n_estimators=trees, random_state=_state(seed))


def gradient_boosting(
    *,
    question: str,
    seed: int,
    class_weight: str | None,
    trees: int = 100,
    shrinkage: float = 0.1,
    leaves: int = 31,
    depth: int | None = None,
    smallest_leaf: int = 20,
) -> Any:
    """Grow trees in turn, each fitted to the gradient of the loss, and add `shrinkage` times its answer.

    Inputs are sorted into 255 bins, which is fast on many rows.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    whole(1, trees=trees)
    whole(2, leaves=leaves)
    above(0, shrinkage=shrinkage)
    chosen = _growth(depth, smallest_leaf) | {
        "max_iter": trees,
        "learning_rate": shrinkage,
        "max_leaf_nodes": leaves,
        "early_stopping": False,
        "random_state": _state(seed),
    }
    if question != CLASSES:
        return HistGradientBoostingRegressor(**chosen)
    return HistGradientBoostingClassifier(class_weight=class_weight, **chosen)


def lightgbm(
    *,
    question: str,
    seed: int,
    class_weight: str | None,
    trees: int = 100,
    shrinkage: float = 0.1,
    leaves: int = 31,
    depth: int | None = None,
    smallest_leaf: int = 20,
) -> Any:
    """Grow trees as gradient-boosting does, by the package lightgbm (pip install 'chainrule[lightgbm]')."""
    whole(1, trees=trees)
    whole(2, leaves=leaves)
    above(0, shrinkage=shrinkage)
    _growth(depth, smallest_leaf)
    try:
        from lightgbm import LGBMClassifier, LGBMRegressor
    except ImportError as error:
        raise missing_extra("lightgbm", "lightgbm", "the model lightgbm") from error
    chosen: dict[str, Any] = {
        "n_estimators": trees,
        "learning_rate": shrinkage,
        "num_leaves": leaves,
        "max_depth": -1 if depth is None else depth,
        "min_child_samples": smallest_leaf,
        "random_state": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    if question != CLASSES:
        return LGBMRegressor(**chosen)
    return LGBMClassifier(class_weight=class_weight, **chosen)


def _growth(depth: int | None, smallest_leaf: int) -> dict[str, Any]:
    whole(1, depth=depth, smallest_leaf=smallest_leaf)
    return {"max_depth": depth, "min_samples_leaf": smallest_leaf}


def _state(seed: int) -> int:
    """Return a seed as scikit-learn takes it."""
    return seed % 2**32
