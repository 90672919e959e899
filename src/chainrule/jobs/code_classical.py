"""The parts of a script of a classical model: the estimator as scikit-learn has it, its fit, and what it is worth.

Reading, dividing and preparing are the parts that scripts of networks have. The run's own judging reads a tie between two
classes as the second, where scikit-learn takes the first, and so does the script.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.catalog import CLASSICAL
from chainrule.core.errors import RunError
from chainrule.jobs.classical import make_fitting
from chainrule.jobs.code_judging import COUNTED, metric_of_classes
from chainrule.jobs.code_read import ReadCode
from chainrule.jobs.code_split import PARTS
from chainrule.jobs.code_text import WIDTH, Part, Source, literal
from chainrule.jobs.material import Material
from chainrule.train.classical import LEAST, decides
from chainrule.train.recipe import Recipe

OF_THREADS = "n_jobs"  # how many cores work at it, which changes no number
REGRESSION = '''
def evaluate(model, inputs, targets, mean, std):
    """R², mean absolute and root mean squared error in the target's own units."""
    values, true = model.predict(inputs).reshape(len(inputs), -1) * std + mean, targets * std + mean
    return {
        "r2": r2_score(true, values),
        "mae": mean_absolute_error(true, values),
        "rmse": mean_squared_error(true, values) ** 0.5,
    }
