"""From what a user names or hands over to a Source: the one door for data."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.catalog import DATASETS, load
from chainrule.core.errors import DataError, nearest
from chainrule.core.text import listed, visible
from chainrule.data.join import join_divided, join_files
from chainrule.data.reading import Divided, Reading
from chainrule.data.source import PART_NAMES, TEST, TRAIN, VALIDATION, Source
from chainrule.data.tables import from_dataframe, is_table, read_table
from chainrule.data.untrusted import shown

MOST_FILES = 10_000  # that one name stands for
WILDCARDS = re.compile(r"[*?]|\[[^\]]+\]")


def read(data: Any, reading: Reading | None = None) -> Source:
    """Read data from a built-in name, a path or several, arrays (x, y), a dataframe, a map-style dataset, or `Divided`.

    A name with *, ? or [abc] that is no file stands for all files that it fits.

    Raises: DataError naming what is wrong; MissingExtraError for a data set of a package that is not installed
    """
    reading = reading or Reading()
    source = _read(data, reading)
    return source if reading.store is None else replace(source, store=reading.store)


def _read(data: Any, reading: Reading) -> Source:
    if isinstance(data, Source):
        return data
    if isinstance(data, Divided):
        return _read_divided(data, reading)
    if isinstance(data, str | Path):
        return _read_named(data, reading)
    if are_paths(data):
        return _read_files([path for item in data for path in _matching(item)], reading)
    from chainrule.data.arrays import from_arrays, from_dataset

    if isinstance(data, tuple) and len(data) == 2:
        return from_arrays(*data, name="arrays")
    if isinstance(data, np.ndarray | list | tuple):
        raise DataError("arrays are given as a pair, inputs and targets: cr.fit((x, y))")
    is_table = isinstance(data, Mapping) or hasattr(data, "columns")
    if not is_table and hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return from_dataset(data, name=type(data).__name__)
    return from_dataframe(data)


def are_paths(data: Any) -> bool:
    """Whether data is a list of names of files."""
    return (
        isinstance(data, list | tuple) and bool(data) and all(isinstance(item, str | Path) for item in data)
    )


def holds_batches(folder: Path) -> bool:
    """Whether a folder holds MNIST's files or CIFAR's, and no pictures one by one."""
    from chainrule.data.cifar import is_cifar

    return is_cifar(folder) or any(any(folder.glob(f"*-images{sign}idx3-ubyte*")) for sign in "-.")


def named_by(origin: Mapping[str, Any]) -> Any:
    """Return what `read` takes to read the data of an origin again; None if some of it was in memory."""
    parts = {name: origin[f"{name}_data"] for name in ("validation", "test") if f"{name}_data" in origin}
    if parts:
        train = named_by({k: v for k, v in origin.items() if not k.endswith("_data")})
        others = {name: named_by(part) for name, part in parts.items()}
        return None if train is None or None in others.values() else Divided(train=train, **others)
    if origin["kind"] == "built-in":
        return origin["name"]
    if "paths" in origin:
        return [_exactly(path) for path in origin["paths"]]
    return _exactly(origin["path"]) if "path" in origin else None


def _exactly(path: str) -> Path:
    """Return a path that stands for itself: a recipe that says /** shall not make anyone search the whole disk."""
    return Path(glob.escape(path)) if WILDCARDS.search(path) and not _exists(Path(path)) else Path(path)


def _read_divided(data: Divided, reading: Reading) -> Source:
    train = read(data.train, reading)
    if train.is_pictures and train.array is not None:
        channels, height, width = train.array.shape[1:]
        reading = replace(reading, shape=(channels, height, width))
    parts = {TRAIN: train}
    for number, given in ((VALIDATION, data.validation), (TEST, data.test)):
        if given is not None:
            part = read(given, reading)
            is_unnamed = part.name == train.name  # as arrays are
            parts[number] = replace(part, name=f"the {PART_NAMES[number]} data") if is_unnamed else part
    return join_divided(parts) if len(parts) > 1 else train


def _read_named(name: str | Path, reading: Reading) -> Source:
    if str(name) in DATASETS and not Path(name).exists():
        source: Source = load("dataset", str(name))()
        return source
    return _read_files(_matching(name), reading)


def _matching(name: str | Path) -> list[Path]:
    """Return the path itself, or the files that a name with wildcards fits, sorted."""
    path = Path(name)
    if not WILDCARDS.search(str(name)) or _exists(path):
        return [path]
    matches = glob.glob(str(name), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute patterns
    found = [Path(match) for match in sorted(matches)]
    files = [match for match in found if match.is_file()]
    if len(files) > MOST_FILES:
        raise DataError(
            f"{visible(name)} fits {len(files):,} files; at most {MOST_FILES:,} are read together"
        )
    if files:
        return files
    if found:
        raise DataError(
            f"{visible(name)} fits folders only ({listed([str(f) for f in found], 3)}); name one folder"
        )
    beside = _names_beside(path)
    plain = path.name.replace("*", "").replace("?", "")
    close = nearest(plain, beside) or (beside[:3] if len(beside) <= 3 else [])
    hint = f"; {shown(path.parent)} has {listed(close)}" if close else ""
    raise DataError(f"no file fits {visible(name)}{hint}")


def _read_files(paths: Sequence[Path], reading: Reading) -> Source:
    """Read one path, or several files that hold rows of one table."""
    if len(paths) == 1:
        return _read_path(paths[0], reading)
    places = [path.resolve() for path in paths if _exists(path)]
    for place, path in zip(places, paths, strict=False):
        if places.count(place) > 1:
            raise DataError(f"{shown(path)} is named twice; its rows would count twice")
    reading = replace(reading, store=reading.store and reading.store.shared(len(paths)))
    sources = [replace(_read_path(path, reading), store=reading.store) for path in paths]
    if len({source.name for source in sources}) < len(sources):  # as in 2023/sales.csv 2024/sales.csv
        sources = [replace(s, name=shown(path)) for s, path in zip(sources, paths, strict=True)]
    return join_files(sources, {"kind": "files", "paths": [str(path.resolve()) for path in paths]})


def _read_path(path: Path, reading: Reading) -> Source:
    """Read a file or a folder by its ending and content."""
    from chainrule.data.cifar import is_cifar, read_cifar
    from chainrule.data.idx import read_idx
    from chainrule.data.npz import read_npz
    from chainrule.data.pictures import read_pictures

    if not _exists(path):
        raise DataError(_not_there(path))
    if is_cifar(path):
        return read_cifar(path, reading.target)
    if path.is_dir():
        if holds_batches(path):
            return read_idx(path)
        size = reading.picture_size
        return read_pictures(
            path,
            cache=reading.cache,
            size=None if size is None else (size, size),
            shape=reading.shape,
            track=reading.track,
            store=reading.store,
        )
    ending = path.suffix.lower()
    if ending == ".npz":
        return read_npz(path, reading.target, reading.store)
    if is_table(path):
        return read_table(path, reading)
    if "idx" in path.name.lower():
        return read_idx(path)
    raise DataError(
        f"{visible(path)}: files of this kind are not read; CSV, TSV, Excel, Parquet, JSON, .npz, IDX, CIFAR, or a folder of class "
        "folders with pictures are"
    )


def _exists(path: Path) -> bool:
    """Whether something stands at a path. Raises: DataError for a path that cannot be looked at."""
    try:
        return path.exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{visible(path)} cannot be read: {reason.lower()}") from error


def _names_beside(path: Path) -> list[str]:
    try:
        return sorted(p.name for p in path.parent.iterdir())
    except OSError:
        return []


def _not_there(path: Path) -> str:
    """Say that a path does not exist, with names nearby that do."""
    beside = _names_beside(path)
    close = [visible(path.parent / n) for n in nearest(path.name, beside)] + nearest(str(path), DATASETS)
    hint = f"; did you mean {close[0]}?" if close else f"; built-in data: {', '.join(DATASETS)}"
    return f"{visible(path)} does not exist{hint}"
