"""CIFAR-10 and CIFAR-100 as their authors give them: binary or Python batches, in a folder or the .tar.gz."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from chainrule.core.errors import DataError
from chainrule.core.text import listed, visible
from chainrule.data.pickled import read_pickle
from chainrule.data.source import TEST, TRAIN, Source
from chainrule.data.untrusted import as_data_error, shown

MOST_FILE_BYTES = 400_000_000  # twice the largest that there is
MOST_ARCHIVE_BYTES = 1_000_000_000
MOST_MEMBERS = 1000
PIXELS = 3 * 32 * 32
BATCH = re.compile(r"(data_batch_\d|test_batch|train|test)(\.bin)?")
NAMES = ("batches.meta.txt", "batches.meta", "meta", "fine_label_names.txt", "coarse_label_names.txt")
LABELS = {
    "fine_label": ("fine_labels", "fine_label_names"),
    "coarse_label": ("coarse_labels", "coarse_label_names"),
}
Rows = tuple[np.ndarray, dict[str, np.ndarray]]  # pictures, and labels by the name of the target


def is_cifar(path: Path) -> bool:
    """Whether a folder or an archive holds CIFAR, by the names of its files."""
    if path.is_dir():
        try:
            here = {file.name for file in _unpacked(path).iterdir()}
        except OSError:  # the reader of pictures says what is wrong with a folder
            return False
        return bool(here & {"data_batch_1", "data_batch_1.bin"}) or any(
            here >= files for files in ({"train.bin", "fine_label_names.txt"}, {"train", "meta"})
            if not (_unpacked(path) / "train").is_dir()
        )  # fmt: skip
    return path.name.lower().endswith((".tar.gz", ".tgz")) and "cifar" in path.name.lower()


def _unpacked(folder: Path) -> Path:
    """Return the folder that unpacking made within a folder that holds nothing else, or the folder itself."""
    inner = folder / "cifar-10-batches-py", folder / "cifar-10-batches-bin", folder / "cifar-100-python"
    found = [path for path in (*inner, folder / "cifar-100-binary") if path.is_dir()]
    return found[0] if len(found) == 1 else folder


def read_cifar(path: Path, target: str | None = None) -> Source:
    """Read the pictures with their training and test parts; of CIFAR-100 the fine labels, or `target` coarse_label.

    Shapes: pictures (N, 3, 32, 32)
    Raises: DataError naming the file, with what was expected and what was found
    """
    files = _in_folder(_unpacked(path)) if path.is_dir() else _in_archive(path)
    names = _class_names(files, path)
    batches = sorted(name for name in files if BATCH.fullmatch(name))
    if not names or not any(not name.startswith("test") for name in batches):
        raise DataError(
            f"{shown(path)} should hold the batches of CIFAR and the names of its classes, such as data_batch_1.bin and "
            f"batches.meta.txt; it has {listed(sorted(files)) or 'none of them'}"
        )
    label = target if target in names else next(iter(names))
    parts = {name: _read_batch(name, files[name], list(names)) for name in batches}
    for name, (_, labels) in parts.items():
        if labels[label].size and labels[label].max() >= len(names[label]):
            raise DataError(
                f"{name}: a label is {labels[label].max()}, but there are {len(names[label])} names of classes"
            )
    splits = [
        np.full(len(x), TEST if n.startswith("test") else TRAIN, np.int8) for n, (x, _) in parts.items()
    ]
    split = np.concatenate(splits)
    return Source(
        name=path.name.split(".")[0],
        origin={"kind": "cifar", "path": str(path.absolute())},
        array=np.concatenate([pictures for pictures, _ in parts.values()]),
        targets=np.concatenate([labels[label] for _, labels in parts.values()]),
        target_names=(label,),
        class_names=names[label],
        is_pictures=True,
        fixed_split=split if (split == TEST).any() else None,
        notes=tuple(_notes(names, label, batches)),
    )


def _notes(names: Mapping[str, Any], label: str, batches: list[str]) -> list[str]:
    notes = (
        [] if len(names) == 1 else [f"target: the {len(names[label])} {label}s (--target names the others)"]
    )
    there = {int(name[11]) for name in batches if name.startswith("data_batch_")}
    lacking = [f"data_batch_{number}" for number in range(1, 6) if number not in there]
    return [*notes, f"not there, and not used: {listed(lacking)}"] if there and lacking else notes


def _in_folder(folder: Path) -> dict[str, bytes]:
    files = {}
    for file in sorted(folder.iterdir()):
        if file.is_file() and _is_wanted(file.name):
            if file.stat().st_size > MOST_FILE_BYTES:
                raise DataError(f"{shown(file)} is larger than any file of CIFAR")
            with as_data_error(f"{shown(file)} cannot be read"):
                files[file.name] = file.read_bytes()
    return files


def _in_archive(path: Path) -> dict[str, bytes]:
    """Return the files that are wanted from a .tar.gz, by their last name; nothing is written to the disk."""
    files: dict[str, bytes] = {}
    total = 0
    with as_data_error(f"{shown(path)} is damaged, or no .tar.gz"), tarfile.open(path, "r|gz") as archive:
        for number, member in enumerate(archive):
            total += member.size
            if total > MOST_ARCHIVE_BYTES or number >= MOST_MEMBERS:
                raise DataError(f"{shown(path)} holds far more than CIFAR does")
            name = PurePosixPath(member.name).name
            if not member.isfile() or not _is_wanted(name):
                continue
            if name in files:
                raise DataError(f"{shown(path)} holds two files called {name}")
            opened = archive.extractfile(member)
            assert opened is not None
            files[name] = opened.read()
            if len(files[name]) != member.size:
                raise DataError(f"{shown(path)} is cut short in {name}")
    return files


def _is_wanted(name: str) -> bool:
    return name in NAMES or BATCH.fullmatch(name) is not None


def _class_names(files: Mapping[str, bytes], path: Path) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes, by the name of the target; the usual target first."""
    for name in ("batches.meta", "meta"):
        if name in files:
            meta = read_pickle(files[name], name)
            if not isinstance(meta, dict):
                raise DataError(f"{shown(path)}: {name} should hold the names of the classes")
            if "label_names" in meta:
                return {"label": _texts(meta["label_names"], name)}
            return {label: _texts(meta.get(key), name) for label, (_, key) in LABELS.items()}
    if "batches.meta.txt" in files:
        return {"label": _lines(files["batches.meta.txt"], "batches.meta.txt")}
    found = {label: f"{key}.txt" for label, (_, key) in LABELS.items()}
    return {label: _lines(files[file], file) for label, file in found.items() if file in files}


