"""The libraries that C++ of ours becomes on this machine: each compiled once, kept in a folder of the user's own."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from chainrule.core.errors import PlanError, StorageError
from chainrule.core.processor import instruction_sets, processor_name
from chainrule.core.text import visible
from chainrule.core.user_cache import user_cache_folder

SOURCE = Path(__file__).with_name("native.cpp")  # what is meant where nothing else is said
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=gnu++17", "-O3", "-fno-math-errno", "-shared", "-fPIC")
OF_THIS_PROCESSOR = ("-mcpu=native",) if platform.machine() in ("arm64", "aarch64") else ("-march=native",)
COMPILE_SECONDS = 2.5  # that compiling takes
PAYS = 0.5  # part of it that a run has to win: every later one has the library for nothing
# Of an update of a network that stands alone, beside plain execution: at least, and by multiply-add.
SAVED_SECONDS, SAVED_BY_WORK = 80e-6, 2e-11
SAVED_IN_STACK = 30e-6  # of one of a stack, beside products of torch: what the smallest win
MOST_SECONDS = 120  # for the compiler
UNUSED_SECONDS = 30 * 24 * 3600  # after which a library that nobody loads is removed
_known: dict[Path, ctypes.CDLL | PlanError | StorageError] = {}  # by source, in this process
_MAKING = "making-"  # what folders of a compiler at work are called
_INCLUDED = re.compile(r'^#include "([\w.]+)"$', re.MULTILINE)
_NAME = re.compile("[0-9a-f]{32}")  # of a library


def library(source: Path | None = None) -> ctypes.CDLL:
    """Return the library of a source, compiled now if this machine has none yet; a failure stays as it is within a process.

    Raises: PlanError where there is no compiler, or it fails; StorageError where there is no folder to keep it in
    """
    found = _library_or_why(source or SOURCE)
    if isinstance(found, ctypes.CDLL):
        return found
    raise type(found)(*found.args)


def why_no_library(source: Path | None = None) -> str | None:
    """Say in words why there is no library, None if there is one."""
    found = _library_or_why(source or SOURCE)
    return None if isinstance(found, ctypes.CDLL) else str(found)


def is_compiled(source: Path | None = None) -> bool:
    """Whether a whole library is there already, so that `library` need not compile; it is loaded then.

    Files are looked at until it is there, or is known to fail; it is asked for every network of a search.
    """
    source = source or SOURCE
    if source not in _known:
        try:
            if not _is_whole(_place(find_compiler(), source)):
                return False
        except (PlanError, StorageError):
            return False
    return why_no_library(source) is None


def pays(saved_seconds: float, compile_seconds: float = COMPILE_SECONDS) -> bool:
    """Whether compiling is worth it to a run that compiled code saves so much."""
    return saved_seconds > PAYS * compile_seconds


def find_compiler() -> tuple[str, ...]:
    """Return the command of a C++ compiler: $CXX, or the first on the path. Raises: PlanError"""
    for command in (os.environ.get("CXX", ""), *COMPILERS):
        name, *options = command.split() or [""]
        found = shutil.which(name)
        if found and not _is_placeholder(found):
            return found, *options
    raise PlanError(f"there is no C++ compiler on this machine ({', '.join(COMPILERS)})")


def _library_or_why(source: Path) -> ctypes.CDLL | PlanError | StorageError:
    if source not in _known:
        _known[source] = _made(source)
    return _known[source]


def _made(source: Path) -> ctypes.CDLL | PlanError | StorageError:
    try:
        compiler = find_compiler()
        path = _place(compiler, source)
        _remove_remains(path.parent)
        _mark_used(path)
        if not _is_whole(path):
            _compile(compiler, path, source)
            _remove_unused(path.parent)
        return ctypes.CDLL(str(path))
    except (PlanError, StorageError) as error:
        return type(error)(str(error))  # without the frames of the first one
    except OSError as error:
        return PlanError(f"the compiled library cannot be made or loaded: {visible(error)}")


def _is_placeholder(compiler: str) -> bool:
    """Whether it is what macOS has in place of a compiler: calling it would open a window that offers one."""
    if platform.system() != "Darwin" or Path(compiler).parent != Path("/usr/bin"):
        return False
    return subprocess.run(["xcode-select", "-p"], capture_output=True).returncode != 0


def _place(compiler: tuple[str, ...], source: Path) -> Path:
    """Return where the library of a source, compiler and processor belongs. Raises: PlanError, StorageError"""
    program = Path(compiler[0]).resolve()
    try:
        said = [
            *(path.read_text("utf-8") for path in _with_headers(source)), str(program), str(program.stat().st_mtime_ns), *compiler[1:], *FLAGS,
            *OF_THIS_PROCESSOR, processor_name(), *instruction_sets(),
        ]  # fmt: skip
    except OSError as error:
        raise PlanError(f"the source of the compiled library cannot be read: {visible(error)}") from error
    digest = hashlib.sha256("\0".join(said).encode()).hexdigest()[:32]
    return user_cache_folder("native") / f"{digest}.so"  # every system loads it by any name


def _with_headers(source: Path) -> list[Path]:
    """Return a source and the files beside it that it includes."""
    return [source, *(source.with_name(name) for name in _INCLUDED.findall(source.read_text("utf-8")))]


def _is_whole(path: Path) -> bool:
    """Whether a library is there as the compiler left it: its hash stands beside it."""
    try:
        return path.with_suffix(".sha256").read_bytes() == _hash(path)
    except OSError:
        return False


def _hash(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).hexdigest().encode()


def _compile(compiler: tuple[str, ...], path: Path, source: Path) -> None:
    """Compile into a folder beside, and put the finished library and its hash in place. Raises: PlanError, OSError"""
    with tempfile.TemporaryDirectory(prefix=_MAKING, dir=path.parent) as folder:
        made, hashed = Path(folder) / "made.so", Path(folder) / "made.sha256"
        for flags in ((*FLAGS, *OF_THIS_PROCESSOR), FLAGS):
            why = _run([*compiler, *flags, str(source), "-o", str(made)])
            if why is None and made.exists():
                break
        else:
            raise PlanError(
                f"the compiler {visible(compiler[0])} failed: {visible(why or 'it made no file')}"
            )
        hashed.write_bytes(_hash(made))
        path.with_suffix(".sha256").unlink(missing_ok=True)  # a library without a hash is never loaded
        made.replace(path)
        hashed.replace(path.with_suffix(".sha256"))


def _run(command: list[str]) -> str | None:
    """Run a compiler with all that it starts; return the error that it tells of if it fails. Raises: PlanError"""
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        ) as process:  # fmt: skip
            try:
                said = process.communicate(timeout=MOST_SECONDS)[1].decode("utf-8", "replace")
            except BaseException:
                _stop(process)
                raise
    except subprocess.TimeoutExpired as error:
        raise PlanError(
            f"the compiler {visible(command[0])} was not done after {MOST_SECONDS:g} seconds"
        ) from error
    except OSError as error:
        raise PlanError(f"the compiler {visible(command[0])} cannot be run: {visible(error)}") from error
    if not process.returncode:
        return None
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next(
        (line for line in lines if "error" in line), lines[0] if lines else f"exit code {process.returncode}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a compiler and what it has started: the driver alone would leave the compiler proper at work."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _mark_used(path: Path) -> None:
    """Write down that a library is loaded now, as the time of the hash beside it."""
    with contextlib.suppress(OSError):
        os.utime(path.with_suffix(".sha256"))


def _remove_unused(folder: Path) -> None:
    """Remove libraries, of older sources mostly, that nobody has loaded for long; a process that has goes on with its own.

    The hash goes first: a library without one is never loaded.
    """
    for hashed in folder.glob("*.sha256"):
        with contextlib.suppress(OSError):
            if _NAME.fullmatch(hashed.stem) and time.time() - hashed.stat().st_mtime > UNUSED_SECONDS:
                hashed.unlink()
                hashed.with_suffix(".so").unlink()


def _remove_remains(folder: Path) -> None:
    """Remove what a killed process has left: folders older than any compiler at work."""
    for left in folder.glob(f"{_MAKING}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 2 * MOST_SECONDS:
                shutil.rmtree(left)
