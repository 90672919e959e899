"""How many networks of a population are trained at once, so that memory holds them: told before any is made."""

from __future__ import annotations

from chainrule.core.memory import available_bytes
from chainrule.core.units import show_bytes
from chainrule.train.member_bytes import MemberBytes

ROOM = 0.5  # of the memory that is free, for networks under way; the rest is for those that wait

NO_ROOM = (
    "it does not fit into memory, not even alone; a smaller --batch-size or fewer units need less, and closing other "
    "programs leaves more"
)


class MemoryPlan:
    """What the networks of a population take. `cores` are those that can work side by side; `notes` say what is cut."""

    def __init__(self, most_bytes: int | None, cores: int, notes: list[str]) -> None:
        self.free = available_bytes() if most_bytes is None else most_bytes
        self.room = int(ROOM * self.free) if self.free is not None and most_bytes is None else most_bytes
        self.cores = cores
        self.notes = notes
        self.networks = 0
        self.training_bytes = self.resting_bytes = self.over_bytes = 0  # while all train, wait, or are over
        self.under_way_bytes = 0  # at most, of the lanes of one kind

    def members(self, networks: int, of_one: MemberBytes, most: int) -> int:
        """Return how many of so many networks that are alike may stand in a stack, and count what they take."""
        wanted = min(most, networks)
        if self.room is not None and wanted * self.cores * of_one.training > self.room:
            wanted = max(1, min(wanted, self.room // (self.cores * of_one.training)))
            self.cores = max(1, min(self.cores, self.room // of_one.training))
            self._tell(wanted, of_one.training)
        self.networks += networks
        self.training_bytes += networks * of_one.training
        self.resting_bytes += networks * of_one.resting
        self.over_bytes += networks * of_one.over
        at_once = min(networks, wanted * self.cores)
        self.under_way_bytes = max(self.under_way_bytes, at_once * of_one.training)
        return wanted

    def refusal(self, of_one: MemberBytes) -> str | None:
        """Say why not even one network has room, None if it has."""
        if self.free is None or of_one.resting <= self.free:
            return None
        return (
            f"its weights, their gradients and what the update rule keeps take {show_bytes(of_one.resting)}, and this machine "
            f"has {show_bytes(self.free)} of memory free; choose fewer units"
        )

    @property
    def keeps_all(self) -> bool:
        """Whether memory holds all networks between two parts of their training."""
        return self.room is None or self.resting_bytes <= self.room

    def __str__(self) -> str:
        each = self.training_bytes / max(1, self.networks)
        room = "" if self.room is None else f" of {show_bytes(self.room)} that they may take"
        return (
            f"memory: a network takes {show_bytes(each)} while it trains, those side by side {show_bytes(self.under_way_bytes)}"
            f"{room}; all {self.networks:,} together would take {show_bytes(self.training_bytes)}"
        )

    def _tell(self, members: int, each: int) -> None:
        assert self.room is not None
        side_by_side = f"{members} in a group, {self.cores} group{'s' * (self.cores > 1)} at a time"
        self.notes.append(
            f"a network takes {show_bytes(each)} while it trains, and {show_bytes(self.room)} of memory are for those under "
            f"way: {side_by_side}"
        )
