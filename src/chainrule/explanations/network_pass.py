"""The pass of a network that was written by hand: values, gradients, one update, and the nudge beside each weight."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chainrule.core.errors import DataError
from chainrule.core.units import show_number
from chainrule.explanations.backprop import Pass, backpropagate
from chainrule.explanations.columns import short
from chainrule.explanations.derivatives import activation_of
from chainrule.explanations.loss_end import LossEnd, end_of_file, read_outputs
from chainrule.explanations.network_file import NetworkFile
from chainrule.explanations.passes import Came, Nudges, PassExplanation, layers_of


def explain_network(file: NetworkFile) -> PassExplanation:
    """Return the pass of a network file.

    Raises: DataError if its numbers grow beyond what can be computed with
    """
    model = file.model()
    walk = _walk(file, model)
    if not all(bool(torch.isfinite(t).all()) for t in (walk.outputs, walk.loss, *walk.gradients.values())):
        raise DataError(f"{file.name}: the numbers grow beyond all bounds on their way through the network")
    rate, targets = file.learning_rate, file.targets
    updates, end, nudges = None, None, None
    if targets is not None:
        end = end_of_file(file.loss, file.reading, walk.outputs, targets, walk.delta)
        nudges = _nudges(file, model)
        if rate is not None:
            updates = {name: -rate * g for name, g in walk.gradients.items()}
    return PassExplanation(
        title=file.name,
        about=(_about(file), *_only_forward(file), *_kinks(walk, file)),
        came=_came(file.inputs),
        walk=walk,
        layers=layers_of(walk, model, updates),
        end=end,
        rule="" if rate is None or end is None else f"w ← w − {show_number(rate)} ∂L/∂w (gradient descent)",
        cost_after=None if updates is None else _cost_after(file, model, updates),
        nudges=nudges,
        answer=_answer(file, walk.outputs, end),
        source=file.text,
    )


def _walk(file: NetworkFile, model: nn.Module) -> Pass:
    targets = file.targets
    if targets is None:
        return backpropagate(model, file.inputs, lambda y: (0 * y).sum())
    rows = len(file.inputs)
    return backpropagate(
        model,
        file.inputs,
        lambda y: file.loss(y, targets).mean(),
        lambda y: file.loss.derivative(y, targets) / rows,
    )


def _nudges(file: NetworkFile, model: nn.Module) -> Nudges:
    """Make one weight after the other larger and look at what the network gives."""
    outputs: dict[str, Tensor] = {}
    costs: dict[str, Tensor] = {}
    assert file.targets is not None
    with torch.no_grad():
        for name, weights in model.named_parameters():
            flat, ys, ls = weights.view(-1), [], []
            for place in range(len(flat)):
                before = flat[place].item()
                flat[place] = before + file.nudge
                z = model(file.inputs)
                ys.append(read_outputs(z, file.reading))
                ls.append(file.loss(z, file.targets).mean())
                flat[place] = before
            outputs[name] = torch.stack(ys).reshape(*weights.shape, *ys[0].shape)
            costs[name] = torch.stack(ls).reshape(weights.shape)
    return Nudges(amount=file.nudge, outputs=outputs, costs=costs)


def _cost_after(file: NetworkFile, model: nn.Module, updates: dict[str, Tensor]) -> float:
    after = {name: p.detach() + updates[name] for name, p in model.named_parameters()}
    assert file.targets is not None
    with torch.no_grad():
        return file.loss(torch.func.functional_call(model, after, file.inputs), file.targets).mean().item()


def _about(file: NetworkFile) -> str:
    units = " → ".join(str(n) for n in (file.inputs.shape[1], *(len(layer.biases) for layer in file.layers)))
    count = sum(layer.weights.numel() + layer.biases.numel() for layer in file.layers)
    parts = [f"{units} units, {count} weights and biases"]
    if file.targets is not None:
        parts.append(f"loss {file.loss.name}")
    if file.targets is not None and file.learning_rate is not None:
        parts.append(f"learning rate {show_number(file.learning_rate)}")
    return " · ".join(parts)


def _only_forward(file: NetworkFile) -> tuple[str, ...]:
    if file.targets is not None:
        return ()
    return (
        "The file gives no target, so there is only the way forward; a line such as target = [7] adds the way back.",
    )


def _kinks(walk: Pass, file: NetworkFile) -> tuple[str, ...]:
    """Say where a unit stands exactly where the slope of its activation jumps, as a nudge there shows another slope."""
    if file.targets is None:
        return ()
    names = [
        found.name
        for call in walk.calls
        if (found := activation_of(call.layer)) is not None
        and any(bool((call.inputs == kink).any()) for kink in found.kinks)
    ]
    if not names:
        return ()
    return (
        f"A unit stands exactly where the slope of {names[0]} jumps: its gradient takes the slope of one side, a nudge "
        "shows that of the other.",
    )


def _came(inputs: Tensor) -> tuple[Came, ...]:
    several = len(inputs) > 1
    return tuple(
        Came(name=f"x{i}" + (f" of row {r}" if several else ""), raw=short(x), value=x)
        for r, row in enumerate(inputs.tolist(), 1)
        for i, x in enumerate(row, 1)
    )


def _answer(file: NetworkFile, outputs: Tensor, end: LossEnd | None) -> str:
    if len(outputs) > 1:
        return f"mean loss of {len(outputs)} rows: {short(end.cost)}" if end else f"{len(outputs)} rows"
    read = read_outputs(outputs, file.reading)[0].tolist()
    said = f"output {_listed(read)}"
    if end is None:
        return said
    targets = end.targets[0].tolist()
    errors = [y - t for y, t in zip(read, targets, strict=True)]
    return f"{said}, target {_listed(targets)}, error (output − target) {_listed(errors)}"


def _listed(values: list[float]) -> str:
    shown = ", ".join(map(short, values))
    return f"({shown})" if len(values) > 1 else shown
