"""A search on the workers of a Ray cluster: the same bits as on one machine, whatever becomes of workers and of the search."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.core.errors import MissingExtraError, SettingError
from chainrule.jobs import cluster as cluster_module
from chainrule.jobs.cluster import check_address
from chainrule.jobs.cluster_run import ClusterRun
from chainrule.jobs.cluster_task import why_not_there
from chainrule.jobs.events import Said, SearchFinished, SearchOpened
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.request import Request
from chainrule.jobs.search_folder import SearchFolder, find_search
from chainrule.jobs.search_request import SearchRequest
from chainrule.jobs.tune import Tuned, run_tune
from chainrule.train.settings import Settings

TOKEN = "a-token-that-only-this-test-knows-00"
HAS_RAY = importlib.util.find_spec("ray") is not None  # not imported: its settings are read when it is
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed (extra cluster)")
SPACE = {
    "learning_rate": [0.03, 0.003],
    "dropout": [0.0, 0.2],
    "hidden": [[16], [13, 8]],
    "normalisation": [None, "batch"],
}


def environment(**more: str) -> dict[str, str]:
    """As a user has it who was given the token, on a machine that only listens to itself."""
    ours = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    slow = {"RAY_DASHBOARD_STARTUP_TIMEOUT_S": "240"}  # it starts, small, even where none is asked for
    return {**os.environ, **ours, **slow, **more}


@pytest.fixture(scope="module")
def ray() -> Iterator[tuple[str, int]]:
    """The address of a Ray of two workers on this machine, and the process at its head."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--node-ip-address=127.0.0.1", f"--port={port}",
        "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats", "--block",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment().items():
            patch.setenv(name, value)
        head = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert head.stdout is not None
            said = []
            for line in head.stdout:
                said.append(line)
                if "will now block" in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield f"127.0.0.1:{port}", head.pid
        finally:
            head.terminate()
            head.wait(60)
            head.stdout.close()


def tune(runs: Path, **options: Any) -> Tuned:
    chosen = {
        "model": "mlp",
        "method": "grid",
        "epochs": 6,
        "folds": 3,
        "quiet": True,
        "runs": runs,
        **options,
    }
    return cr.tune("iris", space=chosen.pop("space", SPACE), **chosen)


def shown(found: SearchFolder) -> list[Any]:
    """All that a search kept of its networks, and the weights of the winner."""
    with closing(sqlite3.connect(found.store)) as store:
        rows = store.execute("SELECT * FROM networks ORDER BY trial, fold, rung").fetchall()
    return [*rows, (found.run.path / "model.safetensors").read_bytes()]


def workers_at_work(head: int) -> list[int]:
    """The processes below the head of a Ray that train a group, by the name that they give themselves then."""
    names: dict[int, str] = {}
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            names[int(path.name)] = (path / "cmdline").read_text(errors="replace")
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue

    def is_below(process: int) -> bool:
        return process == head or (process in parents and is_below(parents[process]))

    return [one for one, name in names.items() if name.startswith("ray::train_group") and is_below(one)]


