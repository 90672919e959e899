"""What compiled code trains is what backprop written out in torch trains, member by member, whatever its neighbours are."""

from __future__ import annotations

import itertools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from chainrule.nn.activations import Activate
from chainrule.nn.noise import Dropout
from chainrule.optim.schedules import schedule
from chainrule.train import native_memory
from chainrule.train.dense_chain import dense_chain
from chainrule.train.member import Member
from chainrule.train.native import ACTIVATIONS, NativeStack, why_not_native
from chainrule.train.native_build import SOURCE, find_compiler
from chainrule.train.native_rule import GRADIENTS_ONLY, RULES, SAME_RULE, has_native_rule
from chainrule.train.stack_training import StackTraining
from chainrule.train.task import Binary, MultiClass, Regression, Task

MOVING = [name for name in RULES if name != GRADIENTS_ONLY]
HIDDEN = tuple(name for name in ACTIVATIONS if name not in ("identity", "linear"))
SMALLEST = 1.3e-38  # what is nearer to 0 than float32's smallest number in full precision may be that number
OWN_NUMBERS = {"leaky-relu": "leaky-relu:0.2", "elu": "elu:0.5", "linear": "linear:0.7"}


pytestmark = pytest.mark.usefixtures("compiler")


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---- what is trained


def classes(many: int, **given: Any) -> MultiClass:
    return MultiClass([f"class {number}" for number in range(many)], **given)


def values(many: int, **given: Any) -> Regression:
    return Regression([f"value {number}" for number in range(many)], **given)


def binary(**given: Any) -> Binary:
    return Binary(["no", "yes"], **given)


def weighed(task: Any) -> Task:
    """Return a task whose classes count differently."""
    task.weigh_()
    task.class_weights = torch.linspace(0.5, 2, len(task.classes))
    return task  # type: ignore[no-any-return]


