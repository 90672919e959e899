"""Whether the text of a LightGBM model leads anywhere: LightGBM takes every number in it as it stands.

The text is that of `Booster.model_to_string`: a head, trees as long as the head says, and what follows them.
"""

from __future__ import annotations

import re

HEAD_END, TREES_END = "\n\n", "end of trees\n"
CATEGORICAL = 1  # the bit of a decision that asks for categories
LISTS = {  # of a tree: by how much each is shorter than the list of leaves
    "split_feature": 1, "split_gain": 1, "threshold": 1, "decision_type": 1, "left_child": 1, "right_child": 1,
    "internal_value": 1, "internal_weight": 1, "internal_count": 1, "leaf_value": 0, "leaf_weight": 0, "leaf_count": 0,
}  # fmt: skip
WHOLE = ("split_feature", "decision_type", "left_child", "right_child")
SINGLE = ("num_leaves", "num_cat", "is_linear", "shrinkage")
HEAD = (
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "feature_names",
    "feature_infos", "tree_sizes",
)  # fmt: skip
NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf|nan)")


def check_boosted_text(text: str) -> None:
    """See that a model is made of plain trees that lead somewhere. Raises: ValueError"""
    if not text.isascii() or not text.startswith("tree\n"):
        raise ValueError("the text of a booster is no model")
    head, _, rest = text.removeprefix("tree\n").partition(HEAD_END)
    found = _lines(head, HEAD)
    inputs = _whole(found["max_feature_idx"]) + 1
    sizes = [_whole(size) for size in found["tree_sizes"].split()]
    _check_head(found, inputs, len(sizes))
    for number, size in enumerate(sizes):
        tree, rest = rest[:size], rest[size:]
        if not tree.startswith(f"Tree={number}\n") or not tree.endswith("\n\n\n") or len(tree) != size:
            raise ValueError(f"tree {number} of a booster is not {size} characters long")
        _check_tree(_lines(tree.partition("\n")[2].rstrip("\n"), (*LISTS, *SINGLE)), inputs)
    if not rest.startswith(TREES_END):
        raise ValueError("the trees of a booster do not end")


def _check_head(found: dict[str, str], inputs: int, trees: int) -> None:
    classes = _whole(found["num_class"])
    if found["objective"] not in ("regression", "binary sigmoid:1", f"multiclass num_class:{classes}"):
        raise ValueError(f"the objective of a booster is {found['objective'][:40]!r}")
    if classes < 1 or _whole(found["num_tree_per_iteration"]) != classes or trees % classes or not trees:
        raise ValueError(f"{trees} trees of a booster for {classes} classes")
    if classes > 1 and not found["objective"].startswith("multiclass"):
        raise ValueError(f"{classes} classes of a booster with the objective {found['objective']}")
    for name in ("feature_names", "feature_infos"):
        if len(found[name].split(" ")) != inputs:
            raise ValueError(f"{name} of a booster has another length than the {inputs} inputs")


def _check_tree(found: dict[str, str], inputs: int) -> None:
    leaves = _whole(found["num_leaves"])
    if leaves < 1 or (found["num_cat"], found["is_linear"]) != ("0", "0"):
        raise ValueError("a tree of a booster has no leaves, asks for categories, or holds linear models")
    for name, fewer in LISTS.items():
        values = found[name].split(" ") if found[name] else []
        most = 0 if leaves == 1 and name == "leaf_weight" else leaves - fewer
        if len(values) != most or not all(map(_is_whole if name in WHOLE else NUMBER.fullmatch, values)):
            raise ValueError(f"{name} of a tree of a booster is no list of {most} numbers")
    for name in ("left_child", "right_child"):
        for place, child in enumerate(map(int, found[name].split())):
            if not (place < child < leaves - 1 or -leaves <= child < 0):
                raise ValueError("a node of a booster's tree leads to none of its later nodes or leaves")
    if any(not 0 <= int(number) < inputs for number in found["split_feature"].split()):
        raise ValueError(f"the inputs of a booster's tree are not among {inputs}")
    if any(int(kind) & CATEGORICAL or not 0 <= int(kind) < 16 for kind in found["decision_type"].split()):
        raise ValueError("a tree of a booster asks for categories, which prepared rows have none of")


def _lines(text: str, wanted: tuple[str, ...]) -> dict[str, str]:
    """Return values by name, of lines of exactly the names that are wanted. Raises: ValueError"""
    pairs = [line.partition("=")[::2] for line in text.split("\n")]
    if sorted(name for name, _ in pairs) != sorted(wanted):
        raise ValueError("the text of a booster has other lines than a model has")
    return dict(pairs)


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,9}", text) is not None


def _whole(text: str) -> int:
    if not _is_whole(text):
        raise ValueError(f"{text[:40]!r} in the text of a booster is no number")
    return int(text)
