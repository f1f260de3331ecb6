"""Whether answers tell the classes apart at all, or are no better than chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]

PERMUTATIONS = 9_999
# Beyond, the sum over so many images is as good as normal.
MOST_PERMUTED = 2_000
# Counts of drawn tables that are held at once: 4 MB.
HELD_COUNTS = 500_000
# Equal recalls may differ by as much when summed in another order.
ROUNDING = 1e-9


def chance_of_recall(labels: Integers, predicted: Integers, classes: int, *, seed: int) -> float:
    """Return how probable so high a mean recall is for answers that have nothing to do with the images.

    Answers are permuted against the labels, so that every class keeps its numbers of images and of answers: to name
    the commonest class, or classes as often as they come, gains nothing. 9,999 seeded permutations, the answers found
    being one more (B. Phipson and G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39); above 2,000 images the
    normal distribution with mean and variance over all permutations (W. Hoeffding, Ann. Math. Stat. 22 (1951) 558-566).

    Args:
        labels: true class of every image, ``(images,)``, at least one.
        predicted: answered class of every image, ``(images,)``.
        classes: their number; recall is averaged over those that have images.
        seed: of the permutations.

    Returns:
        The one-sided p-value, 0..1.
    """
    images, answers = (np.bincount(one, minlength=classes) for one in (labels, predicted))
    # what a right answer in each class adds to the mean recall
    worth = np.where(images > 0, 1 / np.maximum(images, 1), 0.0) / np.count_nonzero(images)
    found = float(worth[labels] @ (labels == predicted))
    if len(labels) > MOST_PERMUTED:
        return _of_normal(found, worth, images, answers)
    at_least = sum(int(np.sum(one >= found - ROUNDING)) for one in _permuted(worth, images, answers, seed))
    return (1 + at_least) / (1 + PERMUTATIONS)


def _permuted(worth: Floats, images: Integers, answers: Integers, seed: int) -> Iterator[Floats]:
    """Yield the mean recalls of permuted answers: only the table of labels and answers matters, and that is drawn."""
    from scipy import stats

    tables, random = stats.random_table(images, answers), np.random.default_rng(seed)
    at_once = max(1, HELD_COUNTS // len(worth) ** 2)
    for start in range(0, PERMUTATIONS, at_once):
        drawn = tables.rvs(min(at_once, PERMUTATIONS - start), random_state=random)
        yield np.diagonal(drawn, axis1=1, axis2=2) @ worth


def _of_normal(found: float, worth: Floats, images: Integers, answers: Integers) -> float:
    """Return the upper tail of the normal with the moments of the sum of ``worth`` where label and answer meet."""
    total = int(images.sum())
    expected = float(np.sum(worth * images * answers)) / total
    of_squares = np.sum(worth**2 * images * answers)
    of_rows, of_columns = np.sum(images * (worth * answers) ** 2), np.sum(answers * (worth * images) ** 2)
    variance = float(of_squares - (of_rows + of_columns) / total + expected**2) / (total - 1)
    if variance <= ROUNDING**2:
        return 1.0
    return math.erfc((found - expected) / math.sqrt(2 * variance)) / 2
