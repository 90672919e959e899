"""What a user pointed at, read into memory and not yet interpreted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.store import Store, StoredRows, parts_of

if TYPE_CHECKING:
    import polars as pl

    from chainrule.data.stored_table import StoredTable

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}
PARTS_BY_NAME = {  # what files and folders call them
    "train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "test": TEST,
}  # fmt: skip
ROWS_AT_ONCE = 1 << 18  # hashed together; keeps the copies small


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows as they came: a table in `frame`, or numbers or pictures in `array` with their `targets`.

    Shapes: array (N, features) numbers or (N, C, H, W) pictures; targets (N,) or (N, values)
    `origin` is JSON: how to read the same rows again. `digest` is the SHA-256 of the file that they came from, where
    one file holds them all. `fixed_split` says TRAIN, VALIDATION or TEST per row where the data itself is divided.
    `notes` are sentences for the user. `row_names` name rows (file names) where they have names. `pieces` are the
    files that the rows came from, in order, with their numbers of rows, where there are several. `store` says how much memory
    the rows may take; those of `array` are on disk where they would take more.
    """

    name: str
    origin: dict[str, Any]
    digest: str = ""
    frame: pl.DataFrame | StoredTable | None = None
    array: np.ndarray | StoredRows | None = None
    targets: np.ndarray | None = None
    target_names: tuple[str, ...] = ("target",)
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    is_pictures: bool = False
    fixed_split: np.ndarray | None = None
    row_names: tuple[str, ...] | None = None
    pieces: tuple[tuple[str, int], ...] = ()
    store: Store | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        if self.frame is not None:
            return self.frame.height
        assert self.array is not None
        return len(self.array)

    def at(self, row: int) -> str:
        """Say where a row stands, counted in its own file as a person counts: row 1 is the first."""
        for name, rows in self.pieces:
            if row < rows:
                return f"{name}, row {row + 1}"
            row -= rows
        return f"{self.name}, row {row + 1}"

    def fingerprint(self) -> str:
        """Return a hash of the content, so that a resumed run knows its own rows."""
        if self.digest:
            return self.digest
        hasher = hashlib.sha256("\x1f".join(self.class_names or ()).encode())
        if self.frame is not None:
            for series in map(self.frame.__getitem__, self.frame.columns):
                hasher.update(f"{series.name!r}:{series.dtype}:{series.len()};".encode())
                for start in range(0, series.len(), ROWS_AT_ONCE):
                    for part in _content(series.slice(start, ROWS_AT_ONCE)):
                        hasher.update(part)
        for array in (self.array, self.targets, self.fixed_split):
            if array is not None:
                plain = (
                    array.astype(str) if isinstance(array, np.ndarray) and array.dtype == object else array
                )
                hasher.update(f"{plain.dtype.str}{plain.shape}".encode())
                for _, rows in parts_of(plain):
                    if rows.size:
                        hasher.update(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
        return hasher.hexdigest()


def row_numbers(rows: int) -> np.ndarray:
    """Return the numbers of all rows, in a type that takes half the memory where it holds them. Shapes: (rows,)."""
    return np.arange(rows, dtype=np.int32 if rows < 2**30 else np.int64)


def _content(series: pl.Series) -> tuple[bytes, ...]:
    """Return what a column holds as bytes that depend on nothing else: which cells are null, and the others' content."""
    import polars as pl

    series = series.alias("cells")  # polars would take names such as * and ^a$ for patterns
    nulls = np.packbits(series.is_null().to_numpy()).tobytes()
    if series.dtype.is_temporal():
        series = series.to_physical()
    if series.dtype.is_integer() or series.dtype.is_float():
        return nulls, series.fill_null(0).to_numpy().tobytes()
    if series.dtype.is_nested():
        series = pl.select(pl.struct(series.alias("cell")).struct.json_encode()).to_series()
    elif series.dtype == pl.Binary:
        series = series.bin.encode("hex")
    texts = series.cast(pl.String).fill_null("")
    return nulls, texts.str.len_bytes().to_numpy().tobytes(), str(texts.str.join("").item()).encode()
