"""The loss of a script, as a function of outputs and targets with the bits of the run's."""

from __future__ import annotations

from typing import NamedTuple

from chainrule.core.errors import RunError
from chainrule.jobs.code_text import Part
from chainrule.nn.losses import loss as loss_named
from chainrule.train.recipe import Recipe


class Body(NamedTuple):
    """What a loss says it is, the formula that it returns, and the lines before; {} stands for its number."""

    purpose: str
    formula: str
    before: str = ""


MARGIN = "    margin = outputs.squeeze(1) * (2 * targets.float() - 1)\n"
TRUE_AND_OTHERS = (
    "    true = {0}.gather(1, targets.unsqueeze(1)).squeeze(1)\n"
    "    others = {0}.scatter(1, targets.unsqueeze(1), -torch.inf)\n"
)
AHEAD = "How far the wrong side is ahead: 0 where the decision is right, so that only mistakes count."
HINGE = "How much a margin of 1 is missed by."
FOCAL = "Mean cross-entropy, of easy rows a small part only."

SHORT = {  # for one value a row; where there are several, sums go over the values of a row first, as in the run
    "squared-error": "F.mse_loss(outputs, targets)",
    "absolute-error": "F.l1_loss(outputs, targets)",
}
VALUES = {
    "squared-error": Body(
        "Mean squared error.", 'F.mse_loss(outputs, targets, reduction="none").mean(1).mean()'
    ),
    "half-squared-error": Body(
        "Half the squared error.", "(0.5 * (outputs - targets).square().sum(1)).mean()"
    ),
    "absolute-error": Body(
        "Mean absolute error.", 'F.l1_loss(outputs, targets, reduction="none").mean(1).mean()'
    ),
    "huber": Body(
        "Half the squared error near the target, the absolute error far from it.",
        'F.huber_loss(outputs, targets, reduction="none", delta={}).mean(1).mean()',
    ),
    "log-cosh": Body(
        "Mean of log cosh of the errors.",
        "(error + F.softplus(-2 * error) - math.log(2)).mean(1).mean()",
        "    error = (outputs - targets).abs()\n",
    ),
}
TWO_CLASSES = {
    "binary-cross-entropy": Body(
        "Mean cross-entropy; a sigmoid of the output is the probability of the second class.",
        'F.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.float(), reduction="none").mean()',
    ),
    "focal": Body(FOCAL, "(-({} * F.logsigmoid(-margin)).exp() * F.logsigmoid(margin)).mean()", MARGIN),
    "perceptron": Body(
        AHEAD,
        "torch.sum(outputs * wrong, 1).mean()",
        "    wrong = (outputs >= 0).float() - targets.float().unsqueeze(1)\n",
    ),
    "hinge": Body(HINGE, "F.relu(1 - margin).mean()", MARGIN),
    "squared-hinge": Body(HINGE, "F.relu(1 - margin).square().mean()", MARGIN),
}
CLASSES = {
    "cross-entropy": Body(
        "Mean cross-entropy; a softmax of the outputs gives the probabilities.",
        'F.cross_entropy(outputs, targets, reduction="none").mean()',
    ),
    "focal": Body(
        FOCAL,
        "(-({} * others.logsumexp(1)).exp() * true).mean()",
        "    shares = outputs.log_softmax(1)\n" + TRUE_AND_OTHERS.format("shares"),
    ),
    "perceptron": Body(
        AHEAD,
        "torch.sum(outputs * wrong, 1).mean()",
        "    classes = outputs.shape[1]\n"
        "    wrong = F.one_hot(outputs.argmax(1), classes) - F.one_hot(targets, classes)\n",
    ),
    "hinge": Body(HINGE, "F.relu(1 + (others.amax(1) - true)).mean()", TRUE_AND_OTHERS.format("outputs")),
    "squared-hinge": Body(
        HINGE, "F.relu(1 + (others.amax(1) - true)).square().mean()", TRUE_AND_OTHERS.format("outputs")
    ),
}
BODIES = {"regression": VALUES, "binary": TWO_CLASSES, "multi-class": CLASSES}
DEFAULTS = {
    "regression": "squared-error",
    "binary": "binary-cross-entropy",
    "multi-class": "cross-entropy",
}


def write_loss(part: Part, recipe: Recipe, *, smooths: bool) -> str:
    """Return the function `loss_of` as source; it ends in "return FORMULA.mean()" or in one call.

    Raises: RunError for a loss that no script knows
    """
    target = recipe.schema.target
    given = recipe.settings.loss or DEFAULTS[target.kind]
    name = given.partition(":")[0]
    if name not in BODIES[target.kind]:
        raise RunError(f"the loss {name} cannot be written as code yet")
    purpose, formula, before = BODIES[target.kind][name]
    if len(target.names) == 1:
        formula = SHORT.get(name, formula)
    formula = formula.format(loss_named(given).number)
    arguments = "outputs, targets"
    if smooths:
        arguments += ", smoothing=0.0"
        if name == "cross-entropy":
            formula = formula.replace('"none"', '"none", label_smoothing=smoothing')
        else:
            formula = formula.replace("targets.float()", "smoothed")
            before = "    smoothed = targets * (1 - smoothing) + smoothing / 2\n"
    used = {"torch.": "torch", "F.": "torch.nn.functional as F", "math.": "math"}
    part.uses(*(module for start, module in used.items() if start in before + formula))
    return f'def loss_of({arguments}):\n    """{purpose}"""\n{before}    return {formula}'
