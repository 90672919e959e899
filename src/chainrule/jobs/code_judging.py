"""The judging part of a script: the loss, the outputs without gradients, and what these are worth."""

from __future__ import annotations

import numpy as np

from chainrule.core.errors import RunError
from chainrule.jobs.code_losses import write_loss
from chainrule.jobs.code_text import Part
from chainrule.jobs.material import Material
from chainrule.nn.losses import loss
from chainrule.train.loop import EVALUATION_ROWS
from chainrule.train.recipe import Recipe

COUNTED = {  # metrics that count rows: name -> function of sklearn.metrics, which divides as the run does
    "balanced-accuracy": "balanced_accuracy_score",
    "f1": "f1_score",
    "precision": "precision_score",
    "recall": "recall_score",
}
METRICS = (None, "accuracy", "auc", "r2", "mae", "rmse", *COUNTED)
AUC = '''
def auc(scores, is_of_class):
    """How often a row of the class has a higher score than another row; equal scores count half."""
    ranks, many, others = rankdata(scores), is_of_class.sum().item(), (~is_of_class).sum().item()
    return (ranks[is_of_class].sum() - many * (many + 1) / 2) / (many * others)
'''
MEAN_AUC = '''
def mean_auc(outputs, targets):
    """Mean over the classes of how well each is told from the rest."""
    shares = torch.softmax(outputs.double(), 1)
    return np.mean([auc(share, targets == place) for place, share in enumerate(shares.T)])
'''
REGRESSION = '''
def evaluate(model, inputs, targets, mean, std):
    """Loss; and R², mean absolute and root mean squared error in the target's own units."""
    outputs = outputs_of(model, inputs)
    values, true = outputs.double() * std + mean, targets.double() * std + mean
    error = values - true
    r2 = 1 - error.square().sum(0) / (true - true.mean(0)).square().sum(0)
    return {
        "loss": loss_of(outputs, targets).item(),
        "r2": r2.mean().item(),
        "mae": error.abs().mean().item(),
        "rmse": error.square().mean().sqrt().item(),
    }
'''


def check_metric(recipe: Recipe, material: Material) -> None:
    """Raises: RunError for a metric that a script cannot compute as the run did"""
    metric, targets = recipe.settings.metric, material.examples.targets
    assert targets is not None
    decides = recipe.settings.loss is not None and loss(recipe.settings.loss).only_decides
    if metric not in METRICS or (metric == "auc" and decides):  # nothing is ranked by a decision
        known = ", ".join(filter(None, METRICS))
        raise RunError(f"the metric {metric} is not yet supported in scripts (those that are: {known})")
    if metric in (None, "accuracy", "mae", "rmse"):
        return
    for part in ("validation", "test"):
        seen = targets[material.rows(part)]
        is_defined = (
            (seen.min(0) < seen.max(0)).all()
            if material.kind == "regression" and len(seen)
            else len(np.unique(seen)) == len(recipe.schema.target.classes)
        )
        if len(seen) and not is_defined:
            what = "do not vary" if material.kind == "regression" else "lack a class"
            raise RunError(
                f"its {part} rows {what}, and the metric {metric} is then not yet supported in scripts"
            )


def judging_part(
    recipe: Recipe, *, smooths: bool, switches: str, largest: int, weights: list[float] | None = None
) -> Part:
    """Return the loss, the outputs without gradients, and the metrics of the task.

    `switches` says what is otherwise than while training. `weights` are those of the classes in the loss, where they differ. `largest` is the number of rows of the larger part that is judged at once.
    """
    part = Part().uses("torch")
    target = recipe.schema.target
    written = write_loss(part, recipe, smooths=smooths)
    if weights is not None:
        part.setting("CLASS_WEIGHTS", weights, "so that all classes of the training rows count alike")
        start, _, formula = written.rpartition("return ")
        inner = formula.removesuffix(".mean()")
        inner = inner[1:-1] if inner.startswith("(") else inner
        written = (
            f"{start}losses = {inner}\n    return (losses * torch.tensor(CLASS_WEIGHTS)[targets]).mean()"
        )
    part.function(written)
    # Sums over other numbers of rows at once may end in other bits.
    run = (
        f"torch.cat([model(part) for part in inputs.split({EVALUATION_ROWS})])"
        if largest > EVALUATION_ROWS
        else "model(inputs)"
    )
    part.functions.append(
        "def outputs_of(model, inputs):\n"
        '    """Outputs as in prediction: no gradients'
        + (f", {switches}" if switches else "")
        + '."""\n'
        + "    model.eval()\n" * bool(switches)
        + f"    with torch.no_grad():\n        return {run}"
    )
    if target.kind == "regression":
        part.function(REGRESSION)
    else:
        part.function(_classification(part, recipe))
    return part


def _classification(part: Part, recipe: Recipe) -> str:
    """Return `evaluate` for classes: loss and accuracy, and the metric that the run was judged by."""
    is_binary, metric = recipe.schema.target.kind == "binary", recipe.settings.metric
    said, more = "Loss, and the share of rows whose class is predicted rightly.", ""
    if metric not in (None, "accuracy"):
        said = "Loss, the share of rows whose class is predicted rightly, and what the run was judged by."
        more = f'        "{metric}": {metric_of_classes(part, str(metric), is_binary=is_binary)},\n'
    labels = "(outputs.squeeze(1) >= 0).long()" if is_binary else "outputs.argmax(1)"
    return (
        f'def evaluate(model, inputs, targets):\n    """{said}"""\n'
        "    outputs = outputs_of(model, inputs)\n"
        f"    labels = {labels}\n"
        "    return {\n"
        '        "loss": loss_of(outputs, targets).item(),\n'
        '        "accuracy": (labels == targets).double().mean().item(),\n'
        f"{more}    }}"
    )


def metric_of_classes(part: Part, name: str, *, is_binary: bool) -> str:
    """Return the value of a metric of classes as source; ties between epochs are those of the run."""
    if name in COUNTED:
        part.uses(f"sklearn.metrics:{COUNTED[name]}")
        more = ", zero_division=0" if name != "balanced-accuracy" else ""
        more += ', average="macro"' if more and not is_binary else ""
        return f"{COUNTED[name]}(targets, labels{more})"
    assert name == "auc"
    part.uses("scipy.stats:rankdata")
    part.function(AUC)
    if is_binary:
        return "auc(torch.sigmoid(outputs.double()).squeeze(1), targets == 1)"
    part.function(MEAN_AUC)
    return "mean_auc(outputs, targets)"
