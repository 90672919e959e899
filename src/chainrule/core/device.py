"""The device that a name means on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.core.errors import SettingError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; `auto` takes CUDA, then MPS, then the CPU.

    Raises: SettingError if this machine or this build of PyTorch has no such device
    """
    import torch

    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if has[kind]))
    if name not in has:
        raise SettingError(f"--device takes {', '.join(DEVICES)}; got {name!r}")
    if not has[name]:
        usable = ", ".join(kind for kind, there in has.items() if there)
        raise SettingError(
            f"--device {name}: PyTorch {torch.__version__} finds no {name} device here (usable: {usable})"
        )
    return torch.device(name)
