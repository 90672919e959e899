"""What a search tries next, as a function of the space, the seed and the trials so far: so a search can be taken up again.

| method  | proposes                                                                             |
|---------|--------------------------------------------------------------------------------------|
| grid    | every combination once                                                               |
| random  | combinations drawn evenly, none twice                                                |
| bayes   | where a Gaussian process of the trials so far expects the most improvement           |
| halving | as grid if every setting has a list of values, else as random; it judges otherwise   |
"""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.core.errors import SettingError, missing_extra, unknown_name
from chainrule.core.seeds import mix
from chainrule.train.space import Choices, Range, Space, Values

METHODS = ("grid", "random", "bayes", "halving")
TRIALS = 32  # where their number is left open and the method does not give it
STARTS = 10  # trials drawn at random before a Gaussian process says anything
MOST_TRIALS = 100_000
_TRIES = 100  # draws for one combination that is new


@dataclass(frozen=True, slots=True)
class Tried:
    """A combination and what it cost, the less the better; None where it failed or is under way."""

    values: Values
    cost: float | None


def check_method(method: str) -> None:
    """Refuse a method that there is not. Raises: UnknownNameError"""
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)


def count_trials(space: Space, method: str, asked: int | None) -> int:
    """Return how many trials a search has. Raises: SettingError for a number that does not go with the method"""
    size = space.size
    if method == "grid":
        list(itertools.islice(space.combinations(), 1))  # says what has no steps
        assert size is not None
        if asked not in (None, size):
            raise SettingError(
                f"a grid has every combination, {size:,} of this space; leave out --trials {asked}, or take --method random"
            )
    if asked is not None and asked < 1:
        raise SettingError(f"--trials must be at least 1; got {asked}")
    if asked is None and method == "halving" and size is not None:
        asked = size
    count = size if method == "grid" and size is not None else min(asked or TRIALS, size or MOST_TRIALS)
    if count > MOST_TRIALS:
        raise SettingError(
            f"this space has {count:,} combinations, and a search tries {MOST_TRIALS:,} at most; fewer steps, or --method "
            "random --trials N"
        )
    return count


def propose(
    space: Space, method: str, tried: Sequence[Tried], count: int, seed: int, trials: int
) -> list[Values]:
    """Return the next `count` combinations after those `tried`, of `trials` in all; fewer where the space has no more."""
    if method == "bayes" and len(tried) >= min(STARTS, trials):
        return _improving(space, tried, count, seed)
    is_whole = method in ("grid", "halving") and space.size == trials
    every = space.combinations() if is_whole else _drawn(space, seed)
    return list(itertools.islice(every, len(tried), len(tried) + count))


def _drawn(space: Space, seed: int) -> Iterator[Values]:
    """Give combinations drawn evenly, each once, until the space has no more that are new."""
    seen: set[str] = set()
    for number in itertools.count():
        for attempt in range(_TRIES):
            shares = [
                mix(seed, "search", number, place, attempt) / 2**63 for place in range(len(space.settings))
            ]
            values = space.at(shares)
            if repr(values) not in seen:
                break
        else:  # nearly all are drawn: the rest in order
            rest = space.combinations() if space.size is not None else iter(())
            yield from (values for values in rest if repr(values) not in seen)
            return
        seen.add(repr(values))
        yield values


def _improving(space: Space, tried: Sequence[Tried], count: int, seed: int) -> list[Values]:
    """Return combinations of which a Gaussian process expects the most improvement, each beside those before it.

    Trials that failed count as the worst so far. Source: Optuna's GPSampler, which takes the logarithm of the expected
    improvement (Ament et al. 2023).
    """
    optuna = load_optuna()
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(part: Choices | Range) -> Any:
        if isinstance(part, Choices):
            return CategoricalDistribution(tuple(range(len(part.values))))
        if part.values is not None:  # places in order: nearby values are near
            return IntDistribution(0, len(part.values) - 1)
        if part.is_whole:
            return IntDistribution(int(part.low), int(part.high), log=part.is_log)
        return FloatDistribution(part.low, part.high, log=part.is_log)

    distributions = {name: distribution(part) for name, part in space.settings.items()}
    worst = max((one.cost for one in tried if one.cost is not None), default=0.0)
    with _quietly(optuna):
        sampler = optuna.samplers.GPSampler(seed=mix(seed, "bayes", len(tried)) % 2**32, n_startup_trials=0)
        study = optuna.create_study(sampler=sampler)
        for one in tried:
            parameters = {name: _written(space.settings[name], value) for name, value in one.values.items()}
            cost = worst if one.cost is None or not math.isfinite(one.cost) else one.cost
            study.add_trial(
                optuna.trial.create_trial(params=parameters, distributions=distributions, values=[cost])
            )
        asked = [study.ask(distributions).params for _ in range(count)]
    return [{name: _read(space.settings[name], value) for name, value in one.items()} for one in asked]


def _written(part: Choices | Range, value: Any) -> Any:
    values = part.values
    return value if values is None else values.index(value)


def _read(part: Choices | Range, value: Any) -> Any:
    values = part.values
    return value if values is None else values[value]


def load_optuna() -> Any:
    """Return Optuna. Raises: MissingExtraError"""
    try:
        import optuna
    except ImportError:
        raise missing_extra("optuna", "tune", "--method bayes") from None
    return optuna


@contextlib.contextmanager
def _quietly(optuna: Any) -> Iterator[None]:
    """Keep Optuna's log and its notes on experimental parts from the user, on one thread: its matrices are small."""
    import torch

    before, threads = optuna.logging.get_verbosity(), torch.get_num_threads()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        optuna.logging.set_verbosity(before)
