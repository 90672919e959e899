"""Changes of training pictures: what they do, that they repeat, and that nothing else sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import chainrule as cr
from chainrule.catalog import AUGMENTATIONS, load
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.core.seeds import generator
from chainrule.data.augmentation import Augmentation, check_augmentation, crop, flip, flip_vertical, shift
from chainrule.data.batches import Batches


def pictures(count: int = 40, channels: int = 2, height: int = 16, width: int = 24) -> Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.curriculum("PRE-07")
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_and_label_stay_and_the_picture_changes(name: str) -> None:
    """Also the type, the values' range, and the picture that was handed over; each picture has a brightness of its own."""
    labels = torch.arange(40)
    x = 0.1 * pictures() + labels[:, None, None, None] / 50
    batches = Batches(x, labels, 40, augmentation=Augmentation([name]))
    before = x.clone()
    ((inputs, targets),) = batches.epoch(0)
    assert torch.equal(x, before) and torch.equal(targets, batches.order(0))
    assert inputs.shape == x.shape and inputs.dtype == x.dtype
    assert inputs.min() >= x.min() - 1e-6 and inputs.max() <= x.max() + 1e-6
    changed = [not torch.equal(inputs[i], x[label]) for i, label in enumerate(targets.tolist())]
    assert 10 <= sum(changed) <= 40
    brightness, own = inputs.mean((1, 2, 3)), x.mean((1, 2, 3))
    seen = (brightness[:, None] - own).abs().argmin(1)
    assert torch.equal(seen, targets), "what is shown is still what its label says"


@pytest.mark.parametrize(("change", "axis"), [(flip, -1), (flip_vertical, -2)])
def test_flips_mirror_every_second_picture(change, axis) -> None:
    x = pictures(400)
    found = change(x, generator(0))
    mirrored = (found == x.flip(axis)).flatten(1).all(1)
    assert (mirrored | (found == x).flatten(1).all(1)).all()
    assert 160 < int(mirrored.sum()) < 240


def test_shifts_move_whole_pixels_and_repeat_the_border() -> None:
    x = pictures(200, 1, 16, 24)
    found = shift(x, generator(0), 0.125)  # 2 of 16 rows, 3 of 24 columns
    seen = set()
    for before, after in zip(x[:, 0], found[:, 0], strict=True):
        ways = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-3, 4)
            if torch.equal(after, moved(before, dy, dx))
        ]
        assert len(ways) == 1
        seen.add(ways[0])
    assert len(seen) > 30, "of 5 × 7 ways"
    most = shift(x, generator(0), 0.5)
    assert not torch.equal(most, found)


def moved(picture: Tensor, dy: int, dx: int) -> Tensor:
    height, width = picture.shape
    rows = [min(max(i + dy, 0), height - 1) for i in range(height)]
    columns = [min(max(i + dx, 0), width - 1) for i in range(width)]
    return picture[rows][:, columns]


def test_crops_enlarge_a_part() -> None:
    """A ramp stays a ramp, flatter by the share of the side that is kept, and it lies within the picture."""
    ramp = torch.arange(32.0).expand(50, 1, 32, 32)
    found = crop(ramp, generator(0))
    slopes = found[:, 0, 0, 20] - found[:, 0, 0, 19]
    assert ((slopes >= 0.8 - 1e-4) & (slopes <= 1 + 1e-4)).all() and slopes.std() > 0.03
    assert found.min() >= 0 and found.max() <= 31
    assert found[:, 0, :, 5].std(1).max() < 1e-4, "rows are alike"
    smaller = crop(ramp, generator(0), 0.3)
    assert (smaller[:, 0, 0, 20] - smaller[:, 0, 0, 19]).min() < 0.5


def test_changes_are_functions_of_seed_member_epoch_and_batch() -> None:
    x = pictures(12)
    names = ["flip", "shift", "crop"]

    def drawn(seed: int = 0, member: int = 0, epoch: int = 0, batch: int = 0) -> Tensor:
        torch.seed()  # another each time, which nothing reads
        return Augmentation(names, seed=seed, member=member)(x, epoch, batch)

    first = drawn()
    assert torch.equal(first, drawn())
    for other in (drawn(seed=1), drawn(member=1), drawn(epoch=1), drawn(batch=1)):
        assert not torch.equal(first, other)


def test_a_change_that_is_added_leaves_the_draws_of_the_others() -> None:
    x = pictures(12)
    both = Augmentation(["shift:0.25", "flip"])(x, 3, 4)
    shifted = Augmentation(["shift:0.25"])(x, 3, 4)
    assert torch.equal(both, Augmentation(["flip"])(shifted, 3, 4))


def test_batches_go_on_in_the_middle_of_an_epoch() -> None:
    batches = Batches(pictures(20), torch.arange(20), 4, augmentation=Augmentation(["crop"]))
    whole, rest = list(batches.epoch(2)), list(batches.epoch(2, start=3))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole[3:], rest, strict=True))
    halves = [
        Batches(pictures(20), torch.arange(20), 4, rank=r, world_size=2, augmentation=Augmentation(["crop"]))
        for r in (0, 1)
    ]
    assert torch.equal(next(iter(halves[1].epoch(2)))[0], whole[1][0]), "processes share the draws of one"


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 2, 5), (3, 1, 1, 9)], ids=str)
def test_small_pictures(name: str, shape: tuple[int, ...]) -> None:
    found = load("augmentation", name)(torch.rand(shape), generator(0))
    assert found.shape == shape and torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("flop",), "no augmentation is called 'flop'; did you mean 'flip' or 'crop'"),
        (("flip:2",), "the augmentation flip takes no number; got 'flip:2'"),
        (("shift:0.9",), "shift:NUMBER takes a number above 0 and at most 0.5, a part of the side; got 0.9"),
        (("crop:1",), "crop:NUMBER takes a number above 0 and below 1, a part of the side; got 1"),
        (("shift", "flip", "shift:0.2"), "augment names shift twice"),
    ],
)
def test_what_is_no_augmentation(names: tuple[str, ...], said: str) -> None:
    with pytest.raises((SettingError, UnknownNameError)) as caught:
        check_augmentation(names)
    assert said in str(caught.value)


@pytest.mark.curriculum("PRE-07")
def test_only_training_sees_changed_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation and prediction read the pictures as they are; training reads none as it is."""
    seen: dict[str, int] = {"training": 0, "else": 0}
    whole = Augmentation.__call__

    def spy(self: Augmentation, inputs: Tensor, epoch: int, batch: int) -> Tensor:
        seen["training"] += len(inputs)
        return whole(self, inputs, epoch, batch)

    monkeypatch.setattr(Augmentation, "__call__", spy)
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (120, 1, 12, 12), dtype=np.uint8), np.arange(120) % 2
    run = cr.fit((x, y), model="lenet", epochs=3, augment="shift,crop:0.7", runs=tmp_path, quiet=True)
    assert seen["training"] == 3 * run.record["rows"]["train"], "each row once an epoch, no other row"
    assert run.recipe.settings.augment == ("shift", "crop:0.7")
    assert "that of pictures changed by shift and crop:0.7;" in (run.path / "report.html").read_text("utf-8")
    first = run.predict(x).probabilities
    assert torch.equal(first, run.predict(x).probabilities)
    assert run.evaluate() == pytest.approx(run.metrics["test"])
    plain = cr.fit((x, y), model="lenet", epochs=3, runs=tmp_path, quiet=True)
    assert plain.history[0]["train_loss"] != run.history[0]["train_loss"]


def test_a_table_has_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"augment \(flip\) changes pictures, and these rows are none"):
        cr.fit("iris", augment=["flip"], runs=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())
