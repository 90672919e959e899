"""`lr-range` as users call it: from Python and from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.apps import cli
from chainrule.core.errors import SettingError

Run = Callable[..., tuple[int, str, str]]


def line(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return one input and a target on a noisy line: scaled, the loss has a second derivative of 2, as θ² has."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 1))
    return x, 3 * x[:, 0] + 1 + random.normal(0, 0.5, rows)


@pytest.fixture
def chainrule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in an empty folder."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        code = cli.run()
        return code, *capsys.readouterr()

    return run


@pytest.mark.curriculum("LRS-01")
def test_a_rate_contracts_or_diverges_on_a_parabola() -> None:
    """f = θ²: θ ← θ − α 2θ. A rate of 0.1 leaves 0.8 of θ at each update, 1.1 turns it to −1.2 of itself."""
    for rate, factor in ((0.1, 0.8), (1.1, -1.2)):
        theta = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
        rule = cr.optimizer("sgd", [theta], learning_rate=rate)
        seen = []
        for _ in range(5):
            theta.grad = None
            theta.square().sum().backward()
            rule.step()
            seen.append(theta.item())
        assert seen == pytest.approx([factor**k for k in range(1, 6)], rel=1e-9)


@pytest.mark.curriculum("LRS-02")
def test_too_low_good_and_too_high_rates(tmp_path: Path) -> None:
    found = cr.lr_range(
        line(),
        model="linear-regression",
        settings={"optimizer": "sgd", "batch_size": 16},
        runs=tmp_path,
    )
    assert [found.classify(rate) for rate in (1e-4, 0.1, 1.1)] == ["too low", "good", "too high"]
    assert found.suggestion is not None and found.classify(found.suggestion) == "good"
    assert not [path for path in tmp_path.iterdir() if path.name != ".cache"], "nothing trained is kept"
    losses = {}
    for rate in (1e-4, 0.1):
        run = cr.fit(
            line(), model="linear-regression", optimizer="sgd", batch_size=16, learning_rate=rate,
            schedule="constant", epochs=3, runs=tmp_path, quiet=True,
        )  # fmt: skip
        losses[rate] = run.history[-1]["train_loss"]
    assert losses[0.1] < 0.1 < 0.8 < losses[1e-4], "what it says of them is what training shows"
    text = str(found)
    assert "too low, many epochs would be needed" in text and "it rises: too high" in text


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "momentum"])
def test_the_suggestion_trains_at_least_as_well_as_the_default(optimizer: str, tmp_path: Path) -> None:
    settings = {"optimizer": optimizer}
    found = cr.lr_range("wine", settings=settings, runs=tmp_path)
    lowest = {}
    for rate in (None, found.suggestion):
        run = cr.fit("wine", optimizer=optimizer, learning_rate=rate, epochs=40, runs=tmp_path, quiet=True)
        lowest[rate] = min(row["validation_loss"] for row in run.history)
    assert lowest[found.suggestion] <= 1.05 * lowest[None]


def test_the_same_seed_gives_the_same_figures(tmp_path: Path) -> None:
    once, again, other = (
        cr.lr_range("iris", settings={"seed": seed}, steps=60, runs=tmp_path) for seed in (0, 0, 1)
    )
    assert once.values() == again.values() != other.values()


def test_module_and_loss_of_ones_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    before = [p.clone() for p in model.parameters()]
    found = cr.lr_range("iris", model=model, loss=nn.functional.cross_entropy, steps=100, runs=tmp_path)
    assert found.suggestion is not None
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert found.next() == "", "what was handed over has no command"
    (axes,) = found.plot().axes
    assert axes.get_xscale() == "log"


def test_command(chainrule: Run, tmp_path: Path) -> None:
    code, out, error = chainrule(
        "lr-range",
        "iris",
        "--set",
        "hidden=16",
        "--batch-size",
        16,
        "--steps",
        150,
        "--output",
        "range.html",
    )
    assert (code, error) == (0, "")
    *_, suggestion, command, _, written = out.strip().splitlines()
    assert written == "written: range.html"
    rate = suggestion.removeprefix("Suggested learning rate: ").partition(",")[0]
    assert command == f"chainrule fit iris --batch-size 16 --set hidden=16 --learning-rate {rate}"
    assert out.startswith("mlp, 131 parameters, adamw, batches of 16: ")
    page = (tmp_path / "range.html").read_text("utf-8")
    assert command in page and "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert {path.name for path in tmp_path.iterdir()} <= {"range.html", "runs"}
    code, _, error = chainrule(*command.split()[1:], "--epochs", 3, "--quiet")
    assert (code, error) == (0, "")


@pytest.mark.parametrize("ending", [".svg", ".png", ".json"])
def test_files(ending: str, chainrule: Run, tmp_path: Path) -> None:
    code, _, error = chainrule("lr-range", "iris", "--steps", 60, "--output", f"range{ending}")
    assert (code, error) == (0, "")
    content = (tmp_path / f"range{ending}").read_bytes()
    if ending == ".png":
        assert content.startswith(b"\x89PNG")
    elif ending == ".svg":
        assert "learning rate" in "".join(ElementTree.fromstring(content).itertext())
    else:
        values = json.loads(content)
        assert len(values["rates"]) == len(values["losses"]) == len(values["smooth"]) <= 60


def test_json(chainrule: Run) -> None:
    code, out, _ = chainrule("lr-range", "iris", "--steps", 60, "--json")
    found = json.loads(out)
    assert code == 0 and found["event"] == "rate-range"
    assert found["good"][0] <= found["suggestion"] <= found["good"][1]


def test_data_that_say_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = (np.zeros((200, 2)) + random.normal(0, 1, (200, 2)), random.normal(size=200))
    found = cr.lr_range(
        data, model="linear-regression", settings={"optimizer": "sgd"}, highest=1e-3, runs=tmp_path
    )
    assert found.suggestion is None and found.next() == ""
    assert "No rate lowered the loss by more than batches differ." in str(found)


REFUSED = [
    (("--lowest", "-1"), "--lowest must be above 0; got -1"),
    (("--lowest", "0.1", "--highest", "0.5"), "--highest must be at least ten times --lowest, so 1; got 0.5"),
    (("--highest", "nan"), "--highest must be at least ten times --lowest"),
    (("--steps", "10"), "--steps must be at least 50, to tell rates apart; got 10"),
    (("--output", "range.pdf"), "--output takes a file ending in .html, .png, .svg, .json; got range.pdf"),
    (("--optimizer", "adm"), "no optimizer is called 'adm'; did you mean"),
    (("--set", "epoch=3"), "no setting is called 'epoch'; did you mean 'epochs'"),
    (("--set", "batch_size=-3"), "--batch-size must be at least 1; got -3"),
]


@pytest.mark.parametrize(("flags", "said"), REFUSED, ids=[" ".join(flags) for flags, _ in REFUSED])
def test_refused(flags: tuple[str, ...], said: str, chainrule: Run, tmp_path: Path) -> None:
    code, _, error = chainrule("lr-range", "iris", *flags)
    assert code == 2 and said in error and "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_a_lowest_rate_that_is_too_high_is_said(tmp_path: Path) -> None:
    found = cr.lr_range(line(), settings={"optimizer": "sgd"}, lowest=10, highest=1e4, runs=tmp_path)
    assert found.suggestion is None
    assert "The loss grew at once: 10 is too high already." in str(found)


def test_sentences_of_settings_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--lowest must be above 0"):
        cr.lr_range("iris", lowest=0, runs=tmp_path)
