"""Starting weights by name, drawn from generators that are a pure function of the seed.

Layers of chainrule and of torch.nn draw from torch's global generator when they are made. `initialise_` draws anew,
layer by layer, so that a network's start depends on nothing but the seed and the layer's place.

n_in is the number of inputs of a unit, n_out the number of units that an input reaches; for a convolution both count
the places of its window. Biases start at zero unless it says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, nn

from chainrule.catalog import parametrised
from chainrule.core.errors import SettingError
from chainrule.core.seeds import generator

Layer = nn.Linear | nn.Conv2d
STANDARD = "standard"


def initialise_(model: nn.Module, seed: int, initial: str = STANDARD) -> None:
    """Draw weights and biases of every dense and convolutional layer.

    Raises: UnknownNameError, SettingError for a start that there is not
    """
    draw = find_initial(initial)
    layers = [m for m in model.modules() if isinstance(m, Layer)]
    with torch.no_grad():
        for place, layer in enumerate(layers):
            if layer.bias is not None:
                layer.bias.zero_()
            _draw_in_order(layer, draw, generator(seed, "initial", place))


def _draw_in_order(layer: Layer, draw: Callable[[Layer, Generator], None], source: Generator) -> None:
    """Draw a layer's weights by rows: torch draws by places in memory, and weights may lie there otherwise."""
    weights = layer.weight.data
    layer.weight.data = weights.contiguous()
    draw(layer, source)
    layer.weight.data = weights.copy_(layer.weight)


def find_initial(text: str) -> Callable[[Layer, Generator], None]:
    """Return what draws the weights of a layer: NAME, or NAME:NUMBER for a start that takes a number.

    Raises: UnknownNameError for the name; SettingError for the number
    """
    draw, number = parametrised("initial", text)
    if number is None:
        return draw  # type: ignore[no-any-return]
    if number < 0 and draw is not constant:
        raise SettingError(
            f"the number of the start {text.partition(':')[0]} cannot be negative; got {text!r}"
        )
    return lambda layer, source: draw(layer, source, number)


def standard(layer: Layer, source: Generator) -> None:
    """Weights and biases evenly between ±1/√n_in: sums of inputs get near one third of their variance.

    Source: LeCun et al. 1998, Efficient BackProp, section 4.6, as torch.nn has it.
    """
    bound = 1 / math.sqrt(layer.weight[0].numel())
    layer.weight.uniform_(-bound, bound, generator=source)
    if layer.bias is not None:
        layer.bias.uniform_(-bound, bound, generator=source)


def xavier(layer: Layer, source: Generator) -> None:
    """Evenly, with the variance 2/(n_in + n_out). Source: Glorot and Bengio 2010, equation 16."""
    nn.init.xavier_uniform_(layer.weight, generator=source)


def xavier_normal(layer: Layer, source: Generator) -> None:
    """From a normal distribution with the variance 2/(n_in + n_out). Source: Glorot and Bengio 2010, equation 12."""
    nn.init.xavier_normal_(layer.weight, generator=source)


def he(layer: Layer, source: Generator) -> None:
    """From a normal distribution with the variance 2/n_in. Source: He et al. 2015, equation 10."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=source)


def he_uniform(layer: Layer, source: Generator) -> None:
    """Evenly, with the variance 2/n_in of He et al. 2015."""
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=source)


def lecun(layer: Layer, source: Generator) -> None:
    """From a normal distribution with the variance 1/n_in. Source: LeCun et al. 1998, equation 16."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear", generator=source)


def lecun_uniform(layer: Layer, source: Generator) -> None:
    """Evenly, with the variance 1/n_in of LeCun et al. 1998."""
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear", generator=source)


def orthogonal(layer: Layer, source: Generator, gain: float = 1.0) -> None:
    """Rows (or columns) of one length that stand at right angles. Source: Saxe et al. 2014."""
    nn.init.orthogonal_(layer.weight, gain, generator=source)


def normal(layer: Layer, source: Generator, std: float = 0.01) -> None:
    """From a normal distribution with one deviation for all layers: signals fade (0.01) or explode (1) with depth."""
    nn.init.normal_(layer.weight, std=std, generator=source)


def constant(layer: Layer, source: Generator, value: float = 0.5) -> None:
    """All weights one number: the units of a layer get equal gradients and stay equal for ever."""
    nn.init.constant_(layer.weight, value)


def zeros(layer: Layer, source: Generator) -> None:
    """All weights 0: no gradient reaches the hidden layers, and only the last biases learn."""
    nn.init.zeros_(layer.weight)
