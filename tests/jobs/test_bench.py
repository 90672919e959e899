"""`bench` as users call it: from Python and from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.apps import cli
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.jobs import bench as bench_job
from chainrule.train import machine

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure briefly, with small matrices and arrays: the road is the same."""
    monkeypatch.setattr(machine, "ROUNDS_SECONDS", 0.01)
    monkeypatch.setattr(machine, "PRODUCT_SIDES", (32, 64))
    monkeypatch.setattr(machine, "MOST_ARRAY_BYTES", 1 << 20)
    monkeypatch.setattr(bench_job, "SECONDS", 0.1)


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


def test_a_step_of_the_default_network(tmp_path: Path) -> None:
    found = cr.bench(runs=tmp_path)
    assert found.title == "A training step on digits" and found.about.startswith("mlp, ")
    names = [part.name for part in found.step.parts]
    assert names[0] == "dense" and names[-1] == "other (Python, autograd)"
    assert {"activation", "loss", "update rule", "batch"} <= set(names)
    assert sum(part.seconds for part in found.step.parts) == pytest.approx(found.step.seconds)
    # 64-256-10 and the like: forward and weights' gradient for all layers, inputs' gradient for all but the first.
    weights = [
        p for p in cr.build("mlp", inputs=64, units=10, hidden=hidden_of(found)).parameters() if p.dim() == 2
    ]
    first, last = (p.numel() for p in weights)
    assert found.step.operations == 2 * found.step.rows * (2 * first + 3 * last)
    plain, dense, *_ = found.plans
    assert (plain.name, plain.times_plain, dense.name) == ("plain", 1.0, "dense")
    assert plain.seconds > 0 and dense.seconds > 0 and dense.times_plain != 1.0
    assert found.bound in found.sentence().lower()


def hidden_of(found: bench_job.Bench) -> tuple[int, ...]:
    """Return the width of the one hidden layer, from the number of parameters: 64 h + h + 10 h + 10."""
    parameters = int(found.about.split(" parameters")[0].split()[-1].replace(",", ""))
    return ((parameters - 10) // 75,)


def test_convolutions_and_a_plan_that_does_not_apply(tmp_path: Path) -> None:
    found = cr.bench("mnist-5k", model="lenet", settings={"batch_size": 16}, runs=tmp_path)
    convolution, pooling = found.step.named("convolution"), found.step.named("pooling")
    assert convolution is not None and pooling is not None and (convolution.calls, pooling.calls) == (2, 2)
    assert convolution.operations == 2 * 16 * (2 * 28 * 28 * 6 * 25 + 3 * 10 * 10 * 16 * 150)
    assert "Conv2d" in found.left_out["dense"] and {"plain", "channels-last"} <= {
        plan.name for plan in found.plans
    }
    assert "dense does not apply: layer 0 (Conv2d)" in str(found)


def test_module_of_ones_own_is_left_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 3))
    before = [p.clone() for p in model.state_dict().values()]
    state = torch.random.get_rng_state()
    found = cr.bench("iris", model=model, runs=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))
    assert torch.equal(state, torch.random.get_rng_state()), "nor is torch's global generator touched"
    assert {"normalisation", "activation", "dropout"} <= {part.name for part in found.step.parts}
    assert not [path for path in tmp_path.iterdir() if path.name != ".cache"], "nothing is kept"


def test_threads_are_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    cr.bench("iris", runs=tmp_path)
    assert torch.get_num_threads() == before


def test_command(chainrule: Run, tmp_path: Path) -> None:
    code, out, error = chainrule(
        "bench", "--data", "iris", "--set", "hidden=16", "--plan", "dense", "-o", "step.html"
    )
    assert (code, error) == (0, "")
    assert "products in bfloat16" in out and "GFLOP/s" in out and "bound" in out
    assert [line.split()[0] for line in out.splitlines() if line.endswith("×") and line.count("×") == 1][
        -2:
    ] == ["plain", "dense"]
    assert "dense,bfloat16" not in out
    page = (tmp_path / "step.html").read_text("utf-8")
    assert "A training step on iris" in page and page.count("<svg") == 2
    assert {path.name for path in tmp_path.iterdir()} <= {"step.html", "runs"}


def test_json(chainrule: Run) -> None:
    code, out, error = chainrule("bench", "--data", "iris", "--seed", 3, "--json")
    assert (code, error) == (0, "")
    values = json.loads(out)
    assert values["event"] == "bench" and values["bound"] in ("calls", "memory", "arithmetic")
    assert values["machine"]["float32"] > 0
    assert sum(p["forward"] + p["backward"] for p in values["step"]["parts"]) == pytest.approx(
        values["step"]["seconds"]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "lennet"), "did you mean 'lenet'?"),
        (("--data", "digitz"), "did you mean digits?"),
        (("--plan", "densee"), "dense"),
        (("--output", "step.pdf"), "--output takes a file ending in .html, .png, .svg, .json; got step.pdf"),
        (("--data", "mnist-5k", "--model", "lenet", "--plan", "dense"), "--plan dense does not apply: layer 0 (Conv2d)"),
        (("--device", "abacus"), "--device takes"),
    ],
)  # fmt: skip
def test_bad_input(
    arguments: tuple[str, ...], said: str, chainrule: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_job, "measurements", lambda device: pytest.fail("measured before looking"))
    code, out, error = chainrule("bench", *arguments)
    assert (code, out) == (2, "") and said in error


def test_errors_in_python(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="lenet"):
        cr.bench(model="lennet", runs=tmp_path)
    with pytest.raises(SettingError, match="--output takes a file ending in"):
        cr.bench("iris", runs=tmp_path).save(tmp_path / "step.txt")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['chainrule', 'bench', '--help']\n"
        "from chainrule.apps import cli\n"
        "assert cli.run() == 0\n"
        "sys.exit(bool({'torch', 'numpy', 'polars', 'sklearn'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "what a training step reaches" in " ".join(found.stdout.split())
