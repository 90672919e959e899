"""From what a user names or hands over to a Source: the one door for data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.catalog import DATASETS, load
from chainrule.core.errors import DataError, nearest
from chainrule.core.text import visible
from chainrule.data.source import Source
from chainrule.data.tables import PARQUET_ENDINGS, TEXT_ENDINGS, from_dataframe, read_table

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def read(
    data: Any,
    *,
    target: str | None = None,
    cache: Path | None = None,
    track: Callable[..., Any] | None = None,
) -> Source:
    """Read data from a built-in name, a path, arrays (x, y), a dataframe or a map-style dataset.

    Raises: DataError naming what is wrong; MissingExtraError for a data set of a package that is not installed
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, str | Path):
        if str(data) in DATASETS and not Path(data).exists():
            source: Source = load("dataset", str(data))()
            return source
        return read_path(Path(data), target=target, cache=cache, track=track)
    from chainrule.data import arrays

    if isinstance(data, tuple) and len(data) == 2:
        return arrays.from_arrays(*data, name="arrays")
    if isinstance(data, dict) and data and all(np.ndim(v) == 1 for v in data.values()):
        import polars as pl

        return _table(pl.DataFrame(data), "table", {"kind": "memory"})
    if (
        hasattr(data, "__getitem__")
        and hasattr(data, "__len__")
        and not hasattr(data, "columns")
        and not isinstance(data, np.ndarray | list)
    ):
        return arrays.from_dataset(data, name=type(data).__name__)
    if isinstance(data, np.ndarray | list):
        raise DataError("arrays are given as a pair: cr.fit((x, y))")
    return _table(from_dataframe(data, "dataframe"), "dataframe", {"kind": "memory"})


def read_path(
    path: Path,
    *,
    target: str | None = None,
    cache: Path | None = None,
    track: Callable[..., Any] | None = None,
) -> Source:
    """Read a file or a folder by its ending and content."""
    from chainrule.data import arrays, pictures

    if not path.exists():
        raise DataError(_not_there(path))
    if path.is_dir():
        if any(path.glob("*-images-idx3-ubyte*")) or any(path.glob("*-images.idx3-ubyte*")):
            return arrays.read_idx(path)
        return pictures.read_pictures(path, cache=cache, size=None, workers=None, track=track)
    ending = path.suffix.lower()
    if ending == ".npz":
        return arrays.read_npz(path, target)
    if ending in TEXT_ENDINGS or ending in PARQUET_ENDINGS:
        return _table(read_table(path), path.name, {"kind": "file", "path": str(path.resolve())})
    if "idx" in path.name.lower():
        return arrays.read_idx(path)
    raise DataError(
        f"{path}: files of this kind are not read; CSV, TSV, Parquet, .npz, IDX, or a folder of class folders with "
        "PNG, JPEG or WebP pictures are"
    )


def _table(frame: Any, name: str, origin: dict[str, Any]) -> Source:
    return Source(name=name, origin=origin, frame=frame)


def _not_there(path: Path) -> str:
    """Say that a path does not exist, with names nearby that do."""
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = [visible(path.parent / n) for n in nearest(path.name, beside)] + nearest(str(path), DATASETS)
    hint = f"; did you mean {close[0]}?" if close else f"; built-in data: {', '.join(DATASETS)}"
    return f"{visible(path)} does not exist{hint}"
