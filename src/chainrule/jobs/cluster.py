"""A cluster of Ray: connecting to it, or starting one here to try it out; always with a token, and what can go wrong in words.

Ray pickles what it sends between its processes. What chainrule hands it is JSON, NumPy arrays and numbers, but whoever has
the token of a cluster can run programs on it (SECURITY.md).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chainrule.core.errors import RunError, SettingError, StorageError, missing_extra
from chainrule.core.text import visible
from chainrule.jobs.cluster_task import START, look_around, why_not_there

LOCAL = "local"
WAIT_SECONDS = 5.0  # for an address to answer
CONNECTS = 3  # tries to connect; Ray's own twenty take minutes
PROBE_SECONDS = 180.0  # for a machine to start its first worker
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Cluster:
    """A cluster that this process is connected to. A worker is a core: it trains one group of networks at a time."""

    def __init__(self, address: str, ray: Any) -> None:
        self.address = address
        self.ray = ray

    @property
    def workers(self) -> int:
        """How many cores the cluster has now."""
        return int(self.ray.cluster_resources().get("CPU", 0))


def check_address(address: str) -> None:
    """Refuse what is no address, or cannot be used without Ray. Raises: SettingError; MissingExtraError"""
    if address != LOCAL and not re.fullmatch(r"[^\s:/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", address):
        raise SettingError(
            f"--cluster takes HOST:PORT, as ray start prints it, or {LOCAL} to start workers on this machine; got "
            f"{visible(address)!r}"
        )
    if importlib.util.find_spec("ray") is None:
        raise missing_extra("ray", "cluster", "--cluster")


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Cluster | None]:
    """Be connected to a cluster inside the block; without an address there is none.

    Raises: SettingError for an address where none answers, a token that is missing or wrong, versions that differ
    """
    if address is None:
        yield None
        return
    check_address(address)
    if address != LOCAL:
        _knock(address)
    _prepare_token(address)
    ray = _import_ray(address)
    with contextlib.ExitStack() as stack:
        with _handlers_kept():
            _connect(ray, address, stack)
        cluster = Cluster(address, ray)
        check_workers(cluster, look_around())
        yield cluster


def _knock(address: str) -> None:
    """See that something listens, which Ray itself would wait for much longer."""
    try:
        socket.create_connection((_host(address), int(address.rpartition(":")[2])), WAIT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SettingError(
            f"no cluster answers at {address} ({error}); start one with: {START}, or take --cluster {LOCAL}"
        ) from error


def _prepare_token(address: str) -> None:
    """See that there is a token; workers that are started here may have a new one, which nobody else can read."""
    kept = Path.home() / ".ray" / "auth_token"
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH") or kept.is_file():
        return
    if address != LOCAL:
        raise SettingError(
            f"the cluster at {address} asks for its token, and there is none here: put it into {kept} or into the variable "
            "RAY_AUTH_TOKEN (on a machine of the cluster: ray get-auth-token)"
        )
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except OSError as error:
        raise StorageError(
            f"the token of workers on this machine cannot be kept in {kept}: {error}"
        ) from error


def _import_ray(address: str) -> Any:
    """Import Ray with token authentication on, and for workers on this machine with nothing reachable from outside."""
    if "ray" in sys.modules and os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        raise SettingError(
            "Ray was imported in this process without token authentication; set RAY_AUTH_MODE=token before it is imported, or "
            "run chainrule tune as a command"
        )
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", str(CONNECTS))
    if _is_here(address):  # else Ray takes an address that other machines can reach, and listens there
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    ray: Any = importlib.import_module("ray")
    if ray.is_initialized():
        raise SettingError("this process is connected to a cluster of Ray already; call ray.shutdown() first")
    return ray


def _connect(ray: Any, address: str, stack: contextlib.ExitStack) -> None:
    """Connect, until the stack is left. Workers that are started here have sockets and logs in a folder of their user alone."""
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address == LOCAL:
        around = stack.enter_context(_own_folder())
        options |= {"num_cpus": os.cpu_count(), "include_dashboard": False, "_temp_dir": f"{around}/ray"}
    stack.callback(ray.shutdown)
    try:
        made = ray.init(address, **options)
    except Exception as error:  # Ray raises its own, those of Python, and bare ones
        raise SettingError(f"{_called(address)} cannot be used: {_said(error.__cause__ or error)}") from error
    if address == LOCAL and made.address_info["node_ip_address"] not in LOOPBACK:
        raise SettingError(
            f"Ray would listen beyond this machine, at {made.address_info['node_ip_address']}; start chainrule in a process that "
            "has not imported Ray"
        )


def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that only its user can enter. Ray opens its own to everybody, so that is one inside it."""
    place = "/tmp" if os.name == "posix" else None  # a socket's path may be no longer than a hundred letters
    return tempfile.TemporaryDirectory(prefix="chainrule-", dir=place, ignore_cleanup_errors=True)


def check_workers(cluster: Cluster, here: Mapping[str, str]) -> None:
    """See that every machine of a cluster can train what is asked for here. Raises: SettingError naming the machine"""
    ray = cluster.ray
    if cluster.workers < 1:
        raise SettingError(f"{_called(cluster.address)} has no CPU to train on")
    looking = ray.remote(num_cpus=0, max_retries=0)(look_around)
    affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        looking.options(scheduling_strategy=affinity(node["NodeID"], soft=False)).remote() for node in nodes
    ]
    for node, answer in zip(nodes, asked, strict=True):
        name = f"the machine {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        try:
            there = ray.get(answer, timeout=PROBE_SECONDS)
        except ray.exceptions.RayError as error:
            raise SettingError(
                f"{name} cannot run chainrule: {_said(error)}; install chainrule {here['chainrule']} there as here"
            ) from error
        refusal = why_not_there(there, here)
        if refusal:
            raise SettingError(f"{name} {refusal}")


def _is_here(address: str) -> bool:
    return address == LOCAL or _host(address) in LOOPBACK


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _called(address: str) -> str:
    return "a cluster on this machine" if address == LOCAL else f"the cluster at {address}"


def _said(error: BaseException) -> str:
    """Return the last line of what Ray says, which is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return visible(lines[-1] if lines else type(error).__name__)


def failed(error: Any) -> RunError:
    """Return the error for a group of networks that could not be trained at all."""
    return RunError(f"a worker of the cluster could not train: {_said(error)}")


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Keep how this process answers signals: Ray takes SIGTERM for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
