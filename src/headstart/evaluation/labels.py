"""Labels that are probably wrong: where they disagree with out-of-fold probabilities more than those explain.

A network is wrong now and then, and calibrated probabilities say how often. So the labels are compared with labels that
are drawn from the probabilities: only what goes beyond them speaks against labels. NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.calibration import calibrated, fit_temperature

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]

LISTED_PER_WRONG = 1.5
"""How many images are listed for one label that is estimated to be wrong."""
LISTED_SHARE = 0.015
"""What share of the images is listed at most where nothing, or little, is shown to be wrong."""
LEVEL = 0.01
DRAWS = 199
# Logarithms of the odds, above which labels are counted.
THRESHOLDS = np.arange(0, 9.25, 0.25)
SMALLEST = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Doubts:
    """What probabilities say against the given labels.

    Attributes:
        p_value: how probable so many labels against the probabilities are if every label is right, 0.005..1.
        wrong: how many labels are wrong, a lower bound; None where the p-value is above 0.01.
        doubted: positions of the listed images, most doubtful first ``(listed,)``.
        suggested: for each of them the most probable other class ``(listed,)``.
        confidence: its probability, 0..1 ``(listed,)``.
    """

    p_value: float
    wrong: int | None
    doubted: NDArray[np.int64]
    suggested: NDArray[np.int64]
    confidence: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class Excess:
    """How many labels more than the probabilities explain are against them.

    ``largest`` is the largest excess over all thresholds, in images; ``odds`` the logarithm of the odds of the most
    probable other class against each label ``(images,)``.
    """

    p_value: float
    largest: float
    odds: Doubles


def doubt_labels(labels: Labels, logits: Floats, *, seed: int) -> Doubts:
    """Return the labels that are probably wrong.

    Listed are the images with the highest odds of another class against the label, where another class is more
    probable: 1.5 for every label that is estimated to be wrong, or 1.5 % of the images where that is more. The
    logarithm of the odds does not saturate as probabilities do: of 40 wrong labels planted among 2,936 flowers, 32
    stand among the first 60, against 28 by the normalised margin and 31 by self-confidence (means of 8 draws,
    MobileNet; C. G. Northcutt, L. Jiang, I. L. Chuang, J. Artif. Intell. Res. 70 (2021) 1373-1411).

    Wrong labels make the temperature too high, and so explain themselves in part. Once some are shown, the temperature
    is fitted again without as many of the most doubtful, once: the estimate comes nearer, and stays a lower bound. To
    go on until nothing changes would count mistakes of the network in the end.

    Args:
        labels: given class indices ``(images,)``, at least one image.
        logits: out of fold, ``(images, classes)``, at least two classes.
        seed: of the labels that are drawn.
    """
    probabilities = calibrated(logits, fit_temperature(logits, labels))
    excess = excess_over(labels, probabilities, seed=seed)
    p_value, wrong = excess.p_value, round(excess.largest)
    if p_value <= LEVEL:
        kept = np.argsort(-excess.odds, kind="stable")[wrong:]
        probabilities = calibrated(logits, fit_temperature(logits[kept], labels[kept]))
        excess = excess_over(labels, probabilities, seed=seed)
        wrong = round(excess.largest)
    shown = p_value <= LEVEL and wrong > 0
    limit = max(math.floor(LISTED_SHARE * len(labels)), math.ceil(LISTED_PER_WRONG * wrong) if shown else 0)
    ranked = np.argsort(-excess.odds, kind="stable")
    doubted = ranked[excess.odds[ranked] > 0][:limit]
    others = probabilities[doubted]
    others[np.arange(len(doubted)), labels[doubted]] = -1
    return Doubts(p_value, wrong if shown else None, doubted, others.argmax(axis=1), others.max(axis=1, initial=0))


def excess_over(labels: Labels, probabilities: Doubles, *, seed: int) -> Excess:
    """Return how far the labels against the probabilities outnumber those of labels drawn from the probabilities.

    With N(t) labels whose odds of another class exceed t, and N0(t) expected of labels that follow the probabilities,
    the statistic is the largest (N - N0) / sqrt(N0 + 1) for t = 0, 0.25, ... 9; its null distribution is that of 199
    sets of labels drawn from the probabilities.

    Args:
        labels: given class indices ``(images,)``.
        probabilities: ``(images, classes)``, rows sum to 1.
        seed: of the labels that are drawn.
    """
    images = np.arange(len(labels))
    odds = odds_against(probabilities)
    steps = np.searchsorted(THRESHOLDS, odds)
    chances = _chances(steps, probabilities)
    expected = _above(chances.sum(axis=0))
    scale = np.sqrt(expected + 1)
    beyond = _above(np.bincount(steps[images, labels], minlength=len(THRESHOLDS) + 1)) - expected
    drawn = ((_drawn(chances, seed) - expected) / scale).max(axis=1)
    as_far = int(np.sum(drawn >= (beyond / scale).max()))
    return Excess((1 + as_far) / (1 + DRAWS), max(0.0, float(beyond.max())), odds[images, labels])


def odds_against(probabilities: Floats) -> Doubles:
    """Return the logarithm of the odds of the most probable other class against each class ``(images, classes)``."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))
    images, first = np.arange(len(logs)), logs.argmax(axis=1)
    odds: Doubles = logs[images, first][:, None] - logs
    odds[images, first] = np.inf
    odds[images, first] = -odds.min(axis=1)
    return odds


def _chances(steps: NDArray[np.int64], probabilities: Doubles) -> Doubles:
    """Return how probable it is that a label drawn for an image exceeds so many thresholds ``(images, 0..all)``."""
    width = len(THRESHOLDS) + 1
    places = steps + width * np.arange(len(steps))[:, None]
    chances = np.bincount(places.ravel(), probabilities.ravel(), minlength=width * len(steps))
    return chances.astype(np.float64).reshape(len(steps), width)


def _above(counts: NDArray[Any]) -> Doubles:
    """Return how many exceed each threshold, from how many exceed so many of them."""
    above: Doubles = np.cumsum(counts[::-1], dtype=np.float64)[::-1][1:]
    return above


def _drawn(chances: Doubles, seed: int) -> Doubles:
    """Return how many labels exceed each threshold in every set that is drawn ``(draws, thresholds)``."""
    random = np.random.default_rng(seed)
    risen = np.cumsum(chances, axis=1)
    # the last would be 1 but for rounding, and must be exceeded by none
    risen[:, -1] = np.inf
    counts = np.zeros((DRAWS, len(THRESHOLDS)))
    for one in counts:
        chance = random.random(len(risen))
        # most labels are those of the most probable class, which exceed no threshold
        against = np.flatnonzero(chance >= risen[:, 0])
        steps = (chance[against, None] >= risen[against]).sum(axis=1)
        one[:] = _above(np.bincount(steps, minlength=len(THRESHOLDS) + 1))
    return counts
