"""The reading part of a script: the run's data from its files, by the fewest lines that give the same rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from chainrule.core.errors import RunError
from chainrule.data.schema import Schema
from chainrule.jobs.code_arrays import arrays_code
from chainrule.jobs.code_files import Files, read_files
from chainrule.jobs.code_marks import marks_code
from chainrule.jobs.code_pictures import pictures_code
from chainrule.jobs.code_read import ReadCode, read_data
from chainrule.jobs.code_table import table_code
from chainrule.jobs.code_text import Part
from chainrule.jobs.material import Material
from chainrule.train.recipe import Recipe

PARTS_OF_DATA = {"validation_data", "test_data"}


def reading_code(recipe: Recipe, material: Material) -> ReadCode:
    """Write `read_data`. Raises: RunError for data that cannot be read by a script"""
    data, source = recipe.data, material.source
    if data["kind"] not in ("file", "files", "built-in", "npz", "idx", "pictures"):
        raise RunError(f"data of the kind {data['kind']} is not yet supported in scripts")
    if source.frame is not None:
        return _built_in_table(recipe, material) or _table(recipe, material)
    if data.keys() & PARTS_OF_DATA:
        raise RunError("--validation-data and --test-data are supported in scripts of tables only")
    if data["kind"] == "pictures":
        return pictures_code(Path(data["path"]), material)
    return arrays_code(recipe, material)


def _table(recipe: Recipe, material: Material) -> ReadCode:
    """Write the reading of a table: its files, the targets, then what goes in."""
    wanted = material.source.frame
    assert isinstance(wanted, pl.DataFrame)
    part = Part().uses("polars as pl")
    files = (
        _built_in_frame(part, recipe, wanted)
        if recipe.data["kind"] == "built-in" and not recipe.data.keys() & PARTS_OF_DATA
        else read_files(part, recipe, wanted)
    )
    lines, frame, names = files.lines, files.table, {name: name for name in files.table.columns}
    if any(_is_pattern(name) for name in names):
        lines.append(
            'table.columns = [f"column {place}" for place in range(table.width)]  # plain names for polars'
        )
        names = {name: f"column {place}" for place, name in enumerate(names)}
        frame = frame.clone()
        frame.columns = list(names.values())
    code = table_code(frame, _renamed(recipe.schema, names))
    part.add(code.part)
    lines += code.targets
    returned = []
    for name, expression in (("numbers", code.numbers), ("categories", code.categories)):
        if expression:
            returned.append(name)
            lines.append(f"{name} = {expression}")
    returned.append("targets")
    marks = marks_code(part, lines, frame, material, recipe.settings.split, files.part_column, names)
    returned += [] if marks is None else [marks.name]
    part.functions.append(
        read_data("Rows of the table: what goes in, and what is to be predicted.", lines, returned)
    )
    return ReadCode(part, tuple(returned), marks)


def _renamed(schema: Schema, names: dict[str, str]) -> Schema:
    return replace(
        schema,
        columns=tuple(replace(column, name=names[column.name]) for column in schema.columns),
        target=replace(schema.target, names=tuple(names[name] for name in schema.target.names)),
    )


def _is_pattern(name: str) -> bool:
    """Whether polars takes a name for a pattern."""
    return name == "*" or (name.startswith("^") and name.endswith("$"))


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
        or data.keys() & PARTS_OF_DATA
        or recipe.settings.split != "random"
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
        part.with_function(read_data(purpose, lines, ["numbers", "targets"])), ("numbers", "targets")
    )


def _built_in_frame(part: Part, recipe: Recipe, frame: pl.DataFrame) -> Files:
    name = recipe.data["name"]
    call = _load(part, name)
    answers = "data.target.astype(float)" if name == "diabetes" else "data.target_names[data.target]"
    column = {"iris": "species", "wine": "grower", "breast-cancer": "diagnosis", "diabetes": "progression"}[
        name
    ]
    lines = [
        f"data = {call}",
        "columns = dict(zip(data.feature_names, data.data.T, strict=True))",
        f'table = pl.DataFrame({{**columns, "{column}": {answers}}})',
    ]
    return Files(lines, frame)
