"""Images that are unlike their class, and images that are nearly the same, by their features. NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.neighbours import blocks, nearest

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

COUNT = 10
FEWEST = 20
"""Images that a class must have before one of them can be called unlike the others."""
MOST_STORED = 5_000
LIMIT = 3.5
"""Above this a modified z-score is an outlier: B. Iglewicz, D. C. Hoaglin, How to Detect and Handle Outliers (1993)."""
NORMAL_SPREAD = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""

MOST_PARTNERS = 5
SAMPLE = 1_000
SIMILAR_SHARE = 0.2
"""How near two images must be, as a share of the median distance of an image to its nearest."""
MOST_COMPARED = 30_000


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """Images that are unlike their class, the most unlike first.

    Attributes:
        positions: of the images ``(found,)``.
        nearest: the class each is most like ``(found,)``; it may be its own.
        scores: modified z-scores of the distance to the class, above 3.5 ``(found,)``.
    """

    positions: NDArray[np.int64]
    nearest: NDArray[np.int64]
    scores: NDArray[np.float64]


def find_strangers(features: Floats, labels: Labels, classes: int) -> Strangers:
    """Return the images that are farther from the nearest ten of their class than is usual in it.

    Usual is the median of the class; what counts is the distance from it over the median absolute deviation. Classes of
    fewer than 20 images are passed over; of more than 5,000, an even sample stands for the class.

    Args:
        features: ``(images, channels)`` with rows of length 1.
        labels: class indices ``(images,)``.
    """
    scores = np.zeros(len(labels))
    for one in range(classes):
        members = np.flatnonzero(labels == one)
        if len(members) >= FEWEST:
            scores[members] = _modified_z(_distance_to_class(features, members))
    ranked = np.argsort(-scores, kind="stable")
    found = ranked[scores[ranked] > LIMIT]
    return Strangers(found, _most_like(features, labels, found, classes), scores[found])


def _distance_to_class(features: Floats, members: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean distance of every member to the nearest others ``(members,)``."""
    own = features[members]
    step = -(-len(members) // MOST_STORED)
    if step == 1:
        whole: NDArray[np.float64] = nearest(own, own, COUNT, same=True).distances.mean(axis=1, dtype=np.float64)
        return whole
    distances = nearest(own, own[::step], COUNT + 1).distances.astype(np.float64)
    # those in the sample find themselves first, at distance 0
    inside = np.arange(len(members)) % step == 0
    sampled: NDArray[np.float64] = np.where(inside, distances[:, 1:].mean(axis=1), distances[:, :-1].mean(axis=1))
    return sampled


def _modified_z(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many robust standard deviations each distance lies above the median; 0 where all are alike."""
    off = distances - np.median(distances)
    spread = NORMAL_SPREAD * float(np.median(np.abs(off)))
    return off / spread if spread > 0 else np.zeros(len(distances))


def _most_like(features: Floats, labels: Labels, found: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the class whose nearest ten images are nearest to each of the images found."""
    distances = np.full((len(found), classes), np.inf)
    for one in range(classes) if len(found) else ():
        members = np.flatnonzero(labels == one)
        near = nearest(features[found], features[members], COUNT + 1)
        itself = members[near.positions] == found[:, None]
        ranked = np.sort(np.where(itself, np.inf, near.distances), axis=1)[:, :COUNT]
        there = np.isfinite(ranked)
        sums = np.where(there, ranked, 0).sum(axis=1)
        distances[:, one] = np.where(there.any(axis=1), sums / np.maximum(there.sum(axis=1), 1), np.inf)
    best: NDArray[np.int64] = distances.argmin(axis=1)
    return best


def find_similar(features: Floats) -> list[tuple[int, ...]]:
    """Return groups of images that are nearly the same, each rising; chains of pairs make one group.

    A pair is nearly the same when it is nearer than a fifth of the median distance of an image to its nearest; that is
    measured on an even sample of these images, so that it holds for any network. More than 30,000 images are not
    compared: their pairs would take too long.

    Args:
        features: ``(images, channels)`` with rows of length 1.
    """
    if not 2 < len(features) <= MOST_COMPARED:
        return []
    sample = features[:: -(-len(features) // SAMPLE)]
    limit = SIMILAR_SHARE * float(np.median(nearest(sample, features, 2).distances[:, 1]))
    return _groups(_pairs(features, limit))


def _pairs(features: Floats, limit: float) -> Iterator[tuple[int, int]]:
    """Yield pairs that are nearer than the limit; of an image the first five that stand after it."""
    for block in blocks(len(features), len(features)):
        after = features[block.start :]
        close = np.triu(1 - features[block] @ after.T < limit, 1)
        for row in np.flatnonzero(close.any(axis=1)):
            partners = np.flatnonzero(close[row])[:MOST_PARTNERS]
            yield from ((block.start + int(row), block.start + int(partner)) for partner in partners)


def _groups(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return what pairs join, rising."""
    group_of: dict[int, list[int]] = {}
    for pair in pairs:
        one, other = (group_of.setdefault(each, [each]) for each in pair)
        if one is not other:
            one += other
            group_of |= dict.fromkeys(other, one)
    return sorted({tuple(sorted(group)) for group in group_of.values()})
