"""From what a user names or hands over to a Source: the one door for data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.catalog import DATASETS, load
from chainrule.core.errors import DataError, nearest
from chainrule.core.text import visible
from chainrule.data.source import Source
from chainrule.data.tables import PARQUET_ENDINGS, TEXT_ENDINGS, from_dataframe, read_table


def read(
    data: Any,
    *,
    target: str | None = None,
    picture_size: int | None = None,
    cache: Path | None = None,
    track: Callable[..., Any] | None = None,
) -> Source:
    """Read data from a built-in name, a path, arrays (x, y), a dataframe or a map-style dataset.

    `picture_size` is what pictures of a folder are resized to, in pixels a side.

    Raises: DataError naming what is wrong; MissingExtraError for a data set of a package that is not installed
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, str | Path):
        if str(data) in DATASETS and not Path(data).exists():
            source: Source = load("dataset", str(data))()
            return source
        return read_path(Path(data), target=target, picture_size=picture_size, cache=cache, track=track)
    from chainrule.data.arrays import from_arrays, from_dataset

    if isinstance(data, tuple) and len(data) == 2:
        return from_arrays(*data, name="arrays")
    if isinstance(data, np.ndarray | list | tuple):
        raise DataError("arrays are given as a pair, inputs and targets: cr.fit((x, y))")
    is_table = isinstance(data, Mapping) or hasattr(data, "columns")
    if not is_table and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return from_dataset(data, name=type(data).__name__)
    return from_dataframe(data)


def read_path(
    path: Path,
    *,
    target: str | None = None,
    picture_size: int | None = None,
    cache: Path | None = None,
    track: Callable[..., Any] | None = None,
) -> Source:
    """Read a file or a folder by its ending and content."""
    from chainrule.data.idx import read_idx
    from chainrule.data.npz import read_npz
    from chainrule.data.pictures import read_pictures

    if not _exists(path):
        raise DataError(_not_there(path))
    if path.is_dir():
        if any(path.glob("*-images-idx3-ubyte*")) or any(path.glob("*-images.idx3-ubyte*")):
            return read_idx(path)
        return read_pictures(
            path,
            cache=cache,
            size=None if picture_size is None else (picture_size, picture_size),
            track=track,
        )
    ending = path.suffix.lower()
    if ending == ".npz":
        return read_npz(path, target)
    if ending in TEXT_ENDINGS or ending in PARQUET_ENDINGS:
        return read_table(path)
    if "idx" in path.name.lower():
        return read_idx(path)
    raise DataError(
        f"{visible(path)}: files of this kind are not read; CSV, TSV, Parquet, .npz, IDX, or a folder of class folders "
        "with PNG, JPEG or WebP pictures are"
    )


def _exists(path: Path) -> bool:
    """Whether something stands at a path. Raises: DataError for a path that cannot be looked at."""
    try:
        return path.exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{visible(path)} cannot be read: {reason.lower()}") from error


def _not_there(path: Path) -> str:
    """Say that a path does not exist, with names nearby that do."""
    try:
        beside = [p.name for p in path.parent.iterdir()]
    except OSError:
        beside = []
    close = [visible(path.parent / n) for n in nearest(path.name, beside)] + nearest(str(path), DATASETS)
    hint = f"; did you mean {close[0]}?" if close else f"; built-in data: {', '.join(DATASETS)}"
    return f"{visible(path)} does not exist{hint}"
