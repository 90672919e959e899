"""Folders of pictures, one folder per class: which files, in which class, in which split. Nothing is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chainrule.core.errors import DataError, nearest
from chainrule.core.text import listed, visible
from chainrule.data.source import PART_NAMES, PARTS_BY_NAME, TRAIN
from chainrule.data.untrusted import shown

PICTURE_ENDINGS = (
    ".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif",
)  # fmt: skip
PICTURE_KINDS = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, HEIC"
LAYOUT = (
    "wanted is one folder per class, such as pets/cat/1.png and pets/dog/2.png, "
    "or already divided, such as pets/train/cat/1.png and pets/test/cat/2.png"
)


@dataclass(slots=True)
class FoundPictures:
    """The pictures of a folder, in the order of their paths, and what stands there without being used."""

    root: Path
    files: list[Path] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)
    stray: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    _names: tuple[str, ...] = ()  # kept, for there may be many

    def names(self) -> tuple[str, ...]:
        if len(self._names) != len(self.files):
            self._names = tuple(name_below(file, self.root) for file in self.files)
        return self._names

    def notes(self) -> Iterator[str]:
        for paths, reason in (
            (self.stray, f"not a picture ({PICTURE_KINDS}) in a class folder"),
            (self.links, "a link that leads out of the folder"),
        ):
            if paths:
                names = listed([name_below(path, self.root) for path in paths], most=3)
                yield f"not used, because {reason}: {names}"
        pairs = set(zip(self.splits, self.classes, strict=True))
        for split in sorted({split for split, _ in pairs} - {TRAIN}):
            lacking = sorted(set(self.classes) - {name for s, name in pairs if s == split})
            if lacking:
                yield f"the {PART_NAMES[split]} part has no pictures of: {listed(lacking)}"


def find_pictures(folder: Path) -> FoundPictures:
    """Find the pictures of class folders; folders named train, val, valid, validation or test at the top are splits.

    Raises: DataError naming the folder, with the layout that is wanted
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{shown(folder)} should be a folder of class folders, but it {what}")
    found = FoundPictures(folder.resolve())
    folders, found.stray = _entries(found.root, found)
    if not folders:
        loose = sum(map(is_picture, found.stray))
        raise DataError(f"{shown(folder)} holds no class folders ({loose} pictures without one); {LAYOUT}")
    divided = [f for f in folders if f.name.lower() in PARTS_BY_NAME]
    if not divided:
        _collect(folders, TRAIN, found)
        return found
    found.stray += [f for f in folders if f not in divided]
    for part in divided:
        classes, files = _entries(part, found)
        found.stray += files
        if not classes:
            raise DataError(
                f"{shown(part)} is a part of the data because of its name, but holds no class folders; {LAYOUT}. "
                f"If {visible(part.name)!r} is itself a class, give the folder another name"
            )
        _collect(classes, PARTS_BY_NAME[part.name.lower()], found)
    _check_classes(folder, found)
    return found


def _collect(classes: list[Path], split: int, found: FoundPictures) -> None:
    """Add the pictures of class folders."""
    for folder in classes:
        folders, files = _entries(folder, found)
        pictures = [file for file in files if is_picture(file)]
        if not pictures:
            inside = listed([f.name for f in folders], most=3)
            hint = f"; if the folders in it ({inside}) are the classes, point at {shown(folder)}"
            raise DataError(
                f"the class folder {shown(folder)} holds no picture ({PICTURE_KINDS}); "
                f"add pictures or remove the folder{hint if folders else ''}"
            )
        if not folder.name.isprintable():
            raise DataError(
                f"the class folder {shown(folder)} has a name that cannot be printed; give it another"
            )
        found.stray += [*folders, *(file for file in files if not is_picture(file))]
        found.files += pictures
        found.classes += [folder.name] * len(pictures)
        found.splits += [split] * len(pictures)


def _check_classes(folder: Path, found: FoundPictures) -> None:
    """Refuse divided data without training pictures, or with a class that training never sees."""
    pairs = set(zip(found.splits, found.classes, strict=True))
    known = {name for split, name in pairs if split == TRAIN}
    if not known:
        raise DataError(f"{shown(folder)} is divided, but has no folder 'train' to learn from; {LAYOUT}")
    for split, name in sorted(pairs):
        if name not in known:
            close = "".join(f"; did you mean {c!r}?" for c in nearest(name, known, most=1))
            raise DataError(
                f"the class {name!r} is in the {PART_NAMES[split]} part of {shown(folder)} but not in its train part, "
                f"which has {listed(sorted(known))}{close}"
            )


def are_loose(folder: Path) -> bool:
    """Whether a folder holds pictures and no folders, as pictures without classes are kept."""
    found = FoundPictures(folder.resolve())
    folders, files = _entries(found.root, found)
    return not folders and any(map(is_picture, files))


def pictures_below(folder: Path) -> list[Path]:
    """Return the pictures at any depth, without following links to folders or out of the folder."""
    found = FoundPictures(folder.resolve())
    waiting = [found.root]
    while waiting:
        folders, files = _entries(waiting.pop(), found)
        waiting += [f for f in folders if not f.is_symlink()]
        found.files += filter(is_picture, files)
    return sorted(found.files)


def _entries(folder: Path, found: FoundPictures) -> tuple[list[Path], list[Path]]:
    """Return the folders and the other entries of a folder, sorted, without hidden ones and links that lead out."""
    folders: list[Path] = []
    files: list[Path] = []
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"the folder {shown(folder)} cannot be read ({error.strerror})") from error
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_symlink() and not _leads_inside(path, found.root):
            found.links.append(path)
        else:
            (folders if entry.is_dir() else files).append(path)
    return folders, files


def _leads_inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links in a circle
        return False


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_ENDINGS and path.is_file()


def name_below(file: Path, root: Path) -> str:
    """Return a path below `root` as text that can be printed and stored."""
    return visible(file.relative_to(root).as_posix(), most=4000)
