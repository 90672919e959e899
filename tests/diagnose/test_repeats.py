"""Copies: with different answers, across a split that came with the data, very many; and honest coincidences."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chainrule.data.pictures import read_pictures
from tests.diagnose.tables import houses, patients, said_of, said_of_source

RANDOM = np.random.default_rng(11)
CLASSES = ("cat", "dog")


def repeated(columns, count):
    """Return a table with its first rows once more at the end."""
    return {
        name: np.concatenate([np.asarray(cells), np.asarray(cells)[:count]])
        for name, cells in columns.items()
    }


def photo(random: np.random.Generator) -> Image.Image:
    """Return a picture of smooth shapes, unlike any other."""
    small = random.integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC)


def photo_folder(root: Path, parts: tuple[str, ...] = ("",), count: int = 30) -> dict[str, Image.Image]:
    """Write so many photos of each class into each part; return them by their names below the root."""
    random, written = np.random.default_rng(2), {}
    for part in parts:
        for name in CLASSES:
            for number in range(count):
                path = root / part / name / f"{number:02d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture = written[str(path.relative_to(root))] = photo(random)
                picture.save(path)
    return written


# ---- pictures


def test_photos_of_their_own_give_no_warning(tmp_path):
    photo_folder(tmp_path, ("train", "test"))
    assert said_of_source(read_pictures(tmp_path, workers=0)) == []


def test_photos_that_lie_in_two_classes_are_named(tmp_path):
    photos = photo_folder(tmp_path)
    for number in (3, 5):
        photos[f"cat/{number:02d}.png"].save(tmp_path / "dog" / f"again-{number}.jpg", quality=70)
    [said] = said_of_source(read_pictures(tmp_path, workers=0))
    assert said == (
        "4 pictures are copies of each other with different classes, in 2 groups: cat/03.png ('cat') and dog/again-3.jpg "
        "('dog'); cat/05.png ('cat') and dog/again-5.jpg ('dog'); no network can be right on more than 96.8 % of all "
        "pictures: correct the classes or remove those pictures"
    )


def test_photos_of_the_training_among_the_test_are_counted_and_named(tmp_path):
    photos = photo_folder(tmp_path, ("train", "test"))
    for number in range(6):
        copy = photos[f"train/dog/{number:02d}.png"].resize((62, 62))
        copy.save(tmp_path / "test" / "dog" / f"copy-{number}.jpg", quality=60)
    [said] = said_of_source(read_pictures(tmp_path, workers=0), validation=0.0)
    assert said.startswith(
        "6 of 66 test pictures (9.1 %) are copies of training pictures: test/dog/copy-0.jpg is train/dog/00.png; "
    )
    assert "; and 3 more; the network has seen their answers, and the test score is too good: " in said
    assert said.endswith("or hand over all pictures undivided, and copies will be kept together")


# ---- tables


def test_rows_that_stand_there_already_are_counted():
    [said] = said_of(repeated(houses(400), 200), "price")
    assert said.startswith("only 400 of 600 rows are different, 33.3 % are further copies: ")


@pytest.mark.parametrize(("count", "alarms"), [(80, 0), (120, 1)])
def test_some_copies_are_kept_together_and_that_is_enough(count, alarms):
    assert len(said_of(repeated(houses(400), count), "price")) == alarms


@pytest.mark.parametrize(("count", "alarms"), [(20, 0), (30, 1)])
def test_copies_with_other_classes(count, alarms):
    columns = patients(800) | {"weight": RANDOM.normal(70, 9, 800)}
    columns = repeated(columns, count)
    columns["ill"][800:] = np.where(columns["ill"][:count] == "yes", "no", "yes")
    said = said_of(columns, "ill")
    assert len(said) == alarms
    if alarms:
        assert said[0].startswith(
            "60 rows are copies of each other with different classes, in 30 groups: row 1 ("
        )
        assert "; and 27 more; no network can be right on more than 96.4 % of all rows: correct" in said[0]


def test_copies_with_values_far_apart():
    columns = repeated(houses(400) | {"age": RANDOM.uniform(0, 90, 400)}, 40)
    columns["price"][400:] = columns["price"][:40] + 300_000
    [said] = said_of(columns, "price")
    assert said.startswith("80 rows are copies of each other with different targets, in 40 groups: row 1 (")
    assert "no network can give both" in said


def test_a_second_measurement_is_honest():
    columns = repeated(houses(400) | {"age": RANDOM.uniform(0, 90, 400)}, 40)
    columns["price"][400:] += RANDOM.normal(0, 10_000, 40)
    assert said_of(columns, "price") == []


def test_equal_rows_of_few_values_are_a_coincidence():
    columns = {name: RANDOM.choice(["a", "b", "c"], 900) for name in ("one", "two", "three")}
    assert said_of(columns | {"y": RANDOM.choice(["yes", "no"], 900)}, "y") == []
