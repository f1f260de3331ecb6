"""Which test images the galleries of the report show, from what the finalists say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.runs.rows import CONFUSED, DISAGREEMENT, MISTAKE, SURE, UNSURE

SURE_SHOWN, MISTAKES_SHOWN, UNSURE_SHOWN, DISAGREEMENTS_SHOWN = 12, 18, 12, 8
PAIRS_SHOWN, OF_A_PAIR = 6, 3

Labels = NDArray[np.integer[Any]]
Probabilities = NDArray[np.floating[Any]]
Places = NDArray[np.intp]


def chosen(labels: Labels, finalists: Sequence[Probabilities]) -> Mapping[str, list[int]]:
    """Return for each gallery the places of its images, in its order.

    Args:
        labels: class indices ``(images,)``.
        finalists: probabilities ``(images, classes)`` of every finalist, the best candidate's first.
    """
    best = finalists[0]
    galleries = {
        SURE: sure_and_right(labels, best),
        MISTAKE: confident_mistakes(labels, best),
        CONFUSED: confused(labels, best),
        UNSURE: least_sure(best),
        DISAGREEMENT: disagreements(finalists),
    }
    return {kind: places.tolist() for kind, places in galleries.items()}


def sure_and_right(labels: Labels, probabilities: Probabilities) -> Places:
    """Return the surest right answers: of every class the surest one, then of every class the second, and so on."""
    right = np.flatnonzero(probabilities.argmax(axis=1) == labels)
    order = right[_descending(probabilities[right].max(axis=1))]
    return order[np.argsort(_turns(labels[order]), kind="stable")][:SURE_SHOWN]


def confident_mistakes(labels: Labels, probabilities: Probabilities) -> Places:
    """Return the wrong answers, the most confident first."""
    return _mistakes(labels, probabilities)[:MISTAKES_SHOWN]


def confused(labels: Labels, probabilities: Probabilities) -> Places:
    """Return some mistakes of each of the commonest pairs of true and predicted class, pair by pair.

    Of pairs that are equally common, the one with the larger share of its true class comes first; of a pair's images
    the most confident.
    """
    wrong = _mistakes(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    pair = labels[wrong] * probabilities.shape[1] + predicted[wrong]
    pairs, counts = np.unique(pair, return_counts=True)
    shares = counts / np.bincount(labels)[pairs // probabilities.shape[1]]
    commonest = pairs[np.lexsort((-shares, -counts))][:PAIRS_SHOWN]
    return np.concatenate([wrong[:0], *(wrong[pair == one][:OF_A_PAIR] for one in commonest)])


def least_sure(probabilities: Probabilities) -> Places:
    """Return the images whose first and second class are closest in probability, the closest first."""
    top = np.sort(probabilities, axis=1)[:, -2:]
    return np.argsort(top[:, 1] - top[:, 0], kind="stable")[:UNSURE_SHOWN]


def disagreements(finalists: Sequence[Probabilities]) -> Places:
    """Return the images to which finalists give different classes, those with the most different probabilities first.

    The difference is the Jensen-Shannon divergence with equal weights (Lin, IEEE Transactions on Information Theory,
    1991): the entropy of the mean probabilities minus the mean of their entropies.
    """
    said = np.stack(finalists).astype(np.float64)
    predicted = said.argmax(axis=2)
    apart = np.flatnonzero((predicted != predicted[0]).any(axis=0))
    divergence = _entropy(said[:, apart].mean(axis=0)) - _entropy(said[:, apart]).mean(axis=0)
    return apart[_descending(divergence)][:DISAGREEMENTS_SHOWN]


def _mistakes(labels: Labels, probabilities: Probabilities) -> Places:
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[_descending(probabilities[wrong].max(axis=1))]


def _descending(values: NDArray[np.floating[Any]]) -> Places:
    return np.argsort(-values, kind="stable")


def _turns(labels: Labels) -> Places:
    """Return how many of the same class stand before each place."""
    turns = np.zeros(len(labels), np.intp)
    for label in np.unique(labels):
        mine = labels == label
        turns[mine] = np.arange(np.count_nonzero(mine))
    return turns


def _entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return entropies in nats over the last axis."""
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1.0))
    entropies: NDArray[np.float64] = -(probabilities * logarithms).sum(axis=-1)
    return entropies