def network(sizes: tuple[int, ...], activation: str, seed: int) -> nn.Sequential:
    """Return a chain of dense layers with weights of the seed's own."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, units in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, units), Activate(activation)]
        for parameter in layers[-2].parameters():
            reach = 1.5 / inputs**0.5
            parameter.data.uniform_(-reach, reach, generator=generator)
    return nn.Sequential(*layers[:-1])


def rows_of(sizes: tuple[int, ...], task: Task, rows: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    inputs = torch.randn(rows, sizes[0], generator=generator) * scale
    if task.kind == "regression":
        return inputs, torch.randn(rows, sizes[-1], generator=generator)
    return inputs, torch.randint(0, len(task.classes), (rows,), generator=generator)  # type: ignore[attr-defined]


def training(
    kind: str,
    sizes: tuple[int, ...] = (20, 17, 5),
    task: Task | None = None,
    *,
    activation: str = "tanh",
    optimizer: str = "sgd",
    members: list[dict[str, Any]] | int = 3,
    rows: int = 70,
    batch: int = 16,
    rate: float = 0.05,
    epochs: int = 20,
    data: tuple[Tensor, Tensor] | None = None,
    **around: Any,
) -> StackTraining:
    """Return members that differ in their weights, and in what is said of each; member k of any stack has seed k."""
    task = task or classes(sizes[-1])
    inputs, targets = data or rows_of(sizes, task, rows)
    all_rows = torch.arange(len(inputs))
    updates = -(-len(inputs) // batch)
    constant = schedule("constant", steps=epochs * updates, steps_per_epoch=updates, learning_rate=rate)
    said = members if isinstance(members, list) else [{"network": k} for k in range(members)]
    made = [
        Member(**{"rows": all_rows, "schedule": constant, "learning_rate": rate, **one, "network": network(sizes, activation, one.get("network", place))})
        for place, one in enumerate(said)
    ]  # fmt: skip
    return StackTraining(
        made, task, inputs, targets, batch_size=batch, optimizer=optimizer, kind=kind, **around
    )


def run(made: StackTraining, epochs: int | None = None) -> StackTraining:
    list(made.train(epochs))
    return made


def weights(made: StackTraining, member: int) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in made.state_of(member).values()])


def same_bits(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()


def agree(*given: Any, epochs: int = 1, tolerance: float = 5e-6, **named: Any) -> None:
    """Train both ways, and compare weights (beside the largest), losses and outputs of every member."""
    dense, compiled = (run(training(kind, *given, **named), epochs) for kind in ("dense", "native"))
    for member in range(len(dense.members)):
        wanted, found = weights(dense, member), weights(compiled, member)
        assert (wanted - found).abs().max() <= tolerance * wanted.abs().max()
        losses = [made.courses[member].history[-1]["train_loss"] for made in (dense, compiled)]
        assert losses[1] == pytest.approx(losses[0], rel=tolerance)
    every = torch.arange(len(dense.inputs))
    answers = [made.outputs(every) for made in (dense, compiled)]
    for member, wanted in answers[0].items():
        assert (wanted - answers[1][member]).abs().max() <= 4 * tolerance * wanted.abs().max().clamp_min(1)


# ---- beside backprop written out in torch


@pytest.mark.parametrize("activation", HIDDEN)
def test_every_activation(activation: str) -> None:
    agree((20, 33, 17, 10), activation=activation)


@pytest.mark.parametrize("activation", list(OWN_NUMBERS.values()))
def test_activations_with_a_number_of_their_own(activation: str) -> None:
    chain = dense_chain(network((20, 33, 10), activation, 0))
    assert why_not_native(chain, classes(10)) is None
    agree((20, 33, 10), activation=activation)


@pytest.mark.parametrize("rule", [*MOVING, *SAME_RULE])
@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_every_rule(rule: str, decay: float) -> None:
    members = [{"weight_decay": decay * place} for place in range(3)]
    agree((20, 17, 5), optimizer=rule, rate=0.003, members=members, epochs=2)


@pytest.mark.parametrize("many", [2, 3, 4, 5, 16, 17, 33])
def test_cross_entropy(many: int) -> None:
    agree((20, 17, many), classes(many))
    agree((20, 17, many), weighed(classes(many, label_smoothing=0.1)))


def test_binary_cross_entropy() -> None:
    agree((30, 32, 1), binary())
    agree((30, 32, 1), weighed(binary(label_smoothing=0.1)))


@pytest.mark.parametrize("many", [1, 3, 4, 5, 16, 17, 33])
@pytest.mark.parametrize("loss", ["squared-error", "half-squared-error"])
def test_squared_errors(many: int, loss: str) -> None:
    agree((20, 17, many), values(many, loss=loss), rate=0.01)


@pytest.mark.parametrize("task", [classes(5), binary(), values(3)], ids=lambda task: task.kind)
def test_weights_of_rows(task: Task) -> None:
    counts = [torch.rand(70, generator=torch.Generator().manual_seed(k)) + 0.5 for k in range(3)]
    agree((20, 17, task.units), task, members=[{"weights": each} for each in counts])


@pytest.mark.parametrize("task", [classes(10), binary(), values(4)], ids=lambda task: task.kind)
def test_linear_models(task: Task) -> None:
    for inputs in (1, 3, 30, 64, 100):
        agree((inputs, task.units), task)


@pytest.mark.parametrize("batch", [1, 7, 16, 70, 100])
def test_batches_of_one_row_and_last_ones_that_are_short(batch: int) -> None:
    agree((5, 4, 1), binary(), batch=batch, rate=0.02)
    agree((30, 17, 5), batch=batch, rate=0.02)


@pytest.mark.parametrize(
    ("rule", "own"),
    [
        ("momentum", [{"momentum": m} for m in (0.0, 0.5, 0.9)]),
        ("rmsprop", [{"rho": r, "epsilon": e} for r, e in ((0.9, 1e-8), (0.5, 1e-4), (0.99, 1e-6))]),
        ("adam", [{"beta1": b, "beta2": c} for b, c in ((0.9, 0.999), (0.5, 0.9), (0.0, 0.99))]),
        ("simple-nadam", [{"beta1": b, "epsilon": e} for b, e in ((0.9, 1e-8), (0.8, 1e-3), (0.5, 1e-5))]),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_members_with_hyper_parameters_orders_and_rates_of_their_own(
    rule: str, own: list[dict[str, float]]
) -> None:
    members = [
        {"hyperparameters": each, "learning_rate": 0.002 * (place + 1), "weight_decay": 0.01 * place,
         "seed": place, "rows": torch.randperm(70, generator=torch.Generator().manual_seed(place))}
        for place, each in enumerate(own)
    ]  # fmt: skip
    agree(optimizer=rule, members=members, epochs=2)


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam", "adamw"])
@pytest.mark.parametrize("penalty", ["coupled", "decoupled"])
def test_penalties(rule: str, penalty: str) -> None:
    members = [{"l1": 0.02 * place, "weight_decay": 0.03 * (2 - place)} for place in range(3)]
    agree(optimizer=rule, members=members, penalty=penalty, rate=0.005, epochs=2)


@pytest.mark.curriculum("REG-05")
@pytest.mark.parametrize("penalty", ["coupled", "decoupled"])
def test_l1_makes_the_same_weights_exactly_zero(penalty: str) -> None:
    dense, compiled = (
        run(training(kind, members=[{"l1": 0.05}], penalty=penalty, rate=0.05), 5)
        for kind in ("dense", "native")
    )
    by_l2 = run(training("native", members=[{"weight_decay": 0.05}], penalty=penalty, rate=0.05), 5)
    assert (weights(by_l2, 0) == 0).sum() == 0
    zeros = [weights(made, 0) == 0 for made in (dense, compiled)]
    assert zeros[0].sum() > 50
    assert (zeros[0] != zeros[1]).sum() <= 1  # one may lie at the edge


@pytest.mark.parametrize(
    "around", [{"clip_norm": 0.1}, {"clip_value": 0.01}, {"clip_norm": 0.05, "clip_value": 0.01}]
)
def test_clipping(around: dict[str, float]) -> None:
    agree(optimizer="momentum", **around)


@pytest.mark.parametrize("rule", ["sgd", "adamw"])
def test_decay_with_the_loss(rule: str) -> None:
    members = [{"weight_decay": 0.1 * (place + 1)} for place in range(3)]
    agree((20, 17, 3), values(3), optimizer=rule, members=members, rate=0.01, decay_with_loss=True, epochs=3)


# ---- beside float64

UNITS = (1, 2, 4, 5, 16, 17, 48, 70)


def gradients(
    sizes: tuple[int, ...], task: Task, activation: str, data: tuple[Tensor, Tensor]
) -> list[Tensor]:
    """Return the gradient of every weight and bias of one batch, as the velocity of a first update keeps it."""
    made = training("native", sizes, task, activation=activation, optimizer="momentum", members=1, data=data,
                    batch=len(data[0]))  # fmt: skip
    run(made, 1)
    state = made.step.optimizer.tensors()
    kept = [state[name][0] for name in sorted(state) if name.endswith("velocity")]
    found: list[Tensor] = []
    of_weights = iter(t for t in kept if t.dim() == 2)
    of_biases = iter(t for t in kept if t.dim() == 1)
    for inputs, units in itertools.pairwise(sizes):
        matrix = next(of_weights)
        found.append(matrix[:units, :inputs] if units <= native_memory.FEW else matrix[:inputs, :units].mT)
        found.append(next(of_biases)[:units])
    return found


def by_autograd(
    sizes: tuple[int, ...], task: Task, activation: str, data: tuple[Tensor, Tensor], kind: torch.dtype
) -> list[Tensor]:
    made = network(sizes, activation, 0).to(kind)
    targets = data[1].to(kind) if data[1].is_floating_point() else data[1]
    task.losses(made(data[0].to(kind)), targets).mean().backward()  # type: ignore[no-untyped-call]
    return [p.grad.double() for p in made.parameters() if p.grad is not None]


def distance(found: list[Tensor], wanted: list[Tensor]) -> float:
    largest = max(float(t.abs().max()) for t in wanted)
    apart = max(float((a.double() - b).abs().max()) for a, b in zip(found, wanted, strict=True))
    return apart / max(largest, 1e-30)


@pytest.mark.curriculum("BPG-01")
@settings(max_examples=60, deadline=None)
@given(
    inputs=st.sampled_from((1, 3, 30, 64, 100)),
    hidden=st.lists(st.sampled_from(UNITS), max_size=3),
    activation=st.sampled_from(HIDDEN),
    task=st.sampled_from((binary(), *map(classes, (3, 10, 17)), *map(values, (1, 4, 5, 33)))),
    rows=st.sampled_from((1, 2, 5, 16, 33)),
)
def test_gradient_is_that_of_autograd_in_float64(
    inputs: int, hidden: list[int], activation: str, task: Task, rows: int
) -> None:
    """No further off than twice what autograd itself is in float32, or a millionth."""
    sizes = (inputs, *hidden, task.units)
    data = rows_of(sizes, task, rows)
    task.train()
    wanted = by_autograd(sizes, task, activation, data, torch.float64)
    own = distance(by_autograd(sizes, task, activation, data, torch.float32), wanted)
    assert distance(gradients(sizes, task, activation, data), wanted) <= max(2 * own, 1e-6)


@pytest.mark.parametrize("activation", HIDDEN)
def test_gradient_of_every_activation_in_a_wide_network(activation: str) -> None:
    sizes, task = (30, 70, 48, 17, 10), classes(10)
    data = rows_of(sizes, task, 64)
    task.train()
    wanted = by_autograd(sizes, task, activation, data, torch.float64)
    own = distance(by_autograd(sizes, task, activation, data, torch.float32), wanted)
    assert distance(gradients(sizes, task, activation, data), wanted) <= max(2 * own, 1e-6)


# ---- the courses' paths down f = θ²

PATHS = [  # from θ = 1 with rate 0.1
    pytest.param("sgd", {}, (0.8, 0.64, 0.512), marks=pytest.mark.curriculum("GDF-01")),
    pytest.param("adam", {}, (0.9, 0.800412, 0.701586), marks=pytest.mark.curriculum("GDF-17")),
    pytest.param("adagrad", {}, (0.9, 0.833104, 0.780456), marks=pytest.mark.curriculum("GDF-19")),
    pytest.param("rmsprop", {"rho": 0.9}, (0.683772, 0.498871, 0.369181), marks=pytest.mark.curriculum("GDF-20")),
    pytest.param("simple-nadam", {}, (0.81, 0.674130, 0.556829), marks=pytest.mark.curriculum("GDF-22")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "own", "path"), PATHS)
def test_a_rule_goes_down_a_parabola_as_the_courses_have_it(
    rule: str, own: dict[str, float], path: tuple[float, ...]
) -> None:
    """A weight that no row touches, with a coupled decay of 2: the gradient of θ² is all that moves it."""
    data = torch.zeros(1, 1), torch.zeros(1, 1)
    made = training("native", (1, 1), values(1), optimizer=rule, rate=0.1, batch=1, data=data,
                    members=[{"weight_decay": 2.0, "hyperparameters": own}])  # fmt: skip
    state = made.step.population.stack.state_dict()
    state["0.weight"].fill_(1.0)
    state["0.bias"].zero_()
    seen = [made.state_of(0)["0.weight"].item() for _ in made.train(3)]
    assert seen == pytest.approx(path, abs=1e-6)


@pytest.mark.curriculum("GDF-23")
def test_adamw_shrinks_a_weight_without_gradient_by_its_decay_alone() -> None:
    data = torch.zeros(1, 1), torch.zeros(1, 1)
    made = training("native", (1, 1), values(1), optimizer="adamw", rate=0.1, batch=1, data=data,
                    members=[{"weight_decay": 0.01}])  # fmt: skip
    before = made.state_of(0)["0.weight"].item()
    seen = [made.state_of(0)["0.weight"].item() for _ in made.train(3)]
    assert seen == pytest.approx([before * 0.999**k for k in (1, 2, 3)], rel=1e-6)


# ---- a member's bits


@pytest.mark.parametrize("sizes", [(20, 17, 5), (3, 2, 1), (30, 70, 4, 33)])
@pytest.mark.parametrize("rule", ["adam", "momentum"])
def test_bits_of_a_member_are_the_same_in_every_stack_and_place(sizes: tuple[int, ...], rule: str) -> None:
    task = binary() if sizes[-1] == 1 else classes(sizes[-1])
    around = {"optimizer": rule, "clip_norm": 1.0, "varied": ("weight_decay",)}

    def trained(numbers: list[int]) -> dict[int, Tensor]:
        members = [
            {"network": k, "learning_rate": 0.01 * (k + 1), "weight_decay": 0.01 * k, "seed": 0}
            for k in numbers
        ]
        made = run(training("native", sizes, task, members=members, **around), 2)
        return {number: weights(made, place) for place, number in enumerate(numbers)}

    alone = {number: trained([number])[number] for number in (0, 3, 6)}
    for stack in ([0, 3], [6, 0], [0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0]):
        found = trained(stack)
        for number in set(alone) & set(stack):
            assert same_bits(found[number], alone[number])


def test_what_stood_in_the_memory_before_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and units are filled up: what lies there is never read as if it were something."""
    found = []
    room = NativeStack._room
    for filling in (0.0, float("nan"), 1e30):

        def filled(self: NativeStack, batch: int, filling: float = filling) -> int:
            place = room(self, batch)
            self._work.fill_(filling)
            return place

        monkeypatch.setattr(NativeStack, "_room", filled)
        for sizes, task in (
            ((3, 2, 1), binary()),
            ((17, 5, 4, 33), classes(33)),
            ((1, 16, 3), values(3)),
            ((20, 17, 5, 17, 3), values(3)),
        ):
            made = run(training("native", sizes, task, optimizer="adam", rows=37, clip_norm=0.5), 2)
            found.append((weights(made, 1), made.outputs(torch.arange(37))[1]))
    for place, tensors in enumerate(found):
        assert all(same_bits(*pair) for pair in zip(tensors, found[place % 4], strict=True))


