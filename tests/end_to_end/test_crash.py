"""What a crash can leave behind: every prefix of a run's writes loads the old checkpoint or the new."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chainrule.core import files
from chainrule.core.errors import RunError
from chainrule.jobs.fit import run_fit
from chainrule.jobs.request import Request
from chainrule.train.checkpoint import load_checkpoint
from chainrule.train.settings import Settings

CHECKPOINT = "checkpoint.safetensors"


@dataclass
class Disk:
    """A disk that remembers what is durable: content after fsync, names after fsync of the folder."""

    seen: dict[str, bytes] = field(default_factory=dict)  # names as a running program sees them
    synced: dict[str, bytes] = field(default_factory=dict)  # content that fsync has made durable, by name
    durable: dict[str, bytes] = field(default_factory=dict)  # names and content after a power cut

    def apply(self, operation: tuple) -> None:
        match operation:
            case ("open", name):
                self.seen[name] = b""
                self.synced[name] = b""
            case ("write", name, content):
                self.seen[name] += content
            case ("fsync", name):
                self.synced[name] = self.seen[name]
            case ("replace", old, new):
                self.seen[new] = self.seen.pop(old)
                self.synced[new] = self.synced.pop(old)
            case ("fsync folder",):
                self.durable = {name: self.synced[name] for name in self.seen}

    def after_kill(self) -> dict[str, bytes]:
        """The process is gone, the machine goes on."""
        return self.seen

    def after_power_cut(self) -> list[dict[str, bytes]]:
        """The machine is gone: names may be the old or the new ones, content only what was synced."""
        renamed = {name: self.synced[name] for name in self.seen}
        return [self.durable, renamed]


class Recorder:
    """Stands for `os` in core/files.py, does what it is asked, and keeps a list."""

    def __init__(self) -> None:
        self.operations: list[tuple] = []
        self._names: dict[int, str] = {}

    def __getattr__(self, name: str):
        return getattr(os, name)

    def open(self, path, flags, mode=0o777):
        descriptor = os.open(path, flags, mode)
        self._names[descriptor] = "" if Path(path).is_dir() else Path(path).name
        if flags & os.O_TRUNC:
            self.operations.append(("open", Path(path).name))
        return descriptor

    def write(self, descriptor, content):
        count = os.write(descriptor, content)
        if not self._names[descriptor].startswith(".lock"):
            self.operations.append(("write", self._names[descriptor], bytes(content[:count])))
        return count

    def fsync(self, descriptor):
        os.fsync(descriptor)
        name = self._names[descriptor]
        self.operations.append(("fsync", name) if name else ("fsync folder",))

    def replace(self, old, new):
        os.replace(old, new)  # noqa: PTH105
        self.operations.append(("replace", Path(old).name, Path(new).name))


@pytest.fixture(scope="module")
def operations(tmp_path_factory) -> list[tuple]:
    recorder = Recorder()
    patch = pytest.MonkeyPatch()
    patch.setattr(files, "os", recorder)
    settings = Settings(model="mlp", epochs=2, batch_size=32, device="cpu")
    request = Request(
        data="iris",
        settings=settings,
        model_settings={"hidden": (4,)},
        runs=tmp_path_factory.mktemp("runs"),
        checkpoint_seconds=0,
    )
    for _ in run_fit(request):
        pass
    patch.undo()
    return recorder.operations


def test_a_run_writes_syncs_and_renames(operations):
    renames = [o for o in operations if o[0] == "replace" and o[2] == CHECKPOINT]
    assert len(renames) >= 8  # 2 epochs of 4 updates, each saved, and the end


def test_every_prefix_of_the_writes_leaves_the_old_checkpoint_or_the_new(operations, tmp_path):
    disk, written, checked = Disk(), [], 0
    for operation in operations:
        if operation[0] == "replace" and operation[2] == CHECKPOINT:
            written.append(_step(disk.seen[operation[1]], tmp_path))
        disk.apply(operation)
        durable_before = written[-2:] if written else []
        for state in [disk.after_kill(), *disk.after_power_cut()]:
            if CHECKPOINT in state:
                step = _step(state[CHECKPOINT], tmp_path)
                assert step in durable_before, (
                    f"step {step} after {operation[:2]}, expected one of {durable_before}"
                )
                checked += 1
    assert checked > 50


def test_a_crash_never_leaves_a_renamed_file_without_its_content(operations, tmp_path):
    disk = Disk()
    for operation in operations:
        disk.apply(operation)
        for state in disk.after_power_cut():
            for name in ("recipe.json", "metrics.json", "history.csv", "model.safetensors", "report.html"):
                assert state.get(name) != b"", f"{name} is empty after {operation[:2]}"


def test_the_replay_would_notice_a_write_in_place(operations, tmp_path):
    """The check can fail: the same writes straight into the file, without the rename, leave it torn."""
    in_place = [
        tuple(CHECKPOINT if part == f".{CHECKPOINT}.new" else part for part in operation)
        for operation in operations
        if operation[0] != "replace"
    ]
    disk, torn = Disk(), 0
    for operation in in_place:
        disk.apply(operation)
        if CHECKPOINT in disk.after_kill():
            try:
                _step(disk.after_kill()[CHECKPOINT], tmp_path)
            except RunError:
                torn += 1
    assert torn > 0


def _step(content: bytes, folder: Path) -> int:
    path = folder / CHECKPOINT
    path.write_bytes(content)
    return load_checkpoint(path)[1]["step"]
