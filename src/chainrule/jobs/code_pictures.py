"""How a script reads pictures: which files, of which class, and what is done to each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from chainrule.core.errors import RunError
from chainrule.data.class_folders import FoundPictures, find_pictures
from chainrule.data.decoding import inspect_picture
from chainrule.data.source import PARTS_BY_NAME, TRAIN
from chainrule.jobs.code_read import ReadCode, named_parts, read_data
from chainrule.jobs.code_text import Part, literal
from chainrule.jobs.material import Material

CHANNELS_FIRST = "pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))  # (N, channels, height, width)"


def pictures_code(folder: Path, material: Material) -> ReadCode:
    """Write `read_data` for a folder of class folders.

    Raises: RunError for pictures that cannot be read by a script
    """
    found = find_pictures(folder)
    part = Part().uses("numpy as np", "PIL:Image")
    part.setting("DATA", found.root)
    parts = _parts(found)
    files = _file_list(found, "*/*/*" if parts else "*/*")
    part.function(_decode(part, found.files, material.examples.numbers.shape[1:]))
    lines = [
        *files,
        "pixels = np.stack([read_picture(file) for file in files])",
        *([CHANNELS_FIRST] if material.examples.numbers.shape[1] == 3 else []),
        "_, targets = np.unique([file.parent.name for file in files], return_inverse=True)",
    ]
    if parts:
        lines.append("parts = np.array([file.parent.parent.name for file in files])")
    names = ("pixels", "targets", *["parts"] * bool(parts))
    purpose = "Pictures, and the numbers of their classes: one folder per class, in order of name."
    part.functions.append(read_data(purpose, lines, names))
    return ReadCode(part, names, named_parts(parts) if parts else None)


def _parts(found: FoundPictures) -> dict[int, tuple[str, ...]]:
    """Return the names of the folders at the top, by part, where the data is divided."""
    if set(found.splits) == {TRAIN} and all(len(f.relative_to(found.root).parts) == 2 for f in found.files):
        return {}
    names: dict[int, set[str]] = {}
    for file in found.files:
        name = file.relative_to(found.root).parts[0]
        names.setdefault(PARTS_BY_NAME[name.lower()], set()).add(name)
    return {number: tuple(sorted(of)) for number, of in names.items()}


def _file_list(found: FoundPictures, depth: str) -> list[str]:
    """Return the lines that list the files: the simplest that lists no others."""
    endings = sorted({file.suffix for file in found.files})
    by_ending: Callable[[str], list[Path]] = lambda ending: sorted(found.root.glob(depth + ending))  # noqa: E731
    if len(endings) == 1 and by_ending(endings[0]) == found.files:
        return [f"files = sorted(DATA.glob({literal(depth + endings[0])}))"]
    every = by_ending("")
    if [f for f in every if f.suffix in endings] == found.files:
        return [
            f"files = sorted(file for file in DATA.glob({literal(depth)}) if file.suffix in {literal(endings)})"
        ]
    shown = [
        f
        for f in every
        if f.suffix in endings and not f.name.startswith(".") and not f.parent.name.startswith(".")
    ]
    if shown == found.files:
        return [
            f"files = sorted(file for file in DATA.glob({literal(depth)}) if file.suffix in {literal(endings)})",
            'files = [file for file in files if not file.name.startswith(".") and file.parent.name[0] != "."]',
        ]
    raise RunError(
        "these folders hold links or files that a script would take for pictures; take them out, and train again"
    )


def _decode(part: Part, files: Sequence[Path], shape: tuple[int, ...]) -> str:
    """Return the function that reads one picture, with the steps that some picture needs."""
    from PIL import Image

    channels, height, width = shape
    headers = [inspect_picture(file) for file in files]
    steps = []
    sizes, modes, kinds, turned = set(), set(), set(), False
    for file in files:
        with Image.open(file) as picture:
            sizes.add(picture.size)
            modes.add(picture.mode)
            kinds.add(picture.format)
            turned |= picture.getexif().get(0x0112, 1) not in (0, 1)
    if any(mode[0] in "IF" for mode in modes):
        raise RunError("pictures of 16 bits are not yet supported in scripts")
    if "JPEG" in kinds and any(max(size) > 2 * max(height, width) for size in sizes):
        side = 2 * max(height, width)
        steps.append(
            f"picture.draft(None, ({side}, {side}))  # large JPEGs are decoded smaller, near what is needed"
        )
    if turned:
        part.uses("PIL:ImageOps")
        steps.append("picture = ImageOps.exif_transpose(picture)  # as the camera was held")
    if any(header.has_alpha for header in headers):
        steps += [
            'if "A" in picture.getbands() or "transparency" in picture.info:  # on white',
            '    white = Image.new("RGBA", picture.size, "white")',
            '    picture = Image.alpha_composite(white, picture.convert("RGBA"))',
        ]
    steps.append(f'picture = picture.convert("{"L" if channels == 1 else "RGB"}")')
    if any((h.width, h.height) != (width, height) for h in headers):
        steps.append(f"picture = picture.resize(({width}, {height}), Image.Resampling.BILINEAR)")
    body = "".join(f"    {step}\n" for step in ["picture = Image.open(file)", *steps])
    value = "np.asarray(picture)[None]" if channels == 1 else "np.asarray(picture)"
    if len(steps) == 1:
        body = f'    picture = Image.open(file).convert("{"L" if channels == 1 else "RGB"}")\n'
    return f'def read_picture(file):\n    """The pixels of a picture, 0 to 255."""\n{body}    return {value}'
