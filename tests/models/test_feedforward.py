"""Feed-forward networks: dense layers, what passes through them, how many numbers they hold."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from chainrule import Regression, explain
from chainrule.models import build
from chainrule.nn.activations import SIGMOID, Activate
from chainrule.nn.initial import initialise_


def numbers(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def count(model: nn.Module) -> tuple[int, int]:
    """Return the weights and the biases of a network."""
    sizes = [(p.dim() > 1, p.numel()) for p in model.parameters()]
    return sum(n for is_weight, n in sizes if is_weight), sum(n for is_weight, n in sizes if not is_weight)


def built(name: str, **settings: object) -> nn.Sequential:
    """Build without memory for the weights: what is counted may be larger than the machine."""
    with torch.device("meta"):
        model = build(name, **settings)
    assert isinstance(model, nn.Sequential)
    return model


def dense(model: nn.Module) -> list[nn.Linear]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)]


def network(*, hidden: tuple[int, ...] = (5, 4), activation: object = "tanh") -> nn.Sequential:
    model = build("mlp", inputs=3, units=2, hidden=hidden, activation=activation).double()
    initialise_(model, 0)
    assert isinstance(model, nn.Sequential)
    return model


def rows(count: int = 6) -> Tensor:
    return torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.curriculum("FFN-01", "FFN-04")
@pytest.mark.parametrize(("inputs", "units"), [(3, 4), (1, 1), (100, 7)])
def test_dense_layer(inputs: int, units: int) -> None:
    """Every input reaches every output: (m, n_in) -> (m, n_out), n_in · n_out weights and n_out biases."""
    model = build("mlp", inputs=inputs, units=9, hidden=(units,), activation="sigmoid").double()
    layer = model[:2]
    x = torch.randn(6, inputs, dtype=torch.float64)
    assert layer(x).shape == (6, units)
    assert count(layer) == (inputs * units, units)
    by_hand = torch.sigmoid(x @ layer[0].weight.T + layer[0].bias)
    torch.testing.assert_close(layer(x), by_hand, atol=1e-12, rtol=1e-12)
    jacobian = torch.autograd.functional.jacobian(layer, x[0])
    assert (jacobian != 0).all()


@pytest.mark.curriculum("FFN-05")
def test_dense_layer_on_a_picture() -> None:
    model = build("softmax-regression", inputs=(3, 32, 32), units=10).double()
    picture = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    weight = dense(model)[0].weight
    assert weight.shape == (10, 3072)
    products = [sum((weight[k] * picture.flatten()).tolist()) for k in range(10)]
    expected = numbers(products) + dense(model)[0].bias
    torch.testing.assert_close(model(picture)[0], expected, atol=1e-11, rtol=1e-11)


@pytest.mark.curriculum("FFN-06", "FFN-07")
def test_network_is_a_nested_function() -> None:
    """a = f(W a + b), layer by layer, is f(x) = W₃ g₂(W₂ g₁(W₁ x + b₁) + b₂) + b₃."""
    model, x = network(activation=("sigmoid", "relu")), rows()
    (w1, b1), (w2, b2), (w3, b3) = ((layer.weight, layer.bias) for layer in dense(model))
    nested = torch.relu(torch.sigmoid(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    torch.testing.assert_close(model(x), nested, atol=1e-12, rtol=1e-12)


@pytest.mark.curriculum("FFN-08")
@pytest.mark.parametrize("hidden", [(), (4,), (4, 4, 4, 4)], ids=str)
def test_parameters_are_a_weight_and_a_bias_per_layer(hidden: tuple[int, ...]) -> None:
    parameters = list(network(hidden=hidden).parameters())
    assert len(parameters) == 2 * (len(hidden) + 1)
    assert [p.dim() for p in parameters] == [2, 1] * (len(hidden) + 1)


@pytest.mark.curriculum("FFN-09")
def test_matrix_form_of_the_first_layer() -> None:
    """G05. The decks' two neurons at once: W x + b = (4, −2), sigmoid of it (0.98, 0.12)."""
    model = build("mlp", inputs=2, units=1, hidden=(2,), activation="sigmoid").double()
    model[0].load_state_dict({"weight": numbers([[1, -2], [-1, 1]]), "bias": numbers([1, 0])})
    z = model[:1](numbers([[1, -1]]))
    assert z.tolist() == [[4, -2]]
    a = model[:2](numbers([[1, -1]]))[0].tolist()
    assert a == pytest.approx([0.98, 0.12], abs=0.005) and a == pytest.approx([0.982014, 0.119203], abs=1e-6)


