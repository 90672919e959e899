"""What the tests of `chainrule code` share: a table with something of everything, and running a script."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

CONFIG = Path(__file__).parents[2] / "pyproject.toml"


def houses(path: Path, rows: int = 160) -> Path:
    """Write a table with numbers, missing cells, truth values, categories and dates."""
    random = np.random.default_rng(0)
    area, rooms = random.uniform(30, 200, rows).round(1), random.integers(1, 7, rows)
    city, garden = random.choice(["Bern", "Basel", "Chur"], rows), random.choice(["yes", "no"], rows)
    sold = np.datetime64("2020-01-01") + random.integers(0, 1500, rows)
    age = [str(a) if a % 7 else "" for a in random.integers(0, 100, rows)]
    price = (2 * area + 10 * rooms + 40 * (city == "Bern") + random.normal(0, 15, rows)).round(1)
    columns = {
        "area": area,
        "rooms": rooms,
        "age": age,
        "city": city,
        "garden": garden,
        "sold": sold.astype(str),
    }
    pl.DataFrame({**columns, "price": price, "rent": (price / 30).round(2)}).write_csv(path)
    return path


def check_layout(script: str) -> None:
    """See that a script imports nothing of chainrule and is laid out as ruff wants it."""
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
            assert not any(name.startswith("chainrule") for name in names)
    for command in (["format", "--diff"], ["check", "--ignore", "T20"]):
        ruff = [
            sys.executable,
            "-m",
            "ruff",
            *command,
            "--config",
            str(CONFIG),
            "--stdin-filename",
            "script.py",
            "-",
        ]
        ended = subprocess.run(
            ruff, input=script, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def run_script(
    script: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Run a script here; returns the weights that it saved and the figures that it printed by part and name."""
    path = folder / "script.py"
    path.write_text(script, encoding="utf-8")
    threads = torch.get_num_threads()
    capsys.readouterr()
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    return load_file(folder / "script.safetensors"), dict(
        re.findall(r"^((?:train|validation|test) \S+): (\S+)$", printed, re.M)
    )
