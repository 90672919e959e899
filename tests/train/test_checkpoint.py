"""The checkpoint file: what goes in comes out, bit for bit, and damage anywhere is noticed and named."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from chainrule.core.errors import RunError
from chainrule.train.checkpoint import load_checkpoint, part, save_checkpoint, under

STATE = {"step": 7, "history": [{"epoch": 1, "train_loss": 0.1}], "best_loss": None, "text": "größer"}


def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 8, generator=generator)
    return {
        "model/weight": torch.randn(5, 3, generator=generator),
        "model/half": torch.randn(4, generator=generator).bfloat16(),
        "model/double": torch.randn(4, generator=generator, dtype=torch.float64),
        "model/count": torch.tensor(3),
        "model/flags": torch.tensor([True, False, True]),
        "model/empty": torch.zeros(0, 4),
        "model/special": torch.tensor([math.inf, -math.inf, math.nan, -0.0, 1e-45]),
        "optimizer/transposed": base.T,
        "optimizer/slice": base[1:3, 2:4],
        "losses": torch.arange(4.0),
    }


def bits(tensor: Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "checkpoint.safetensors"
    save_checkpoint(found, tensors(), STATE)
    return found


def test_what_goes_in_comes_out(path: Path) -> None:
    found, state = load_checkpoint(path)
    assert state == STATE
    assert found.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert (found[name].dtype, found[name].shape, bits(found[name])) == (
            tensor.dtype,
            tensor.shape,
            bits(tensor),
        ), name


def test_history_keeps_every_digit(tmp_path: Path) -> None:
    losses = [0.1, 1 / 3, 2.5e-308, 1.7976931348623157e308]
    save_checkpoint(tmp_path / "c", {}, {"history": losses})
    assert load_checkpoint(tmp_path / "c")[1]["history"] == losses


def test_reads_only_the_prefixes_asked_for(path: Path) -> None:
    found, state = load_checkpoint(path, "optimizer/", "losses")
    assert set(found) == {"optimizer/transposed", "optimizer/slice", "losses"}
    assert load_checkpoint(path, "nothing")[0] == {} and state == STATE


def test_tied_weights_are_written_for_each_name(tmp_path: Path) -> None:
    tied = torch.randn(3, 3)
    save_checkpoint(tmp_path / "c", {"a": tied, "b": tied, "c": tied.T, "d": tied[0]}, {})
    found, _ = load_checkpoint(tmp_path / "c")
    assert (
        torch.equal(found["a"], found["b"])
        and torch.equal(found["c"], tied.T)
        and torch.equal(found["d"], tied[0])
    )


def test_parameters_under_training_are_written_as_they_stand(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    save_checkpoint(tmp_path / "c", {"p": parameter}, {})
    parameter.data += 1
    found = load_checkpoint(tmp_path / "c")[0]["p"]
    assert found.tolist() == [1, 1] and not found.requires_grad


def test_is_a_safetensors_file_for_others(path: Path) -> None:
    assert torch.equal(load_file(path)["model/weight"], tensors()["model/weight"])


def test_state_must_be_finite(tmp_path: Path) -> None:
    """JSON has no NaN: what other programs could not read is not written."""
    with pytest.raises(ValueError, match="JSON compliant"):
        save_checkpoint(tmp_path / "c", {}, {"loss": math.nan})
    assert not (tmp_path / "c").exists()


def test_any_damaged_byte_of_the_tensors_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    begins = 8 + int.from_bytes(whole[:8], "little")
    assert len(whole) > begins + 300
    for place in range(begins, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=f"{path} is damaged: the content of (model|optimizer|losses)"):
            load_checkpoint(path)


def test_damage_to_the_header_never_passes_unseen(path: Path) -> None:
    """A flipped bit in the header gives an error that names the file, or the same content."""
    whole = path.read_bytes()
    begins = 8 + int.from_bytes(whole[:8], "little")
    changed = 0
    for place in range(0, begins, 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0x01
        path.write_bytes(damaged)
        try:
            found, state = load_checkpoint(path)
        except RunError as error:
            assert str(path) in str(error)
            continue
        changed += state != STATE or {k: bits(v) for k, v in found.items()} != {
            k: bits(v) for k, v in tensors().items()
        }
    assert changed == 0


@pytest.mark.parametrize("length", [0, 5, 8, 50, -1, -100])
def test_cut_short(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RunError, match=str(path)):
        load_checkpoint(path)


def test_missing_folder_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere is missing"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(RunError, match="is damaged"):
        load_checkpoint(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(RunError, match="is not a checkpoint of this version of chainrule"):
        load_checkpoint(tmp_path / "foreign")
    (tmp_path / "text").write_text(json.dumps({"step": 1}))
    with pytest.raises(RunError, match="text is damaged"):
        load_checkpoint(tmp_path / "text")


def test_parts_and_prefixes() -> None:
    found = under("model/", {"a": torch.zeros(1)})
    assert list(found) == ["model/a"]
    assert list(part({**found, "best/b": torch.zeros(1)}, "model/")) == ["a"]
