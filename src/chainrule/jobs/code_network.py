"""The network part of a script: its layers, their starting weights, the loss, and what the outputs are worth."""

from __future__ import annotations

from typing import Any

from torch import nn

from chainrule.catalog import MODELS, outside_target
from chainrule.core.errors import RunError
from chainrule.jobs.code_text import Part, literal
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.train.loop import EVALUATION_ROWS
from chainrule.train.recipe import Recipe

ACTIVATIONS = {
    "identity": "nn.Identity()",
    "step": "Step()",
    "sigmoid": "nn.Sigmoid()",
    "tanh": "nn.Tanh()",
    "relu": "nn.ReLU()",
    "leaky-relu": "nn.LeakyReLU(0.01)",
    "softplus": "nn.Softplus()",
    "gelu": "nn.GELU()",
    "silu": "nn.SiLU()",
}
LOSSES = {
    "squared-error": ("Mean squared error.", "F.mse_loss(outputs, targets)"),
    "half-squared-error": ("Half the squared error.", "(0.5 * (outputs - targets).square().sum(1)).mean()"),
    "absolute-error": ("Mean absolute error.", "F.l1_loss(outputs, targets)"),
    "binary-cross-entropy": (
        "Mean cross-entropy; a sigmoid of the output is the probability of the second class.",
        'F.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.float(), reduction="none").mean()',
    ),
    "cross-entropy": (
        "Mean cross-entropy; a softmax of the outputs gives the probabilities.",
        'F.cross_entropy(outputs, targets, reduction="none").mean()',
    ),
}
SEVERAL_VALUES = {  # as the run sums: over the values of a row first
    "squared-error": 'F.mse_loss(outputs, targets, reduction="none").mean(1).mean()',
    "absolute-error": 'F.l1_loss(outputs, targets, reduction="none").mean(1).mean()',
}


def noisy_layers(model: nn.Module) -> int:
    """Count the layers with dropout of chainrule's."""
    return sum(isinstance(layer, Dropout) for layer in model.modules())


def network_part(recipe: Recipe, model: nn.Module, units: int) -> Part:
    """Return the network's layers and starting weights; a model of the user's own is imported.

    Raises: RunError for layers that cannot be written
    """
    part = Part().uses("torch")
    if recipe.settings.model not in MODELS:
        _imported(part, recipe, model, units)
        return part
    part.uses("torch:nn")
    if not isinstance(model, nn.Sequential):
        raise RunError(
            f"the network of {recipe.settings.model} is no chain of layers and cannot be written as code yet"
        )
    layers = [_layer(layer, noisy_layers(model)) for layer in model]
    if "Step()" in layers:
        part.function('''
            class Step(nn.Module):
                """1 where a sum is at least 0, else 0."""

                def forward(self, x):
                    return (x >= 0).to(x.dtype)
        ''')
    if noisy_layers(model) > 1:
        part.function('''
            class Dropout(nn.Dropout):
                """Dropout whose noise is a function of the seed, the layer and the update."""

                step = 0

                def __init__(self, rate, place):
                    super().__init__(rate)
                    self.seed = mix(SEED, "noise", 0, place)

                def forward(self, x):
                    if self.training:
                        torch.manual_seed(mix(self.seed, Dropout.step))
                    return super().forward(x)
        ''')
        places = iter(range(len(layers)))
        layers = [
            f"{layer[:-1]}, {next(places)})" if layer.startswith("Dropout(") else layer for layer in layers
        ]
    part.uses("math")
    inside = "".join(f"        {layer},\n" for layer in layers)
    chain = f"nn.Sequential({layers[0]})" if len(layers) == 1 else f"nn.Sequential(\n{inside}    )"
    part.functions.append(f'''def build_model():
    """The network, each layer's weights drawn evenly between ±1/√(inputs of a unit)."""
    model = {chain}
    layers = [layer for layer in model if isinstance(layer, nn.Linear | nn.Conv2d)]
    for place, layer in enumerate(layers):
        bound = 1 / math.sqrt(layer.weight[0].numel())
        source = generator("initial", place)
        nn.init.uniform_(layer.weight, -bound, bound, generator=source)
        nn.init.uniform_(layer.bias, -bound, bound, generator=source)
    return model''')
    return part


def _imported(part: Part, recipe: Recipe, model: nn.Module, units: int) -> None:
    name = str(recipe.settings.model)
    module, _, attribute = outside_target(name).partition(":")
    if any(type(layer).__module__.partition(".")[0] == "chainrule" for layer in model.modules()):
        raise RunError(
            f"the model {name} is built from layers of chainrule; a script without chainrule cannot hold it"
        )
    outer = attribute.partition(".")[0]
    part.uses(f"{module}:{outer}")
    given = {"inputs": recipe.inputs, "units": units, **recipe.model_settings}
    arguments = ", ".join(f"{key}={literal(value)}" for key, value in given.items())
    part.functions.append(f'''def build_model():
    """The network, made by a module of your own from torch's generator."""
    torch.manual_seed(mix(SEED, "model"))
    return {attribute}({arguments})''')


