"""Pictures read from class folders, and pictures to predict from."""

import numpy as np
import pytest
from PIL import Image

from chainrule.core.errors import DataError, SettingError
from chainrule.data.pictures import read_picture_inputs, read_pictures
from tests.data.samples import KINDS, encoded, pets, png_claiming, save


def test_a_folder_per_class(tmp_path):
    source = read_pictures(pets(tmp_path / "pets"))
    assert source.name == "pets" and source.class_names == ("cat", "dog")
    assert source.array.shape == (6, 3, 20, 16) and source.array.dtype == np.uint8 and source.is_pictures
    assert source.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.row_names[:2] == ("cat/000.png", "cat/001.png")
    assert source.fixed_split is None
    assert source.notes == ("all pictures are 20 × 16 (height × width) and keep that size",)
    assert source.origin == {"kind": "pictures", "path": str(tmp_path / "pets"), "size": None}
    for row, name in enumerate(source.row_names):
        expected = np.asarray(Image.open(tmp_path / "pets" / name))
        np.testing.assert_array_equal(source.array[row].transpose(1, 2, 0), expected)


def test_sizes_and_channels(tmp_path):
    save(tmp_path / "cat" / "a.png", size=(200, 300), mode="L")
    save(tmp_path / "cat" / "b.jpg", size=(30, 40), mode="L")
    source = read_pictures(tmp_path)
    assert source.array.shape == (2, 1, 64, 64)
    assert source.notes == (
        "pictures are resized to 64 × 64 (height × width), proportions not kept; "
        "they came in 2 sizes, 30 × 40 to 200 × 300",
    )
    save(tmp_path / "cat" / "c.webp", size=(200, 300))
    source = read_pictures(tmp_path, size=(10, 12))
    assert source.array.shape == (3, 3, 10, 12) and source.origin["size"] == [10, 12]
    assert source.notes[1] == "grey pictures among coloured ones are read as coloured (2 of 3)"


def test_large_pictures_of_one_size_are_resized(tmp_path):
    save(tmp_path / "cat" / "a.png", size=(129, 20))
    assert "all came 129 × 20" in read_pictures(tmp_path).notes[0]
    assert read_pictures(tmp_path, size=(129, 20)).notes == (
        "all pictures are 129 × 20 (height × width) and keep that size",
    )


@pytest.mark.parametrize("size", [(0, 5), (5, 5000), (5.0, 5)])
def test_impossible_sizes(tmp_path, size):
    with pytest.raises(SettingError, match=r"a picture size is \(height, width\) in pixels, 1 to 4096 each"):
        read_pictures(pets(tmp_path), size=size)


@pytest.mark.parametrize("mode, channels", [("RGBA", 3), ("LA", 1)])
def test_transparency_is_laid_on_white(tmp_path, mode, channels):
    save(tmp_path / "cat" / "a.png", mode=mode, size=(4, 4))
    source = read_pictures(tmp_path)
    assert source.array.shape[1] == channels
    assert (source.array[0, :, :2] == 255).all() and (source.array[0, :, 2:] < 255).any()
    assert "pictures with transparency are laid on white (1 of 1)" in source.notes


def test_of_animations_the_first_frame_is_used(tmp_path):
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (10, 200)]
    (tmp_path / "class").mkdir()
    frames[0].save(tmp_path / "class" / "b.webp", save_all=True, append_images=frames[1:], lossless=True)
    source = read_pictures(tmp_path)
    assert source.array[0, 0, 0, 0] == 10
    assert "of animated pictures only the first frame is used (1 of 1)" in source.notes


def test_all_bad_files_are_named_at_once(tmp_path):
    pets(tmp_path)
    for name in ("u", "v", "w"):
        (tmp_path / "cat" / f"{name}.png").write_bytes(b"hello")
    with pytest.raises(
        DataError,
        match=r"cat/u.png: not a picture.*\(2 more pictures cannot be used: '.*cat/v.png', '.*cat/w.png'\)",
    ):
        read_pictures(tmp_path)


def test_inputs_from_a_file_a_folder_and_several(tmp_path):
    pets(tmp_path / "pets")
    save(tmp_path / "pets" / "top.png")
    (tmp_path / "pets" / "notes.txt").write_text("x")
    pixels, names = read_picture_inputs(tmp_path / "pets", channels=3, height=20, width=16)
    assert names == (*(f"cat/00{i}.png" for i in range(3)), *(f"dog/00{i}.png" for i in range(3)), "top.png")
    assert pixels.shape == (7, 3, 20, 16)
    np.testing.assert_array_equal(pixels[:6], read_pictures(tmp_path / "pets").array)
    one, names = read_picture_inputs(tmp_path / "pets" / "cat" / "000.png", channels=1, height=8, width=9)
    assert one.shape == (1, 1, 8, 9) and names == ("000.png",)
    two, names = read_picture_inputs(
        [tmp_path / "pets" / "top.png", tmp_path / "pets" / "dog"], channels=3, height=20, width=16
    )
    assert names == ("top.png", "000.png", "001.png", "002.png") and len(two) == 4


def test_input_messages(tmp_path):
    shape = {"channels": 3, "height": 8, "width": 8}
    with pytest.raises(DataError, match=r"a picture was wanted, but no file stands at .*gone\.png"):
        read_picture_inputs(tmp_path / "gone.png", **shape)
    with pytest.raises(DataError, match=r"the folder .* holds no picture \(PNG, JPEG, WebP, GIF, BMP"):
        read_picture_inputs(tmp_path, **shape)
    (tmp_path / "bomb.png").write_bytes(png_claiming(100_000, 100_000))
    with pytest.raises(DataError, match=r"bomb\.png: claims 10,000,000,000 pixels"):
        read_picture_inputs(tmp_path, **shape)
    (tmp_path / "bomb.png").write_bytes(encoded(KINDS["jpeg"])[:-300])
    with pytest.raises(DataError, match=r"bomb\.png: damaged or cut short"):
        read_picture_inputs(tmp_path / "bomb.png", **shape)