@pytest.mark.parametrize("rule", MOVING)
def test_saved_and_restored_midway_has_the_same_bits(rule: str) -> None:
    given = {"optimizer": rule, "rate": 0.01, "decay_with_loss": True,
             "members": [{"weight_decay": 0.05 * (k + 1), "seed": k} for k in range(3)]}  # fmt: skip
    straight = run(training("native", **given), 4)
    first = run(training("native", **given), 2)
    state = json.loads(json.dumps(first.state()))
    tensors = {name: tensor.clone() for name, tensor in first.tensors().items()}
    again = training("native", **given)
    again.restore(state)
    again.load_(tensors)
    run(again, 2)
    assert all(same_bits(weights(straight, k), weights(again, k)) for k in range(3))


def test_a_member_whose_loss_is_infinite_leaves_its_neighbours_untouched() -> None:
    def trained(rates: dict[int, float]) -> StackTraining:
        members = [{"network": k, "learning_rate": rate} for k, rate in rates.items()]
        return run(training("native", (20, 17, 3), values(3), members=members, activation="relu"), 6)

    beside = trained({0: 0.01, 1: 1e30, 2: 0.02})
    failure = beside.courses[1].failure
    assert failure is not None and failure.startswith("the loss is not finite at step ")
    for number, rate in ((0, 0.01), (2, 0.02)):
        assert beside.courses[number].failure is None
        assert same_bits(weights(beside, number), weights(trained({number: rate}), 0))


