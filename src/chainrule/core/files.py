"""Files that are either whole or not there, and one writer at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chainrule.core.errors import LockedError, SettingError, StorageError
from chainrule.core.text import visible

_CHUNK = 1 << 20


def output_ending(path: Path, endings: Iterable[str]) -> str:
    """Return the ending of a file to write, in small letters. Raises: SettingError for one that is not among `endings`

    >>> output_ending(Path("drawing.PNG"), [".png", ".svg"])
    '.png'
    """
    ending = path.suffix.lower()
    if ending not in (known := list(endings)):
        raise SettingError(f"--output takes a file ending in {', '.join(known)}; got {visible(path)}")
    return ending


def write_atomic(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole, as `write_parts_atomic` does."""
    write_parts_atomic(path, [content])


def write_parts_atomic(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file so that a reader, after a crash at any moment, finds the old content or the new.

    Written beside, fsync, rename, fsync of the folder. The temporary file is named after the target, so that a
    crash leaves at most one behind, which the next write replaces.
    Raises: StorageError naming the file if it cannot be written; what stands there is then whole: the old content, or the new if only the last fsync failed
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            for part in parts:
                view = memoryview(part).cast("B")
                while len(view):
                    view = view[os.write(descriptor, view[:_CHUNK]) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)  # noqa: PTH105 - os calls throughout: they are what the crash test records
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, FileNotFoundError):
            raise StorageError(
                f"{path} could not be written: there is no folder {path.parent}; make it first"
            ) from error
        raise StorageError(
            f"{path} could not be written ({_reason(error)}); what stands there is whole"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, with a newline at the end."""
    try:
        content = json.dumps(value, indent=2, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a file name that is not UTF-8 comes as text that cannot be encoded
        content = json.dumps(value, indent=2).encode()
    write_atomic(path, content + b"\n")


def write_cache(path: Path, value: Any) -> None:
    """Write JSON that can be made again: whole for every reader, and lost if the machine fails at that moment.

    It does not wait for the disk, which takes as long as a small network trains.
    Raises: StorageError naming the file if it cannot be written
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(json.dumps(value).encode())
        beside.replace(path)
    except OSError as error:
        raise StorageError(f"{path} could not be written ({_reason(error)})") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (on systems that let a folder be opened)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, exist_ok: bool = True) -> None:
    """Create a folder and its parents.

    Raises: StorageError naming the folder if that is not allowed; FileExistsError with exist_ok=False
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=exist_ok)
    except FileExistsError:
        if exist_ok:
            raise StorageError(f"{folder} should be a folder, but a file of that name stands there") from None
        raise
    except OSError as error:
        raise StorageError(
            f"the folder {folder} cannot be created ({_reason(error)}); choose another with --runs"
        ) from error


def digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_locked: set[int] = set()  # descriptors of the locks that this process holds


def _leave_locks() -> None:
    """Let go of what a copy of a process inherits: a lock lasts as long as anybody has its file open."""
    for descriptor in _locked:
        os.close(descriptor)
    _locked.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks)


@contextlib.contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on a file while the block runs.

    The kernel holds it for the process, so a killed process leaves no stale lock; the file itself stays.
    Raises: LockedError naming the process that holds it
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"{path} cannot be opened for writing ({_reason(error)})") from error
    try:
        if not _try_lock(descriptor):
            holder = os.read(descriptor, 64).decode(errors="replace").strip() or "unknown"
            raise LockedError(
                f"{what} is being written by another process (process {holder}); wait for it, or stop it"
            )
        _locked.add(descriptor)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        _locked.discard(descriptor)
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
