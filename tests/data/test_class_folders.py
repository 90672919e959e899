"""Folders of pictures: which files count, in which class and split, and what is said about the others."""

import os

import pytest

from chainrule.core.errors import DataError
from chainrule.data.pictures import read_pictures
from chainrule.data.source import TEST, TRAIN, VALIDATION
from tests.data.samples import pets, save


@pytest.mark.parametrize("middle", ["val", "valid", "validation"])
def test_splits(tmp_path, middle):
    for part in ("train", middle, "Test"):
        pets(tmp_path / part, count=2 if part == "train" else 1)
    source = read_pictures(tmp_path)
    assert source.class_names == ("cat", "dog")
    splits = dict(zip(source.row_names, source.fixed_split.tolist(), strict=True))
    assert splits["train/cat/001.png"] == TRAIN
    assert splits[f"{middle}/dog/000.png"] == VALIDATION
    assert splits["Test/dog/000.png"] == TEST


def test_train_alone_is_not_divided(tmp_path):
    pets(tmp_path / "train")
    assert read_pictures(tmp_path).fixed_split is None


def test_what_is_not_used_is_said(tmp_path):
    pets(tmp_path)
    save(tmp_path / "loose.png")
    for name in (
        "notes.txt",
        "cat/readme.md",
        "cat/old.svg",
        "dog/more/x.txt",
        ".DS_Store",
        "cat/.hidden.png",
        "__MACOSX/x",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "dog" / "pipe.png")
    source = read_pictures(tmp_path)
    assert len(source) == 6
    assert source.notes[0] == (
        "not used, because not a picture (PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, HEIC) in a class folder: "
        "'loose.png', 'notes.txt', 'cat/old.svg' and 3 more"
    )


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    outside = save(tmp_path / "private" / "secret.png")
    folder = pets(tmp_path / "pets")
    (folder / "cat" / "out.png").symlink_to(outside)
    (folder / "outer").symlink_to(tmp_path / "private")
    (folder / "cat" / "inside.png").symlink_to(folder / "cat" / "000.png")
    (folder / "cat" / "circle.png").symlink_to(folder / "cat" / "circle.png")
    source = read_pictures(folder)
    assert source.class_names == ("cat", "dog") and "cat/inside.png" in source.row_names
    assert len(source) == 7
    (note,) = [note for note in source.notes if "link" in note]
    assert note.startswith("not used, because a link that leads out of the folder: 'outer', ")
    assert read_pictures(link_to(folder, tmp_path / "link")).row_names == source.row_names


def link_to(folder, link):
    link.symlink_to(folder)
    return link


def test_layout_messages(tmp_path):
    cases = {
        "nothing": (
            [],
            r"nothing holds no class folders \(0 pictures without one\); wanted is one folder per class, such as pets/cat/1.png",
        ),
        "flat": (["a.png", "b.png"], r"flat holds no class folders \(2 pictures without one\)"),
        "empty": (
            ["cat/a.png", "dog/"],
            r"the class folder .*empty/dog holds no picture \(PNG.*\); add pictures or remove the folder$",
        ),
        "deep": (
            ["all/cat/a.png", "all/dog/a.png"],
            r"class folder .*deep/all holds no picture.*; if the folders in it \('cat', 'dog'\) are the classes, point at .*deep/all",
        ),
        "emptied": (
            ["train/cat/a.png", "train/dog/a.png", "test/cat/a.png", "test/dog/"],
            r"the class folder .*emptied/test/dog holds no picture",
        ),
        "unseen": (
            ["train/cat/a.png", "train/dog/a.png", "test/cats/a.png"],
            r"the class 'cats' is in the test part of .*unseen but not in its train part, which has 'cat', 'dog'; did you mean 'cat'\?",
        ),
        "untrained": (["test/cat/a.png"], r"untrained is divided, but has no folder 'train' to learn from"),
        "vehicles": (
            ["car/a.png", "train/a.png"],
            r"vehicles/train is a part of the data because of its name, but holds no class folders.*If 'train' is itself a class, give the folder another name",
        ),
    }
    for name, (files, message) in cases.items():
        (tmp_path / name).mkdir()
        for file in files:
            path = tmp_path / name / file
            path.mkdir(parents=True) if file.endswith("/") else save(path)
        with pytest.raises(DataError, match=message):
            read_pictures(tmp_path / name)
    with pytest.raises(
        DataError, match=r"missing should be a folder of class folders, but it does not exist"
    ):
        read_pictures(tmp_path / "missing")
    with pytest.raises(DataError, match=r"a.png should be a folder of class folders, but it is a file"):
        read_pictures(tmp_path / "flat" / "a.png")


def test_a_class_missing_from_a_part_is_said(tmp_path):
    pets(tmp_path / "train")
    save(tmp_path / "test" / "cat" / "a.png")
    assert "the test part has no pictures of: 'dog'" in read_pictures(tmp_path).notes


def test_names_are_made_safe(tmp_path):
    save(tmp_path / "cat" / "a\x1b[31m.png")
    save(tmp_path / "cat" / os.fsdecode(b"b\xff.png"))
    assert read_pictures(tmp_path).row_names == ("cat/a\\x1b[31m.png", "cat/b\\udcff.png")
    save(tmp_path / os.fsdecode(b"d\xff") / "a.png")
    with pytest.raises(DataError, match=r"d\\udcff has a name that cannot be printed"):
        read_pictures(tmp_path)
