"""Questions: output layer, loss, and how outputs are read, with the decks' numbers."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor

from chainrule import Batches, Binary, MultiClass, Objective, Regression, build
from chainrule.core.errors import SettingError, ShapeError, UnknownNameError
from chainrule.data.read import read
from chainrule.data.schema import find_schema
from chainrule.nn.losses import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, SQUARED_ERROR
from chainrule.train.loop import evaluate, judge
from chainrule.train.task import KINDS, Predictions, Task, build_task

EXACT = 1e-6  # the curriculum's verified values are rounded to six digits
DIGITS = tuple("0123456789")


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def head(name: str, weights: list[list[float]], biases: list[float]) -> torch.nn.Module:
    """Return a model of one layer with these weights, a row per unit."""
    model = build(name, inputs=len(weights[0]), units=len(weights)).double()
    model.load_state_dict(
        {"0.weight": torch.tensor(weights, dtype=torch.float64), "0.bias": numbers(*biases)}
    )
    return model


def shares(predictions: Predictions) -> Tensor:
    assert predictions.probabilities is not None
    return predictions.probabilities


# ---- values


@pytest.mark.curriculum("OUT-01", "NEU-02")
def test_regression_head() -> None:
    task = Regression(["price"])
    assert task.units == 1
    model = head("linear-regression", [[2, 3]], [0.5])
    assert task.decode(model(numbers(1, 1)[None])).values.tolist() == [[5.5]]
    for bias, value in ((0, 3), (1, 4)):
        pattern = head("linear-regression", [[1, -2]], [bias])
        assert task.decode(pattern(numbers(1, -1)[None])).values.tolist() == [[value]]


@pytest.mark.curriculum("OUT-02")
def test_multi_output_regression_head() -> None:
    """y = Wᵀh + b with a matrix W, a column per value (E22); torch keeps Wᵀ."""
    task = Regression(["first", "second"])
    assert task.units == 2
    columns = [[1, 0], [0, 1], [1, 1]]
    model = head("linear-regression", [list(row) for row in zip(*columns, strict=True)], [0, 1])
    assert task.decode(model(numbers(1, 2, 3)[None])).values.tolist() == [[4, 6]]


def test_values_are_scaled_by_training_rows_and_scaled_back() -> None:
    task = Regression(["a", "b"]).fit(np.array([[10.0, 5], [20, 5], [30, 5]]))
    assert task.mean.tolist() == [20, 5]
    assert task.scale.tolist() == pytest.approx([np.std([10, 20, 30]), 1]), (
        "what does not vary is not blown up"
    )
    new = np.array([[25.0, 6], [1e6, -3]])
    torch.testing.assert_close(task.decode(task.encode(new)).values, torch.from_numpy(new), atol=0, rtol=1e-6)


def test_measures_of_values_are_in_the_targets_units() -> None:
    task = Regression(["price"]).fit(np.array([[100.0], [200], [300]]))
    true = np.array([[100.0], [200], [300]])
    outputs = task.encode(np.array([[110.0], [190], [300]]))
    measured = task.measure(outputs, task.encode(true))
    assert measured == pytest.approx(
        {"mae": 20 / 3, "rmse": math.sqrt(200 / 3), "r2": 1 - 200 / 20_000}, rel=1e-5
    )
    constant = task.measure(task.encode(np.full((3, 1), 200.0)), task.encode(np.full((3, 1), 200.0)))
    assert constant["r2"] == 0, "nothing varies: no better than the mean"


# ---- two classes


@pytest.mark.curriculum("OUT-03", "ACT-05")
def test_binary_head() -> None:
    task = Binary(["deny", "approve"])
    assert task.units == 1
    model = head("logistic-regression", [[1, -1]], [0])
    found = task.decode(model(numbers(3, 1, 1, 1, 1, 3).reshape(3, 2)))
    second = shares(found)[:, 1]
    assert second.tolist() == pytest.approx([0.880797, 0.5, 0.119203], abs=EXACT)
    assert ((second > 0) & (second < 1)).all()
    assert found.names == ["approve", "approve", "deny"], "0.5 exactly is the second class"


@pytest.mark.curriculum("OUT-10")
def test_labels_of_both_conventions() -> None:
    """±1 from the data becomes t = (s+1)/2 on the way in and s = 2t−1 on the way out."""
    signs = np.array([1, -1, -1, 1, 1, -1, 1, -1, 1, 1])
    source = read((np.arange(20.0).reshape(10, 2), signs))
    schema, _ = find_schema(source)
    targets = schema.encode(source).targets
    assert schema.target.kind == "binary"
    assert np.array_equal(targets, (signs + 1) / 2)
    task = Binary(schema.target.classes)
    outputs = (2.0 * task.encode(targets) - 1)[:, None]
    assert [int(name) for name in task.decode(outputs).names] == signs.tolist()
    # Both conventions give one loss: log(1 + e^(−s z)) and the cross-entropy of t.
    z = torch.randn(10, 1, dtype=torch.float64)
    by_sign = torch.log1p(torch.exp(-torch.from_numpy(signs) * z[:, 0]))
    torch.testing.assert_close(task.losses(z, task.encode(targets)), by_sign)


@pytest.mark.curriculum("DAT-13")
def test_one_unit_and_two_units_decide_alike() -> None:
    """Cat or dog as 1/0, or as one of two slots: the same probabilities and decisions."""
    two = torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = (two[:, 1] - two[:, 0])[:, None]
    names, targets = ["cat", "dog"], torch.randint(0, 2, (500,))
    binary, slots = Binary(names), MultiClass(names)
    assert binary.units == 1 and slots.units == 2
    assert binary.decode(one).names == slots.decode(two).names
    torch.testing.assert_close(shares(binary.decode(one)), shares(slots.decode(two)))
    torch.testing.assert_close(binary.losses(one, targets), slots.losses(two, targets))


@pytest.mark.curriculum("NEU-18", "DAT-17")
def test_movie_decision_by_threshold_and_by_sigmoid() -> None:
    """G13. Rating 4.1: watch; 3.9: do not. A threshold unit flips, a sigmoid hardly moves."""
    ratings = numbers(4.1, 3.9)[:, None]
    hard = Binary(["skip", "watch"], "perceptron").decode(head("perceptron", [[1]], [-4])(ratings))
    assert hard.names == ["watch", "skip"]
    assert shares(hard)[:, 1].tolist() == [1, 0]
    soft = Binary(["skip", "watch"]).decode(head("logistic-regression", [[1]], [-4])(ratings))
    assert soft.names == hard.names
    assert shares(soft)[:, 1].tolist() == pytest.approx([0.525, 0.475], abs=0.0005)


@pytest.mark.curriculum("NEU-08", "NEU-11", "NEU-12")
@pytest.mark.parametrize(
    ("threshold", "fires"), [(0.5, [0, 1, 1, 1]), (1.5, [0, 0, 0, 1])], ids=["OR", "AND"]
)
def test_threshold_units(threshold: float, fires: list[int]) -> None:
    """G11 and G12."""
    table = numbers(0, 0, 0, 1, 1, 0, 1, 1).reshape(4, 2)
    found = Binary(["0", "1"], "perceptron").decode(head("perceptron", [[1, 1]], [-threshold])(table))
    assert found.labels.tolist() == fires
    tie = Binary(["0", "1"], "perceptron").decode(head("perceptron", [[1, 1]], [-1])(table))
    assert tie.labels.tolist() == [0, 1, 1, 1], "Σ = θ fires"


@pytest.mark.curriculum("NEU-03")
def test_neuron_with_sigmoid() -> None:
    """G01 and G02: z, and σ(z) as computed and as printed."""
    x = numbers(1, -1)[None]
    for weights, bias, z, a, printed in (([1, -2], 1, 4, 0.982014, 0.98), ([-1, 1], 0, -2, 0.119203, 0.12)):
        outputs = head("logistic-regression", [weights], [bias])(x)
        assert outputs.tolist() == [[z]]
        fires = shares(Binary(["silent", "fires"]).decode(outputs))[0, 1].item()
        assert fires == pytest.approx(a, abs=EXACT) and fires == pytest.approx(printed, abs=0.005)


# ---- several classes


@pytest.mark.curriculum("OUT-04", "DAT-12")
def test_multi_class_head() -> None:
    task = MultiClass(DIGITS)
    assert task.units == 10
    outputs = 20 * torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    found = task.decode(outputs)
    assert shares(found).sum(1).tolist() == pytest.approx([1] * 200, abs=1e-12)
    assert set(found.labels.tolist()) <= set(range(10))
    assert found.labels.tolist() == shares(found).argmax(1).tolist()


@pytest.mark.curriculum("OUT-06", "ACT-14")
def test_softmax() -> None:
    """G07."""
    decode = MultiClass(["a", "b", "c"]).decode
    z = numbers(3, 1, -3)
    assert z.exp().tolist() == pytest.approx([20.0855, 2.71828, 0.049787], abs=5e-5)
    found = shares(decode(z[None]))[0]
    assert found.tolist() == pytest.approx([0.878878, 0.118943, 0.002179], abs=EXACT)
    assert found.tolist() == pytest.approx([0.88, 0.12, 0], abs=0.005)
    assert found.sum().item() == pytest.approx(1, abs=1e-12) and ((found > 0) & (found < 1)).all()
    torch.testing.assert_close(shares(decode(z[None] + 123.0))[0], found)
    far = shares(decode(numbers(1000, 999, -1000)[None]))[0]
    assert far.tolist() == pytest.approx([0.731059, 0.268941, 0], abs=EXACT)


@pytest.mark.curriculum("OUT-05")
def test_sigmoid_output_layer_does_not_sum_to_one() -> None:
    """G06. Units squashed one by one, as `per-class-cross-entropy` reads them."""
    layer = torch.nn.Sequential(
        head("softmax-regression", [[1, 0], [0, 1], [-1, 0]], [0, 0, 0]), activate("sigmoid")
    )
    found = layer(numbers(3, 1)[None])[0]
    assert found.tolist() == pytest.approx([0.952574, 0.731059, 0.047426], abs=EXACT)
    assert found.tolist() == pytest.approx([0.95, 0.73, 0.05], abs=0.005)
    assert found.sum().item() == pytest.approx(1.731, abs=0.0005)


def activate(name: str) -> torch.nn.Module:
    from chainrule.nn.activations import Activate

    return Activate(name)


@pytest.mark.curriculum("OUT-07")
def test_softmax_on_a_linear_model() -> None:
    weights = [[0.2, -1.0, 0.5], [1.5, 0.3, -0.7], [0.0, 0.1, 2.0], [-1.0, 0.4, 0.6]]
    x = np.random.default_rng(0).normal(size=(6, 3))
    model = head("softmax-regression", weights, [0, 0, 0, 0])
    found = shares(MultiClass(["a", "b", "c", "d"]).decode(model(torch.from_numpy(x))))
    powers = np.exp(x @ np.array(weights).T)
    np.testing.assert_allclose(found.detach().numpy(), powers / powers.sum(1, keepdims=True), rtol=1e-12)


@pytest.mark.curriculum("OUT-08", "FFN-28")
def test_highest_probability_is_the_class() -> None:
    """G17. The deck's digit net counts its slots 1, 2, …, 9, 0; any order of names is read as it is given (E06)."""
    classes = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "0")
    confidence = numbers(0.1, 0.7, 0, 0, 0, 0, 0, 0, 0, 0.2)
    found = MultiClass(classes).decode((confidence + 1e-300).log()[None])
    assert found.names == ["2"]
    torch.testing.assert_close(shares(found)[0], confidence)
    assert MultiClass(classes).decode(numbers(*[0] * 9, 1)[None]).names == ["0"]


