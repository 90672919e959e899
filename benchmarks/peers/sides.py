"""Who takes part, what each needs, and how it works in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from .networks import Network


@dataclass(frozen=True)
class Side:
    """A name in the tables, the file of this folder that trains, and what it is called with."""

    name: str
    module: str
    packages: tuple[str, ...] = ("torch",)
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    is_dense_only: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that are not installed."""
        return tuple(package for package in self.packages if find_spec(package) is None)

    def load(self) -> ModuleType:
        return import_module(f"peers.{self.module}")


OURS = "chainrule"
JAX = ("jax", "optax")
JOBS = (
    Side("plain PyTorch loop, DataLoader", "plain_loop"),
    Side("index-batched PyTorch loop", "index_loop"),
    Side("Lightning", "lightning_peer", ("torch", "lightning")),
    Side("Keras 3 on torch", "keras_peer", ("keras", "torch"), {}, {"KERAS_BACKEND": "torch"}),
    Side("Keras 3 on JAX", "keras_peer", ("keras", "jax"), {}, {"KERAS_BACKEND": "jax"}),
    Side("skorch", "skorch_peer", ("torch", "skorch")),
    Side("scikit-learn MLPClassifier", "sklearn_peer", ("sklearn",), is_dense_only=True),
    Side("JAX, jit", "jax_peer", JAX),
    Side("JAX, scan", "jax_peer", JAX, {"scan": True}, is_dense_only=True),
)
STEPS = (
    Side("plain PyTorch", "plain_loop"),
    Side("plain PyTorch, fused optimizer", "plain_loop", ("torch",), {"fused": True}),
    Side("JAX, jit", "jax_peer", JAX),
    Side("JAX, scan", "jax_peer", JAX, {"scan": True}, is_dense_only=True),
)


def split_by_presence(
    sides: tuple[Side, ...], network: Network | None = None
) -> tuple[list[Side], dict[str, str]]:
    """Return the sides that can run here, and for each other one why it does not."""
    skipped = {side.name: f"{', '.join(side.missing)} not installed" for side in sides if side.missing}
    if network is not None and not network.is_dense:
        skipped |= {side.name: "dense layers alone" for side in sides if side.is_dense_only}
    return [side for side in sides if side.name not in skipped], skipped


def versions_of(sides: list[Side]) -> dict[str, str]:
    """Return the versions of the peers' packages."""
    packages = sorted({package for side in sides for package in side.packages})
    return {
        "scikit-learn" if package == "sklearn" else package: version(
            "scikit-learn" if package == "sklearn" else package
        )
        for package in packages
    }


def start_worker(
    script: str, arguments: list[str], threads: int, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start this benchmark again as a worker, on as many cores and with as many threads as every other."""
    variables = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), **environment}
    return subprocess.Popen(
        [sys.executable, script, *arguments, "--threads", str(threads)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **variables},
    )  # fmt: skip


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_to_cores(threads: int) -> None:
    """Let this process run on so many cores: JAX takes as many threads as it sees."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def heard(worker: subprocess.Popen[str]) -> dict[str, Any]:
    """Read lines of a worker up to the one that is meant for us. Raises: RuntimeError if it ends before"""
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise RuntimeError(f"a worker ended with code {worker.wait()}: {' '.join(map(str, worker.args))}")


def tell(**values: Any) -> None:
    """Say a worker's line."""
    print(json.dumps(values), flush=True)
