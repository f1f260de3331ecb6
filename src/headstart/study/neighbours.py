"""What the neighbours of an image in feature space say of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.evaluation.neighbours import nearest, normalised, votes
from headstart.evaluation.ranking import best_first
from headstart.study.case import Case
from headstart.study.learners import Learner
from headstart.study.parts import Rows

COUNT = 20
MOST_STORED = 10_000
SMOOTHING = 0.5
ROWS_AT_A_TIME = 1024
FIRST = np.zeros(1, np.int64)


def frozen_learner(case: Case) -> Learner | None:
    """Return who holds the features of the best candidate, else of the best pretrained one whose backbone is frozen."""
    for result in best_first(case.results, case.protocol.choose_by):
        judged = case.judged_of(result.id)
        trusted = result.id == case.best or judged.candidate.weights != "random"
        if trusted and judged.learner and judged.learner.features(FIRST) is not None:
            return judged.learner
    return None


def unit_features(learner: Learner, rows: Rows) -> NDArray[np.float32]:
    """Return pooled features of a frozen learner as rows of length 1 ``(rows, channels)``, made some rows at a time."""
    parts = []
    for first in range(0, len(rows), ROWS_AT_A_TIME):
        part = learner.features(rows[first : first + ROWS_AT_A_TIME])
        assert part is not None, "this learner has features"
        parts.append(normalised(part))
    return np.concatenate(parts)


def neighbour_evidence(case: Case, rows: Rows) -> NDArray[np.float64] | None:
    """Return how much more often each class is among an image's neighbours than among all images, as a logarithm.

    The neighbours are the 20 nearest by cosine distance among the images that the image's first round learned from (a
    sample of 10,000 where they are more), so that no copy of the image is one. Half a vote per class, spread as the
    classes are, keeps it finite.

    Args:
        rows: positions of images that validated, rising.

    Returns:
        ``(rows, classes)``, or None where no network has features.
    """
    learner = frozen_learner(case)
    if learner is None:
        return None
    classes = len(case.classes)
    evidence = np.zeros((len(rows), classes))
    waiting = np.ones(len(rows), bool)
    for one in case.parts.rounds:
        asked = np.flatnonzero(waiting & np.isin(rows, one.validation))
        store = _sample(one.train, case.protocol.seed)
        if len(asked):
            queries, stored = unit_features(learner, rows[asked]), unit_features(learner, store)
            evidence[asked] = log_ratios(queries, stored, case.parts.labels[store], classes)
            waiting[asked] = False
    return evidence


def log_ratios(
    queries: NDArray[np.float32], store: NDArray[np.float32], labels: Rows, classes: int
) -> NDArray[np.float64]:
    """Return the logarithm of each class's share among the 20 neighbours over its share in the store.

    Args:
        queries, store: ``(images, channels)`` with rows of length 1.
        labels: class indices of the store.

    Returns:
        ``(queries, classes)``.
    """
    found = nearest(queries, store, COUNT)
    shares = np.bincount(labels, minlength=classes) / len(labels)
    shares = np.maximum(shares, 1 / (len(labels) + classes))
    counts = votes(found.positions, labels, classes) + SMOOTHING * classes * shares
    ratios: NDArray[np.float64] = np.log(counts / shares) - np.log(found.positions.shape[1] + SMOOTHING * classes)
    return ratios


def _sample(rows: Rows, seed: int) -> Rows:
    """Return at most 10,000 of the rows, rising."""
    if len(rows) <= MOST_STORED:
        return rows
    random = np.random.default_rng(storage.seed_from(seed, "neighbours"))
    return np.sort(random.choice(rows, MOST_STORED, replace=False))
