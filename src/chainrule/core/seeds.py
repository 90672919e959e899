"""Order and noise as pure functions of counters, so that there is no random state to save.

`mix` hashes a seed and any number of counters (names count too) to 64 bits with the finaliser of SplitMix64.
A torch generator seeded with it is a pure function of those counters.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(seed: int, *counters: int | str) -> int:
    """Hash a seed and counters to an integer in [0, 2**63).

    Source: Steele, Lea, Flood 2014, SplitMix64. Differs: the top bit is dropped, since torch wants signed seeds.
    >>> mix(0, "order", 1) == mix(0, "order", 1), mix(0, "order", 1) == mix(0, "order", 2)
    (True, False)
    """
    state = _finalise((seed & _MASK) + _GOLDEN & _MASK)  # so that mix(0, 1) is not mix(1, 0)
    for counter in counters:
        number = zlib.crc32(counter.encode()) | 1 << 40 if isinstance(counter, str) else counter
        state = _finalise((state ^ (number & _MASK)) + _GOLDEN & _MASK)
    return _finalise(state) >> 1


def generator(seed: int, *counters: int | str) -> torch.Generator:
    """Return a CPU generator that is a pure function of the seed and the counters."""
    import torch

    return torch.Generator().manual_seed(mix(seed, *counters))


def _finalise(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
    return z ^ (z >> 31)