@pytest.mark.curriculum("OUT-24")
def test_three_class_cost_figure() -> None:
    task = MultiClass(["1", "2", "3"])
    outputs, target = numbers(0.2, 0.3, 0.5).log()[None], torch.tensor([0])
    judged = judge(task, outputs, target)
    assert judged["loss"] == pytest.approx(1.609438, abs=EXACT)
    assert task.decode(outputs).names == ["3"]
    assert judged["accuracy"] == 0


@pytest.mark.curriculum("DAT-16")
def test_scene_classes_stay_in_the_listed_order() -> None:
    listed = ("living room", "bedroom", "kitchen", "bathroom", "outdoor")
    task = MultiClass(listed)
    assert task.units == 5 and task.classes == listed
    assert task.decode(torch.eye(5)).names == list(listed)
    assert shares(task.decode(torch.randn(3, 5))).sum(1).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.curriculum("DAT-15")
def test_indoor_or_outdoor() -> None:
    task = MultiClass(["indoor", "outdoor"])
    model = build("softmax-regression", inputs=(3, 64, 64), units=task.units)
    assert (model[-1].in_features, model[-1].out_features) == (12288, 2)
    assert len(task.decode(model(torch.randn(4, 3, 64, 64))).names) == 4


@pytest.mark.curriculum("DAT-24")
def test_thousand_objects() -> None:
    """A convolutional net with a 1000-way softmax; the 1001st object is refused."""
    table = {"pixel": [float(i % 7) for i in range(2000)], "object": [i % 1000 + 1 for i in range(2000)]}
    source = read(table)
    schema, _ = find_schema(source, target="object", task="classification")
    task = MultiClass(schema.target.classes)
    assert task.units == 1000 and task.classes == tuple(str(i) for i in range(1, 1001))
    model = build("lenet", inputs=(3, 32, 32), units=task.units)
    found = task.decode(model(torch.randn(2, 3, 32, 32)))
    assert shares(found).shape == (2, 1000) and shares(found).sum(1).tolist() == pytest.approx([1, 1])
    assert all(1 <= int(name) <= 1000 for name in found.names)
    with pytest.raises(ValueError, match="row 1: the class '1001' is not among the classes of training"):
        schema.encode(read({"pixel": [1.0], "object": [1001]}))


