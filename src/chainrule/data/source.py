"""What a user pointed at, read into memory and not yet interpreted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows as they came: a table in `frame`, or numbers or pictures in `array` with their `targets`.

    Shapes: array (N, features) numbers or (N, C, H, W) pictures; targets (N,) or (N, values)
    `origin` is JSON: how to read the same rows again. `fixed_split` says TRAIN, VALIDATION or TEST per row where
    the data itself is divided. `notes` are sentences for the user. `row_names` name rows (file names) where they have
    names.
    """

    name: str
    origin: dict[str, Any]
    frame: pl.DataFrame | None = None
    array: np.ndarray | None = None
    targets: np.ndarray | None = None
    target_names: tuple[str, ...] = ("target",)
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    is_pictures: bool = False
    fixed_split: np.ndarray | None = None
    row_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        if self.frame is not None:
            return self.frame.height
        assert self.array is not None
        return len(self.array)

    def fingerprint(self) -> str:
        """Return a hash of the content, so that a resumed run knows its own rows."""
        hasher = hashlib.sha256()
        if self.frame is not None:
            for series in self.frame.get_columns():
                hasher.update(f"{series.name}:{series.dtype}".encode())
                texts = (
                    series.cast(str, strict=False).fill_null("\0") if not series.dtype.is_nested() else series
                )
                hasher.update("\x1f".join(map(str, texts.to_list())).encode())
        for array in (self.array, self.targets, self.fixed_split):
            if array is not None:
                hasher.update(f"{array.dtype.kind}{array.shape}".encode())
                content = array.astype(str) if array.dtype == object else array
                hasher.update(np.ascontiguousarray(content).data.cast("B"))
        return hasher.hexdigest()
