"""What names of the catalogue mean, for people who look around."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.catalog import MODELS, load, names
from chainrule.core.errors import SettingError
from chainrule.core.text import listed, visible
from chainrule.core.units import show_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A titled table with a text and an example."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    title: str = ""
    text: str = ""
    example: str = ""


def list_names(kind: str) -> Description:
    """List the names of a kind."""
    rows = list(names(kind).items())
    example = (
        "chainrule fit iris --model mlp --set hidden=64,32" if kind == "model" else "chainrule fit digits"
    )
    return Description(header=("name", "what it is"), rows=rows, example=f"for example: {example}")


def describe_model(name: str) -> Description:
    """Describe a model with its settings. Raises: UnknownNameError."""
    from chainrule.models import model_settings

    builder = load("model", name)
    rows = []
    for key, parameter in model_settings(name).items():
        default = "required" if parameter.default is inspect.Parameter.empty else parameter.default
        shown = ",".join(map(str, default)) if isinstance(default, tuple | list) else str(default)
        rows.append((key, str(parameter.annotation), shown))
    return Description(
        title=name,
        text=inspect.getdoc(builder) or "",
        header=("setting", "takes", "default") if rows else (),
        rows=rows,
        example=f"for example: {_example(name, rows)}",
    )


def _example(name: str, rows: Sequence[tuple[str, ...]]) -> str:
    """Return how a model is used, with its first setting if it has any."""
    if name in MODELS and not MODELS[name].is_trainable:
        setting, kind, default = rows[0]
        shown = repr(default) if kind == "str" else default
        return f"chainrule.build({name!r}, inputs=2, {setting}={shown}) in Python; there is nothing to train"
    return f"chainrule fit DATA --model {name}" + (f" --set {rows[0][0]}={rows[0][2]}" if rows else "")


def describe_dataset(name: str) -> Description:
    """Describe a built-in data set with its columns. Raises: UnknownNameError, MissingExtraError; SettingError for a file."""
    from chainrule.data.schema import find_schema

    if name not in names("dataset") and Path(name).exists():
        raise SettingError(
            f"{visible(name)} is not built in, and only what is built in is described; --draw draws it, and "
            f"chainrule fit {visible(name)} says what its columns are"
        )
    source = load("dataset", name)()
    schema, _ = find_schema(source, target=source.origin.get("target"))
    target = schema.target
    rows = [
        (c.name, c.kind, _range(source.frame[c.name]) if c.kind == "number" else listed(list(c.values)))
        for c in schema.columns
    ]
    shape = "" if schema.columns else f", each {' × '.join(map(str, schema.shape))}"
    classes = (
        f"{len(target.classes)} classes: {listed(list(target.classes), 12)}" if target.classes else "values"
    )
    return Description(
        title=name,
        text=f"{names('dataset')[name]}\n{len(source):,} rows{shape}; target {listed(list(target.names))}: {classes}",
        header=("column", "kind", "range") if rows else (),
        rows=rows,
        example=f"for example: chainrule fit {name}",
    )


def _range(series: object) -> str:
    import polars as pl

    assert isinstance(series, pl.Series)
    low, high = series.min(), series.max()
    return f"{show_number(float(low))} … {show_number(float(high))}"  # type: ignore[arg-type]