def _layer(layer: nn.Module, noisy: int) -> str:
    match layer:
        case Activate():
            if layer.activation.name in ACTIVATIONS:
                return ACTIVATIONS[layer.activation.name]
        case Dropout():
            return f"{'nn.' * (noisy == 1)}Dropout({layer.rate!r})"
        case nn.Flatten():
            return "nn.Flatten()"
        case nn.Linear() if layer.bias is not None:
            return f"nn.Linear({layer.in_features}, {layer.out_features})"
        case nn.Conv2d() if layer.bias is not None:
            padding = f", padding={layer.padding[0]}" if layer.padding != (0, 0) else ""
            return f"nn.Conv2d({layer.in_channels}, {layer.out_channels}, kernel_size={layer.kernel_size[0]}{padding})"
        case nn.MaxPool2d():
            return f"nn.MaxPool2d({layer.kernel_size})"
        case nn.AvgPool2d():
            return f"nn.AvgPool2d({layer.kernel_size})"
    raise RunError(f"the layer {layer} cannot be written as code yet")


def judging_part(
    recipe: Recipe, *, smooths: bool, switches: bool, largest: int, weights: list[float] | None = None
) -> Part:
    """Return the loss, the outputs without gradients, and the metrics of the task.

    `weights` are those of the classes in the loss, where they differ. `largest` is the number of rows of the larger part that is judged at once.
    """
    part = Part().uses("torch")
    target = recipe.schema.target
    loss = _loss(part, recipe, smooths)
    if weights is not None:
        part.setting("CLASS_WEIGHTS", weights, "so that all classes of the training rows count alike")
        start, _, formula = loss.rpartition("return ")
        inner = formula.removesuffix(".mean()")
        inner = inner[1:-1] if inner.startswith("(") else inner
        loss = f"{start}losses = {inner}\n    return (losses * torch.tensor(CLASS_WEIGHTS)[targets]).mean()"
    part.function(loss)
    # Sums over other numbers of rows at once may end in other bits.
    run = (
        f"torch.cat([model(part) for part in inputs.split({EVALUATION_ROWS})])"
        if largest > EVALUATION_ROWS
        else "model(inputs)"
    )
    part.functions.append(
        "def outputs_of(model, inputs):\n"
        '    """Outputs as in prediction: no gradients'
        + (", no dropout" if switches else "")
        + '."""\n'
        + "    model.eval()\n" * switches
        + f"    with torch.no_grad():\n        return {run}"
    )
    if target.kind == "regression":
        part.function('''
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
        ''')
        return part
    decide = "outputs.squeeze(1) >= 0" if target.kind == "binary" else "outputs.argmax(1)"
    part.function(f'''
        def evaluate(model, inputs, targets):
            """Loss, and the share of rows whose class is predicted rightly."""
            outputs = outputs_of(model, inputs)
            right = ({decide}) == targets
            return {{"loss": loss_of(outputs, targets).item(), "accuracy": right.double().mean().item()}}
    '''.replace("(outputs.argmax(1))", "outputs.argmax(1)"))  # fmt: skip
    return part


def _loss(part: Part, recipe: Recipe, smooths: bool) -> str:
    target = recipe.schema.target
    name = recipe.settings.loss or {"regression": "squared-error", "binary": "binary-cross-entropy"}.get(
        target.kind, "cross-entropy"
    )
    if name == "perceptron":
        return _perceptron(part, target.kind)
    if name not in LOSSES:
        raise RunError(f"the loss {name} cannot be written as code yet")
    purpose, formula = LOSSES[name]
    if "F." in formula:
        part.uses("torch.nn.functional as F")
    if len(target.names) > 1:
        formula = SEVERAL_VALUES.get(name, formula)
    if not smooths:
        return f'def loss_of(outputs, targets):\n    """{purpose}"""\n    return {formula}'
    if name == "cross-entropy":
        formula = formula.replace('"none"', '"none", label_smoothing=smoothing')
        return f'def loss_of(outputs, targets, smoothing=0.0):\n    """{purpose}"""\n    return {formula}'
    formula = formula.replace("targets.float()", "smoothed")
    return (
        f'def loss_of(outputs, targets, smoothing=0.0):\n    """{purpose}"""\n'
        f"    smoothed = targets * (1 - smoothing) + smoothing / 2\n    return {formula}"
    )


def _perceptron(part: Part, kind: str) -> str:
    purpose = (
        '"""How far the wrong side is ahead: 0 where the decision is right, so that only mistakes count."""'
    )
    if kind == "binary":
        part.uses("torch.nn.functional as F")
        return (
            f"def loss_of(outputs, targets):\n    {purpose}\n    z = outputs.squeeze(1)\n"
            "    return (F.relu(-z * (2 * targets.float() - 1)) + 0 * z).mean()"
        )
    return (
        f"def loss_of(outputs, targets):\n    {purpose}\n"
        "    return (outputs.amax(1) - outputs.gather(1, targets.unsqueeze(1)).squeeze(1)).mean()"
    )


def describe(recipe: Recipe) -> str:
    """Say what the script does, in words that hold nothing from the data."""
    kinds: dict[str, Any] = {"regression": "Regression", "binary": "Classification into two classes"}
    said = kinds.get(
        recipe.schema.target.kind, f"Classification into {len(recipe.schema.target.classes)} classes"
    )
    model = recipe.settings.model if recipe.settings.model in MODELS else "a model of your own"
    return f"{said} by {model}, in plain PyTorch."
