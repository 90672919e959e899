"""Snapshots: one training whose rate falls several times; the weights at the end of each fall are a member."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from torch import Tensor, nn

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.data.prepared import PreparedRows
from chainrule.models.ensemble import Ensemble
from chainrule.optim.penalties import Penalty
from chainrule.train.checkpoint import part, under
from chainrule.train.course import Row
from chainrule.train.loop import Report
from chainrule.train.objective import Objective
from chainrule.train.training import Training


class SnapshotTraining:
    """A training that keeps its weights at the end of each stage.

    Source: Huang et al. 2017, Snapshot Ensembles. Differs: after a warm-up, if there is one.
    """

    best_epoch: int | None = None  # each stage counts as it ends

    def __init__(self, training: Training, ensemble: nn.Module) -> None:
        assert isinstance(ensemble, Ensemble)
        self.training = training
        self.objective = Objective(ensemble, training.objective.task)
        self.ends = training.schedule.ends_of(len(ensemble.members))
        self._states: list[dict[str, Tensor]] = []

    @property
    def number(self) -> int:
        """The updates made."""
        return self.training.number

    @property
    def history(self) -> list[Row]:
        """The epochs of the training."""
        return self.training.history

    @property
    def inputs(self) -> Tensor | PreparedRows:
        """All rows, on the device of the network."""
        return self.training.inputs

    @property
    def penalty(self) -> Penalty | None:
        """What is added to the loss of the data."""
        return self.training.penalty

    @property
    def steps(self) -> int:
        """The updates of the whole run."""
        return self.training.steps

    @property
    def steps_per_epoch(self) -> int:
        """The updates of an epoch."""
        return self.training.steps_per_epoch

    @property
    def highest_rate(self) -> float:
        """The learning rate at its highest."""
        return self.training.highest_rate

    @property
    def is_finished(self) -> bool:
        """Whether all updates are made."""
        return self.training.is_finished

    @property
    def reason(self) -> str | None:
        """No rule ends a stage early."""
        return None

    def reports(self) -> Generator[Report, None, None]:
        """Report every update; at the end of a stage its weights are kept."""
        for report in self.training.reports():
            if report.step in self.ends:
                state = self.training.objective.model.state_dict()
                self._states.append({name: t.detach().clone() for name, t in state.items()})
            yield report
        if self.is_finished:
            self.restore_best_()

    def restore_best_(self) -> None:
        """Put the snapshots together."""
        for member, state in zip(self._ensemble.members, self._states, strict=True):
            member.load_state_dict(state)

    @property
    def _ensemble(self) -> Ensemble:
        assert isinstance(self.objective.model, Ensemble)
        return self.objective.model

    def tensors(self) -> dict[str, Tensor]:
        """Return the snapshots, and what the rest of the training depends on."""
        found = self.training.tensors()
        going_on = {name: t for name, t in found.items() if not name.startswith("best/")}
        snapshots = {f"members.{k}.{n}": t for k, state in enumerate(self._states) for n, t in state.items()}
        return {
            **under("training/", going_on),
            **under("model/", snapshots),
            "model/shares": self._ensemble.shares,
            "losses": found["losses"],
        }

    def state(self) -> dict[str, Any]:
        """Return the position and the history."""
        return {**self.training.state(), "best_epoch": None, "best_cost": None}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Take up a saved run. Raises: RunError for a checkpoint of another run"""
        self.training.restore(part(tensors, "training/"), state)
        made = sum(end <= self.training.number for end in self.ends)
        self._states = [part(tensors, f"model/members.{k}.") for k in range(made)]
        try:
            for place, kept in enumerate(self._states):
                self._ensemble.members[place].load_state_dict(kept)
        except RuntimeError as error:
            raise RunError(f"the checkpoint does not fit the recipe: {visible(error)}") from error
