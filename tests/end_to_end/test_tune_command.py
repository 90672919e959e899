"""`chainrule tune` as users call it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainrule.apps import cli

SPACE = '{"learning_rate": {"low": 1e-3, "high": 3e-2, "log": true, "steps": 3}, "weight_decay": [0, 1e-4]}'


def tune(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "chainrule", "tune", *words], cwd=folder, capture_output=True, text=True, check=False)  # fmt: skip


@pytest.fixture
def tune_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process, in an empty folder."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["chainrule", "tune", *words])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        return cli.run(), *capsys.readouterr()

    return run


def lines_of(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_the_last_line_of_json_is_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "space.json").write_text(SPACE)
    words = ("iris", "--model", "mlp", "--space", "space.json", "--method", "grid", "--folds", "3", "--epochs", "4", "--batch-size", "16", "--set", "hidden=8", "--seed", "3")  # fmt: skip
    ended = tune(tmp_path, *words, "--json")
    assert ended.returncode == 0, ended.stderr
    *others, done = lines_of(ended)
    assert list(done) == ["event", "run", "best", "trials", "networks", "search_seconds", "metrics"]
    assert done["event"] == "done" and done["trials"] == 6 and done["networks"] == 18
    assert set(done["best"]) == {"settings", "score"} and set(done["best"]["settings"]) == {
        "learning_rate",
        "weight_decay",
    }
    assert 0 < done["metrics"]["test"]["accuracy"] <= 1 and done["search_seconds"] > 0
    trials = [line for line in others if line["event"] == "trial"]
    assert sorted(line["trial"] for line in trials) == list(range(6))
    assert max(line["score"] for line in trials) == done["best"]["score"]
    run = tmp_path / done["run"]
    assert (run / "search" / "report.html").stat().st_size > 10_000
    recipe = json.loads((run / "recipe.json").read_text())
    assert recipe["model_settings"]["hidden"] == [8] and recipe["settings"]["epochs"] == 4
    again = tune(tmp_path, "--resume", done["run"], "--json")
    assert lines_of(again)[-1]["best"] == done["best"]


def test_people_read_the_best_and_what_the_test_showed(
    tune_here: Callable[..., tuple[int, str, str]],
) -> None:
    words = ("iris", "--trials", "4", "--folds", "2", "--epochs", "2", "--set")
    code, out, error = tune_here(*words, "batch_size=32")
    assert code == 0, error
    assert "random search over" in out and "4 trials of 2 networks in" in out
    assert "test, on rows that the search never saw: accuracy" in out
    searched = out.split("search over")[1].split(":")[0]
    assert "learning_rate" in searched and "batch_size" not in searched


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("iris", "--space", "bad.json", "--model", "mlp"),
            "bad.json: no setting is called 'learning_rates'",
        ),
        (("iris", "--space", "absent.toml"), "there is no file absent.toml"),
        (("iris", "--method", "gird"), "no method is called 'gird'"),
        (("iris", "--folds", "70", "--model", "mlp"), "--folds 70 needs 70 different rows of every class"),
        (("iris", "--budget-seconds", "0.0001", "--model", "mlp"), "too short for one trial"),
        (("--resume", "nothing"), "there is no run at nothing"),
        (("iris", "--resume", "nothing"), "leave out DATA (iris)"),
        ((), "no data: name a built-in data set"),
    ],
)
def test_bad_input_ends_with_two_and_a_sentence(
    tmp_path: Path, tune_here: Callable[..., tuple[int, str, str]], words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "bad.json").write_text('{"learning_rates": [0.1]}')
    code, _, error = tune_here(*words)
    assert code == 2 and "Traceback" not in error and error.startswith("chainrule: ")
    assert message in error
