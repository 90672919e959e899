"""The network part of a script: its layers and their starting weights."""

from __future__ import annotations

from typing import Any

from torch import nn

from chainrule.catalog import MODELS, outside_target
from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.jobs.code_initial import starting_lines
from chainrule.jobs.code_text import Part, literal
from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.nn.normalisation import BatchNormalisation, GroupNormalisation, LayerNormalisation
from chainrule.train.recipe import Recipe

ACTIVATIONS = {  # by the name without its number, which stands for {}
    "identity": "nn.Identity()",
    "linear": "Scale({})",
    "step": "Step()",
    "sigmoid": "nn.Sigmoid()",
    "tanh": "nn.Tanh()",
    "softsign": "nn.Softsign()",
    "hard-sigmoid": "HardSigmoid()",
    "hard-tanh": "nn.Hardtanh()",
    "relu": "nn.ReLU()",
    "relu6": "nn.ReLU6()",
    "leaky-relu": "nn.LeakyReLU({})",
    "elu": "nn.ELU({})",
    "selu": "nn.SELU()",
    "softplus": "nn.Softplus(threshold=40)",
    "gelu": "nn.GELU()",
    "silu": "nn.SiLU()",
    "mish": "nn.Mish()",
    "hard-swish": "nn.Hardswish()",
    "softmax": "nn.Softmax(-1)",
}
CLASSES = {  # layers that torch.nn has not, or not to the same bits
    "Step": '''
        class Step(nn.Module):
            """1 where a sum is at least 0, else 0."""

            def forward(self, x):
                return (x >= 0).to(x.dtype)
    ''',
    "Scale": '''
        class Scale(nn.Module):
            """A multiple of each sum."""

            def __init__(self, factor):
                super().__init__()
                self.factor = factor

            def forward(self, x):
                return self.factor * x
    ''',
    "HardSigmoid": '''
        class HardSigmoid(nn.Module):
            """A sixth of each sum and a half more, kept within 0 and 1."""

            def forward(self, x):
                return nn.functional.relu6(x + 3) / 6
    ''',
    "BatchNorm1d": '''
        class BatchNorm1d(nn.BatchNorm1d):
            """Batch normalisation; one row alone has no spread and is normalised as in prediction."""

            def forward(self, x):
                if len(x) > 1 or not self.training:
                    return super().forward(x)
                return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)
    ''',
}


KEEP = '''
    def keep(x, key, rate):
        """What dropout multiplies values with: 0, or 1/(1 - rate). A hash of a key and of each value's place, in 32 bits."""

        def signed(bits):
            return ((bits + 2**31) & 0xFFFFFFFF) - 2**31

        h = torch.arange(x.numel(), dtype=torch.int32, device=x.device) + signed(key)
        h = (h ^ (h >> 16 & 0xFFFF)) * 0x7FEB352D ^ signed(key >> 32)
        h = (h ^ (h >> 15 & 0x1FFFF)) * signed(0x846CA68B)
        h = h ^ (h >> 16 & 0xFFFF)
        most = min(int((1 - rate) * 2**32) - 2**31, 2**31 - 1)
        return (h < most).view(x.shape).to(x.dtype) * (1 / (1 - rate))
'''
DROPOUT = '''
    class Dropout(nn.Module):
        """Dropout whose noise is a function of the seed, the layer and the update."""

        step = 0

        def __init__(self, rate, place):
            super().__init__()
            self.rate = rate
            self.seed = mix(SEED, "noise", 0, place)

        def forward(self, x):
            return x * keep(x, mix(self.seed, Dropout.step), self.rate) if self.training and self.rate else x
'''


def noisy_layers(model: nn.Module) -> int:
    """Count the layers with dropout of chainrule's."""
    return sum(isinstance(layer, Dropout) for layer in model.modules())


def other_than_in_training(model: nn.Module) -> str:
    """Say what a network of the catalogue does otherwise when it predicts; nothing if it has one mode."""
    said = {"no dropout": Dropout, "running statistics": BatchNormalisation}
    return ", ".join(
        text for text, kind in said.items() if any(isinstance(layer, kind) for layer in model.modules())
    )