# ---- which loss for which question


@pytest.mark.curriculum("OUT-25", "ACT-17")
@pytest.mark.parametrize(
    ("kind", "names", "loss", "read_through"),
    [
        ("regression", ["price"], SQUARED_ERROR, lambda z: z),
        (
            "binary",
            ["no", "yes"],
            BINARY_CROSS_ENTROPY,
            lambda z: torch.cat([1 - torch.sigmoid(z), torch.sigmoid(z)], 1),
        ),
        ("multi-class", ["a", "b", "c"], CROSS_ENTROPY, lambda z: torch.softmax(z, 1)),
    ],
    ids=["linear, squared error", "sigmoid, binary cross-entropy", "softmax, cross-entropy"],
)
def test_output_layer_and_loss_by_question(
    kind: str, names: list[str], loss: object, read_through: object
) -> None:
    task = build_task(kind, names)
    assert task.loss is loss
    outputs = torch.randn(6, task.units, dtype=torch.float64)
    found = task.decode(outputs)
    torch.testing.assert_close(found.values if kind == "regression" else shares(found), read_through(outputs))


@pytest.mark.curriculum("OUT-25")
def test_absolute_error_is_the_other_loss_of_values() -> None:
    task = build_task("regression", ["price"], "absolute-error")
    assert task.losses(numbers(3)[None], numbers(1)[None]).item() == 2


