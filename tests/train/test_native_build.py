"""The compiled library: made once, whole or not at all, in a folder of the user's own; without it all goes on."""

from __future__ import annotations

import ctypes
import fnmatch
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import chainrule
from chainrule.core.errors import PlanError, StorageError
from chainrule.jobs.entries import ALONE, AUTOGRAD, DENSE, NATIVE, compile_if_worth, possible_ways
from chainrule.train import native_build
from chainrule.train.native_build import find_compiler, is_compiled, library, why_no_library
from tests.jobs.test_population import entry

ROOT = Path(__file__).resolve().parents[2]
QUICK = '#ifndef ANSWER\n#define ANSWER 42\n#endif\nextern "C" int answer() { return ANSWER; }\n'
SCRIPT = """
import sys, time
from pathlib import Path
from chainrule.train import native_build
native_build.SOURCE = Path(sys.argv[1])
while len(sys.argv) > 2 and not Path(sys.argv[2]).exists():
    time.sleep(0.002)
print(native_build.why_no_library() or native_build.library().answer())
"""


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> Iterator[None]:
    native_build._known.clear()
    yield
    native_build._known.clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a source that is compiled at once; the folder of the library."""
    if os.name == "nt" or not any(map(shutil.which, native_build.COMPILERS)):
        pytest.skip("there is no C++ compiler on this machine, or compilers cannot be scripts")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    source = tmp_path / "quick.cpp"
    source.write_text(QUICK)
    monkeypatch.setattr(native_build, "SOURCE", source)
    return tmp_path / "cache" / "chainrule" / "native"


def again() -> ctypes.CDLL:
    native_build._known.clear()
    return library()


def compiler(tmp_path: Path, lines: str, monkeypatch: pytest.MonkeyPatch | None = None) -> Path:
    """Return a compiler that is a script: its last argument is the file that it has to write."""
    path = tmp_path / "cxx"
    path.write_text(f"#!/bin/sh\nfor made; do :; done\n{lines}\n")
    path.chmod(0o700)
    if monkeypatch:
        monkeypatch.setenv("CXX", str(path))
    return path


def libraries(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.iterdir())


def is_at_work(process: int) -> bool:
    """Whether a process computes: one that is dead but not yet buried does not."""
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() not in ("", "Z", "Z+")


# ---- compiled once


def test_it_is_compiled_once_and_kept_in_a_folder_of_the_users_own(cache: Path) -> None:
    assert not is_compiled()
    assert why_no_library() is None
    assert library().answer() == 42
    assert is_compiled() and libraries(cache) == [".sha256", ".so"]
    for folder in (cache, cache.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made = next(cache.glob("*.so")).stat()
    assert again().answer() == 42
    assert next(cache.glob("*.so")).stat() == made


def test_what_is_known_of_the_library_is_not_looked_up_again(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for every network of a search: files are read no more once it is loaded, or has failed."""
    looked: list[Path] = []
    whole = native_build._is_whole
    monkeypatch.setattr(native_build, "_is_whole", lambda path: looked.append(path) or whole(path))
    assert not is_compiled() and not is_compiled()
    assert len(looked) == 2, "another process may have made it"
    library()
    looked.clear()
    assert is_compiled() and looked == []
    native_build._known.clear()  # as in the next process, which finds it made
    assert is_compiled()
    looked.clear()
    assert is_compiled() and library().answer() == 42 and looked == []
    native_build._known.clear()
    path = compiler(tmp_path, "exit 1", monkeypatch)
    assert not is_compiled() and why_no_library() == f"the compiler {path} failed: exit code 1"
    looked.clear()
    assert not is_compiled() and looked == []


