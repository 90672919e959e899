"""Pictures that show the same: saved again, resized, made brighter, cropped a little.

The road: every picture becomes a small grey one, without its brightness and contrast. The signs of its low
frequencies, each against the median of the data, are a hash of 64 bits. Pairs whose hashes agree in one of some choices
of bits are candidates; a candidate is confirmed on the small pictures, after the shift and stretch that fit best.

How near is near depends on the data: two ones of MNIST differ less than two savings of a photograph. So a pair counts
as copies only if it is several times nearer than the nearest neighbours among a few of the pictures are.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from chainrule.core.seeds import mix
from chainrule.data.store import StoredRows

SIDE = 16  # of the small pictures
FREQUENCIES = 9  # each way; the 64 lowest but the mean become bits
BITS, TABLES = 64, 16
PICTURES_AT_ONCE = 256
# Compared; fitted, which takes ten times the memory: both in a cache
PAIRS_AT_ONCE, FITTED_AT_ONCE = 1 << 10, 1 << 7
FEW_PIXELS = 1 << 25  # of all pictures: below, a second thread costs more than it brings
FEWEST_TO_POOL = 1 << 14  # pixels of a picture; of more, a pooling takes less time than two products
NEIGHBOURS = 32  # of a picture that are looked at in each table
SAMPLE, LEAST_SAMPLE = 200, 10  # pictures among which nearest neighbours are told
# Distances of small pictures of mean 0 and length 1. Copies of 600 windows of photographs at 64 × 64: saved as JPEG of
# quality 30 to 80 0.02 (median), cropped by up to 2 % a side 0.07, by up to 4 % 0.12. Nearest neighbours among 200:
# photographs 0.68, mnist-5k 0.52, digits 0.31; the nearest of all pairs of mnist-5k 0.093, of digits 0.065.
FARTHEST = 0.15
SHARE_OF_USUAL = 0.22  # of the distance of usual nearest neighbours
WARP_GAIN = 2.5  # a shift and a stretch bring copies nearer by no more than this
FLAT = 2.0  # of 255: a picture of less contrast shows nothing to compare
COLOUR_SHARE, COLOUR_LEVELS = 0.35, 6.0  # that copies may differ in colour, of it and in levels of 255


def picture_groups(pictures: np.ndarray | StoredRows) -> np.ndarray:
    """Return a group number per picture; copies share one.

    Of pictures that are kept on disk for want of memory only those of equal pixels are copies: what the others are
    compared by would take a kilobyte of memory each.
    Shapes: pictures (N, C, H, W) -> (N,) int64
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = len(pictures)
    if rows < 2:
        return np.arange(rows)
    if isinstance(pictures, StoredRows):
        sums = np.concatenate([_checksums(part) for _, part in pictures.parts()])
        pairs = _equal_pairs(pictures, sums)
    else:
        with _threads(1 if pictures.size < FEW_PIXELS else torch.get_num_threads()):
            small, colours, sums = _look(pictures)
        pairs = np.concatenate([_equal_pairs(pictures, sums), _near_pairs(small, colours)])
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(rows, rows))
    groups: np.ndarray = connected_components(links, directed=False)[1].astype(np.int64)
    return groups


