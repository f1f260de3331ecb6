"""Pairs of 64-bit hashes that differ in few bits: exact, in blocks, a few seconds for 100,000 hashes on two cores."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.machine import core_count

MOST_PARTNERS = 32
"""Partners that one hash keeps, the nearest ones: a bound for data sets where everything looks alike."""

_BLOCK = (64, 8192)
"""Rows and columns compared at once: what stays in a core's second cache."""


@dataclass(frozen=True, slots=True, eq=False)
class HashPairs:
    """Positions ``first < second`` of hashes and the number of bits in which they differ; each ``(pairs,)`` int64."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.int64]


def close_pairs(hashes: NDArray[np.uint64], bits: int) -> HashPairs:
    """Return the pairs of ``hashes`` ``(images,)`` that differ in at most ``bits`` bits, in rising order.

    Of the later hashes that are close to one, at most the 32 nearest count.
    """
    starts = range(0, len(hashes), _BLOCK[0])
    with ThreadPoolExecutor(core_count()) as pool:
        found = list(pool.map(partial(_pairs_from, hashes, bits), starts))
    if not found:
        return HashPairs(*np.zeros((3, 0), np.int64))
    return HashPairs(*np.concatenate(found, axis=1))


def _pairs_from(hashes: NDArray[np.uint64], bits: int, start: int) -> NDArray[np.int64]:
    """Return first, second and distance ``(3, pairs)`` of the close pairs whose first lies in one block of rows."""
    rows = hashes[start : start + _BLOCK[0], np.newaxis]
    parts = [np.zeros((3, 0), np.int64), *_close(hashes, rows, start, bits)]
    first, second, distance = np.concatenate(parts, axis=1)
    order = np.lexsort((second, distance, first))
    kept = order[_rank_in_run(first[order]) < MOST_PARTNERS]
    kept = kept[np.lexsort((second[kept], first[kept]))]
    found: NDArray[np.int64] = np.stack([first[kept], second[kept], distance[kept]])
    return found


def _close(hashes: NDArray[np.uint64], rows: NDArray[np.uint64], start: int, bits: int) -> Iterator[NDArray[np.int64]]:
    for place in range(start, len(hashes), _BLOCK[1]):
        distances = bit_counts(rows ^ hashes[place : place + _BLOCK[1]])
        close = np.flatnonzero(distances <= bits)
        if len(close):
            first, second = np.unravel_index(close, distances.shape)
            later = second + place > first + start
            found = (first[later] + start, second[later] + place, distances.ravel()[close[later]])
            yield np.stack(found).astype(np.int64)


def _rank_in_run(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for sorted ``values`` the how-manieth of its equals each is, from 0."""
    return np.arange(len(values)) - np.searchsorted(values, values)


def _counts_by_table(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return the number of set bits of each value."""
    quarters = np.ascontiguousarray(values).view(np.uint16).reshape(*values.shape, 4)
    counts: NDArray[np.uint8] = _TABLE[quarters].sum(axis=-1, dtype=np.uint8)
    return counts


_TABLE = np.unpackbits(np.arange(2**16, dtype=np.uint16).view(np.uint8)).reshape(-1, 16).sum(axis=1, dtype=np.uint8)

# NumPy 1 cannot count bits itself
bit_counts: Any = getattr(np, "bitwise_count", _counts_by_table)
