"""Activations, each declared once: value, derivative, range, what it is for and what it costs.

Explicit backprop, explanations, the documentation and the tests read these declarations. Derivatives take the
pre-activation z and the value a = f(z), since most are cheapest in terms of a. At a kink they take what autograd
takes; the derivatives on both sides of it are as good.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chainrule.catalog import parametrised
from chainrule.core.errors import SettingError

INFINITY = math.inf
EVERYWHERE = (-INFINITY, INFINITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A function with its derivative, element by element unless `times_jacobian` says otherwise.

    `bounds` is the closed hull of the range, `kinks` are the z where the derivative jumps. `number` is what may stand
    after the name (leaky-relu:0.2), and `family` makes the activation of another number.

    An activation of a whole vector (softmax) has a Jacobian: there `derivative` gives it, of shape (…, K, K), and
    `times_jacobian` the product that backprop needs, without building it.
    """

    name: str
    formula: str
    derivative_formula: str
    value: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor], Tensor]
    bounds: tuple[float, float]
    purpose: str
    advantages: str
    drawbacks: str
    kinks: tuple[float, ...] = ()
    is_trainable: bool = True
    number: float | None = None
    family: Callable[[float], Activation] | None = None
    times_jacobian: Callable[[Tensor, Tensor], Tensor] | None = None

    def __call__(self, z: Tensor) -> Tensor:
        return self.value(z)

    @property
    def is_element_wise(self) -> bool:
        """Whether each value depends on its own z alone."""
        return self.times_jacobian is None

    def backward(self, z: Tensor, a: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient by z, from z, a = f(z) and the gradient by a. Shapes: all alike."""
        if self.times_jacobian is not None:
            return self.times_jacobian(a, gradient)
        return gradient * self.derivative(z, a)


def activation(text: str) -> Activation:
    """Return the activation that NAME or NAME:NUMBER means.

    Raises: UnknownNameError for the name; SettingError for the number
    >>> activation("leaky-relu:0.2")(torch.tensor([-1.0, 1.0]))
    tensor([-0.2000,  1.0000])
    """
    found, number = parametrised("activation", text)
    assert isinstance(found, Activation)
    if number is None or found.family is None:
        return found
    return replace(found.family(number), name=f"{found.name}:{number!r}".removesuffix(".0"))


class Activate(nn.Module):
    """An activation as a layer of a network."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.activation = activation(name)

    def forward(self, z: Tensor) -> Tensor:
        return self.activation.value(z)

    def extra_repr(self) -> str:
        return self.activation.name


# ---- not for hidden layers, or only where nothing has to be learnt through them


def _linear(factor: float) -> Activation:
    return Activation(
        name="linear",
        formula="c z",
        derivative_formula="c",
        value=lambda z: factor * z,
        derivative=lambda z, a: torch.full_like(z, factor),
        bounds=EVERYWHERE if factor else (0.0, 0.0),
        purpose="values in an output layer, in other units",
        advantages="any value can be answered",
        drawbacks="linear layers in a row are one linear layer, however many",
        number=factor,
        family=_linear,
    )


IDENTITY = replace(
    _linear(1.0),
    name="identity",
    formula="z",
    derivative_formula="1",
    value=lambda z: z,
    purpose="values in an output layer",
    number=None,
    family=None,
)
LINEAR = _linear(1.0)
STEP = Activation(
    name="step",
    formula="1 for z ≥ 0, else 0",
    derivative_formula="0",
    value=lambda z: (z >= 0).to(z.dtype),
    derivative=lambda z, a: torch.zeros_like(z),
    bounds=(0.0, 1.0),
    purpose="threshold units and logic",
    advantages="a clear decision",
    drawbacks="gradient descent cannot train through it; a tiny change of z turns the answer over",
    kinks=(0.0,),
    is_trainable=False,
)


# ---- S-shaped

SIGMOID = Activation(
    name="sigmoid",
    formula="1/(1 + e^−z)",
    derivative_formula="a (1 − a)",
    value=torch.sigmoid,
    derivative=lambda z, a: a * (1 - a),
    bounds=(0.0, 1.0),
    purpose="probabilities of two classes; gates",
    advantages="smooth; its values read as probabilities",
    drawbacks="gradients vanish on both sides, and at best a quarter passes; not zero-centred",
)
TANH = Activation(
    name="tanh",
    formula="(e^z − e^−z)/(e^z + e^−z) = 2 sigmoid(2z) − 1",
    derivative_formula="1 − a²",
    value=torch.tanh,
    derivative=lambda z, a: 1 - a * a,
    bounds=(-1.0, 1.0),
    purpose="hidden layers of small networks; states of recurrent ones",
    advantages="zero-centred, keeps the sign; passes four times the gradient of sigmoid around 0",
    drawbacks="gradients vanish on both sides too, less soon than those of sigmoid",
)
SOFTSIGN = Activation(
    name="softsign",
    formula="z/(1 + |z|)",
    derivative_formula="1/(1 + |z|)²",
    value=F.softsign,
    derivative=lambda z, a: (1 + z.abs()) ** -2,
    bounds=(-1.0, 1.0),
    purpose="hidden layers, in place of tanh",
    advantages="zero-centred; nears its bounds more slowly than tanh",
    drawbacks="gradients vanish on both sides, as a power of z",
)
HARD_SIGMOID = Activation(
    name="hard-sigmoid",
    formula="z/6 + 1/2, kept within 0 and 1",
    derivative_formula="1/6 for |z| < 3, else 0",
    value=lambda z: F.relu6(z + 3) / 6,  # the gradient of F.hardsigmoid has 1/6 in float32 only
    derivative=lambda z, a: (z.abs() < 3).to(z.dtype) / 6,
    bounds=(0.0, 1.0),
    purpose="gates on small devices",
    advantages="cheap: no exponential",
    drawbacks="no gradient at all beyond ±3; not zero-centred",
    kinks=(-3.0, 3.0),
)
HARD_TANH = Activation(
    name="hard-tanh",
    formula="z, kept within −1 and 1",
    derivative_formula="1 for |z| < 1, else 0",
    value=F.hardtanh,
    derivative=lambda z, a: (z.abs() < 1).to(z.dtype),
    bounds=(-1.0, 1.0),
    purpose="hidden layers on small devices, in place of tanh",
    advantages="cheap; zero-centred",
    drawbacks="no gradient at all beyond ±1",
    kinks=(-1.0, 1.0),
)


# ---- open above

RELU = Activation(
    name="relu",
    formula="max(0, z)",
    derivative_formula="1 for z > 0, else 0",
    value=F.relu,
    # At z = 0 the decks print 1 in one place and "off" in another; 0 is what autograd takes (E07).
    derivative=lambda z, a: (z > 0).to(z.dtype),
    bounds=(0.0, INFINITY),
    purpose="hidden layers, the usual choice; after convolutions",
    advantages="cheap; the gradient passes whole where z > 0; about half of the values are exactly 0",
    drawbacks="a unit whose z is negative on every row gets no gradient: it is dead; not zero-centred",
    kinks=(0.0,),
)
RELU6 = Activation(
    name="relu6",
    formula="z, kept within 0 and 6",
    derivative_formula="1 for 0 < z < 6, else 0",
    value=F.relu6,
    derivative=lambda z, a: ((z > 0) & (z < 6)).to(z.dtype),
    bounds=(0.0, 6.0),
    purpose="hidden layers of networks that will count in few bits",
    advantages="as relu, with values that cannot grow",
    drawbacks="no gradient outside 0 to 6; units can die",
    kinks=(0.0, 6.0),
)


def _leaky_relu(slope: float) -> Activation:
    # max(a z, z) is the same only where a ≤ 1 (E40); a slope below 0 would fold the line.
    _within("leaky-relu", "slope", slope, 0, 1)
    return Activation(
        name="leaky-relu",
        formula="z for z ≥ 0, c z below",
        derivative_formula="1 for z > 0, else c",
        value=lambda z: F.leaky_relu(z, slope),
        derivative=lambda z, a: torch.where(z > 0, 1.0, torch.full_like(z, slope)),
        bounds=EVERYWHERE if slope else (0.0, INFINITY),
        purpose="hidden layers whose units must not die",
        advantages="as relu, and some gradient passes below 0 too",
        drawbacks="not bounded below; one more number to choose",
        kinks=(0.0,),
        number=slope,
        family=_leaky_relu,
    )


def _elu(scale: float) -> Activation:
    _within("elu", "scale", scale, 0, 100)
    return Activation(
        name="elu",
        formula="z for z ≥ 0, c (e^z − 1) below",
        derivative_formula="1 for z > 0, else a + c",
        value=lambda z: F.elu(z, scale),
        derivative=lambda z, a: torch.where(z > 0, 1.0, a + scale),
        bounds=(-scale, INFINITY),
        purpose="hidden layers with means near 0",
        advantages="some gradient below 0; means nearer to 0 than those of relu",
        drawbacks="costs an exponential; gradients vanish far below 0",
        kinks=() if scale == 1 else (0.0,),
        number=scale,
        family=_elu,
    )


def _within(name: str, meaning: str, number: float, low: float, high: float) -> None:
    if not low <= number <= high:
        raise SettingError(f"the {meaning} of {name} must be from {low:g} to {high:g}; got {number:g}")


LEAKY_RELU = _leaky_relu(0.01)
ELU = _elu(1.0)

# Klambauer et al. 2017: the two numbers for which mean 0 and variance 1 are a fixed point of a wide layer.
_SELU_FACTOR, _SELU_SCALE = 1.0507009873554805, 1.6732632423543772
SELU = Activation(
    name="selu",
    formula=f"{_SELU_FACTOR:.4f} z for z ≥ 0, {_SELU_FACTOR * _SELU_SCALE:.4f} (e^z − 1) below",
    derivative_formula=f"{_SELU_FACTOR:.4f} for z > 0, else a + {_SELU_FACTOR * _SELU_SCALE:.4f}",
    value=F.selu,
    derivative=lambda z, a: torch.where(z > 0, _SELU_FACTOR, a + _SELU_FACTOR * _SELU_SCALE),
    bounds=(-_SELU_FACTOR * _SELU_SCALE, INFINITY),
    purpose="deep dense networks without normalisation",
    advantages="keeps mean 0 and variance 1 from layer to layer, from weights drawn with variance 1/inputs",
    drawbacks="only so with those weights; gradients vanish far below 0",
    kinks=(0.0,),
)
SOFTPLUS = Activation(
    name="softplus",
    formula="log(1 + e^z)",  # printed under the name "log likelihood" in one deck (E04)
    derivative_formula="sigmoid(z)",
    value=lambda z: F.softplus(z, threshold=40),  # torch's own 20 is 2e-9 off in float64
    derivative=lambda z, a: torch.sigmoid(z),
    bounds=(0.0, INFINITY),
    purpose="values that must be positive; a smooth relu",
    advantages="smooth; always positive",
    drawbacks="costs an exponential; never exactly 0; gradients vanish far below 0",
)


# ---- with a dip: f falls before it rises


def _gelu_derivative(z: Tensor, a: Tensor) -> Tensor:
    cumulative = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    return cumulative + z * torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _silu_derivative(z: Tensor, a: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s + a * (1 - s)


def _mish_derivative(z: Tensor, a: Tensor) -> Tensor:
    t = torch.tanh(F.softplus(z))
    return t + z * (1 - t * t) * torch.sigmoid(z)


def _hard_swish_derivative(z: Tensor, a: Tensor) -> Tensor:
    inside = torch.where(z < 3, z / 3 + 0.5, torch.ones_like(z))
    return torch.where(z > -3, inside, torch.zeros_like(z))


GELU = Activation(
    name="gelu",
    formula="z Φ(z), Φ the standard normal distribution",
    derivative_formula="Φ(z) + z φ(z)",
    value=F.gelu,
    derivative=_gelu_derivative,
    bounds=(-0.169971207480, INFINITY),
    purpose="hidden layers of transformers",
    advantages="smooth; some gradient just below 0",
    drawbacks="costs an error function; gradients vanish far below 0",
)
SILU = Activation(
    name="silu",
    formula="z sigmoid(z)",
    derivative_formula="σ + a (1 − σ), σ = sigmoid(z)",
    value=F.silu,
    derivative=_silu_derivative,
    bounds=(-0.278464542762, INFINITY),
    purpose="hidden layers of convolutional networks; also called swish",
    advantages="smooth; some gradient just below 0",
    drawbacks="costs an exponential; gradients vanish far below 0",
)
MISH = Activation(
    name="mish",
    formula="z tanh(softplus(z))",
    derivative_formula="t + z (1 − t²) sigmoid(z), t = tanh(softplus(z))",
    value=F.mish,
    derivative=_mish_derivative,
    bounds=(-0.308843413018, INFINITY),
    purpose="hidden layers of detectors",
    advantages="smooth; some gradient just below 0",
    drawbacks="costs an exponential, a logarithm and a tanh; gradients vanish far below 0",
)
HARD_SWISH = Activation(
    name="hard-swish",
    formula="z hard-sigmoid(z)",
    derivative_formula="0 for z ≤ −3, z/3 + 1/2 up to 3, then 1",
    value=F.hardswish,
    derivative=_hard_swish_derivative,
    bounds=(-0.375, INFINITY),
    purpose="hidden layers on small devices, in place of silu",
    advantages="cheap; some gradient just below 0",
    drawbacks="no gradient at all below −3",
    kinks=(-3.0, 3.0),
)


# ---- of a whole vector


def _softmax_jacobian(z: Tensor, a: Tensor) -> Tensor:
    return torch.diag_embed(a) - a.unsqueeze(-1) * a.unsqueeze(-2)


SOFTMAX = Activation(
    name="softmax",
    formula="e^zᵢ / Σⱼ e^zⱼ",  # one deck appends a stray max(0, x) (E20)
    derivative_formula="∂aᵢ/∂zⱼ = aᵢ (δᵢⱼ − aⱼ)",
    value=lambda z: torch.softmax(z, -1),
    derivative=_softmax_jacobian,
    times_jacobian=lambda a, gradient: a * (gradient - (gradient * a).sum(-1, keepdim=True)),
    bounds=(0.0, 1.0),
    purpose="probabilities of classes that exclude each other",
    advantages="positive values that sum to 1; the same for z + c",
    drawbacks="couples all units; gradients vanish where one class is sure",
)
