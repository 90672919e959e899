"""The augmentation of a script: the changes that training pictures go through, drawn as the run drew them."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.data.augmentation import CROP, SHIFT
from chainrule.jobs.code_text import Part

FLIP = '''
def {function}(pictures, random):
    """Mirror every second picture {said}, by chance."""
    coins = torch.rand(len(pictures), 1, 1, 1, generator=random) < 0.5
    return torch.where(coins, pictures.flip({axis}), pictures)
'''
SHIFT_CODE = '''
def shift(pictures, random):
    """Move each picture by whole pixels, up to SHIFT of its side each way; the border is repeated."""
    count, places = len(pictures), []
    for side in pictures.shape[-2:]:
        most = max(1, round(SHIFT * side))
        moves = torch.randint(-most, most + 1, (count, 1), generator=random)
        places.append((torch.arange(side) + moves).clamp(0, side - 1))
    each = torch.arange(count)[:, None, None, None]
    channels = torch.arange(pictures.shape[1])[None, :, None, None]
    return pictures[each, channels, places[0][:, None, :, None], places[1][:, None, None, :]]
'''
CROP_CODE = '''
def crop(pictures, random):
    """Cut a part out of each picture, with sides from CROP to 1 of its own, and enlarge it to the old size."""
    count = len(pictures)
    sides = CROP + (1 - CROP) * torch.rand(count, generator=random)
    maps = torch.zeros(count, 2, 3)
    maps[:, 0, 0] = maps[:, 1, 1] = sides
    maps[:, :, 2] = (2 * torch.rand(count, 2, generator=random) - 1) * (1 - sides[:, None])
    grid = nn.functional.affine_grid(maps, list(pictures.shape), align_corners=False)
    return nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
'''
FUNCTIONS = {
    "flip": FLIP.format(function="flip", said="left to right", axis=-1),
    "flip-vertical": FLIP.format(function="flip_vertical", said="top to bottom", axis=-2),
    "shift": SHIFT_CODE,
    "crop": CROP_CODE,
}
NUMBERS = {"shift": SHIFT, "crop": CROP}


def augmentation_part(names: Sequence[str]) -> Part:
    """Return `augment(pictures, epoch, batch)`, or nothing where pictures stay as they are."""
    part = Part()
    lines = []
    for text in names:
        name, _, number = (piece.strip() for piece in text.partition(":"))
        if name in NUMBERS:
            part.setting(name.upper(), float(number or NUMBERS[name]), "of a side")
        if name == "crop":
            part.uses("torch:nn")
        part.function(FUNCTIONS[name])
        function = name.replace("-", "_")
        lines.append(f'{function}(pictures, generator("augmentation", 0, epoch, batch, "{name}"))')
    if lines:
        part.functions.append(
            'def augment(pictures, epoch, batch):\n    """Change the pictures of a training batch at random."""\n'
            + "".join(f"    pictures = {line}\n" for line in lines[:-1])
            + f"    return {lines[-1]}"
        )
    return part
