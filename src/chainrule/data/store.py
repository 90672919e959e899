"""Rows kept in a file, for data that is larger than the memory it may take.

Rows are read by their position into fresh memory, not through a mapping. A mapping's pages count as memory until they
are given back, and giving them back costs: 256 random rows of 800 bytes took 4.2 ms through a mapping held to 64 MB and
0.8 ms by position with the file in the system's cache, 22 and 13 ms without. And a file that is cut short while it is
read gives an error, where a mapping ends the process.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from chainrule.core.errors import DataError, StorageError
from chainrule.core.files import make_folder
from chainrule.core.text import visible
from chainrule.core.units import parse_bytes, show_bytes

SHARE_OF_FREE = 0.6  # of the machine's free memory that data may take where nothing was said
BYTES_AT_ONCE = 1 << 24  # read or written together
Index = slice | int | np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """How much memory the data may take, and the folder where the rest is kept while the process runs."""

    folder: Path
    most_bytes: int
    is_given: bool = False

    def holds(self, wanted: float) -> bool:
        """Whether so many bytes may be in memory."""
        return wanted <= self.most_bytes

    def shared(self, count: int) -> Store:
        """Return the store for each of so many that read in turn."""
        return replace(self, most_bytes=self.most_bytes // count)

    def note(self, name: str, wanted: float) -> str:
        """Say that data stays on disk, and why."""
        limit = (
            f"--memory {show_bytes(self.most_bytes)}"
            if self.is_given
            else f"{100 * SHARE_OF_FREE:.0f} % of the free memory, {show_bytes(self.most_bytes)}"
        )
        return (
            f"{name} would take about {show_bytes(wanted)} in memory, more than {limit}: it is kept on disk"
        )

    def rows(self, shape: tuple[int, ...], dtype: Any) -> StoredRows:
        """Return rows to be written. Raises: StorageError if the disk has no room for them."""
        rows = StoredRows(self.file(), shape, dtype, name=f"the rows kept in {self.folder}")
        with self.writing(rows.nbytes):
            rows.file.reserve(rows.nbytes)
        return rows

    def file(self) -> OpenFile:
        """Open a file without a name, which is gone when it is closed or the process ends, however it ends."""
        make_folder(self.folder)
        with self.writing():
            return OpenFile(tempfile.TemporaryFile(dir=self.folder, buffering=0))

    @contextlib.contextmanager
    def writing(self, wanted: int = 0) -> Iterator[None]:
        """Turn a disk that refuses into a sentence with what to do."""
        try:
            yield
        except OSError as error:
            needs = f"needs {show_bytes(wanted)} for" if wanted else "holds"
            raise StorageError(
                f"{self.folder} {needs} data that does not fit in {show_bytes(self.most_bytes)} of memory, and cannot be "
                f"written ({(error.strerror or str(error)).lower()}; {_free(self.folder)}): free some space, choose "
                "another folder with --runs, or give more --memory"
            ) from error


class OpenFile:
    """A file that is read and written by position, and closed when nobody needs it any more."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __del__(self) -> None:
        self._file.close()

    def read(self, view: memoryview, offset: int) -> int:
        """Fill `view` with what stands at a position; return how many bytes there were."""
        done = 0
        while done < len(view):
            if hasattr(os, "preadv"):
                count = os.preadv(self._file.fileno(), [view[done:]], offset + done)
            else:  # Windows
                self._file.seek(offset + done)
                count = self._file.readinto(view[done:])  # type: ignore[attr-defined]
            if not count:
                break
            done += count
        return done

    def write(self, content: memoryview, offset: int) -> None:
        """Write at a position. Raises: OSError"""
        done = 0
        while done < len(content):
            part = content[done : done + BYTES_AT_ONCE]
            if hasattr(os, "pwrite"):
                done += os.pwrite(self._file.fileno(), part, offset + done)
            else:  # Windows
                self._file.seek(offset + done)
                done += self._file.write(part)

    def reserve(self, length: int) -> None:
        """Take the room on the disk now, so that it cannot lack later. Raises: OSError"""
        if hasattr(os, "posix_fallocate") and length:
            os.posix_fallocate(self._file.fileno(), 0, length)
        else:
            self._file.truncate(length)


