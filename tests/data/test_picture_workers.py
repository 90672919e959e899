"""Worker processes: they decode what this process decodes, and none outlives its parent, however that ends."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule.core.errors import DataError, Interrupted
from chainrule.data import picture_workers
from chainrule.data.pictures import read_pictures
from tests.data.samples import pets, png_claiming, save


@pytest.mark.slow
def test_workers_decode_what_this_process_decodes(tmp_path):
    pets(tmp_path, count=20, size=(20, 30))
    save(tmp_path / "cat" / "z.jpg", size=(90, 70))
    save(tmp_path / "cat" / os.fsdecode(b"\xff.webp"), mode="RGBA", lossless=True)
    here = read_pictures(tmp_path, workers=0)
    there = read_pictures(tmp_path, workers=2)
    np.testing.assert_array_equal(here.array, there.array)
    assert here.notes == there.notes and here.fingerprint() == there.fingerprint()
    assert not children()


@pytest.mark.slow
def test_workers_report_bad_files(tmp_path):
    pets(tmp_path, count=20)
    (tmp_path / "cat" / "bad.png").write_bytes(png_claiming(100_000, 100_000))
    with pytest.raises(DataError, match=r"cat/bad\.png: claims 10,000,000,000 pixels"):
        read_pictures(tmp_path, workers=2)
    (tmp_path / "cat" / "bad.png").write_bytes(png_claiming(20, 20))
    with pytest.raises(DataError, match=r"cat/bad\.png: damaged or cut short"):
        read_pictures(tmp_path, workers=2)
    assert not children()


@pytest.mark.slow
def test_a_worker_that_dies_is_named_and_none_stays(tmp_path):
    pets(tmp_path, count=40)

    def kill_one(items, total, label):
        for number, item in enumerate(items):
            if number == 0:
                os.kill(children()[0], signal.SIGKILL)
            yield item

    with pytest.raises(
        DataError,
        match=r"the process that decoded the pictures from .*\.png to .*\.png ended \(exit status -9\)",
    ):
        read_pictures(tmp_path, workers=2, track=kill_one)
    assert not children()


@pytest.mark.slow
def test_a_stop_leaves_no_process(tmp_path):
    pets(tmp_path, count=40)

    def stop(items, total, label):
        for number, item in enumerate(items):
            if number == 20:
                raise Interrupted("stopped by Ctrl-C")
            yield item

    with pytest.raises(Interrupted):
        read_pictures(tmp_path, workers=2, track=stop)
    assert not children()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_script_without_a_guard_and_its_end(tmp_path, number):
    """A plain script may use workers; Ctrl-C ends it in silence, and nothing outlives it even when it is killed."""
    pets(tmp_path / "pets", count=40)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from chainrule.data.pictures import read_pictures
        def slowly(items, total, label):
            for item in items:
                print(label, flush=True)
                time.sleep(0.1)
                yield item
        print("started", flush=True)
        try:
            read_pictures(Path({str(tmp_path / "pets")!r}), workers=2, track=slowly)
        except KeyboardInterrupt:
            sys.exit("stopped")
        """)
    )
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stdout.readline().strip() for _ in range(3)]
        assert lines == ["started", "decoding pictures", "decoding pictures"]
        workers = children(process.pid)
        assert len(workers) == 2
        process.send_signal(number)
        errors = process.communicate()[1]
    assert errors.strip() == ("stopped" if number == signal.SIGINT else "")
    deadline = time.monotonic() + 20
    while any(is_alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_alive(worker) for worker in workers)


def children(parent=None):
    """Return the processes that stand below another, ended ones that nobody waited for among them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == (parent or os.getpid()):
            found.append(int(stat.parent.name))
    return sorted(found)


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_progress_passes_the_pictures_through(tmp_path):
    calls = []

    def track(items, total, label):
        calls.append((total, label))
        for item in items:
            calls.append("picture")
            yield item

    read_pictures(pets(tmp_path), track=track)
    assert calls == [(6, "decoding pictures"), *["picture"] * 6]


def test_few_pictures_start_no_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    assert len(read_pictures(pets(tmp_path))) == 6
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4), raising=False)
    assert picture_workers._worker_count(None, 199) == 0
    assert picture_workers._worker_count(None, 200) == 4
    assert picture_workers._worker_count(9, 20) == 2