def test_members_that_leave_keep_their_bits_and_so_do_those_that_stay() -> None:
    whole = run(training("native", members=4, optimizer="adam", rate=0.01), 4)
    leaving = run(training("native", members=4, optimizer="adam", rate=0.01), 2)
    at_two = [weights(leaving, k) for k in range(4)]
    leaving.leave([0, 2])
    assert all(same_bits(weights(leaving, k), at_two[k]) for k in range(4))
    run(leaving, 2)
    assert all(same_bits(weights(leaving, k), at_two[k]) for k in (0, 2))
    assert all(same_bits(weights(leaving, k), weights(whole, k)) for k in (1, 3))


def test_a_stack_at_rest_answers_and_goes_on_as_one_that_was_not() -> None:
    straight, rested = (run(training("native", epochs=4), 2) for _ in range(2))
    rested.rest()
    for made in (straight, rested):
        run(made, 2)
        made.rest()
    rows = torch.arange(70)
    assert all(same_bits(straight.outputs(rows)[k], rested.outputs(rows)[k]) for k in range(3))
    assert all(same_bits(straight.kept_outputs(rows)[k], straight.outputs(rows)[k]) for k in range(3))


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="other processors have no such options"
)
@pytest.mark.parametrize("options", ["-mno-avx512f", "-mno-avx"])
def test_narrow_vectors(options: str, tmp_path: Path) -> None:
    """The tests of this file once more, on a library compiled as for processors without wide vectors."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:curriculum-ledger",
        "-m", "not slow", f"--basetemp={tmp_path / 'own'}", __file__,
    ]  # fmt: skip
    env = {**os.environ, "CXX": f"{find_compiler()[0]} {options}"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert len(list(tmp_path.glob("own/**/chainrule/native/*.so"))) == 1


# ---- functions at the edges


def answers(activation: str, points: Tensor) -> Tensor:
    """Return f of some numbers: the hidden units of a network that weighs them, and what it makes of them, with 1."""
    made = training("native", (1, 1, 1), values(1), activation=activation, members=1,
                    data=(points.unsqueeze(1), torch.zeros(len(points), 1)))  # fmt: skip
    state = made.step.population.stack.state_dict()
    made.step.population.stack.load_state_dict(
        {name: torch.full_like(t, float(name.endswith("weight"))) for name, t in state.items()}
    )
    return made.outputs(torch.arange(len(points)))[0][:, 0]


def points() -> Tensor:
    tiny = torch.logspace(-30, 0, 400)
    far = torch.linspace(-100, 100, 4001)
    near = torch.linspace(-2, 2, 4001)
    return torch.cat([far, near, tiny, -tiny, torch.zeros(1)])


@pytest.mark.parametrize("activation", HIDDEN)
def test_activations_are_exact_to_a_few_units_in_the_last_place(activation: str) -> None:
    z = points()
    wanted = Activate(activation)(z.double())
    off = (answers(activation, z).double() - wanted).abs()
    unit = torch.from_numpy(np.spacing(wanted.abs().float().numpy())).double()
    assert bool((off <= 4 * unit + SMALLEST).all())


def first_loss(activation: str, inputs: Tensor, task: Task) -> float:
    data = rows_of((inputs.shape[1], 5, task.units), task, len(inputs))
    made = training("native", (inputs.shape[1], 5, task.units), task, activation=activation, members=1,
                    data=(inputs, data[1]), batch=len(inputs))  # fmt: skip
    factors = torch.ones(1, 1, dtype=torch.float64)
    task.train()
    return float(made.step.epoch(made._rows(), 0, factors))


@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("task", [classes(3), classes(17), binary(), values(1), values(5)], ids=repr)
def test_what_is_no_number_gives_a_loss_that_is_none(activation: str, task: Task) -> None:
    inputs = torch.ones(4, 3)
    assert np.isfinite(first_loss(activation, inputs, task))
    inputs[2, 1] = torch.nan
    assert np.isnan(first_loss(activation, inputs, task))


@pytest.mark.parametrize("task", [classes(3), weighed(classes(17)), binary()], ids=repr)
@pytest.mark.parametrize("number", [-1, 17, 2**40])
def test_a_class_that_there_is_none_of_gives_a_loss_that_is_no_number(task: Task, number: int) -> None:
    sizes = (3, 5, task.units)
    inputs, targets = rows_of(sizes, task, 4)
    targets[2] = number
    made = training("native", sizes, task, members=2, data=(inputs, targets), batch=1)
    losses = made.step.epoch(made._rows(), 0, torch.ones(4, 2, dtype=torch.float64))
    assert losses.isnan().any(1).all()


def test_a_stack_that_has_forgotten_its_rule_trains_no_more() -> None:
    made = run(training("native"), 1)
    made.step._native.forget_rule()
    with pytest.raises(AssertionError, match="the rule was forgotten"):
        made.step.epoch(made._rows(), 0, torch.ones(5, 3, dtype=torch.float64))


@pytest.mark.parametrize("penalty", ["coupled", "decoupled"])
def test_penalties_do_not_hide_weights_that_are_no_numbers(penalty: str) -> None:
    made = training("native", members=[{"l1": 0.1}], penalty=penalty, activation="hard-tanh")
    state = made.step.population.stack.state_dict()
    state["0.weight"][0, 0, 0] = torch.nan
    run(made, 1)
    assert made.courses[0].failure == "the loss is not finite at step 1"
    assert weights(made, 0).isnan().any()


def test_losses_of_large_outputs_are_those_of_float64() -> None:
    """A loss far out is not lost in the exponential: log-sum-exp less the largest, log(1 + e^−|z|) beside it."""
    for task, units in ((classes(5), 5), (binary(), 1)):
        sizes = (8, units)
        data = rows_of(sizes, task, 33, scale=60.0)
        made = training("native", sizes, task, members=1, data=data, batch=33)
        task.train()
        wanted = task.losses(network(sizes, "tanh", 0).double()(data[0].double()), data[1]).mean()
        found = float(made.step.epoch(made._rows(), 0, torch.ones(1, 1, dtype=torch.float64)))
        assert found == pytest.approx(wanted.item(), rel=1e-6)


# ---- what it leaves to torch


def test_what_it_does_not_train_is_said_in_words() -> None:
    def why(model: nn.Sequential, task: Task | None = None) -> str | None:
        return why_not_native(dense_chain(model), task or classes(3))

    plain = network((4, 5, 3), "tanh", 0)
    assert why(plain) is None
    assert why(plain, binary()) is None and why(plain, values(1)) is None
    deep = network((4, *[2] * 64, 3), "tanh", 0)
    assert why(deep) == "it has 65 layers; compiled backprop is written for 64 at the most"
    assert why(network((4, *[2] * 63, 3), "tanh", 0)) is None
    assert why(plain.double()) == "its weights are torch.float64, not float32"
    assert why(nn.Sequential(nn.Linear(4, 3, bias=False))) == "a layer has no bias"
    noisy = nn.Sequential(nn.Linear(4, 5), Activate("relu"), Dropout(0.2), nn.Linear(5, 3))
    assert why(noisy) is None
    assert why(network((4, 5, 3), "gelu", 0)) == "its activation gelu is not in the compiled part"
    plain = plain.float()
    assert why(plain, values(1, loss="huber")) == "its loss is not in the compiled part"
    assert not has_native_rule("nadam") and has_native_rule("adamw")


def test_tables_of_names_are_those_of_the_compiled_part() -> None:
    """Activations and rules are handed over as places: those of the enumerations in native.cpp."""
    text = SOURCE.read_text("utf-8")

    def listed(name: str) -> list[str]:
        inside = text.split(f"enum {name} : int64_t {{")[1].split("}")[0]
        return [word.strip().lower().replace("_", "-") for word in inside.split(",")]

    assert listed("Activation") == list(ACTIVATIONS)
    assert listed("Rule") == list(RULES)
    assert listed("Loss") == ["cross-entropy", "binary-cross-entropy", "squared-error"]