@needs_ray
@pytest.mark.slow
def test_a_cluster_gives_the_bits_of_one_machine_also_where_a_worker_is_killed(
    tmp_path: Path, ray: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks in stacks and alone, with noise of their own; each is there once, and so is the winner."""
    killed: list[int] = []
    train = ClusterRun.train

    def spied(self: ClusterRun, epochs: int | None = None) -> Iterator[int]:
        for made in train(self, epochs):
            for process in [] if killed else workers_at_work(ray[1])[:1]:
                os.kill(process, signal.SIGKILL)
                killed.append(process)
            yield made

    monkeypatch.setattr(ClusterRun, "train", spied)
    request = Request(data="iris", settings=Settings(model="mlp", epochs=20), runs=tmp_path, name="there")
    search = SearchRequest(fit=request, space=SPACE, method="grid", folds=3, cluster=ray[0])
    events = list(run_tune(search))
    assert killed
    assert any(isinstance(one, Said) and one.text.startswith("a worker was lost; the ") for one in events)
    assert next(one.workers for one in events if isinstance(one, SearchOpened)) == 2
    there = shown(find_search(Path("there"), tmp_path))
    assert there == shown(tune(tmp_path, epochs=20, deterministic=True).folder)
    assert len({row[:2] for row in there[:-1]}) == len(there[:-1]) == 48
    assert next(one.networks for one in events if isinstance(one, SearchFinished)) == 48


@needs_ray
@pytest.mark.slow
def test_halving_on_a_cluster_goes_through_the_same_rungs(tmp_path: Path, ray: tuple[str, int]) -> None:
    there = tune(tmp_path, method="halving", cluster=ray[0])
    here = tune(tmp_path, method="halving", deterministic=True)
    assert shown(there.folder) == shown(here.folder) and there.best == here.best


@needs_ray
@pytest.mark.slow
def test_a_search_whose_driver_is_killed_goes_on_by_its_folder(tmp_path: Path, ray: tuple[str, int]) -> None:
    """On the cluster again, with the result of a search that nobody touched; also without the cluster."""
    space = tmp_path / "space.json"
    space.write_text('{"learning_rate": [0.01, 0.001], "hidden": [[8], [16], [32]], "batch_size": [8, 16]}')
    runs = tmp_path / "runs"
    command = [
        sys.executable, "-m", "chainrule", "tune", "iris", "--model", "mlp", "--space", str(space), "--method", "grid",
        "--folds", "3", "--epochs", "40", "--runs", str(runs), "--name", "killed", "--quiet", "--cluster", ray[0],
    ]  # fmt: skip
    driver = subprocess.Popen(command, env=environment())
    folder = SearchFolder(RunFolder(runs / "killed"))
    while driver.poll() is None and not kept(folder):
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    before = kept(folder)
    assert before and not (runs / "killed" / "recipe.json").exists()
    found = cr.tune(resume=runs / "killed", runs=runs, cluster=ray[0], quiet=True)
    whole = cr.tune(
        "iris", model="mlp", space=space, method="grid", folds=3, epochs=40, runs=runs, deterministic=True, quiet=True
    )  # fmt: skip
    assert shown(found.folder) == shown(whole.folder) and before < found.networks == 36


def kept(folder: SearchFolder) -> int:
    """How many networks a search has on disk."""
    try:
        with closing(sqlite3.connect(f"file:{folder.store}?mode=ro", uri=True)) as store:
            return int(store.execute("SELECT count(*) FROM networks").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@needs_ray
@pytest.mark.slow
def test_a_wrong_token_is_refused_in_a_sentence(tmp_path: Path, ray: tuple[str, int]) -> None:
    command = [sys.executable, "-m", "chainrule", "tune", "iris", "--model", "mlp", "--cluster", ray[0]]
    done = subprocess.run(
        command, env=environment(RAY_AUTH_TOKEN="another"), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and f"chainrule: the cluster at {ray[0]} cannot be used: " in done.stderr
    assert "token" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


@needs_ray
@pytest.mark.slow
def test_local_starts_workers_that_nothing_outside_reaches(tmp_path: Path) -> None:
    """In a process of its own, and an empty home: the token is made for it, and nobody else can read it."""
    script = (
        "from pathlib import Path\n"
        "from chainrule.jobs.cluster import connected\n"
        "with connected('local') as cluster:\n"
        "    host, port = cluster.ray.get_runtime_context().gcs_address.rsplit(':', 1)\n"
        "    mine = [p for p in Path('/tmp').glob('chainrule-*') if (p / 'ray' / 'session_latest').exists()]\n"
        "    print(host, cluster.workers, *(f'{p}:{p.stat().st_mode & 0o777:o}' for p in mine))\n"
    )
    env = environment(HOME=str(tmp_path))
    del env["RAY_AUTH_TOKEN"], env["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    host, workers, folder = done.stdout.split()
    assert host == "127.0.0.1" and int(workers) == os.cpu_count()
    assert folder.endswith(":700") and not Path(folder.split(":")[0]).exists()
    token = tmp_path / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600 and len(token.read_text()) == 64


def test_what_is_no_address_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    for wrong in ("here", "ray://head:10001", "head", "head:"):
        with pytest.raises(SettingError, match="--cluster takes HOST:PORT, as ray start prints it, or local"):
            cr.tune(tmp_path / "missing.csv", cluster=wrong, quiet=True)


@needs_ray
def test_an_address_where_nobody_listens_is_named(tmp_path: Path) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(
            SettingError, match=rf"no cluster answers at 127\.0\.0\.1:{port} .*ray start --head"
        ):
            tune(tmp_path, cluster=f"127.0.0.1:{port}")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r"--cluster needs .*'ray'.*pip install 'chainrule\[cluster\]'"
    ):
        check_address("local")


@needs_ray
def test_without_a_token_the_sentence_says_where_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(
            SettingError, match=r"asks for its token, and there is none here: .*auth_token.*RAY_AUTH_TOKEN"
        ):
            tune(tmp_path, cluster=f"127.0.0.1:{port}")


def test_a_machine_with_other_versions_or_no_token_is_refused() -> None:
    here = {"chainrule": "1.0", "torch": "2.13.0", "numpy": "2.4.6", "authentication": "token"}
    assert why_not_there(here, here) is None
    other = why_not_there({**here, "chainrule": "0.9", "torch": "2.12.0"}, here)
    assert (
        other is not None and "has chainrule 0.9, torch 2.12.0, this one chainrule 1.0, torch 2.13.0" in other
    )
    for mode in ("", "disabled"):
        said = why_not_there({**here, "authentication": mode}, here)
        assert said is not None and "runs Ray without a token" in said and "RAY_AUTH_MODE=token" in said
