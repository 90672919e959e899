"""Many networks trained at once, each as `fit` would train it alone: stacks where they can be, on every core.

Networks of one shape, on the same data, whose updates fall together, are a stack; what differs from one to the next is
listed in `entries.OWN`. Stacks and single networks are lanes: each runs on one core from beginning to end, so that the result
depends neither on how many cores there are nor on which lane comes first.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.jobs.entries import (
    ALONE,
    DENSE,
    NATIVE,
    Entry,
    compile_if_worth,
    form_of,
    key_of,
    possible_ways,
    way_of,
)
from chainrule.jobs.entry_trainings import EntryTrainings
from chainrule.jobs.lanes import AloneLane, Lane, StackLane
from chainrule.jobs.networks import Networks, Shown
from chainrule.jobs.population_memory import NO_ROOM, MemoryPlan
from chainrule.jobs.side_by_side import one_thread, train_lanes, train_lanes_apart
from chainrule.jobs.workshop import make_model
from chainrule.train.course import Row
from chainrule.train.loop import judge

STACK_BYTES = 3 << 20  # of weights, gradients and state of the rule: more leaves a core's own cache
LEAST, MOST = 4, 128  # members of a stack, whatever they take
FEW = 4  # members, at the least, for which one more stack pays
PAIR = 2  # members, at the least, of stacks that stand apart only to keep cores at work
CORES = os.cpu_count() or 1
ENDED_AGAIN = "its process was ended from outside (SIGKILL), and again when it was trained alone"


class PopulationRun(Networks):
    """Networks under way. `for made in run.train()` trains them all; each is then judged, and gives its weights."""

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        cores: int | None = None,
        most: int | None = None,
        is_deterministic: bool = False,
        ways: Sequence[str] | None = None,
        varied: Collection[str] = (),
        known_ways: Mapping[str, str] | None = None,
        step: str | None = None,
        judged: str | None = None,
        metrics: Sequence[str] | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        """`most` is how many members a stack may have, by their size without it; `cores` how many lanes run side by side.

        Both are fewer where `memory_bytes`, a share of what is free without it, would not hold what is under way.

        Networks that are alike go the way that is fastest in a few updates on copies of them. `ways` are those of an
        earlier population of the same networks: bits are the same then. `is_deterministic`: nothing is measured, and a
        network that stands alone goes the way of a stack too, where its bits do not depend on how many others there are.
        `step` is the kind of step that the plan of all of them names: they go that way then.
        `varied` are settings that differ among these networks and others that are trained at another time.
        `known_ways` are those that networks of a form went before, by the name of the form: none of these is measured anew,
        and one that is left over goes the way of the others.
        `judged` names the part of the split on which each network is to be judged, by `metrics`: where it is trained, it is
        judged too.
        """
        super().__init__(entries)
        self.cores = cores or CORES
        self._judged, self._metrics = judged, metrics
        self._step = step
        if step is None and ways is None:
            compile_if_worth(entries, always=is_deterministic)
        self._trainings = EntryTrainings(entries, varied)
        self.lanes: list[Lane] = []
        self.known_ways = {} if known_ways is None else dict(known_ways)
        # By network: the first that is alike, and the most in a stack
        self._kinds: dict[int, tuple[int, int]] = {}
        self._until = 0  # epochs that `train` was asked for so far
        self.memory = MemoryPlan(memory_bytes, self.cores, self.notes)
        self.ways = [] if ways is None else list(ways)
        for place, alike in enumerate(self._alike()):
            if ways is None:
                self.ways.append(self._way(alike, is_deterministic))
            way = self.ways[place]
            self.lanes += self._lanes(alike, way, most)
        self._place()

    def train(self, epochs: int | None = None) -> Generator[int, None, None]:
        """Train for so many epochs each, or to the end, and report epochs made (of one network each) as they come.

        Where memory runs out, less than 0 is reported: networks begin again, in smaller groups. Closing the iterator stops
        every lane.
        """
        self.ready = {number for lane in self.lanes if lane.is_left for number in lane.numbers}
        self._until += epochs or 0
        until = None if epochs is None else self._until
        made = [self.epochs(number) for number in range(len(self.entries))]
        alone: list[Lane] = []  # of one network, that found no room beside others
        lanes = [lane for lane in self.lanes if not lane.is_left]
        cores, train = self.memory.cores, train_lanes
        while lanes:
            with closing(train(lanes, until, cores)) as reports:
                lanes = []
                for report in reports:
                    if report.ready is not None:
                        self.ready |= set(report.ready.numbers)
                    if report.short is not None:
                        lanes += self._begin_again(
                            report.short, is_alone=cores == 1, is_ended=report.is_ended
                        )
                    yield report.made
            again = [number for lane in lanes for number in lane.numbers]
            if again:
                yield -sum(made[number] for number in again)
            for number in again:
                made[number] = 0
            alone += [lane for lane in lanes if len(lane.numbers) == 1]
            lanes = [lane for lane in lanes if len(lane.numbers) > 1]
            train = train_lanes if self.cores == 1 else train_lanes_apart
            if not lanes:
                lanes, alone, cores = alone, [], 1

    def _begin_again(self, lane: Lane, *, is_alone: bool, is_ended: bool) -> list[Lane]:
        """Return what takes the place of a lane that memory is too small for, or whose process was ended."""
        if is_alone and len(lane.numbers) == 1:
            lane.give_up(ENDED_AGAIN if is_ended else NO_ROOM)
            self.ready |= set(lane.numbers)
            return []
        members = len(lane.numbers)
        if is_ended:
            self.notes.append(
                f"a process that trained {members} network{'s' * (members > 1)} was ended from outside (SIGKILL), and memory was "
                f"not short: {'they begin' if members > 1 else 'it begins'} again (bits stay the same)"
            )
        elif members > 1:
            self.notes.append(
                f"memory ran out in a group of {members} networks: it is halved, and its networks begin again (their bits "
                "stay the same)"
            )
        smaller = lane.smaller()
        kept = [lane] if lane.numbers else []
        self.lanes = [*(one for one in self.lanes if one is not lane), *kept, *smaller]
        self.ready |= set(lane.numbers)
        self._place()
        return smaller

    def _place(self) -> None:
        self.lanes.sort(key=lambda lane: lane.numbers[0])  # those that were given first are ready first
        self._lane_of = {number: lane for lane in self.lanes for number in lane.numbers}

    def leave(self, numbers: Sequence[int]) -> None:
        """Take networks out: they train no further, and what they have learned stays."""
        for lane in self.lanes:
            own = [number for number in numbers if self._lane_of[number] is lane]
            if own:
                lane.leave(own)
        self._close_ranks()

    def _close_ranks(self) -> None:
        """Put the networks that stay into fewer stacks: a member's bits do not depend on the stack it stands in."""
        of_kind: dict[tuple[Any, ...], list[StackLane]] = {}
        for lane in self.lanes:
            if isinstance(lane, StackLane) and not lane.is_left and lane.epoch:
                of_kind.setdefault((*self._kinds[lane.numbers[0]], lane.epoch), []).append(lane)
        # Lanes of a kind, so that no core is idle at the end
        even = self.cores if len(of_kind) % self.cores else 1
        for (_, most, _), lanes in of_kind.items():
            stay = sorted(number for lane in lanes for number in lane.staying)
            parts = _cut(stay, max(-(-len(stay) // most), min(even, len(stay) // PAIR)))
            if len(parts) < len(lanes):
                self.lanes += [StackLane.joined(numbers, lanes) for numbers in parts]
                for lane in lanes:
                    lane.hand_over()
        self.lanes = [lane for lane in self.lanes if lane.numbers]
        self._place()

    def release(self, numbers: Sequence[int]) -> None:
        """Let go of the weights of networks that nobody asks for again; what is known of their training stays."""
        for lane in self.lanes:
            if own := [number for number in numbers if self._lane_of[number] is lane]:
                lane.release(own)

    @property
    def keeps_all(self) -> bool:
        """Whether memory holds all networks from one `train` to the next."""
        return self.memory.keeps_all

    def shown(self, number: int) -> Shown:
        """Return what a network showed where it was `judged`."""
        lane = self._lane_of[number]
        return Shown(
            row=lane.judgements.get(number), epochs=len(lane.history(number)), failure=lane.failure(number)
        )

    def _judge(self, part: str, metrics: Sequence[str] | None, number: int, outputs: Tensor) -> Row | None:
        """Return what the outputs of a network on a part of its split are worth, None where they are not finite."""
        if not bool(torch.isfinite(outputs).all()):
            return None
        task, targets = self._trainings.truth(number, part)
        return judge(task, outputs, targets, metrics)

    def outputs(self, part: str, *, among: Collection[int] | None = None) -> Iterator[tuple[int, Tensor]]:
        """Give the outputs of every network that has not failed on a part of its split. Shapes: (n, units) each."""
        for lane in self.lanes:
            wanted = [k for k in lane.numbers if (among is None or k in among) and lane.failure(k) is None]
            rows = self._rows(lane, part)
            if not len(rows) or not wanted:
                continue
            with one_thread():
                found = lane.outputs(rows, wanted)
            for number in wanted:
                if number in found and bool(torch.isfinite(found[number]).all()):
                    yield number, found[number]

    def history(self, number: int) -> list[Row]:
        """Return the epochs of a network."""
        return self._lane_of[number].history(number)

    def epochs(self, number: int) -> int:
        """Return how many epochs a network has made."""
        return len(self.history(number))

    def best_epoch(self, number: int) -> int | None:
        """Return the epoch whose weights a network keeps, None where it keeps the last ones."""
        return self._lane_of[number].best_epoch(number)

    def failure(self, number: int) -> str | None:
        """Return why the training of a network failed, None if it did not."""
        return self._lane_of[number].failure(number)

    def network(self, number: int) -> nn.Module:
        """Return a network with the weights that it keeps."""
        recipe = self.entries[number].recipe
        made = make_model(recipe, self._trainings.task(number)[0].units, None)
        made.load_state_dict(self.state_of(number))
        return made.eval()

    def state_of(self, number: int) -> dict[str, Tensor]:
        """Return the weights that a network keeps, by the names that it has for them."""
        return self._lane_of[number].state_of(number)

    def _rows(self, lane: Lane, part: str) -> Tensor:
        return torch.from_numpy(self.entries[lane.numbers[0]].material.rows(part))

    # ---- lanes

    def _alike(self) -> list[list[int]]:
        """Return the numbers of the networks that could stand in one stack, in the order of their first ones."""
        found: dict[Any, list[int]] = {}
        for number, entry in enumerate(self.entries):
            found.setdefault(key_of(entry), []).append(number)
        return list(found.values())

    def _way(self, numbers: list[int], is_deterministic: bool) -> str:
        """Return how networks that are alike are trained."""
        first = self.entries[numbers[0]]
        form = repr(form_of(first))
        known = None if is_deterministic else self.known_ways.get(form)
        possible = possible_ways(first)
        if self._step is not None:
            return way_of(self._step, possible)
        if known is None and len(numbers) == 1 and not is_deterministic:
            return NATIVE if NATIVE in possible else ALONE  # whose bits are the same
        if is_deterministic:
            return possible[0] if DENSE in possible else ALONE
        if known not in possible:  # folds differ in their rows alone: they are of one form
            with one_thread():
                known = self._trainings.fastest(numbers, possible) if len(possible) > 1 else ALONE
            self.known_ways[form] = known
        return known

    def _parts(self, numbers: list[int], most: int) -> list[list[int]]:
        """Return networks in stacks of nearly equal size: at most so many each, and as many stacks for every core."""
        parts = max(-(-len(numbers) // most), min(self.cores, len(numbers) // FEW))
        for_all = -(-parts // self.cores) * self.cores
        return _cut(numbers, for_all if len(numbers) >= for_all * FEW else parts)

    def _lanes(self, alike: list[int], way: str, most: int | None) -> list[Lane]:
        """Return lanes for networks that are alike, as many in each as memory allows."""
        lanes = self._limited(alike, way, most)
        if self._judged is not None:
            for lane in lanes:
                lane.judged = self._rows(lane, self._judged)
                lane.judge = functools.partial(self._judge, self._judged, self._metrics)
        return lanes

    def _limited(self, alike: list[int], way: str, most: int | None) -> list[Lane]:
        of_one = self._trainings.bytes_of(alike[0], way, self._judged)
        refused = self.memory.refusal(of_one)
        if way == ALONE or refused:
            lanes: list[Lane] = [AloneLane(n, functools.partial(self._trainings.alone, n)) for n in alike]
            if refused:
                for lane in lanes:
                    lane.give_up(refused)
            else:
                self.memory.members(len(alike), of_one, 1)
            return lanes
        if most is None:
            most = max(LEAST, min(MOST, STACK_BYTES // of_one.resting))
        make = functools.partial(self._trainings.stack, way=way)
        most = self.memory.members(len(alike), of_one, most)
        self._kinds |= dict.fromkeys(alike, (alike[0], most))
        return [StackLane(numbers, make) for numbers in self._parts(alike, most)]


def _cut(numbers: list[int], parts: int) -> list[list[int]]:
    """Return so many parts of nearly equal size."""
    return [part.tolist() for part in np.array_split(np.array(numbers), parts)]