@pytest.mark.curriculum("FFN-12")
def test_parameters_pick_the_function() -> None:
    model, x = network(activation="sigmoid"), rows(2)
    before = model(x)
    for parameter in model.parameters():
        with torch.no_grad():
            parameter.view(-1)[0] += 0.1
        after = model(x)
        assert ((after - before).abs().amax(1) > 1e-6).all(), "another function, seen at both inputs"
        before = after


@pytest.mark.curriculum("FFN-13", "ACT-19")
def test_values_of_every_layer_can_be_kept() -> None:
    """One way, from the inputs to the outputs; on it each z[l] and a[l] = g[l](z[l])."""
    model, x = network(hidden=(5, 4, 3), activation=("sigmoid", "relu", "tanh")), rows()
    kept: list[tuple[nn.Module, Tensor, Tensor]] = []
    for layer in model:
        layer.register_forward_hook(lambda layer, given, out: kept.append((layer, given[0], out)))
    outputs = model(x)
    assert [layer for layer, _, _ in kept] == list(model), "each layer once, in order: no way back"
    a = x
    for _, given, out in kept:
        assert given is a, "what one layer gives is what the next one takes"
        a = out
    assert a is outputs
    activations = [(layer.activation, z, a) for layer, z, a in kept if isinstance(layer, Activate)]
    assert [g.name for g, _, _ in activations] == ["sigmoid", "relu", "tanh"]
    known = {"sigmoid": torch.sigmoid, "relu": torch.relu, "tanh": torch.tanh}
    assert all(torch.equal(a, known[g.name](z)) for g, z, a in activations)


@pytest.mark.curriculum("FFN-17", "ACT-01", "NEU-21")
def test_linear_layers_collapse_into_one() -> None:
    """W₂ (W₁ x + b₁) + b₂ = (W₂ W₁) x + (W₂ b₁ + b₂): without something non-linear between, depth adds nothing."""
    x = 10 * rows()
    for activation, is_linear in (("identity", True), ("linear", True), ("relu", False), ("tanh", False)):
        model = network(hidden=(5,), activation=activation)
        first, second = dense(model)
        one = build("linear-regression", inputs=3, units=2).double()
        with torch.no_grad():
            one[0].weight.copy_(second.weight @ first.weight)
            one[0].bias.copy_(second.weight @ first.bias + second.bias)
        assert torch.allclose(model(x), one(x), atol=1e-12, rtol=1e-12) == is_linear


@pytest.mark.curriculum("FFN-24")
def test_parameters_of_the_small_image_mlp() -> None:
    """G09."""
    weights, biases = count(built("mlp", inputs=(3, 64, 64), units=2, hidden=(1000, 500)))
    assert (weights, weights + biases) == (12_789_000, 12_790_502)


@pytest.mark.curriculum("FFN-25")
def test_parameters_of_the_large_image_mlp() -> None:
    """D25. "Four layers of 1000 plus 1000 outputs": four hidden layers and the output; or the output among the four (E24)."""
    assert count(built("mlp", inputs=(3, 256, 256), units=1000, hidden=(1000,) * 4)) == (200_608_000, 5_000)
    assert count(built("mlp", inputs=(3, 256, 256), units=1000, hidden=(1000,) * 3))[0] == 199_608_000


@pytest.mark.curriculum("FFN-26")
def test_parameters_of_1000_1000_1000() -> None:
    """G10."""
    weights, biases = count(built("mlp", inputs=1000, units=1000, hidden=(1000,)))
    assert (weights, weights + biases) == (2_000_000, 2_002_000)


@pytest.mark.curriculum("FFN-27")
def test_dense_layer_beside_a_convolution() -> None:
    """From 32 × 32 × 3 to 28 × 28 × 6: 14,450,688 weights where six 5 × 5 filters have 456 numbers."""
    assert count(built("mlp", inputs=(3, 32, 32), units=28 * 28 * 6, hidden=()))[0] == 14_450_688
    assert sum(count(built("lenet", inputs=(3, 32, 32), units=10)[0])) == 456


