"""A checkpoint is ONE safetensors file: tensors by name, and the state as JSON in its header.

Every tensor has a CRC-32 in the header, checked when it is read, so that a damaged file is noticed and named.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from chainrule.core.errors import RunError
from chainrule.core.files import write_atomic
from chainrule.core.text import visible

FORMAT = "chainrule-checkpoint-1"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write tensors and state atomically. Raises: StorageError; the earlier checkpoint is then whole."""
    owned = _owned(tensors)
    sums = {name: _checksum(t) for name, t in owned.items()}
    header = {"format": FORMAT, "state": json.dumps(state, allow_nan=False), "crc32": json.dumps(sums)}
    header["seal"] = _seal(header)
    write_atomic(path, save(owned, header))


def packed(tensors: dict[str, Tensor]) -> bytes:
    """Return tensors as bytes, for another process: `safetensors.torch.load` reads them."""
    made: bytes = save(_owned(tensors))
    return made


def load_checkpoint(path: Path, *prefixes: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the state, and the tensors whose names begin with one of the prefixes (all without one).

    Raises: RunError naming the file, and the tensor where one is damaged
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise RunError(f"{path} is not a checkpoint of this version of chainrule")
            sums, state = json.loads(header["crc32"]), json.loads(header["state"])
            if header["seal"] != _seal(header) or sums.keys() != set(file.keys()):
                raise RunError(f"{path} is damaged: its header is not what was written")
            names = [n for n in file.keys() if not prefixes or n.startswith(prefixes)]  # noqa: SIM118
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise RunError(f"{path} is missing") from None
    except RunError:
        raise
    except (
        SafetensorError,
        OSError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise RunError(f"{path} is damaged: {visible(error)}") from error
    for name, tensor in tensors.items():
        if _checksum(tensor) != sums.get(name):
            raise RunError(f"{path} is damaged: the content of {name} is not what was written")
    return tensors, state


def _owned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that each own their memory, in order, as safetensors wants; tied weights are written twice and stay tied."""
    owned = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    seen: set[int] = set()
    for name, tensor in owned.items():
        place = tensor.untyped_storage().data_ptr()
        if place in seen or tensor.untyped_storage().nbytes() != tensor.nbytes:
            owned[name] = tensor.clone()
        seen.add(place)
    return owned


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a prefix, without it."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with a prefix before their names."""
    return {prefix + name: t for name, t in tensors.items()}


def _seal(header: dict[str, str]) -> str:
    return str(zlib.crc32((header["state"] + header["crc32"]).encode()))


def _checksum(tensor: Tensor) -> int:
    kind = zlib.crc32(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    if not tensor.numel():
        return kind
    return zlib.crc32(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data, kind)
