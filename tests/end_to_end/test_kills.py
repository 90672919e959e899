"""SIGKILL, Ctrl-C, SIGTERM, a full disk, a second writer: real processes."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from kills import differences

CHAINRULE = [sys.executable, "-m", "chainrule"]
SLOW_FIT = [*CHAINRULE, "fit", "digits", "--epochs", "4000", "--set", "hidden=8", "--checkpoint-seconds", "0"]


def start(*arguments: str, **more) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        **more,
    )


def wait_for(process: subprocess.Popen[str], event: str) -> dict:
    for line in process.stdout:
        found = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"no {event}: {process.stderr.read()}")


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["plain", "dense"])
def test_killed_and_resumed_runs_have_the_bits_of_the_undisturbed_one(tmp_path, plan):
    """Killed in the fourth epoch, and again while it is resumed; checkpoints are written after every update."""
    command = [
        *CHAINRULE, "fit", "iris", "--model", "mlp", "--epochs", "12", "--patience", "12", "--plan", plan, "--set", "hidden=256,64",
        "--runs", str(tmp_path), "--checkpoint-seconds", "0", "--json", "--name",
    ]  # fmt: skip
    subprocess.run([*command, "undisturbed"], capture_output=True, check=True)
    resume = [*CHAINRULE, "fit", "--resume", str(tmp_path / "killed"), "--checkpoint-seconds", "0", "--json"]
    for epoch, arguments in ((3, [*command, "killed"]), (8, resume)):
        process = start(*arguments)
        while wait_for(process, "epoch")["epoch"] < epoch:
            pass
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    subprocess.run(resume, capture_output=True, check=True)
    assert differences(tmp_path / "undisturbed", tmp_path / "killed") == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_training_saves_and_says_how_to_resume(tmp_path, number, code):
    process = start(*SLOW_FIT, "--runs", str(tmp_path), "--json")
    run = wait_for(process, "start")["run"]
    wait_for(process, "epoch")
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code, err
    assert f"chainrule fit --resume {run}" in err
    assert "Traceback" not in err
    assert (Path(run) / "checkpoint.safetensors").exists()


def test_a_signal_while_reading_leaves_nothing(tmp_path):
    process = start(*SLOW_FIT, "--runs", str(tmp_path / "runs"), "--json")
    wait_for(process, "note")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [p for p in (tmp_path / "runs").glob("*") if p.name != ".cache"] == []


def test_a_signal_after_training_keeps_the_network_and_says_how_to_get_the_report(tmp_path):
    process = start(*CHAINRULE, "fit", "iris", "--runs", str(tmp_path), "--json")
    run = Path(wait_for(process, "start")["run"])
    for line in process.stdout:
        if "comparing" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 143, err
    assert "the network is trained and saved" in err and f"chainrule fit --resume {run}" in err
    before = (run / "checkpoint.safetensors").stat().st_mtime_ns
    resumed = subprocess.run(
        [*CHAINRULE, "fit", "--resume", str(run), "--quiet"], capture_output=True, text=True, check=True
    )
    assert resumed.stderr == ""
    assert (run / "report.html").exists() and (run / "metrics.json").exists()
    assert (run / "checkpoint.safetensors").stat().st_mtime_ns >= before
    assert (
        "--resume" not in (run / "report.html").read_text()
    )  # the command that gives the network is the first one


def test_a_signal_before_anything_is_imported_is_no_traceback(tmp_path):
    process = start(*CHAINRULE, "fit", "digits", "--runs", str(tmp_path))
    time.sleep(0.4)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode in (143, -signal.SIGTERM)
    assert "Traceback" not in err


def test_a_second_process_on_the_same_run_is_refused_and_a_kill_leaves_no_lock(tmp_path):
    first = start(*SLOW_FIT, "--runs", str(tmp_path), "--json")
    run = wait_for(first, "start")["run"]
    wait_for(first, "epoch")
    second = subprocess.run([*CHAINRULE, "fit", "--resume", run], capture_output=True, text=True)
    assert second.returncode == 2
    assert "is being written by another process" in second.stderr
    assert str(first.pid) in second.stderr
    first.kill()
    first.communicate()
    third = start(*CHAINRULE, "fit", "--resume", run, "--json")
    assert wait_for(third, "start")["step"] > 0
    third.kill()
    third.communicate()


def test_a_disk_that_fills_in_the_middle_of_a_checkpoint_leaves_the_earlier_one_whole(tmp_path):
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    run = tmp_path / "full"
    # The history in the checkpoint's header grows with the epochs until the file passes the limit.
    process = start(
        *CHAINRULE, "fit", "iris", "--epochs", "4000", "--batch-size", "105", "--set", "hidden=8", "--checkpoint-seconds", "0",
        "--runs", str(tmp_path), "--name", "full", "--json", preexec_fn=small_files,
    )  # fmt: skip
    out, err = process.communicate()
    assert process.returncode == 2, (out[-500:], err)
    assert "checkpoint.safetensors could not be written (file too large)" in err
    assert f"chainrule fit --resume {run}" in err
    from chainrule.train.checkpoint import load_checkpoint

    assert load_checkpoint(run / "checkpoint.safetensors")[1]["step"] > 10
    assert not (run / ".checkpoint.safetensors.new").exists()
