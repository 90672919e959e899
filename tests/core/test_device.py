"""Devices by name: what is there is given, what is not is said."""

from __future__ import annotations

import pytest
import torch

from chainrule.core.device import choose_device
from chainrule.core.errors import SettingError


@pytest.mark.parametrize(
    ("cuda", "mps", "kind"),
    [(False, False, "cpu"), (True, False, "cuda"), (True, True, "cuda"), (False, True, "mps")],
)
def test_auto_takes_the_fastest(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, kind: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == kind
    assert choose_device("cpu").type == "cpu"


def test_absent_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SettingError, match=r"finds no cuda device here \(usable: cpu\)"):
        choose_device("cuda")


def test_unknown_device() -> None:
    with pytest.raises(SettingError, match="--device takes auto, cpu, cuda, mps; got 'tpu'"):
        choose_device("tpu")
