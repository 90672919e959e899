"""The rule that every input is held to.

Whatever bytes come, chainrule answers or raises one of its own errors: no other exception, no Python warning on the
user's screen, no hang, no memory beyond the limit, and every file that stood there is as it was, with none beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import resource
import shutil
import signal
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from chainrule.core.errors import ChainruleError

if TYPE_CHECKING:
    from fuzz.formats import Format

MOST_SECONDS = 10  # of computing
WAITING = 6  # times as long by the clock
MOST_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """A way in which the rule was broken; two inputs with one `signature` are one finding."""

    signature: str
    text: str


class Hang(BaseException):
    """An input took longer than it may."""


def check(format: Format, content: bytes, folder: Path) -> Finding | None:
    """Put the bytes where a user would have them, open them, and say how the rule was broken, if it was.

    `folder` holds what `format.set_up` put there; it is made anew after an input that changed it.
    """
    try:
        format.write(content, folder)
    except (OSError, ValueError):  # a name that this file system does not take never reaches a user's disk
        renew(format, folder)
        return None
    before = snapshot(folder)
    finding = _opened(format, folder)
    after = snapshot(folder)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if wrong := [name for name in changed if name not in format.answers(before)]:
        finding = finding or Finding(f"left behind: {format.name}", f"changed or left behind: {wrong}")
    if format.is_renewed or changed:
        renew(format, folder)
    return finding


def renew(format: Format, folder: Path) -> None:
    """Make a folder as an input finds it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    format.set_up(folder)


def _opened(format: Format, folder: Path) -> Finding | None:
    try:
        with warnings.catch_warnings(record=True) as shown:
            warnings.simplefilter("always")
            format.open(folder)
    except ChainruleError:
        return None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic in a native library is no Exception
        return Finding(_signature(error), "".join(traceback.format_exception(error)))
    if shown:
        first = shown[0]
        place = f"{Path(first.filename).name}:{first.lineno}"
        return Finding(f"{first.category.__name__} at {place}", f"{place}: {first.message}")
    return None


def _signature(error: BaseException) -> str:
    """Name an error by its type, the innermost line of chainrule on its way, and the innermost of all."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.name != ring.__name__]
    ours = [frame for frame in frames if "/chainrule/" in frame.filename]
    places = dict.fromkeys(f"{Path(f.filename).name}:{f.name}" for f in (*ours[-1:], *frames[-1:]))
    return f"{type(error).__name__} at {' in '.join(reversed(places))}"


def snapshot(folder: Path) -> dict[str, str]:
    """Return what stands in a folder, with a hash of each file; the lock of a run may come and stay."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and path.name != ".lock":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir():
            found[name] = "folder"
    return found


def limit_memory() -> None:
    """Let this process take no more than MOST_BYTES beyond what it has now, the imports."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def ring(number: int, frame: FrameType | None) -> None:
    """Answer a signal of the alarm."""
    raise Hang(f"no answer after {MOST_SECONDS} s of computing, or {WAITING * MOST_SECONDS} s in all")


@contextlib.contextmanager
def alarm(seconds: float = MOST_SECONDS) -> Iterator[None]:
    """Raise Hang in a block that computes too long, or waits far longer: other programs may want the processor too.

    Code that never returns to Python is its parent's to end.
    """

    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WAITING * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
