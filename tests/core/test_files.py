"""Files are whole or not there, whatever breaks; and a run has one writer, whoever dies."""

from __future__ import annotations

import array
import contextlib
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chainrule.core.errors import LockedError, StorageError
from chainrule.core.files import digest, lock, make_folder, write_atomic, write_cache, write_json

OLD, NEW = b"old content", bytes(range(256)) * 5000  # longer than one chunk of writing
CALLS = ("open", "write", "fsync", "close", "replace")


class Crash(BaseException):
    """The process is gone: nothing that catches errors sees it."""


def break_at(monkeypatch: pytest.MonkeyPatch, place: int, error: BaseException, after: bool) -> list[str]:
    """Make the `place`-th call that touches the disk fail, before or after it did its work. Returns the calls."""
    made: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            made.append(name)
            if len(made) == place + 1 and not after:
                raise error
            found = real(*arguments)
            if len(made) == place + 1:
                raise error
            return found

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, wrap(name, getattr(os, name)))
    return made


def disk_calls(folder: Path) -> list[str]:
    """Return the calls of one undisturbed write."""
    with pytest.MonkeyPatch.context() as patch:
        made = break_at(patch, -1, Crash(), after=False)
        write_atomic(folder / "probe", NEW)
    return made


def test_order_of_calls(tmp_path: Path) -> None:
    """Content reaches the disk before its name does, and the name before the write is called done."""
    made = disk_calls(tmp_path)
    assert made == ["open", "write", "write", "fsync", "close", "replace", "open", "fsync", "close"]


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("place", range(9))
def test_crash_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, after: bool
) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(OLD)
    with monkeypatch.context() as patch:
        break_at(patch, place, Crash(), after)
        with pytest.raises(Crash):
            write_atomic(path, NEW)
    replaced = place > 5 or (place == 5 and after)
    assert path.read_bytes() == (NEW if replaced else OLD)
    write_atomic(path, NEW)  # what the crash left behind is no obstacle, and is gone
    assert path.read_bytes() == NEW
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("place", [0, 1, 2, 3, 5, 7])
def test_disk_error_is_named_and_leaves_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(OLD)
    with monkeypatch.context() as patch:
        break_at(patch, place, OSError(errno.ENOSPC, "No space left on device"), after=False)
        with pytest.raises(StorageError) as caught:
            write_atomic(path, NEW)
    assert (
        str(caught.value)
        == f"{path} could not be written (no space left on device); what stands there is whole"
    )
    assert path.read_bytes() == (NEW if place > 5 else OLD)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"], "the unfinished file is cleared away"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, view: real(descriptor, bytes(view[:1000])))
        write_atomic(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


def test_views_of_any_type_are_written_whole(tmp_path: Path) -> None:
    numbers = array.array("d", range(300_000))
    write_atomic(tmp_path / "file", memoryview(numbers))
    assert (tmp_path / "file").read_bytes() == numbers.tobytes()


def test_empty_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"")
    assert (tmp_path / "file").read_bytes() == b""


def test_json(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"name": "größer", "list": [1, 2.5, None]})
    text = (tmp_path / "file").read_text("utf-8")
    assert json.loads(text) == {"name": "größer", "list": [1, 2.5, None]}
    assert "größer" in text and text.endswith("\n")


def test_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(NEW)
    assert digest(tmp_path / "file") == hashlib.sha256(NEW).hexdigest()


@contextlib.contextmanager
def folder_without_permission() -> Iterator[Path]:
    """A folder in which this process may not write; root, whom nothing stops, becomes nobody for the while."""
    with tempfile.TemporaryDirectory() as name:
        folder, is_root = Path(name), os.geteuid() == 0
        folder.chmod(0o555)
        if is_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_folder_without_permission() -> None:
    with folder_without_permission() as folder:
        with pytest.raises(StorageError, match=r"could not be written \(permission denied\)"):
            write_atomic(folder / "file", b"content")
        with pytest.raises(
            StorageError, match=r"cannot be created \(permission denied\); choose another with --runs"
        ):
            make_folder(folder / "runs" / "a")
        with (
            pytest.raises(StorageError, match=r"cannot be opened for writing \(permission denied\)"),
            lock(folder / ".lock", "the run"),
        ):
            pass


def test_make_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a", exist_ok=False)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="should be a folder, but a file of that name stands there"):
        make_folder(tmp_path / "file")
    with pytest.raises(StorageError, match="file"):
        make_folder(tmp_path / "file" / "below")


# ---- one writer at a time

HOLDER = """
import sys, time
from pathlib import Path
from chainrule.core.files import lock
with lock(Path(sys.argv[1]), "the run"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def another_process_holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def test_second_process_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with another_process_holding(path) as holder:
        with pytest.raises(LockedError) as caught, lock(path, "the run runs/a"):
            pass
        assert str(caught.value) == (
            f"the run runs/a is being written by another process (process {holder.pid}); wait for it, or stop it"
        )
        assert path.read_text() == f"{holder.pid}\n", "who was refused leaves the holder's name"


def test_killed_process_leaves_no_stale_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with another_process_holding(path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with lock(path, "the run"):
            assert path.read_text() == f"{os.getpid()}\n"


def test_ended_process_releases(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with another_process_holding(path) as holder:
        assert holder.stdin is not None
        holder.stdin.close()
        assert holder.wait() == 0
        with lock(path, "the run"):
            pass


def test_lock_is_released_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), lock(path, "the run"):
        raise ZeroDivisionError
    with lock(path, "the run"), pytest.raises(LockedError), lock(path, "the run"):
        pass


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with lock(path, "the run"):
        child = subprocess.Popen(
            [sys.executable, "-c", "print('up', flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=False,
        )
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
    try:
        with lock(path, "the run"):
            pass
    finally:
        child.communicate(b"\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot be copied on this system")
def test_a_copy_of_the_process_does_not_hold_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    (asleep, awake), (here, there) = os.pipe(), os.pipe()
    with lock(path, "the run"):
        child = os.fork()
        if not child:
            os.write(there, b"x")
            os.read(asleep, 1)
            os._exit(0)
        os.read(here, 1)
    try:
        with lock(path, "the run"):
            pass
    finally:
        os.write(awake, b"x")
        assert os.waitpid(child, 0)[1] == 0
        for descriptor in (asleep, awake, here, there):
            os.close(descriptor)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"there is no folder .*nowhere; make it first"):
        write_atomic(tmp_path / "nowhere" / "x.png", b"")
    assert not list(tmp_path.iterdir())


def test_what_can_be_made_again_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    write_cache(path, {"a": [1]})
    write_cache(path, {"a": [2]})
    assert json.loads(path.read_text()) == {"a": [2]}
    assert [each.name for each in tmp_path.iterdir()] == ["cache.json"]
    with pytest.raises(StorageError, match="could not be written"):
        write_cache(tmp_path / "nowhere" / "cache.json", {})
