"""`chainrule code` as a user has it: the command, and its script in a process where chainrule cannot be imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.jobs.scripts import houses

WITHOUT = """
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "chainrule":
            raise ModuleNotFoundError("chainrule is not here")

sys.meta_path.insert(0, Absent())
runpy.run_path(sys.argv[1], run_name="__main__")
assert "chainrule" not in sys.modules
"""


def command(*arguments: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, env=environment, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_script_needs_no_chainrule(tmp_path: Path) -> None:
    houses(tmp_path / "houses.csv")
    command(
        "-m",
        "chainrule",
        "fit",
        "houses.csv",
        "--target",
        "price",
        "--epochs",
        "3",
        "--name",
        "h",
        "-q",
        folder=tmp_path,
    )
    said = command("-m", "chainrule", "code", "h", "--output", "h.py", folder=tmp_path)
    script = (tmp_path / "h.py").read_text("utf-8")
    assert said == f"{len(script.splitlines())} lines in h.py\n"
    assert command("-m", "chainrule", "code", "runs/h", folder=tmp_path) == script
    printed = command("-c", WITHOUT, "h.py", folder=tmp_path)
    run = tmp_path / "runs" / "h"
    wanted = {
        n.removeprefix("model/"): t
        for n, t in load_file(run / "model.safetensors").items()
        if n.startswith("model/")
    }
    found = load_file(tmp_path / "h.safetensors")
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]["test"]
    figures = dict(re.findall(r"^test (\S+): (\S+)$", printed, re.M))
    assert figures == {name: f"{metrics[name]:.6g}" for name in ("loss", "r2", "mae", "rmse")}
