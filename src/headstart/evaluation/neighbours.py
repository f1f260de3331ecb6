"""Nearest images by their features: cosine distances, in blocks that stay small in memory. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# Distances are held for so many pairs at a time: 32 MB.
BLOCK_PAIRS = 2**23
MOST_CHANNELS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The nearest images, nearest first: positions and cosine distances 0..2, both ``(queries, count)``."""

    positions: NDArray[np.int64]
    distances: NDArray[np.float32]


def normalised(features: Floats) -> NDArray[np.float32]:
    """Return features ``(images, channels)`` with rows of length 1 (or 0); of more than 2,048 channels every nth."""
    step = -(-features.shape[1] // MOST_CHANNELS)
    kept = np.asarray(features[:, ::step], np.float32)
    lengths = np.linalg.norm(kept, axis=1, keepdims=True)
    rows: NDArray[np.float32] = kept / np.maximum(lengths, np.float32(1e-12))
    return rows


def blocks(queries: int, store: int) -> list[slice]:
    """Return slices over the queries so that one of them times the store is a block of bounded size."""
    rows = max(1, BLOCK_PAIRS // max(1, store))
    return [slice(first, min(first + rows, queries)) for first in range(0, queries, rows)]


def nearest(queries: Floats, store: Floats, count: int, *, same: bool = False) -> Neighbours:
    """Return the ``count`` nearest rows of the store for every query; fewer where the store is smaller.

    Args:
        queries, store: ``(images, channels)`` with rows of length 1.
        same: both hold the same images in the same order, and no image is its own neighbour.
    """
    count = min(count, len(store) - same)
    positions = np.zeros((len(queries), count), np.int64)
    distances = np.zeros((len(queries), count), np.float32)
    for block in blocks(len(queries), len(store)) if count else ():
        apart = 1 - queries[block] @ store.T
        if same:
            apart[np.arange(len(apart)), np.arange(block.start, block.stop)] = np.inf
        chosen = np.argpartition(apart, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(apart, chosen, axis=1)
        order = np.lexsort((chosen, values), axis=1)
        positions[block] = np.take_along_axis(chosen, order, axis=1)
        distances[block] = np.maximum(np.take_along_axis(values, order, axis=1), 0)
    return Neighbours(positions, distances)


def votes(positions: NDArray[np.int64], labels: NDArray[np.integer[Any]], classes: int) -> NDArray[np.int64]:
    """Return how many of each query's neighbours bear each class ``(queries, classes)``.

    Args:
        positions: of neighbours ``(queries, count)``.
        labels: class indices of the store's images.
    """
    found = np.zeros((len(positions), classes), np.int64)
    for column in labels[positions].T:
        found[np.arange(len(positions)), column] += 1
    return found
