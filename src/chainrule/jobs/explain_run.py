"""`explain RUN --row N`: one row of a run's own data through its trained network, and the update that it would cause."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chainrule.core.errors import DataError, RunError, SettingError
from chainrule.core.units import show_number
from chainrule.data.source import Source
from chainrule.explanations.loss_end import end_of_task
from chainrule.explanations.passes import Came, PassExplanation, layers_of, said_of_calls
from chainrule.explanations.run_row import answer_of, input_names, said_of_loss, walk_of_row
from chainrule.jobs.material import Material, make_material, read_again
from chainrule.jobs.run import Run
from chainrule.jobs.workshop import empty_task, make_training
from chainrule.train.settings import Settings


def explain_run(run: Run, row: int) -> PassExplanation:
    """Return the pass of a row, counted from 0 in the run's data, through the run's network.

    Raises: SettingError for a row that is not there; RunError for data that has changed or is gone, or a loss of the
    user's own, which a run does not keep
    """
    if "loss" in run.recipe.given:
        raise RunError(
            f"the loss of {run.path} was handed over as an object and is not kept, so gradients are not known"
        )
    model = run.model
    source = read_again(run.recipe, run.data, run.folder)
    if not 0 <= row < len(source):
        raise SettingError(
            f"row {row} is outside the data: {source.name} has {len(source):,} rows, counted from 0 to {len(source) - 1}"
        )
    examples = run.recipe.schema.encode(source)
    places = (examples.rows == row).nonzero()[0]
    if not len(places):
        raise DataError(f"{source.at(row)} has no target, so there is no loss to explain")
    place = int(places[0])
    material = make_material(source, examples, run.recipe.schema, run.recipe.settings)
    with run.recipe.plan_here().applied():
        inputs = material.inputs.index_select(0, torch.tensor([place]))
        training = make_training(run.recipe, material, torch.device("cpu"), model=model)
        step, task = training.step, training.step.objective.task
        assert examples.targets is not None
        targets = task.encode(examples.targets[place : place + 1])
        step.objective.model.load_state_dict(model.state_dict())
        step.objective.model.eval()
        walk = walk_of_row(model, task.train(), inputs, targets)
        end = end_of_task(task, walk.outputs, targets, walk.delta)
        updates, cost_after = _first_update(step, inputs, targets)
    layers = layers_of(walk, model, updates)
    about = (
        _network(run),
        f"one of the {_part(material, place)} rows; {_mode(run.recipe.settings, said_of_loss(task))}",
        *said_of_calls(layers),
    )
    true_values = examples.targets[place].reshape(-1).tolist()
    return PassExplanation(
        title=f"row {row} of {source.name} in the run {run.folder.name}",
        about=about,
        came=_came(run, source, material, row, inputs),
        walk=walk,
        layers=layers,
        end=end,
        rule=_rule(run.recipe.settings),
        cost_after=cost_after,
        answer=answer_of(task, walk, targets, true_values),
        picture=_picture(source, row),
    )


def _first_update(step: Any, inputs: Tensor, targets: Tensor) -> tuple[dict[str, Tensor], float]:
    """Make one update from the row with the run's own rule; returns what it adds, and the loss after it."""
    objective = step.objective
    before = {name: p.detach().clone() for name, p in objective.model.named_parameters()}
    step.prepare(0, 1.0)
    step(inputs, targets)
    updates = {name: p.detach() - before[name] for name, p in objective.model.named_parameters()}
    with torch.no_grad():
        return updates, objective(inputs, targets).loss.item()


def _network(run: Run) -> str:
    count = sum(p.numel() for p in run.model.parameters())
    return f"{run.recipe.settings.model}, {count:,} parameters · loss {_loss_name(run)}"


def _loss_name(run: Run) -> str:
    return getattr(empty_task(run.recipe).loss, "name", "of its own")


def _part(material: Material, place: int) -> str:
    names = {"train": "training", "validation": "validation", "test": "test"}
    return next((said for part, said in names.items() if place in material.rows(part)), "other")


def _mode(settings: Settings, said: tuple[str, ...]) -> str:
    off = ["dropout is off"] if settings.dropout else []
    return "; ".join(["as in prediction" + (": " + off[0] if off else ""), *said])


def _rule(settings: Settings) -> str:
    rate = show_number(settings.learning_rate or 0.0)
    names = ("weight_decay", "l1", "clip_norm", "clip_value")
    given = [(name, getattr(settings, name)) for name in names if getattr(settings, name)]
    if settings.optimizer == "sgd" and not given:
        return f"w ← w − {rate} ∂L/∂w (sgd at the run's learning rate), from this row alone"
    others = "".join(f", {name.replace('_', ' ')} {show_number(value)}" for name, value in given)
    return (
        f"the first update of {settings.optimizer} at the run's learning rate {rate}{others}, from this row alone and "
        "with nothing remembered of earlier ones"
    )


def _came(run: Run, source: Source, material: Material, row: int, inputs: Tensor) -> tuple[Came, ...]:
    """Return each number that the network took beside what stood in the data."""
    names = input_names(run.recipe.schema, material.prepare, source.feature_names)
    if not names:
        return ()
    raws = _raw(source, row)
    values = inputs[0].reshape(-1).tolist()
    return tuple(
        Came(name=name, raw=raws.get(column, raws.get(str(i), "")), value=value)
        for i, ((name, column), value) in enumerate(zip(names, values, strict=True))
    )


def _raw(source: Source, row: int) -> dict[str, str]:
    """Return the cells of a row as text, by column; of an array by place."""
    if source.frame is not None:
        cells = {name: source.frame[name].slice(row, 1).to_list()[0] for name in source.frame.columns}
        return {name: "" if cell is None else str(cell) for name, cell in cells.items()}
    assert source.array is not None
    return {str(i): f"{value:g}" for i, value in enumerate(source.array[row].reshape(-1).tolist())}


def _picture(source: Source, row: int) -> Any:
    return source.array[row] if source.is_pictures and source.array is not None else None
