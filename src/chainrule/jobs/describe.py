"""What names of the catalogue mean, for people who look around."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chainrule.catalog import CLASSICAL, KINDS, MODELS, Entry, load, names, parametrised
from chainrule.core.errors import SettingError, unknown_name
from chainrule.core.limits import Limits
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


USED = {  # where a name of the kind is given to fit
    "model": "--model {}",
    "classical-model": "--model {}",
    "activation": "--set activation={}",
    "initial": "--set initial={}",
    "normalisation": "--set normalisation={}",
    "loss": "--set loss={}",
    "optimizer": "--optimizer {}",
    "schedule": "--schedule {}",
    "metric": "--metric {}",
    "augmentation": "--set augment={}",
    "method": "--method {}",
}
COMMANDS = {"method": "explore"}  # where it is not fit
EXAMPLES = {
    "model": "chainrule fit iris --model mlp --set hidden=64,32",
    "dataset": "chainrule fit digits",
}


def list_kinds() -> Description:
    """List the kinds of names that there are, with where they are given and the names."""
    rows = [(kind, _used(kind, "NAME"), ", ".join(names(kind))) for kind in KINDS]
    return Description(
        header=("kind", "given to fit (or explore) as", "names"),
        rows=rows,
        example="for example: chainrule names activation relu",
    )


def list_kind(kind: str) -> Description:
    """List the names of one kind. Raises: UnknownNameError for the kind."""
    if kind not in KINDS:
        raise unknown_name("kind of names", kind, KINDS)
    found = names(kind)
    return Description(
        header=("name", "what it is"),
        rows=list(found.items()),
        example=f"for example: {EXAMPLES.get(kind) or _example_of(kind, next(iter(found)))}",
    )


def list_models() -> Description:
    """List what `fit --model` takes: networks, and the classical models, whose kind is their family."""
    networks = [(name, said, "network", _shape_of(MODELS.get(name))) for name, said in names("model").items()]
    classical = [(name, e.summary, e.family, _shape_of(e)) for name, e in CLASSICAL.items()]
    return Description(
        header=("name", "what it is", "kind", "linear"),
        rows=[*networks, *classical],
        example=f"for example: {EXAMPLES['model']}",
    )


def _shape_of(entry: Entry | None) -> str:
    """Say whether a model's boundary or fit is straight."""
    return "" if entry is None or entry.is_linear is None else "yes" if entry.is_linear else "no"


def describe_name(kind: str, name: str) -> Description:
    """Describe one name of a kind. Raises: UnknownNameError for the kind or the name; SettingError for its number."""
    if kind not in KINDS:
        raise unknown_name("kind of names", kind, KINDS)
    if kind in ("model", "classical-model", "dataset"):
        return describe_dataset(name) if kind == "dataset" else describe_model(name)
    found, _ = parametrised(kind, name)
    entry = KINDS[kind].entries[name.partition(":")[0].strip()]
    if kind in ("activation", "loss"):
        rows = _declared(kind, name)
    elif kind == "method":
        rows = [("tag", found.tag), ("what for", found.purpose), ("against it", found.drawbacks)]
        rows += list(found.settings.items())
    elif kind in ("optimizer", "schedule"):
        rows = _settings_of(kind, found)
    else:
        rows = [("number after the name", entry.number)] * bool(entry.number)
    said = inspect.getdoc(found) if inspect.isfunction(found) else None
    is_used = kind in USED and getattr(found, "tasks", True)
    return Description(
        title=name,
        text="\n".join(filter(None, [entry.summary, said])),
        header=("what", "as declared") if rows else (),
        rows=rows,
        example=f"for example: {_example_of(kind, name)}" if is_used else "",
    )


def _declared(kind: str, name: str) -> list[tuple[str, str]]:
    """Return what an activation or a loss declares about itself."""
    from chainrule.nn.activations import activation
    from chainrule.nn.losses import loss

    if kind == "activation":
        f = activation(name)
        low, high = (f"{bound:.4g}".replace("inf", "∞").replace("-", "−") for bound in f.bounds)
        rows = [("f(z)", f.formula), ("derivative", f.derivative_formula), ("range", f"{low} to {high}")]
        rows += [("for it", f.advantages), ("against it", f.drawbacks), ("what for", f.purpose)]
        return [*rows, *_number(f.number)]
    found = loss(name)
    rows = [("loss of a row", found.formula), ("derivative by the outputs", found.derivative_formula)]
    rows += [("against it", found.drawbacks), ("what for", found.purpose), ("tasks", ", ".join(found.tasks))]
    return [*rows, *_number(found.number)]


def _settings_of(kind: str, found: Any) -> list[tuple[str, str]]:
    """Return the update of a rule, and the settings of a rule or a schedule with their defaults."""
    if kind == "optimizer":
        settings = [(f"--set {name}", f"{value:g}") for name, value in found.defaults.items()]
        return [("update", found.formula), ("source", found.source), *settings]
    given = ((item.name, item.default) for item in fields(found) if item.name != "learning_rate")
    return [(f"--set {name}", "none" if value is None else f"{value:g}") for name, value in given]


def _number(number: float | None) -> list[tuple[str, str]]:
    return [] if number is None else [("c", show_number(number))]


def _example_of(kind: str, name: str) -> str:
    return f"chainrule {COMMANDS.get(kind, 'fit')} DATA {_used(kind, name)}"


def _used(kind: str, name: str) -> str:
    return USED.get(kind, "{}").format(name)


def describe_model(name: str) -> Description:
    """Describe a model with its settings. Raises: UnknownNameError."""
    from chainrule.models import model_limits, model_settings
    from chainrule.models.classical import KIND, classical_settings

    is_classical = name in CLASSICAL
    builder = load(KIND if is_classical else "model", name)
    limits = {} if is_classical else model_limits(name)
    rows = []
    for key, parameter in (classical_settings if is_classical else model_settings)(name).items():
        default = "required" if parameter.default is inspect.Parameter.empty else parameter.default
        shown = ",".join(map(str, default)) if isinstance(default, tuple | list) else str(default)
        rows.append((key, _takes(str(parameter.annotation), limits.get(key)), shown))
    return Description(
        title=name,
        text=inspect.getdoc(builder) or "",
        header=("setting", "takes", "default") if rows else (),
        rows=rows,
        example=f"for example: {_example(name, rows)}",
    )


def _takes(kind: str, limits: Limits | None) -> str:
    """Return what a setting takes, with its limits.

    >>> _takes("Annotated[int | None, Limits(low=1)]", Limits(low=1)), _takes("str", None)
    ('int | None, at least 1', 'str')
    """
    if limits is None:
        return kind
    plain = kind.removeprefix("Annotated[").partition(", Limits(")[0]
    return str(limits) if limits.words else f"{plain}, {limits}"


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
