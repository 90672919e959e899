"""The preparing part of a script: inputs scaled by what the training rows hold, missing ones filled, all as one tensor.

What stands there depends on the rows of the run: without missing values nothing is said of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.core.errors import RunError
from chainrule.data.prepare import NUMBERS_AT_ONCE
from chainrule.jobs.code_text import Part
from chainrule.jobs.material import Material

TITLES = {
    "standard": "Scale columns to mean 0 and deviation 1 on the training rows.",
    "range": "Scale columns so that the training rows go from 0 to 1.",
    "symmetric": "Scale columns so that the training rows go from -1 to 1.",
    "none": "Put the columns side by side.",
}
ONE_CHANNEL = '''
def prepare(pixels, train):
    """Scale pixels to mean 0 and deviation 1 on the training rows."""
    counts = np.bincount(pixels[train].ravel(), minlength=256)  # how often each value comes says all
    values, total = np.arange(256), counts.sum()
    mean = counts @ values / total
    std = np.sqrt((counts * (values - mean) ** 2).sum() / total)
    return (torch.tensor(pixels, dtype=torch.float32) - mean) / std
'''
SEVERAL_CHANNELS = '''
def prepare(pixels, train):
    """Scale each channel to mean 0 and deviation 1 on the training rows."""
    channels = pixels[train].swapaxes(0, 1)
    counts = np.stack([np.bincount(channel.ravel(), minlength=256) for channel in channels])
    values, total = np.arange(256), counts.sum(1)  # how often each value comes says all
    mean = counts @ values / total
    std = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(1) / total)
    mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (mean, std))
    return (torch.tensor(pixels, dtype=torch.float32) - mean) / std
'''
FIXED = {  # pixels go from 0 to 255, whatever the rows hold
    "range": ("Scale pixels to 0 to 1.", "torch.tensor(pixels, dtype=torch.float32) / 255"),
    "symmetric": ("Scale pixels to -1 to 1.", "(torch.tensor(pixels, dtype=torch.float32) - 127.5) / 127.5"),
    "none": ("Pixels as numbers, 0 to 255.", "torch.tensor(pixels, dtype=torch.float32)"),
}
FLOATS = {
    "standard": ["center, scale = seen.mean((0, 2, 3)), seen.std((0, 2, 3))"],
    "range": ["low, high = seen.min((0, 2, 3)), seen.max((0, 2, 3))", "center, scale = low, high - low"],
    "symmetric": [
        "low, high = seen.min((0, 2, 3)), seen.max((0, 2, 3))",
        "center, scale = (low + high) / 2, (high - low) / 2",
    ],
}


def prepare_part(material: Material, scaling: str) -> tuple[Part, str]:
    """Return the function `prepare`, and the arguments that it takes."""
    numbers = material.examples.numbers
    assert isinstance(numbers, np.ndarray)
    part = Part().uses("numpy as np", "torch")
    if material.prepare.is_pictures:
        text, arguments = _pictures(numbers, scaling)
    else:
        text, arguments = _columns(numbers, material, scaling)
    return part.with_function(text), arguments


def _function(arguments: str, title: str, lines: Sequence[str]) -> tuple[str, str]:
    body = "".join(f"    {line}\n" for line in lines)
    return f'def prepare({arguments}):\n    """{title}"""\n{body}', arguments


def _pictures(numbers: np.ndarray, scaling: str) -> tuple[str, str]:
    if numbers.dtype == np.uint8 and scaling == "standard":
        return ONE_CHANNEL if numbers.shape[1] == 1 else SEVERAL_CHANNELS, "pixels, train"
    if numbers.dtype == np.uint8 or scaling == "none":
        title, value = FIXED[scaling]
        return _function("pixels", title, [f"return {value}"])
    return _function(
        "pixels, train",
        "Scale each channel by what the training rows hold.",
        [
            "seen = pixels[train].astype(np.float64)",
            *FLOATS[scaling],
            "scaled = (pixels - center[:, None, None]) / scale[:, None, None]",
            "return torch.tensor(scaled, dtype=torch.float32)",
        ],
    )


def _columns(numbers: np.ndarray, material: Material, scaling: str) -> tuple[str, str]:
    has_categories, seen = bool(material.prepare.sizes), numbers[material.split.train]
    if not numbers.shape[1]:
        return _function(
            "categories", TITLES["none"], ["return torch.tensor(categories, dtype=torch.float32)"]
        )
    missing, nan = bool(np.isnan(numbers).any()), "nan" if np.isnan(seen).any() else ""
    if np.isnan(seen).all(0).any():
        raise RunError("a column without any value in the training rows is not yet supported in scripts")
    still = bool((np.fmin.reduce(seen, 0) == np.fmax.reduce(seen, 0)).any())
    uses_rows = scaling != "none" or missing or still
    lines = ["seen = numbers[train]"] if uses_rows else []
    lines += _scaled(scaling, nan, seen, still) if scaling != "none" or still else []
    parts = ["scaled" if len(lines) > 1 else "numbers"]
    if missing:
        lines.append(f"missing = np.isnan({parts[0]})")
        mean = f"np.{nan}mean(seen, 0)"
        plain = {"standard": "0"} if still else {"standard": "0", "none": mean}
        fill = plain.get(scaling, f"({mean} - center) / scale")
        lines.append(f"filled = np.where(missing, {fill}, {parts[0]})  # with the mean")
        parts = ["filled"]
        if nan:
            lines.append("is_missing = missing[:, np.isnan(seen).any(0)]  # a unit for each column with gaps")
            parts.append("is_missing")
    parts += ["categories"] * has_categories
    value = parts[0] if len(parts) == 1 else f"np.column_stack([{', '.join(parts)}])"
    lines.append(f"return torch.tensor({value}, dtype=torch.float32)")
    arguments = ["numbers", *["categories"] * has_categories, *["train"] * uses_rows]
    title = TITLES[scaling].rstrip(".") + "; categories stand beside them" * has_categories + "."
    return _function(", ".join(arguments), title, lines)


def _scaled(scaling: str, nan: str, seen: np.ndarray, still: bool) -> list[str]:
    """Return the lines that scale; `still` says that some column does not vary."""
    lines = _center_and_scale(scaling, nan, seen)
    if still:
        lines += [
            f"varies = np.{nan}min(seen, 0) < np.{nan}max(seen, 0)",
            "scale = np.where(varies, scale, np.inf)  # a column that does not vary gives 0",
        ]
        if scaling != "standard":
            lines.append(f"center = np.where(varies, center, np.{nan}mean(seen, 0))")
    return [*lines, "scaled = (numbers - center) / scale"]


def _center_and_scale(scaling: str, nan: str, seen: np.ndarray) -> list[str]:
    low_high = f"low, high = np.{nan}min(seen, 0), np.{nan}max(seen, 0)"
    if scaling == "range":
        return [low_high, "center, scale = low, high - low"]
    if scaling == "symmetric":
        return [low_high, "center, scale = (low + high) / 2, (high - low) / 2"]
    if scaling == "none":
        return ["center, scale = 0.0, 1.0"]
    if seen.size <= NUMBERS_AT_ONCE:
        return [f"center, scale = np.{nan}mean(seen, 0), np.{nan}std(seen, 0)"]
    at_once = max(1, NUMBERS_AT_ONCE // seen.shape[1])
    count = "np.sum(~np.isnan(seen), 0)" if nan else "len(seen)"
    return [
        f"parts = np.split(seen, range({at_once}, len(seen), {at_once}))  # sums of sums: as the run added up",
        f"center = sum(np.{nan}sum(part, 0) for part in parts) / {count}",
        f"scale = np.sqrt(sum(np.{nan}sum((part - center) ** 2, 0) for part in parts) / {count})",
    ]