def network_part(recipe: Recipe, model: nn.Module, units: int, *, leaves_one: bool) -> Part:
    """Return the network's layers and starting weights; a model of the user's own is imported.

    `leaves_one`: the last batch of an epoch has a single row.

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
    flat = next((place for place, layer in enumerate(model) if isinstance(layer, nn.Flatten | nn.Linear)), 0)
    layers = [_layer(layer, place < flat) for place, layer in enumerate(model)]
    if leaves_one:
        layers = [layer.replace("nn.BatchNorm1d(", "BatchNorm1d(") for layer in layers]
    for name, text in CLASSES.items():
        if any(layer.startswith(f"{name}(") for layer in layers):
            part.function(text)
    if noisy_layers(model):
        part.function(KEEP)
        part.function(DROPOUT)
        places = iter(range(len(layers)))
        layers = [
            f"{layer[:-1]}, {next(places)})" if layer.startswith("Dropout(") else layer for layer in layers
        ]
    inside = "".join(f"        {layer},\n" for layer in layers)
    kinds = "nn.Linear | nn.Conv2d" if any("Conv2d(" in layer for layer in layers) else "nn.Linear"
    chain = f"nn.Sequential({layers[0]})" if len(layers) == 1 else f"nn.Sequential(\n{inside}    )"
    said, drawn = starting_lines(part, recipe.settings.initial, kinds)
    lines = "".join(f"    {line}\n" for line in drawn)
    part.functions.append(
        f'def build_model():\n    """The network, {said}."""\n    model = {chain}\n{lines}    return model'
    )
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
    if odd := [key for key in recipe.model_settings if not key.isidentifier()]:
        raise RunError(f"the model has a setting called {visible(odd[0], 40)!r}, which is no name in Python")
    given = {"inputs": recipe.inputs, "units": units, **recipe.model_settings}
    arguments = ", ".join(f"{key}={literal(value)}" for key, value in given.items())
    part.functions.append(f'''def build_model():
    """The network, made by a module of your own from torch's generator."""
    torch.manual_seed(mix(SEED, "model"))
    return {attribute}({arguments})''')


def _layer(layer: nn.Module, has_places: bool) -> str:
    match layer:
        case Activate():
            name = layer.activation.name.partition(":")[0]
            if name in ACTIVATIONS:
                return ACTIVATIONS[name].format(layer.activation.number)
        case Dropout():
            return f"Dropout({layer.rate!r})"
        case BatchNormalisation():
            return f"nn.BatchNorm{2 if has_places else 1}d({layer.channels})"
        case LayerNormalisation():
            return f"nn.LayerNorm({layer.channels})"
        case GroupNormalisation():
            return f"nn.GroupNorm({layer.groups}, {layer.channels})"
        case nn.Flatten():
            return "nn.Flatten()"
        case nn.Linear() if layer.bias is not None:
            return f"nn.Linear({layer.in_features}, {layer.out_features})"
        case nn.Conv2d() if layer.bias is not None:
            moved = f", stride={layer.stride[0]}" if layer.stride != (1, 1) else ""
            around = f", padding={layer.padding[0]}" if layer.padding != (0, 0) else ""
            return f"nn.Conv2d({layer.in_channels}, {layer.out_channels}, kernel_size={layer.kernel_size[0]}{moved}{around})"
        case nn.MaxPool2d():
            return f"nn.MaxPool2d({layer.kernel_size})"
        case nn.AvgPool2d():
            return f"nn.AvgPool2d({layer.kernel_size})"
    raise RunError(f"the layer {layer} cannot be written as code yet")


def describe(recipe: Recipe) -> str:
    """Say what the script does, in words that hold nothing from the data."""
    kinds: dict[str, Any] = {"regression": "Regression", "binary": "Classification into two classes"}
    said = kinds.get(
        recipe.schema.target.kind, f"Classification into {len(recipe.schema.target.classes)} classes"
    )
    model = recipe.settings.model if recipe.settings.model in MODELS else "a model of your own"
    if recipe.settings.members is not None:
        model = f"an ensemble of {recipe.settings.members} networks ({model})"
    return f"{said} by {model}, in plain PyTorch."
