"""Arrays in memory and map-style data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.data.array_parts import Part, join_parts
from chainrule.data.source import TRAIN, Source
from chainrule.data.untrusted import as_data_error, check_bytes


def from_arrays(x: Any, y: Any, name: str = "arrays") -> Source:
    """Take NumPy arrays, nested lists or torch tensors; `y` may be None. NaN in a table of numbers means missing.

    Shapes: x (N, features), or pictures (N, H, W), (N, C, H, W) or (N, H, W, C); y (N,) or (N, values)
    Raises: DataError naming what does not fit
    """
    part = Part(_as_array(x, "x"), None if y is None else _as_array(y, "y"))
    return join_parts(name, {"kind": "arrays", "name": name}, {TRAIN: part})


def from_dataset(dataset: Any, name: str = "dataset") -> Source:
    """Take a map-style data set, such as torch's: `len(dataset)` and `dataset[i]`, which gives (x, y).

    Raises: DataError naming the item that does not fit
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise DataError(
            f"a data set has a length and gives (x, y) for an index; got {type(dataset).__name__}, which does not. "
            "Read an iterable one into arrays first"
        )
    if not len(dataset):
        raise DataError(f"the data set {visible(name)!r} has no items")
    items: list[tuple[np.ndarray, np.ndarray]] = []
    for index in range(len(dataset)):
        items.append(_item(dataset, index))
        for what, value, first in zip("xy", items[index], items[0], strict=True):
            if value.shape != first.shape:
                raise DataError(
                    f"item {index} of {visible(name)!r} has {what} of shape {value.shape}, "
                    f"but item 0 has {first.shape}; all items need one shape (resize or pad them)"
                )
        if not index:
            check_bytes(len(dataset) * sum(value.nbytes for value in items[0]), visible(name))
    part = Part(_stacked([x for x, _ in items], "x"), _stacked([y for _, y in items], "y"))
    source = join_parts(name, {"kind": "dataset", "name": name}, {TRAIN: part})
    return replace(source, class_names=_class_names(dataset, source.targets))


def _item(dataset: Any, index: int) -> tuple[np.ndarray, np.ndarray]:
    with as_data_error(f"item {index} of the data set cannot be read"):
        item = dataset[index]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(f"item {index} of the data set should be (x, y); got {type(item).__name__}")
    return _as_array(item[0], f"x of item {index}"), _as_array(item[1], f"y of item {index}")


def _as_array(values: Any, name: str) -> np.ndarray:
    """Return what a user gave as an array of numbers or text."""
    if hasattr(values, "detach"):  # a torch tensor
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    if hasattr(values, "tocsr"):
        raise DataError(f"{name} is a sparse matrix; give {name}.toarray()")
    with as_data_error(f"{name} cannot be read as one array{_ragged(values)}"):
        array = np.asarray(values)
    if array.dtype.kind == "O" and array.ndim and all(isinstance(value, str) for value in array.flat):
        return array.astype(str)
    if array.dtype.hasobject:
        found = next(
            (v for v in array.flat if not isinstance(v, (int, float))), array.flat[0] if array.size else None
        )
        raise DataError(
            f"{name} holds {visible(repr(found), 60)}, but an array has numbers only (NaN for missing ones); "
            "give mixed columns as a table (a data frame or a CSV file)"
        )
    return array


def _ragged(values: Any) -> str:
    """Say which row of nested lists has another length than the first."""
    if not isinstance(values, (list, tuple)):
        return ""
    lengths = [len(value) if hasattr(value, "__len__") else 1 for value in values]
    for row, length in enumerate(lengths):
        if length != lengths[0]:
            return f" (row {row}, counted from 0, has {length} values, row 0 has {lengths[0]})"
    return ""


def _stacked(values: Sequence[np.ndarray], what: str) -> np.ndarray:
    try:
        return np.stack(values)
    except TypeError as error:  # numbers here, dates there
        raise DataError(f"{what} differs in type between the items: {visible(error)}") from error


def _class_names(dataset: Any, targets: np.ndarray | None) -> tuple[str, ...] | None:
    """Return the names in `dataset.classes`, as torchvision keeps them, if the targets count through them."""
    names = getattr(dataset, "classes", None)
    if (
        not isinstance(names, (list, tuple))
        or targets is None
        or targets.ndim != 1
        or targets.dtype.kind != "i"
    ):
        return None
    fits = len(names) and targets.min() >= 0 and targets.max() < len(names)
    return tuple(str(name) for name in names) if fits else None
