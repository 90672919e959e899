"""How much memory there is, how much of it is left to this process, and what it looks like when there was too little."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chainrule.core.errors import ChainruleError, LowMemoryError
from chainrule.core.units import show_bytes

SYSTEM = Path("/")  # below it the files in which Linux tells of memory
RAN_OUT = ("can't allocate memory", "out of memory", "bad_alloc")  # what PyTorch says of it


def memory_bytes() -> int | None:
    """Return how much memory this machine has, where the system says."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def available_bytes(system: Path = SYSTEM) -> int | None:
    """Return how much memory this process can still have: the least of what machine, container and limits leave it.

    Where no system says what is free it is all that the machine has; None where it does not say that either.
    """
    known = [
        found
        for found in (_free(system), _left_by_groups(system), _left_by_limit(system))
        if found is not None
    ]
    return min(known) if known else memory_bytes()


def ended_for_memory(system: Path = SYSTEM) -> int | None:
    """Return how many processes the system has ended since its start because memory ran out, None where it does not say."""
    for line in _lines(system / "proc/vmstat"):
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error is about memory that could not be had."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in RAN_OUT)


@contextmanager
def low_memory_said(what: str, advice: str) -> Iterator[None]:
    """Say in a sentence that memory ran out inside the block. Raises: LowMemoryError"""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, ChainruleError) or not is_out_of_memory(error):
            raise
        left = available_bytes()
        there = "" if left is None else f" ({show_bytes(left)} are left to this process)"
        raise LowMemoryError(f"{what} does not fit into memory{there}; {advice}") from None


def _free(system: Path) -> int | None:
    """Return what the machine could give without swapping."""
    for line in _lines(system / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _left_by_groups(system: Path) -> int | None:
    """Return what the control groups of this process leave it (containers, units of systemd)."""
    root, found = system / "sys/fs/cgroup", []
    own = next(
        (line[3:].strip("/") for line in _lines(system / "proc/self/cgroup") if line.startswith("0::")), ""
    )
    for folder in {root, *(root / part for part in [Path(own), *Path(own).parents])}:
        most, taken = _number(folder / "memory.max"), _number(folder / "memory.current")
        if most is not None and taken is not None:
            found.append(max(0, most - taken + _reclaimable(folder)))
    return min(found) if found else None


def _reclaimable(folder: Path) -> int:
    """Return what a group holds of files, and would give back."""
    kept = (line.split() for line in _lines(folder / "memory.stat"))
    return sum(int(words[1]) for words in kept if words[0] == "inactive_file")


def _left_by_limit(system: Path) -> int | None:
    """Return what `ulimit -v` leaves this process."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    taken = next(iter(_lines(system / "proc/self/statm")), None)
    if most == resource.RLIM_INFINITY or taken is None:
        return None
    return max(0, most - int(taken.split()[0]) * resource.getpagesize())


def _number(path: Path) -> int | None:
    text = next(iter(_lines(path)), "")
    return int(text) if text.isdigit() else None


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text().splitlines()
    except OSError:
        return