def _texts(values: Any, name: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, bytes | str) for value in values):
        raise DataError(f"{name} should hold a list with the names of the classes")
    return _different([v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values], name)


def _lines(content: bytes, name: str) -> tuple[str, ...]:
    lines = content.decode("utf-8", "replace").splitlines()
    return _different([line.strip() for line in lines if line.strip()], name)


def _different(names: list[str], where: str) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{where} calls two classes {visible(twice, 40)!r}; give each a name of its own")
    return tuple(names)


def _read_batch(name: str, content: bytes, targets: list[str]) -> Rows:
    return (
        _from_binary(name, content, targets)
        if name.endswith(".bin")
        else _from_pickle(name, content, targets)
    )


def _from_binary(name: str, content: bytes, targets: list[str]) -> Rows:
    """Read records of labels (coarse before fine) and the red, green and blue values of a picture."""
    width = len(targets) + PIXELS
    if len(content) % width or not content:
        raise DataError(
            f"{name} has {len(content):,} bytes, which is no multiple of {width:,}; fetch it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, width)
    order = ["coarse_label", "fine_label"] if len(targets) == 2 else targets
    labels = {
        target: records[:, place].astype(np.int64) for place, target in enumerate(order) if target in targets
    }
    return records[:, len(targets) :].reshape(-1, 3, 32, 32), labels


def _from_pickle(name: str, content: bytes, targets: list[str]) -> Rows:
    batch = read_pickle(content, name)
    pixels = batch.get("data") if isinstance(batch, dict) else None
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS or not len(pixels):
        raise DataError(f"{name} should hold 'data', an array of rows of {PIXELS:,} bytes")
    labels = {
        target: _codes(batch.get(f"{target}s"), len(pixels), f"{name}: {target}s") for target in targets
    }
    return pixels.reshape(-1, 3, 32, 32), labels


def _codes(values: Any, rows: int, name: str) -> np.ndarray:
    is_list = isinstance(values, list) and all(type(value) is int and 0 <= value < 256 for value in values)
    if not is_list or len(values) != rows:
        raise DataError(f"{name} should be a list of {rows:,} numbers of classes")
    return np.array(values, np.int64)
