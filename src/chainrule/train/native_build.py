"""The library that native.cpp becomes on this machine: compiled once, kept in a folder of the user's own."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from chainrule.core.errors import PlanError, StorageError
from chainrule.core.processor import instruction_sets, processor_name
from chainrule.core.text import visible
from chainrule.core.user_cache import user_cache_folder

SOURCE = Path(__file__).with_name("native.cpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=gnu++17", "-O3", "-fno-math-errno", "-shared", "-fPIC")
OF_THIS_PROCESSOR = ("-mcpu=native",) if platform.machine() in ("arm64", "aarch64") else ("-march=native",)
MOST_SECONDS = 120  # for the compiler; it takes two


@functools.cache
def library() -> ctypes.CDLL:
    """Return the library, compiled now if this machine has none yet.

    Raises: PlanError where there is no compiler, or it fails; StorageError where there is no folder to keep it in
    """
    compiler = find_compiler()
    path = user_cache_folder("native") / f"{_digest(compiler)}.so"
    for _ in range(2):
        if not _is_whole(path):
            _compile(compiler, path)
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:  # damaged since: once more
            why = error
            path.unlink(missing_ok=True)
    raise PlanError(f"the compiled library cannot be loaded: {visible(why)}")


def why_no_library() -> str | None:
    """Say in words why there is no library, None if there is one."""
    try:
        library()
    except (PlanError, StorageError) as error:
        return str(error)
    return None


def find_compiler() -> str:
    """Return the path of a C++ compiler: $CXX, or the first on the path. Raises: PlanError"""
    asked = os.environ.get("CXX", "").split()
    for name in (*asked[:1], *COMPILERS):
        if found := shutil.which(name):
            return found
    raise PlanError(f"there is no C++ compiler on this machine ({', '.join(COMPILERS)})")


def _digest(compiler: str) -> str:
    """Return a name for what the library depends on: source, compiler and flags, processor."""
    compiled_by = Path(compiler).resolve()
    said = [
        SOURCE.read_text(), str(compiled_by), str(compiled_by.stat().st_mtime_ns), *FLAGS, *OF_THIS_PROCESSOR,
        processor_name(), *instruction_sets(),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(said).encode()).hexdigest()[:32]


def _is_whole(path: Path) -> bool:
    """Whether a library is there as the compiler left it: its hash stands beside it."""
    try:
        return path.with_suffix(".sha256").read_text() == hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return False


def _compile(compiler: str, path: Path) -> None:
    """Compile into a folder beside, and put the finished library and its hash in place. Raises: PlanError"""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "made.so"
        for flags in ((*FLAGS, *OF_THIS_PROCESSOR), FLAGS):
            command = [compiler, *flags, str(SOURCE), "-o", str(made)]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=MOST_SECONDS, errors="replace"
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise PlanError(f"the compiler {visible(compiler)} failed: {visible(error)}") from error
            if done.returncode == 0:
                break
        else:
            said = next(
                (line for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}"
            )
            raise PlanError(f"the compiler {visible(compiler)} failed: {visible(said)}")
        hashed = Path(folder) / "made.sha256"
        hashed.write_text(hashlib.sha256(made.read_bytes()).hexdigest())
        made.replace(path)
        hashed.replace(path.with_suffix(".sha256"))