@pytest.mark.curriculum("ACT-17")
def test_hidden_layers_are_relu_and_can_be_tanh() -> None:
    assert {str(layer) for layer in build("mlp", inputs=2, units=1) if "Activate" in str(layer)} == {
        "Activate(relu)"
    }
    assert "Activate(tanh)" in map(str, build("mlp", inputs=2, units=1, activation="tanh"))


@pytest.mark.curriculum("OUT-12")
def test_mean_loss_on_a_sample_approaches_the_integral() -> None:
    """For g(x) = x² and F(x) = w x on [0, 1], ∫ (wx − x²)² dx = w²/3 − w/2 + 1/5, smallest at w = 3/4."""

    def estimate(w: float, rows: int) -> float:
        x = torch.rand(rows, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        objective = Objective(head("linear-regression", [[w]], [0]), Regression(["g"]))
        return evaluate(objective, Batches(x, x**2, rows))["loss"]

    def integral(w: float) -> float:
        return w * w / 3 - w / 2 + 0.2

    for w in (0.0, 0.75, 2.0):
        errors = [abs(estimate(w, rows) - integral(w)) for rows in (100, 1_000_000)]
        assert errors[1] < 0.002 and errors[1] < errors[0]
    assert min((0.0, 0.5, 0.75, 1.0, 2.0), key=lambda w: estimate(w, 10_000)) == 0.75


# ---- losses of the user's, label smoothing, mistakes


def test_loss_of_the_users_own() -> None:
    outputs, targets = torch.randn(4, 2), torch.randn(4, 2)
    per_example = Regression(["a", "b"], lambda o, t: (o - t).abs().sum(-1))
    assert per_example.losses(outputs, targets).shape == (4,)
    averaged = Regression(["a", "b"], torch.nn.functional.huber_loss)
    assert averaged.losses(outputs, targets).shape == (4,)
    assert averaged.losses(outputs, targets).mean() == torch.nn.functional.huber_loss(outputs, targets)
    wrong = Regression(["a", "b"], lambda o, t: (o - t).abs())
    with pytest.raises(ShapeError, match=r"one number per example, \(4,\), or one in all; got \(4, 2\)"):
        wrong.losses(outputs, targets)


@pytest.mark.parametrize("task", [Binary(["a", "b"], None, 0.1), MultiClass(["a", "b", "c"], None, 0.1)])
def test_label_smoothing_is_for_training_only(task: Task) -> None:
    outputs = torch.randn(5, task.units, dtype=torch.float64)
    targets = torch.tensor([0, 1, 1, 0, 1])
    plain = build_task(task.kind, task.classes).losses(outputs, targets)
    assert torch.equal(task.eval().losses(outputs, targets), plain)
    smoothed = task.train().losses(outputs, targets)
    logs = shares(task.decode(outputs)).log()
    mixed = 0.9 * torch.nn.functional.one_hot(targets, len(task.classes)) + 0.1 / len(task.classes)
    torch.testing.assert_close(smoothed, -(mixed * logs).sum(1))


def test_what_a_task_refuses() -> None:
    with pytest.raises(SettingError, match="classification into two classes needs two of them; got 3"):
        Binary(["a", "b", "c"])
    with pytest.raises(SettingError, match="a task is one of regression, binary, multi-class; got 'ranking'"):
        build_task("ranking", ["a"])
    with pytest.raises(
        UnknownNameError, match="no loss is called 'crossentropy'; did you mean 'cross-entropy'"
    ):
        MultiClass(["a", "b", "c"], "crossentropy")


def test_kinds_are_built_under_their_names() -> None:
    for kind, made in KINDS.items():
        assert made.kind == kind and type(build_task(kind, ["a", "b"])) is made


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 100))
def test_members_are_asked_alike(classes: int, members: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(members, 4, classes, generator=generator)
    targets = torch.randint(0, classes, (members, 4), generator=generator)
    task = MultiClass([str(k) for k in range(classes)])
    found = task.losses(outputs, targets)
    assert found.shape == (members, 4)
    torch.testing.assert_close(found[-1], task.losses(outputs[-1], targets[-1]))


# ---- class weights


WEIGHED = [
    ("binary", ["a", "b"], None, 0.0),
    ("binary", ["a", "b"], None, 0.1),
    ("binary", ["a", "b"], "perceptron", 0.0),
    ("multi-class", ["a", "b", "c"], None, 0.0),
    ("multi-class", ["a", "b", "c"], None, 0.1),
    ("multi-class", ["a", "b", "c"], "perceptron", 0.0),
]


@pytest.mark.parametrize(("kind", "names", "loss", "smoothing"), WEIGHED)
def test_class_weights_multiply_the_losses(
    kind: str, names: list[str], loss: str | None, smoothing: float
) -> None:
    """N / (K n_c) per class; while training with label smoothing, else without."""
    rows = np.array([0] * 6 + [1] * 3 + [2 % len(names)] * 3)
    plain = build_task(kind, names, loss, label_smoothing=smoothing)
    weighed = build_task(kind, names, loss, label_smoothing=smoothing, class_weight="balanced")
    weighed.weigh_(rows)
    counts = np.bincount(rows, minlength=len(names))
    weights = torch.tensor(len(rows) / (len(names) * counts), dtype=torch.float32)
    assert torch.equal(weighed.class_weights, weights)
    assert weights[torch.from_numpy(rows)].mean().item() == pytest.approx(1)
    outputs, targets = torch.randn(12, plain.units), torch.from_numpy(rows)
    for is_training in (True, False):
        expected = plain.train(is_training).losses(outputs, targets) * weights[targets]
        assert torch.equal(weighed.train(is_training).losses(outputs, targets), expected)


def test_each_class_counts_alike_when_weighed() -> None:
    task = MultiClass(["often", "rare"])
    rows = np.array([0] * 90 + [1] * 10)
    task.weigh_(rows)
    losses = task.losses(torch.zeros(100, 2), torch.from_numpy(rows))
    assert losses[:90].sum().item() == pytest.approx(losses[90:].sum().item(), rel=1e-5)


def test_class_weights_are_in_the_state_only_where_asked_for() -> None:
    plain, weighed = Binary(["a", "b"]), build_task("binary", ["a", "b"], class_weight="balanced")
    assert "class_weights" not in plain.state_dict()
    weighed.weigh_(np.array([0, 0, 0, 1]))
    loaded = build_task("binary", ["a", "b"], class_weight="balanced")
    loaded.load_state_dict(weighed.state_dict())
    assert loaded.class_weights.tolist() == pytest.approx([4 / 6, 2])


def test_what_class_weights_refuse() -> None:
    with pytest.raises(SettingError, match=r"--class-weight is for classes; this target holds values"):
        build_task("regression", ["y"], class_weight="balanced")
    with pytest.raises(SettingError, match="--class-weight takes balanced; got 'inverse'"):
        build_task("binary", ["a", "b"], class_weight="inverse")
    averaged = build_task(
        "multi-class", ["a", "b"], torch.nn.functional.cross_entropy, class_weight="balanced"
    )
    with pytest.raises(SettingError, match="needs a loss of one number per row; this one gives their mean"):
        averaged.losses(torch.randn(4, 2), torch.tensor([0, 1, 1, 0]))


@pytest.mark.parametrize("classes", [2, 3])
def test_many_rows_are_decoded_part_by_part(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is watched, judged and decoded at once agrees, wherever the parts are cut."""
    task = build_task("binary" if classes == 2 else "multi-class", DIGITS[:classes])
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(23, task.units, generator=random)
    targets = torch.randint(classes, (23,), generator=random)
    whole = task.answers(outputs, targets)
    monkeypatch.setattr("chainrule.train.task.ROWS_AT_ONCE", 5)
    parts = task.answers(outputs, targets)
    assert np.array_equal(parts.labels, whole.labels)
    assert parts.probabilities == pytest.approx(whole.probabilities, rel=1e-12)
    assert task.measure(outputs, targets)["accuracy"] == judge(task, outputs, targets)["accuracy"]