class StoredRows:
    """An array in a file: `rows[3:9]` and `rows[[5, 2]]` read rows into memory, and nothing else does.

    `change` is applied to rows as they are read; `places` are the rows of the file that this array has, in its order.
    """

    def __init__(
        self,
        file: OpenFile,
        shape: tuple[int, ...],
        dtype: Any,
        *,
        name: str,
        offset: int = 0,
    ) -> None:
        self.file = file
        self.name = name
        self.shape: tuple[int, ...] = tuple(shape)
        self.dtype = np.dtype(dtype)
        self._offset = offset
        self._stored_shape, self._stored_dtype = self.shape[1:], self.dtype
        self._row_bytes = int(math.prod(self.shape[1:]) * self.dtype.itemsize)
        self._change: Callable[[np.ndarray], np.ndarray] | None = None
        self._places: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return int(math.prod(self.shape)) * int(self.dtype.itemsize)

    @property
    def rows_at_once(self) -> int:
        """How many rows make a part."""
        return max(1, BYTES_AT_ONCE // max(1, self._row_bytes))

    def __getitem__(self, rows: Index) -> np.ndarray:
        if isinstance(rows, int | np.integer):
            one: np.ndarray = self[np.array([range(len(self))[rows]])][0]
            return one
        numbers = _numbers(rows, len(self))
        if self._places is not None:
            numbers = self._places[numbers]
        found = self._read(numbers)
        return found if self._change is None else self._change(found)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def parts(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give all rows, some at a time, each part with the number of its first row."""
        for start in range(0, len(self), self.rows_at_once):
            yield start, self[start : start + self.rows_at_once]

    def chosen(self, rows: np.ndarray) -> StoredRows:
        """Return an array of some of the rows; nothing is read."""
        chosen = self._copy()
        chosen.shape = (len(rows), *self.shape[1:])
        chosen._places = rows if self._places is None else self._places[rows]
        return chosen

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> StoredRows:
        """Return an array whose rows go through a function as they are read. The function keeps their number."""
        changed, before = self._copy(), self._change
        changed._change = change if before is None else lambda rows: change(before(rows))
        sample = changed[:1]
        changed.shape, changed.dtype = (len(self), *sample.shape[1:]), sample.dtype
        return changed

    def write(self, start: int, rows: np.ndarray) -> None:
        """Put rows into the file. Raises: OSError"""
        content = np.ascontiguousarray(rows, self.dtype).reshape(-1).view(np.uint8).data
        self.file.write(content, self._offset + start * self._row_bytes)

    def _copy(self) -> StoredRows:
        copy = StoredRows.__new__(StoredRows)
        copy.__dict__.update(self.__dict__)
        return copy

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        """Read rows of the file; those that stand in a row, together."""
        found = np.empty((len(numbers), *self._stored_shape), self._stored_dtype)
        if not found.nbytes:
            return found
        view, length = found.reshape(-1).view(np.uint8).data, self._row_bytes
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        begins = [0, *breaks.tolist()]
        ends = [*breaks.tolist(), len(numbers)]
        firsts = (self._offset + numbers[begins] * length).tolist()
        for begin, end, first in zip(begins, ends, firsts, strict=True):
            if self.file.read(view[begin * length : end * length], first) < (end - begin) * length:
                raise DataError(f"{self.name} was cut short while it was in use; start again")
        return found


def only(rows: np.ndarray | StoredRows, known: np.ndarray) -> np.ndarray | StoredRows:
    """Return the rows that are marked; what is on disk stays there. Shapes: known (N,) bool."""
    return rows.chosen(np.flatnonzero(known)) if isinstance(rows, StoredRows) else rows[known]


def parts_of(rows: np.ndarray | StoredRows) -> Iterator[tuple[int, np.ndarray]]:
    """Give all rows, some at a time where they are on disk, with the number of the first."""
    return rows.parts() if isinstance(rows, StoredRows) else iter([(0, rows)])


def stacked(arrays: Sequence[np.ndarray | StoredRows], store: Store | None) -> np.ndarray | StoredRows:
    """Return arrays one below the other, on disk if one of them is there; one alone is not copied."""
    if len(arrays) == 1:
        return arrays[0]
    if store is None or not any(isinstance(array, StoredRows) for array in arrays):
        return np.concatenate([array[:] for array in arrays])
    dtype = np.result_type(*(array.dtype for array in arrays))
    joined = store.rows((sum(map(len, arrays)), *arrays[0].shape[1:]), dtype)
    begin = 0
    for array in arrays:
        for start, part in parts_of(array):
            joined.write(begin + start, part)
        begin += len(array)
    return joined


def find_store(folder: Path, memory: str | None) -> Store:
    """Return the store for a run: `memory` as the user gave it, or a share of what is free."""
    if memory is not None:
        return Store(folder=folder, most_bytes=parse_bytes(memory), is_given=True)
    return Store(folder=folder, most_bytes=int(SHARE_OF_FREE * _free_memory()))


def _numbers(rows: slice | np.ndarray, length: int) -> np.ndarray:
    """Return what an index chooses as row numbers."""
    if isinstance(rows, slice):
        return np.arange(*rows.indices(length))
    found = np.asarray(rows)
    if found.dtype == bool:
        return np.flatnonzero(found)
    if len(found) and not (-length <= found.min() and found.max() < length):
        raise IndexError(f"there are {length} rows; got {found.min()} to {found.max()}")
    return np.where(found < 0, found + length, found).astype(np.int64)


def _free(folder: Path) -> str:
    try:
        return f"{show_bytes(shutil.disk_usage(folder).free)} are free"
    except OSError:
        return f"{visible(folder)} cannot be looked at"


def _free_memory() -> int:
    """Return the bytes of memory that this process could still take."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4_000_000_000
