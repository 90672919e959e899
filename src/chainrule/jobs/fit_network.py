"""Train networks in a run folder: updates, checkpoints, a safe stop, and the report at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields

from chainrule.core import signals
from chainrule.core.errors import Interrupted, StorageError, TrainingFailed
from chainrule.core.memory import is_out_of_memory
from chainrule.jobs.derived import finish, write_model
from chainrule.jobs.ensemble_training import EnsembleTraining, training_of
from chainrule.jobs.events import EpochEnded, Event, Finished, MemberTrained, Opened, Said, Stepped
from chainrule.jobs.folder import RunFolder
from chainrule.jobs.held_out import Train
from chainrule.jobs.material import Material
from chainrule.jobs.planning import Planned, about_saving, about_slowness
from chainrule.jobs.request import Request
from chainrule.train.checkpoint import save_checkpoint, under
from chainrule.train.loop import Report
from chainrule.train.recipe import Recipe
from chainrule.train.training import Trains

CHECKPOINT_SHARE = 0.01  # the most of a run's time that checkpoints may take
TELL_SECONDS = 0.1  # between two reports of single updates


def train_in_folder(
    request: Request,
    recipe: Recipe,
    material: Material,
    training: Trains,
    folder: RunFolder,
    began: float,
    planned: Planned,
) -> Iterator[Event]:
    """Train what a recipe says from where it stands, keep it and judge it; `began` is when its clock started.

    Raises: TrainingFailed if the loss is no longer finite; Interrupted with a checkpoint saved; StorageError
    """
    settings = recipe.settings
    assert settings.epochs is not None and settings.model is not None
    yield Opened(
        run=folder.path,
        rows=material.split.counts(),
        model=settings.model,
        parameters=sum(p.numel() for p in training.objective.model.parameters()),
        epochs=settings.epochs,
        steps=training.steps,
        step=training.number,
        plan=str(recipe.plan),
        metric=training.objective.task.metric,
        settings={f.name: getattr(settings, f.name) for f in fields(settings)},
        members=training.count if isinstance(training, EnsembleTraining) else None,
    )
    before = sum(row["seconds"] for row in training.history)  # of a run that is taken up again
    with signals.held_back() as stop:
        for event in _updates(request, training, material, folder, stop):
            yield event
            if isinstance(event, EpochEnded) and event.row["epoch"] == 1:
                said = about_slowness(planned, event.row["seconds"], training.steps_per_epoch)
                yield from (Said(text=said) for said in [said] if said)
        if request.verbose and (said := about_saving(planned, training)):
            yield Said(text=said)
        if training.reason is not None:
            where = f"stopped after epoch {len(training.history)}: " * (settings.members is None)
            yield Said(text=f"{where}{training.reason}")
        save_run(folder, training, material)
        training.restore_best_()
        write_model(folder, training.objective, material.prepare)
        fit_seconds = before + time.perf_counter() - began
        for event in finish(folder, recipe, material, training, fit_seconds, _trainer(request, training)):
            yield event
            if stop and not isinstance(event, Finished):
                raise Interrupted(
                    f"stopped by {signals.said(stop.number)}; the network is trained and saved, what is missing of its "
                    f"report comes with: chainrule fit --resume {folder.path}",
                    stop.number,
                )


def _trainer(request: Request, training: Trains) -> Train:
    """Return what makes the training of another recipe, on the same device and with the same objects."""
    device = training.objective.device
    return lambda recipe, material: training_of(
        recipe, material, device, model=request.model, loss=request.loss
    )


def _updates(
    request: Request, training: Trains, material: Material, folder: RunFolder, stop: signals.Stop
) -> Iterator[Event]:
    """Train, save now and then, and stop at a safe point when asked to."""
    save_at, tell_at = time.perf_counter() + request.checkpoint_seconds, 0.0
    with closing(training.reports()) as reports:
        try:
            for report in reports:
                now, asked = time.perf_counter(), stop.number
                if asked or now >= save_at:
                    save_run(folder, training, material)
                    saved = time.perf_counter()
                    rarely = (saved - now) / CHECKPOINT_SHARE if request.checkpoint_seconds else 0.0
                    save_at = saved + max(request.checkpoint_seconds, rarely)
                if asked:
                    raise Interrupted(_how_to_resume(folder, training, asked), asked)
                if now >= tell_at:
                    tell_at = now + TELL_SECONDS
                    yield Stepped(report.step, report.epoch)
                if report.ends_epoch:
                    yield _ended(training, report)
        except TrainingFailed as failure:
            raise TrainingFailed(
                f"{failure}; a lower --learning-rate (it was {training.highest_rate:g}), --set clip_norm=1 or scaled "
                f"inputs usually mend it (run kept in {folder.path})"
            ) from None
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                folder.discard()
            raise


def _ended(training: Trains, report: Report) -> Event:
    """Return what is told of an epoch, or of a member of an ensemble."""
    if not isinstance(training, EnsembleTraining):
        return EpochEnded(row=training.history[-1], is_best=training.best_epoch == report.epoch)
    member = training.members[training.latest]
    return MemberTrained(
        member=training.latest + 1, members=training.count, row=member.history[-1], error=member.error
    )


def _how_to_resume(folder: RunFolder, training: Trains, number: int) -> str:
    return (
        f"stopped by {signals.said(number)} at step {training.number} of {training.steps}; the checkpoint is saved, go on with: "
        f"chainrule fit --resume {folder.path}"
    )


def save_run(folder: RunFolder, training: Trains, material: Material) -> None:
    """Write the checkpoint of a run. Raises: StorageError saying how to go on"""
    tensors = {
        **training.tensors(),
        **under("prepare/", material.prepare.state_dict()),
        **under("task/", training.objective.task.state_dict()),
    }
    try:
        save_checkpoint(folder.checkpoint, tensors, training.state())
    except StorageError as error:
        raise StorageError(f"{error}; free some space, then: chainrule fit --resume {folder.path}") from error
