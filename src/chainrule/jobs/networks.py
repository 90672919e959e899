"""What a search knows of the networks that it trains together, whoever trains them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from chainrule.jobs.entries import Entry
from chainrule.train.course import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a network showed on the rows held out; `row` is None where it failed or its outputs are not finite."""

    row: Row | None = None
    epochs: int = 0
    failure: str | None = None


class Networks(ABC):
    """Networks under way: here (`PopulationRun`), on a cluster (`ClusterRun`), or classical models (`ClassicalRun`).

    `for made in networks.train()` trains them all; `shown` gives what each showed.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)
        self.ready: set[int] = set()  # those that came to the end of the latest `train`
        self.notes: list[str] = []  # for whoever shows how it goes

    @abstractmethod
    def train(self, epochs: int | None = None) -> Generator[int, None, None]:
        """Train for so many epochs more, or to the end, and report epochs made (of one network each) as they come.

        Closing the iterator stops all that computes.
        """

    @abstractmethod
    def shown(self, number: int) -> Shown:
        """Return what a network showed at the end of the latest `train`."""

    def leave(self, numbers: Sequence[int]) -> None:  # noqa: B027
        """Take networks out: they train no further. Nothing to do where `train` begins none anew."""

    def release(self, numbers: Sequence[int]) -> None:  # noqa: B027
        """Let go of the weights of networks that nobody asks for again. Nothing to do where none are kept here."""

    @property
    def keeps_all(self) -> bool:
        """Whether a network goes on from one `train` to the next, or comes to the same as if it did."""
        return True
