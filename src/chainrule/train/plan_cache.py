"""Plans that were measured on this machine before, in a folder of the user's own."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch

from chainrule.core.errors import ChainruleError
from chainrule.core.files import write_cache
from chainrule.core.processor import machine_name
from chainrule.core.typed_json import typed
from chainrule.core.user_cache import user_cache_folder
from chainrule.data.batches import Batches
from chainrule.train.objective import Objective
from chainrule.train.plan import Plan

FILE = "plans.json"
MOST_PLANS = 500
MOST_BYTES = 1 << 20


def key_of(objective: Objective, batches: Batches, about: dict[str, Any], version: str) -> str:
    """Return the name under which a plan is kept: model, task, shape of a batch, what is done with gradients, machine."""
    row, targets = batches.inputs[:1], batches.targets
    loss = objective.task.loss
    said = [
        repr(objective.model),
        [(name, list(p.shape), str(p.dtype)) for name, p in objective.named_parameters()],
        getattr(loss, "name", type(loss).__name__),
        [batches.batch_size, list(row.shape), str(row.dtype), list(targets.shape[1:]), str(row.device)],
        about,
        [machine_name(), torch.__version__, version],
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def find(key: str) -> Plan | None:
    """Return the plan that is kept under a name; None where there is none, or the file cannot be used."""
    try:
        kept = _read()[key]
        plan: Plan = typed(Plan, kept)
    except (ChainruleError, OSError, ValueError, LookupError, TypeError):
        return None
    return plan


def keep(key: str, plan: Plan) -> str:
    """Keep a plan for the next run of the same job, and say in words why not where that fails."""
    return _change(key, plan)


def drop(key: str) -> str:
    """Forget a plan; the next run of the job measures anew."""
    return _change(key, None)


def _change(key: str, plan: Plan | None) -> str:
    try:
        kept = _read()
    except (OSError, ValueError, TypeError, ChainruleError):
        kept = {}
    kept.pop(key, None)
    if plan is not None:
        kept[key] = plan.to_json()
    try:
        write_cache(_path(), dict(list(kept.items())[-MOST_PLANS:]))
    except (ChainruleError, OSError) as error:
        return f"the plan is not kept for later runs: {error}"
    return ""


def _read() -> dict[str, Any]:
    path = _path()
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise ValueError(f"{path} is too large")
        return dict(json.loads(file.read()))


def _path() -> Path:
    return user_cache_folder("plans") / FILE
