"""One picture: what it becomes, and files that are damaged or hostile."""

import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import cbook
from PIL import Image, ImageFile, ImageOps

from chainrule.core.errors import DataError, MissingExtraError
from chainrule.data import decoding
from chainrule.data.decoding import decode_picture, inspect_picture, prepare_heic
from chainrule.data.pictures import read_picture_inputs
from tests.data.samples import IN_ONE_FOLDER, KINDS, chunk, encoded, png_claiming, save


def test_transparent_palette_and_colour_key(tmp_path):
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 10, 10])
    palette.save(tmp_path / "a.png", transparency=1)
    assert (decode_picture(tmp_path / "a.png", (3, 4, 4)) == 255).all()
    palette.save(tmp_path / "b.png")
    assert decode_picture(tmp_path / "b.png", (3, 4, 4))[:, 0, 0].tolist() == [200, 10, 10]
    Image.new("L", (4, 4), 7).save(tmp_path / "c.png", transparency=7)
    assert inspect_picture(tmp_path / "c.png").has_alpha
    assert (decode_picture(tmp_path / "c.png", (1, 4, 4)) == 255).all()


def test_sixteen_bits_and_one_bit(tmp_path):
    wide = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert inspect_picture(tmp_path / "a.png").is_grey
    assert decode_picture(tmp_path / "a.png", (1, 2, 3)).tolist() == [[[0, 0, 1], [128, 255, 255]]]
    Image.fromarray(np.eye(3, dtype=bool)).save(tmp_path / "b.png")
    assert (decode_picture(tmp_path / "b.png", (1, 3, 3))[0] == 255 * np.eye(3)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_orientation(tmp_path, orientation, ending):
    upright = Image.fromarray(
        np.kron(np.arange(6).reshape(2, 3) * 40, np.ones((16, 16))).astype(np.uint8)
    ).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    upright.save(path, exif=exif, **({} if ending == "png" else {"quality": 100}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB")).transpose(2, 0, 1)
    seen = inspect_picture(path)
    assert (seen.height, seen.width) == expected.shape[1:]
    np.testing.assert_array_equal(decode_picture(path, expected.shape), expected)


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    save(tmp_path / "a.jpg", size=(8, 8), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode_picture(tmp_path / "a.jpg", (3, 8, 8)).shape == (3, 8, 8)


def test_colours_of_print(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red = decode_picture(tmp_path / "a.jpg", (3, 8, 8))[:, 0, 0]
    assert red[0] > 230 and red[1] < 25


def test_large_jpegs_come_near_the_full_decoding(tmp_path):
    y, x = np.mgrid[:600, :800]
    Image.fromarray(np.stack([x // 4, y // 3, (x + y) // 6], -1).astype(np.uint8)).save(
        tmp_path / "a.jpg", quality=95
    )
    full = np.asarray(Image.open(tmp_path / "a.jpg").resize((64, 64), Image.Resampling.BILINEAR)).transpose(
        2, 0, 1
    )
    assert np.abs(decode_picture(tmp_path / "a.jpg", (3, 64, 64)).astype(int) - full).max() <= 6


@pytest.mark.parametrize(
    "width, height, claim",
    [
        (100_000, 100_000, "10,000,000,000 pixels"),
        (10_000, 10_000, "10000 × 10000 = 100,000,000 pixels"),
        (8_000, 7_000, "56,000,000 pixels"),
    ],
)
def test_decompression_bombs(tmp_path, width, height, claim):
    (tmp_path / "bomb.png").write_bytes(png_claiming(width, height))
    for read in (inspect_picture, lambda path: decode_picture(path, (3, 8, 8))):
        with pytest.raises(DataError) as error:
            read(tmp_path / "bomb.png")
        assert str(error.value).startswith(f"{tmp_path}/bomb.png: claims ")
        assert claim in str(error.value) and "more than the limit of 50,000,000" in str(error.value)


def test_text_bomb_in_a_png(tmp_path):
    content = png_claiming(4, 4)
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(50_000_000)))
    (tmp_path / "a.png").write_bytes(content[:33] + text + content[33:])
    with pytest.raises(DataError, match=r"a\.png: damaged"):
        inspect_picture(tmp_path / "a.png")


BAD_FILES = {
    "empty": (b"", r"bad.png: not a picture of a kind that is read \(it is empty\); replace or remove it"),
    "text": (
        b"<html>404 not found",
        r"bad.png: not a picture of a kind that is read \(it begins with b'<html>40'\)",
    ),
    "an empty GIF": (b"GIF89a\1\0\1\0\0\0\0;", r"not a picture of a kind that is read"),
    "a PCX": (b"\n\5\1\x08" + bytes(124), r"not a picture of a kind that is read"),
    "PostScript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        r"not a picture of a kind that is read",
    ),
    "a chunk too short": (png_claiming(64, 64), r"bad.png: damaged or cut short"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(tmp_path, case):
    content, message = BAD_FILES[case]
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=message):
        decode_picture(tmp_path / "bad.png", (3, 8, 8))


def test_files_that_cannot_be_read_or_are_huge(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"gone.png: cannot be read \(no such file or directory\)"):
        decode_picture(tmp_path / "gone.png", (3, 4, 4))
    monkeypatch.setattr(decoding, "MOST_FILE_BYTES", 50)
    with pytest.raises(DataError, match=r"a\.png: has .* B, more than the limit of 50 B"):
        inspect_picture(save(tmp_path / "a.png"))


@pytest.mark.parametrize("kind", KINDS)
def test_no_cut_gives_half_a_picture(tmp_path, kind, monkeypatch):
    """Whatever is cut off or zeroed, the picture is refused or whole; also where half pictures were asked for."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole, path = encoded(KINDS[kind]), tmp_path / "a.png"
    path.write_bytes(whole)
    expected = decode_picture(path, (3, 48, 40))
    for length in range(0, len(whole), max(1, len(whole) // 150)):
        for content in (whole[:length], whole[:length] + bytes(len(whole) - length)):
            if content[length:] and len(whole) - length < 64:
                continue  # a WebP that ends in a few zeros cannot be told from a whole one
            if content[length:] and kind in ("bmp", "tiff"):
                continue  # zeros may be a black sky
            path.write_bytes(content)
            try:
                seen = decode_picture(path, (3, 48, 40))
            except DataError as error:
                assert "a.png: " in str(error)
            else:
                np.testing.assert_array_equal(seen, expected)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@settings(IN_ONE_FOLDER, max_examples=200)
@given(
    kind=st.sampled_from(list(KINDS)),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    tail=st.binary(max_size=20),
)
def test_any_bytes_give_a_picture_or_a_data_error(tmp_path, kind, damage, tail):
    content = bytearray(encoded(KINDS[kind]))
    for place, value in damage:
        content[int(place * len(content))] = value
    path = tmp_path / "a.png"
    path.write_bytes(bytes(content) + tail)
    try:
        inspect_picture(path)
        assert decode_picture(path, (3, 48, 40)).shape == (3, 48, 40)
    except DataError as error:
        assert "a.png: " in str(error)


def grace_hopper(width, height):
    """Return a real photo, as small as wanted."""
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as photo:
        return photo.resize((width, height))


@pytest.mark.parametrize("ending", ["gif", "bmp", "tif", "avif", "heic"])
def test_other_kinds_of_pictures(tmp_path, ending):
    photo = grace_hopper(48, 60)
    path = tmp_path / f"a.{ending}"
    if ending == "heic":
        prepare_heic()
    photo.save(path, **({"quality": 95} if ending in ("avif", "heic") else {}))
    header = inspect_picture(path)
    assert (header.height, header.width, header.has_palette) == (60, 48, ending == "gif")
    expected = np.asarray(photo).transpose(2, 0, 1).astype(int)
    assert np.abs(decode_picture(path, (3, 60, 48)) - expected).mean() < (
        0.1 if ending in ("bmp", "tif") else 6
    )
    assert decode_picture(path, (1, 30, 24)).shape == (1, 30, 24)


def test_a_photo_of_a_telephone_lies_upright(tmp_path):
    """A HEIC picture that says that the camera was turned."""
    prepare_heic()
    photo = grace_hopper(48, 64)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.rotate(90, expand=True).save(tmp_path / "a.heic", quality=95, exif=exif.tobytes())
    seen = inspect_picture(tmp_path / "a.heic")
    assert (seen.height, seen.width) == (64, 48)
    expected = np.asarray(photo).transpose(2, 0, 1).astype(int)
    assert np.abs(decode_picture(tmp_path / "a.heic", (3, 64, 48)) - expected).mean() < 6


def test_heic_without_its_package(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'chainrule\[heic\]'"):
        read_picture_inputs(tmp_path, channels=3, height=8, width=8)


def test_ink_that_is_stored_upright_and_upside_down(tmp_path):
    """Adobe stores the ink of a JPEG upside down and says so in a segment; without that segment it stands as it is."""
    Image.new("CMYK", (8, 8), (0, 255, 255, 255)).save(
        tmp_path / "a.jpg", quality=100
    )  # stored as 255, 0, 0, 0
    content = (tmp_path / "a.jpg").read_bytes()
    place = content.index(b"\xff\xee\x00\x0eAdobe")
    (tmp_path / "b.jpg").write_bytes(content[:place] + content[place + 16 :])
    assert inspect_picture(tmp_path / "a.jpg").is_cmyk
    assert decode_picture(tmp_path / "a.jpg", (3, 8, 8))[:, 0, 0].tolist() == [0, 0, 0]
    assert decode_picture(tmp_path / "b.jpg", (3, 8, 8))[:, 0, 0].tolist() == [0, 255, 255]  # cyan alone


def test_only_the_first_frame_and_the_upper_bits(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for ending in ("gif", "png", "webp", "tif", "avif"):
        frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:])
        assert inspect_picture(tmp_path / f"a.{ending}").is_animated
        red, _, blue = decode_picture(tmp_path / f"a.{ending}", (3, 8, 8))[:, 4, 4]
        assert red > 240 and blue < 15
    Image.fromarray(np.full((8, 8), 0x4321, np.uint16)).save(tmp_path / "deep.tif")
    assert inspect_picture(tmp_path / "deep.tif").is_deep
    assert (decode_picture(tmp_path / "deep.tif", (1, 8, 8)) == 0x43).all()
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "real.tif")
    with pytest.raises(DataError, match=r"real\.tif: .*floating-point numbers; save it with 8 or 16 bits"):
        decode_picture(tmp_path / "real.tif", (1, 8, 8))