@pytest.mark.curriculum("FFN-31")
def test_functions_of_vectors_take_each_number_alone() -> None:
    """np.maximum(v, 0), v**2 and 1/v at v = (1, −2, 4): the parts that do it at once, and `explain` for each number."""
    v, largest, squares, inverses = numbers([1, -2, 4]), [1, 0, 4], [1, 4, 16], [1, -0.5, 0.25]
    assert Activate("relu")(v).tolist() == largest
    assert Regression(["v"]).losses(v[:, None], torch.zeros_like(v)[:, None]).tolist() == squares
    for text, values in (("max(v, 0)", largest), ("v**2", squares), ("1/v", inverses)):
        assert [explain(text, v=number).values()["value"] for number in v.tolist()] == values


@pytest.mark.curriculum("FFN-31")
def test_vectors_and_loops_agree_and_vectors_are_faster() -> None:
    model, x = network(hidden=(40, 40), activation="tanh"), rows(50)

    def neuron(weights: list[float], bias: float, inputs: list[float], last: bool) -> float:
        z = sum(w * v for w, v in zip(weights, inputs, strict=True)) + bias
        return z if last else math.tanh(z)

    layers = [(layer.weight.tolist(), layer.bias.tolist()) for layer in dense(model)]

    def in_loops(values: list[float]) -> list[float]:
        for place, (weight, bias) in enumerate(layers):
            last = place == len(layers) - 1
            values = [neuron(w, b, values, last) for w, b in zip(weight, bias, strict=True)]
        return values

    def fastest(passes: Callable[[], Tensor]) -> tuple[Tensor, float]:
        seconds = []
        for _ in range(5):  # the first starts threads, and others may compute beside it
            began = time.perf_counter()
            found = passes()
            seconds.append(time.perf_counter() - began)
        return found, min(seconds)

    looped, slow = fastest(lambda: numbers([in_loops(row) for row in x.tolist()]))
    at_once, quick = fastest(lambda: model(x))
    torch.testing.assert_close(at_once, looped, atol=1e-12, rtol=1e-12)
    assert quick < slow


@pytest.mark.curriculum("FFN-32")
def test_network_is_called_like_a_function() -> None:
    model, x = network(), rows()
    together = model(x)
    assert together.shape == (6, 2)
    torch.testing.assert_close(torch.stack([model(row) for row in x]), together, atol=1e-12, rtol=1e-12)


@pytest.mark.curriculum("ACT-18")
def test_gradients_reach_the_first_of_twenty_layers() -> None:
    """Through 20 layers with He's start: of sigmoid next to nothing, of relu about as much as at the end. Not of relu
    alone, as one deck has it (E29): leaky-relu and softplus pass it too, and relu gives none where z < 0."""

    def norms(activation: str) -> tuple[float, float]:
        model = build("mlp", inputs=64, units=10, hidden=(64,) * 20, activation=activation).double()
        initialise_(model, 0, "he")
        x = torch.randn(100, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        nn.functional.cross_entropy(model(x), torch.arange(100) % 10).backward()
        found = [layer.weight.grad.norm().item() for layer in dense(model)]
        return found[0], found[-1]

    first = {name: norms(name)[0] for name in ("sigmoid", "relu", "leaky-relu", "softplus")}
    assert first["sigmoid"] < 1e-8
    assert all(first[name] > 0.1 for name in ("relu", "leaky-relu", "softplus"))
    start, end = norms("relu")
    assert 0.1 < start / end < 10
    assert norms("sigmoid")[1] > 0.1, "the layers nearest the output learn; those nearest the input do not"
    z = numbers([-2.0, 3.0])
    relu, leaky = Activate("relu").activation, Activate("leaky-relu").activation
    assert relu.backward(z, relu(z), numbers([1, 1])).tolist() == [0, 1]
    assert leaky.backward(z, leaky(z), numbers([1, 1])).tolist() == [0.01, 1]
    assert SIGMOID.derivative(z, SIGMOID(z)).max() <= 0.25