def test_source_compiler_and_options_each_have_a_library_of_their_own(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert library().answer() == 42
    native_build.SOURCE.write_text(QUICK.replace("42", "44"))
    native_build._known.clear()
    assert not is_compiled()
    assert again().answer() == 44
    monkeypatch.setenv("CXX", f"{find_compiler()[0]} -DANSWER=43")
    assert again().answer() == 43
    assert libraries(cache) == [".sha256"] * 3 + [".so"] * 3


def test_a_compiler_that_does_not_know_the_processor_compiles_for_any(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = find_compiler()[0]
    compiler(
        tmp_path,
        f'case "$*" in *=native*) echo "unknown processor" >&2; exit 1;; esac\nexec {real} "$@"',
        monkeypatch,
    )
    assert library().answer() == 42


def test_the_real_source_is_part_of_the_package() -> None:
    """A wheel takes from the folders of the package what pyproject.toml names, and Python files."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"][
        "package-data"
    ]["chainrule"]
    package = Path(chainrule.__file__).parent
    others = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert "train/native.cpp" in others and package / "train" / "native.cpp" == native_build.SOURCE
    assert [name for name in others if not any(fnmatch.fnmatch(name, p) for p in patterns)] == []


def test_libraries_that_nobody_loads_any_more_are_removed_when_one_is_made(cache: Path) -> None:
    """Those of older sources: one in use stays, as do files that are no libraries."""
    made = {}
    for answer in (40, 41, 43, 44):
        native_build.SOURCE.write_text(QUICK.replace("42", str(answer)))
        loaded = again()
        assert loaded.answer() == answer
        made[answer] = native_build._place(find_compiler(), native_build.SOURCE)
    others = [cache / "notes.sha256", cache / "notes.so", cache / f"{'0' * 32}.txt"]
    for path in (*others, *cache.glob("*.s*")):
        path.touch()
        long_ago = time.time() - native_build.UNUSED_SECONDS - 60
        os.utime(path, (long_ago, long_ago))
    native_build.SOURCE.write_text(QUICK.replace("42", "41"))
    assert again().answer() == 41, "which is use, and makes none"
    assert all(path.exists() for path in made.values())
    native_build.SOURCE.write_text(QUICK)
    assert again().answer() == 42
    assert [answer for answer, path in made.items() if path.exists()] == [41]
    assert all(path.exists() for path in others)
    assert len(libraries(cache)) == 2 * 2 + len(others)
    assert loaded.answer() == 44, "a process that has loaded one goes on with it"


# ---- only what was compiled here is loaded


@pytest.mark.parametrize("kept", ["changed", "truncated", "empty", "gone"])
def test_a_damaged_library_is_made_anew(cache: Path, kept: str) -> None:
    library()
    path = next(cache.glob("*.so"))
    whole = path.read_bytes()
    damaged = {
        "changed": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        "truncated": whole[:-100],
        "empty": b"",
    }
    path.unlink()  # the old file stays mapped
    if kept in damaged:
        assert damaged[kept] != whole
        path.write_bytes(damaged[kept])
    native_build._known.clear()
    assert not is_compiled()
    assert again().answer() == 42
    assert is_compiled() and len(path.read_bytes()) == len(whole)


@pytest.mark.parametrize("hashed", [None, b"", b"0" * 64, b"\xff\xfe\x00"])
def test_a_library_without_its_hash_is_never_loaded(
    cache: Path, hashed: bytes | None, tmp_path: Path
) -> None:
    """One that says 13 stands in its place: with another hash beside it, or none."""
    library()
    path = next(cache.glob("*.so"))
    foreign = tmp_path / "foreign.cpp"
    foreign.write_text(QUICK)
    command = [
        *find_compiler(),
        "-shared",
        "-fPIC",
        "-DANSWER=13",
        str(foreign),
        "-o",
        str(tmp_path / "foreign.so"),
    ]
    subprocess.run(command, check=True)
    assert ctypes.CDLL(str(tmp_path / "foreign.so")).answer() == 13
    (tmp_path / "foreign.so").replace(path)
    path.with_suffix(".sha256").unlink()
    if hashed is not None:
        path.with_suffix(".sha256").write_bytes(hashed)
    native_build._known.clear()
    assert not is_compiled()
    assert again().answer() == 42


def test_others_may_not_write_into_the_folder(cache: Path) -> None:
    library()
    cache.chmod(0o777)
    native_build._known.clear()
    assert not is_compiled()
    said = why_no_library()
    assert said is not None and "can be written by others (mode 777)" in said and "chmod 700" in said
    with pytest.raises(StorageError, match="can be written by others"):
        library()


def test_no_folder_can_be_made(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not is_compiled()
    assert (why_no_library() or "").startswith("the folder for cached files cannot be made: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(cache: Path) -> None:
    cache.mkdir(parents=True, mode=0o700)
    cache.parent.chmod(0o700)
    cache.chmod(0o500)
    assert (why_no_library() or "").startswith("the compiled library cannot be made or loaded: ")


def test_a_disk_that_is_full(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(native_build.tempfile, "TemporaryDirectory", no_room)
    assert (
        why_no_library()
        == "the compiled library cannot be made or loaded: [Errno 28] No space left on device"
    )


# ---- compilers that fail


def test_there_is_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CXX", "nothing-of-this-name")
    said = "there is no C++ compiler on this machine (c++, g++, clang++)"
    assert not is_compiled()
    assert why_no_library() == said
    with pytest.raises(PlanError) as raised:
        library()
    assert str(raised.value) == said


def test_networks_are_trained_another_way_without_a_compiler(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = entry("iris", (4,))
    found = replace(noisy, recipe=replace(noisy.recipe, model_settings={"hidden": (4,), "dropout": 0.0}))
    compile_if_worth([found])
    assert possible_ways(found) == (DENSE, AUTOGRAD, ALONE), "one small network does not pay for the compiler"
    compile_if_worth([found] * 10**5)
    assert possible_ways(found) == (NATIVE, DENSE, AUTOGRAD, ALONE)
    native_build._known.clear()
    monkeypatch.setenv("PATH", "/nowhere")
    assert possible_ways(found) == (DENSE, AUTOGRAD, ALONE)


@pytest.mark.slow
def test_a_search_goes_on_without_a_compiler(tmp_path: Path) -> None:
    """The real command, in a process that finds none."""
    command = ["tune", "iris", "--trials", "2", "--folds", "2", "--epochs", "3"]
    env = {**os.environ, "PATH": "/nowhere", "CXX": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", *command],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 trials of 2 networks" in done.stdout
    assert not list(tmp_path.glob("cache/chainrule/native/*.so"))


def test_a_compiler_that_fails_is_asked_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    path = compiler(
        tmp_path,
        f'echo asked >> {log}\necho "\n in function f:\n  error: out of \033[31mwords" >&2\nexit 1',
        monkeypatch,
    )
    said = [why_no_library() for _ in range(300)]
    assert set(said) == {f"the compiler {path} failed: error: out of \\x1b[31mwords"}
    assert len(log.read_text().split()) == 2  # for this processor, and for any
    for _ in range(3):
        with pytest.raises(PlanError, match="out of"):
            library()
    assert len(log.read_text().split()) == 2
    assert libraries(cache) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("exit 3", "exit code 3"),
        ("exit 0", "it made no file"),
        ("kill -9 $$", "exit code -9"),
        ('echo nonsense > "$made"', "cannot be made or loaded"),
    ],
)
def test_a_compiler_that_says_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, said: str
) -> None:
    compiler(tmp_path, lines, monkeypatch)
    assert said in (why_no_library() or "")


def test_a_compiler_that_cannot_be_run(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cxx"
    path.write_bytes(b"\x7fELF no program")
    path.chmod(0o700)
    monkeypatch.setenv("CXX", str(path))
    assert (why_no_library() or "").startswith(f"the compiler {path} cannot be run: ")


def test_a_compiler_that_hangs_is_killed_with_all_that_it_started(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_build, "MOST_SECONDS", 0.4)
    path = compiler(tmp_path, f"sleep 60 &\necho $! > {tmp_path}/proper\nwait", monkeypatch)
    began = time.monotonic()
    assert why_no_library() == f"the compiler {path} was not done after 0.4 seconds"
    assert time.monotonic() - began < 20
    proper = int((tmp_path / "proper").read_text())
    until = time.monotonic() + 10
    while is_at_work(proper) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_at_work(proper)
    assert libraries(cache) == []


def test_what_stands_in_for_a_compiler_on_a_mac_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/usr/bin/c++ opens a window where the developer tools are missing; xcode-select says whether they are."""
    monkeypatch.setattr(native_build.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(
        native_build.shutil, "which", lambda name: f"/usr/bin/{name}" if name == "c++" else None
    )
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for code in (2, 0):
        (tmp_path / "xcode-select").write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / "xcode-select").chmod(0o700)
        if code:
            with pytest.raises(PlanError, match="there is no C"):
                find_compiler()
    assert find_compiler() == ("/usr/bin/c++",)


# ---- other processes


def started(source: Path, *further: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(source), *map(str, further)], stdout=subprocess.PIPE, text=True
    )


def test_processes_that_compile_at_once_do_no_harm(cache: Path, tmp_path: Path) -> None:
    together = [started(native_build.SOURCE, tmp_path / "go") for _ in range(6)]
    time.sleep(0.5)
    (tmp_path / "go").touch()
    assert [process.communicate(timeout=60)[0] for process in together] == ["42\n"] * 6
    assert is_compiled() and libraries(cache) == [".sha256", ".so"]
    assert library().answer() == 42


def test_a_process_killed_while_it_compiles_leaves_nothing_that_is_loaded(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = compiler(tmp_path, f'echo half > "$made"\necho $$ > {tmp_path}/at_work\nsleep 60', monkeypatch)
    process = started(native_build.SOURCE)
    until = time.monotonic() + 30
    while not (tmp_path / "at_work").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    os.killpg(int((tmp_path / "at_work").read_text()), signal.SIGKILL)
    assert libraries(cache) == [""]  # the folder that it was at work in
    assert not is_compiled()
    path.write_text(f'#!/bin/sh\nexec {native_build.COMPILERS[0]} "$@"\n')
    assert again().answer() == 42
    assert libraries(cache) == ["", ".sha256", ".so"]  # it might be at work still
    left = next(cache.glob("making-*"))
    long_ago = time.time() - 3 * native_build.MOST_SECONDS
    os.utime(left, (long_ago, long_ago))
    assert again().answer() == 42
    assert libraries(cache) == [".sha256", ".so"]


def test_what_a_source_includes_is_part_of_it(cache: Path) -> None:
    header = native_build.SOURCE.with_name("answer.h")
    native_build.SOURCE.write_text('#include "answer.h"\nextern "C" int answer() { return ANSWER; }\n')
    for answer in (40, 41):
        header.write_text(f"#define ANSWER {answer}\n")
        assert again().answer() == answer