'''


def classical_parts(
    recipe: Recipe, material: Material, read: ReadCode, division: str, arguments: str
) -> Iterator[Part]:
    """Give what stands behind reading, dividing and preparing in the script of a classical model.

    Raises: RunError for a model that scikit-learn does not have, or a class without training rows
    """
    estimator = make_fitting(recipe, material).model.estimator
    targets = material.examples.targets
    assert targets is not None
    is_regression = material.kind == "regression"
    if not is_regression and len(np.unique(targets[material.split.train])) < len(
        recipe.schema.target.classes
    ):
        raise RunError("a class has no training rows, which is not yet supported in scripts")
    yield _load_part(material, read, division, arguments)
    yield _model_part(estimator, recipe)
    yield _regression_part() if is_regression else _classes_part(estimator, recipe)
    yield _main(recipe, material)


def describe_classical(recipe: Recipe) -> str:
    """Say what the script does, in words that hold nothing from the data."""
    kind, classes = recipe.schema.target.kind, len(recipe.schema.target.classes)
    said = "Regression" if kind == "regression" else f"Classification into {classes} classes"
    versions = ("chainrule", "scikit-learn")
    ours, theirs = (recipe.versions.get(name, "") for name in versions)
    known = all(text and all(c.isalnum() or c in ".+-" for c in text) for text in (ours, theirs))
    by = (
        f"Written by chainrule {ours}; with scikit-learn {theirs} it" if known else "Written by chainrule; it"
    )
    rest = f"{by} ends with the model of the run, and saves it beside itself. From the top: settings, data, model, judging."
    return f"{said} by {recipe.settings.model}, in plain scikit-learn.\n\n{textwrap.fill(rest, WIDTH)}\n"


def _load_part(material: Material, read: ReadCode, division: str, arguments: str) -> Part:
    """Write `load`: from the data to arrays."""
    present = [name for name in PARTS if material.split.counts()[name]]
    is_regression = material.kind == "regression"
    rows = f"({', '.join(present)}{',' * (len(present) == 1)})"
    lines = [
        f"{', '.join(read.names)} = read_data()",
        f"{', '.join(present)} = split({division})",
        f"inputs = prepare({arguments}).flatten(1).double().numpy()",
    ]
    if is_regression:
        lines += [
            "mean, std = targets[train].mean(0), targets[train].std(0)",
            "targets = (targets - mean) / std",
        ]
    said = "the rows of each part" + "; mean and deviation of the targets" * is_regression
    lines.append(f"return inputs, targets, {rows}{', (mean, std)' * is_regression}")
    body = "".join(f"    {line}\n" for line in lines)
    return Part().with_function(f'def load():\n    """Inputs and targets as arrays; {said}."""\n{body}')


def _model_part(estimator: Any, recipe: Recipe) -> Part:
    part = Part()
    found = _source(part, estimator, recipe, 11)
    part.functions.append(
        f'def build_model():\n    """{CLASSICAL[recipe.settings.model or ""].summary}"""\n    return {found}'
    )
    return part


def _source(part: Part, estimator: Any, recipe: Recipe, indent: int) -> str:
    """Return the call that makes an estimator, with what is not its default. Raises: RunError for one of our own"""
    kind = type(estimator)
    if kind.__module__.partition(".")[0] not in ("sklearn", "lightgbm"):
        raise RunError(f"its model {recipe.settings.model} is none of scikit-learn's")
    part.uses(f"{_public(kind)}:{kind.__name__}")
    usual = inspect.signature(kind).parameters
    given = [
        f"{name}={_value(part, name, value, recipe)}"
        for name, value in estimator.get_params(deep=False).items()
        if name != OF_THREADS and not (name in usual and _is_same(value, usual[name].default))
    ]
    line = f"{kind.__name__}({', '.join(given)})"
    if len(line) + indent <= WIDTH:
        return line
    together = ", ".join(given)
    if len(together) + 8 <= WIDTH:
        return f"{kind.__name__}(\n        {together}\n    )"
    return f"{kind.__name__}(\n" + "".join(f"        {one},\n" for one in given) + "    )"


def _value(part: Part, name: str, value: Any, recipe: Recipe) -> str:
    if name == "random_state" and value == recipe.settings.seed:
        return "SEED"
    if hasattr(value, "get_params"):
        return _source(part, value, recipe, -WIDTH)
    if name == "steps":
        return literal([(step, Source(_source(part, one, recipe, -WIDTH))) for step, one in value])
    return literal(value)


def _public(kind: type) -> str:
    """Return the module from which users import a class.

    >>> from sklearn.ensemble import RandomForestClassifier
    >>> _public(RandomForestClassifier)
    'sklearn.ensemble'
    """
    names = kind.__module__.split(".")
    if names[0] == "lightgbm":
        return names[0]
    private = next((place for place, name in enumerate(names) if name.startswith("_")), len(names))
    return ".".join(names[:private])


def _is_same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and not hasattr(value, "get_params") and bool(value == default)


def _regression_part() -> Part:
    names = ("mean_absolute_error", "mean_squared_error", "r2_score")
    return Part().uses(*(f"sklearn.metrics:{name}" for name in names)).with_function(REGRESSION)


def _classes_part(estimator: Any, recipe: Recipe) -> Part:
    """Write `evaluate` for classes: accuracy, the loss where there are probabilities, and the metric of the run."""
    part, metric = Part(), recipe.settings.metric
    is_binary = recipe.schema.target.kind == "binary"
    said, lines, values = "The share of rows answered rightly", [], []
    if decides(estimator):
        lines.append("labels = model.predict(inputs)")
    else:
        part.uses("numpy as np")
        said = "The mean of -log of the true class's probability, and the share of rows answered rightly"
        tie = "(shares[:, 1] >= shares[:, 0]).astype(int)  # a tie counts as the second class, as in the run"
        lines += [
            "shares = model.predict_proba(inputs)",
            f"labels = {tie if is_binary else 'shares.argmax(1)'}",
            f"true = np.clip(shares[np.arange(len(targets)), targets], {LEAST!r}, None)",
        ]
        values.append('"log-loss": -np.log(true).mean(),')
    values.append('"accuracy": (labels == targets).mean(),')
    if metric in COUNTED:
        values.append(f'"{metric}": {metric_of_classes(part, str(metric), is_binary=is_binary)},')
    body = "".join(f"    {line}\n" for line in lines) + "    return {\n"
    body += "".join(f"        {value}\n" for value in values) + "    }"
    part.functions.append(f'def evaluate(model, inputs, targets):\n    """{said}."""\n{body}')
    return part


def _main(recipe: Recipe, material: Material) -> Part:
    counts = material.split.counts()
    present = [name for name in PARTS if counts[name]]
    judged = "test" if counts["test"] else present[-1]
    is_regression = material.kind == "regression"
    units = ", mean, std" * is_regression
    used = [name if name in ("train", judged) else "_" for name in present]
    rows = f"({', '.join(used)}{',' * (len(used) == 1)})"
    wanted = (
        "targets[train, 0]" if is_regression and len(recipe.schema.target.names) == 1 else "targets[train]"
    )
    part = Part().uses("pathlib:Path", "skops.io:dump")
    part.settings += ['MODEL = Path(__file__).with_suffix(".skops")']
    part.functions.append(
        "def main():\n"
        f"    inputs, targets, {rows}{', (mean, std)' * is_regression} = load()\n"
        f"    model = build_model().fit(inputs[train], {wanted})\n"
        f"    for name, value in evaluate(model, inputs[{judged}], targets[{judged}]{units}).items():\n"
        f'        print(f"{judged} {{name}}: {{value:.6g}}")\n'
        "    dump(model, MODEL)\n"
        '    print(f"model: {MODEL}")'
    )
    return part