def _look(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of every picture a small grey one of mean 0 and length 1 (0 if it is flat), its colours, and a checksum.

    Shapes: (N, C, H, W) -> (N, SIDE, SIDE) float32, (N, colours) float32 in levels of 255, (N,) uint32
    """
    rows, channels = pictures.shape[:2]
    seen = pictures[:: max(1, rows // SAMPLE)]
    levels = float(np.nanmax(seen)) - float(np.nanmin(seen)) or 1.0
    small = np.empty((rows, SIDE, SIDE), np.float32)
    colours = np.empty((rows, 16 * channels if channels > 1 else 0), np.float32)
    sums = np.empty(rows, np.uint32)
    for start in range(0, rows, PICTURES_AT_ONCE):
        part = slice(start, start + PICTURES_AT_ONCE)
        chosen = np.array(pictures[part], order="C")
        sums[part] = _checksums(chosen)
        pixels = torch.from_numpy(chosen).float()
        if chosen.dtype.kind == "f":
            pixels.nan_to_num_()
        pooled = _pooled(pixels, is_whole=chosen.dtype == np.uint8).mul_(255 / levels)
        grey = pooled.mean(1, keepdim=True) if channels > 1 else pooled
        small[part] = grey[:, 0].numpy()
        if channels > 1:
            colours[part] = functional.avg_pool2d(pooled - grey, SIDE // 4).flatten(1).numpy()
    small -= small.mean((1, 2), keepdims=True)
    lengths = np.sqrt(np.square(small).sum((1, 2), keepdims=True))
    small *= np.where(lengths > FLAT * SIDE, 1 / np.maximum(lengths, 1e-9), 0)
    return small, colours, sums


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run the block with so many threads of torch; no result here depends on them."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _pooled(pixels: Tensor, *, is_whole: bool) -> Tensor:
    """Return the means of SIDE × SIDE windows, by two products if the pixels are whole numbers from 0 to 255.

    Their sums are exact in any order, so the bits are the same; pictures of 28 × 28 take 0.9 µs, not 2.3.
    Shapes: (N, C, H, W) -> (N, C, SIDE, SIDE)
    """
    height, width = pixels.shape[-2:]
    if not is_whole or height * width > FEWEST_TO_POOL:
        return functional.adaptive_avg_pool2d(pixels, SIDE)
    down, right = _windows(height), _windows(width)
    sums = torch.matmul(down, torch.matmul(pixels, right.t()))
    return sums.div_(down.sum(1, keepdim=True)).div_(right.sum(1))


def _windows(side: int) -> Tensor:
    """Return which pixels of a side each window takes, as 0 and 1. Shapes: -> (SIDE, side)."""
    window, pixel = torch.arange(SIDE)[:, None], torch.arange(side)
    ends = -(-(window + 1) * side // SIDE)
    return ((pixel >= window * side // SIDE) & (pixel < ends)).float()


def _checksums(pictures: np.ndarray) -> np.ndarray:
    return np.array([zlib.crc32(picture) for picture in pictures], np.uint32)


def _equal_pairs(pictures: np.ndarray | StoredRows, sums: np.ndarray) -> np.ndarray:
    """Return pairs of neighbours among pictures of equal pixels. Shapes: -> (pairs, 2)."""
    order = np.argsort(sums, kind="stable")
    places = np.flatnonzero(sums[order][1:] == sums[order][:-1])
    equal = [i for i in places if np.array_equal(pictures[order[i]], pictures[order[i + 1]])]
    return np.stack([order[equal], order[np.array(equal, np.int64) + 1]], 1)


def _near_pairs(small: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return pairs of pictures that show the same. Shapes: -> (pairs, 2)."""
    limit = min(FARTHEST, SHARE_OF_USUAL * _usual_distance(small))
    bits = _bits(small)
    likely = [_likely(pairs, small, limit) for pairs in _candidates(bits)]
    pairs = np.unique(np.concatenate(likely), axis=0)
    return _confirmed(pairs, small, colours, limit)


def _bits(small: np.ndarray) -> np.ndarray:
    """Return whether each low frequency lies above its median. Shapes: (N, SIDE, SIDE) -> (N, BITS) bool."""
    places = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    waves = np.cos(np.arange(FREQUENCIES)[:, None] * places).astype(np.float32)
    along = (small.reshape(-1, SIDE) @ waves.T).reshape(len(small), SIDE, FREQUENCIES)
    found = np.matmul(waves, along).reshape(len(small), -1)
    lowest = np.argsort(
        np.add.outer(np.arange(FREQUENCIES), np.arange(FREQUENCIES)).reshape(-1), kind="stable"
    )
    found = found[:, lowest[1 : BITS + 1]]
    above: np.ndarray = found > np.median(found, axis=0)
    return above


def _candidates(bits: np.ndarray) -> Iterator[np.ndarray]:
    """Go through choices of bits, and give for each the pairs of pictures whose chosen bits are equal.

    With more pictures more bits are chosen, so that about as many candidates come on each picture.
    Shapes: bits (N, BITS) -> (pairs, 2) each
    """
    rows = len(bits)
    count = min(24, max(8, math.ceil(math.log2(rows)) + 2))
    # A product of powers of two, exact up to 2²⁴, makes a key
    by_bit = np.ascontiguousarray(bits.T, np.float32)
    powers = np.exp2(np.arange(count, dtype=np.float32))
    for table in range(TABLES):
        random = np.random.Generator(np.random.PCG64(mix(0, "picture copies", table)))
        chosen = random.choice(BITS, count, replace=False)
        keys = (powers @ by_bit[chosen]).astype(np.uint16 if count <= 16 else np.uint32)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        found = [np.empty((0, 2), np.int64)]
        for distance in range(1, min(NEIGHBOURS, rows - 1) + 1):
            places = np.flatnonzero(ordered[distance:] == ordered[:-distance])
            if not len(places):
                break
            found.append(np.stack([order[places], order[places + distance]], 1))
        yield np.concatenate(found)


def _likely(pairs: np.ndarray, small: np.ndarray, limit: float) -> np.ndarray:
    """Return the pairs that a shift and a stretch could make copies. Shapes: pairs (P, 2) -> (fewer, 2)."""
    kept = []
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        few = pairs[start : start + PAIRS_AT_ONCE]
        # the cosine: the distance squared is 2 - 2 cosines
        alike = np.einsum("pij,pij->p", small[few[:, 0]], small[few[:, 1]])
        kept.append(few[alike > 1 - (WARP_GAIN * limit) ** 2 / 2])
    return np.concatenate(kept) if kept else pairs[:0]


def _confirmed(pairs: np.ndarray, small: np.ndarray, colours: np.ndarray, limit: float) -> np.ndarray:
    """Return the pairs that are copies. Shapes: pairs (P, 2) -> (fewer, 2)."""
    kept = [pairs[:0]]
    for start in range(0, len(pairs), FITTED_AT_ONCE):
        few = pairs[start : start + FITTED_AT_ONCE]
        few = few[_fitted_distances(small[few[:, 0]], small[few[:, 1]]) < limit]
        kept.append(few[_same_colours(colours[few[:, 0]], colours[few[:, 1]])])
    return np.concatenate(kept)


def _fitted_distances(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how far the others are from the ones, each shifted, stretched, brightened as fits best (to first order).

    Shapes: (P, SIDE, SIDE) twice -> (P,)
    """
    down, right = np.gradient(ones.astype(np.float64), axis=(1, 2))
    place = np.arange(SIDE) - (SIDE - 1) / 2
    changes = [ones, np.ones_like(ones), down, right, down * place[:, None], right * place]
    inner = slice(1, -1)  # what was cropped away misses at the edge
    basis = np.stack(changes, -1)[:, inner, inner].reshape(len(ones), (SIDE - 2) ** 2, len(changes))
    wanted = others[:, inner, inner].reshape(len(ones), (SIDE - 2) ** 2, 1)
    products = basis.swapaxes(1, 2) @ basis + 1e-6 * np.eye(len(changes))
    fitted = basis @ np.linalg.solve(products, basis.swapaxes(1, 2) @ wanted)
    distances: np.ndarray = np.sqrt(np.square(wanted - fitted).sum((1, 2)))
    return distances


def _same_colours(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    if not ones.shape[1]:
        return np.ones(len(ones), bool)
    apart = np.sqrt(np.square(ones - others).mean(1))
    strength = np.sqrt(np.maximum(np.square(ones).mean(1), np.square(others).mean(1)))
    same: np.ndarray = apart <= COLOUR_LEVELS + COLOUR_SHARE * strength
    return same


def _usual_distance(small: np.ndarray) -> float:
    """Return the distance of nearest neighbours among a few pictures, few enough that copies are seldom among them."""
    count = min(SAMPLE, len(small) // 10)
    if count < LEAST_SAMPLE:
        return math.inf
    random = np.random.Generator(np.random.PCG64(mix(0, "picture copies", "sample")))
    few = small[random.choice(len(small), count, replace=False)]
    alike = few.reshape(count, -1) @ few.reshape(count, -1).T
    np.fill_diagonal(alike, -1)
    return float(np.median(_fitted_distances(few, few[alike.argmax(1)])))
