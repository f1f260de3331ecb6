"""How sure measures of one classifier on one set of images are, where no formula is at hand: drawn intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.intervals import Interval, wilson_of_share

Integers = NDArray[np.integer[Any]]
Doubles = NDArray[np.float64]

DRAWS = 1000
F1_WORTH = 2
AUC_WORTH = 3
SLACK = 1.25
LEAST_VARIANCE = 1e-15
BLOCK = 1_000_000
DECIMALS = 9


@dataclass(frozen=True, slots=True)
class MeasureIntervals:
    """Intervals of averages over the classes, and of each class against the rest, in the order of the classes.

    None where the measure or its spread is unknown: a class without images, or no class with two of them.
    """

    balanced_accuracy: Interval | None
    f1: Interval | None
    auc: Interval | None
    loss: Interval | None
    class_f1: tuple[Interval | None, ...]
    class_auc: tuple[Interval | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Measures of resampled images. Row 0 is of the images as they are: ``(1 + draws, classes)`` and ``(1 + draws,)``.

    A column is NaN where a class has no such measure. ``loss_variance`` is that of the mean.
    """

    recall: Doubles
    f1: Doubles
    auc: Doubles
    loss: Doubles
    loss_variance: Doubles


def bootstrap_intervals(
    labels: Integers, probabilities: Doubles, losses: Doubles, *, seed: int, draws: int = DRAWS, level: float = 0.95
) -> MeasureIntervals:
    """Return intervals from a stratified bootstrap: images are drawn again within their class, so classes keep sizes.

    Estimand: the value of this one classifier on all images like these, with the classes in these proportions.

    The quantiles of the draws are not the interval: near 1, where good classifiers are, they hold the truth too seldom
    (simulated with 100 images in each of 4 classes: 92 % for a balanced accuracy of 0.993, 76 % for an AUC of 0.9999),
    and without a single error they are a point. So:

    - Balanced accuracy, F1 and AUC: Wilson's interval for as many images as would give an accuracy the variance of the
      draws, as for samples of unequal worth (N. Dean and M. Pagano, J. Surv. Stat. Methodol. 3 (2015) 484-503). A class
      without errors shows no variance, though it has some; so these are at most 1.25 times what the images are worth
      where all classes are equally hard: an image one, two for the F1 of its class, whose missed and wrongly added
      images both count, and three for an AUC, on the smaller side. The last is a choice by simulation.
    - Loss: the studentised bootstrap (B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter
      12), since few images carry most of it. Where hardly any image is wrong, but those surely, even so the truth is
      above the interval too often.

    Args:
        labels: ``(images,)``, 0 to the number of classes minus 1.
        probabilities: ``(images, classes)``.
        losses: the loss of each image, ``(images,)``.
        seed: of the draws.
        draws: how many.
        level: share of such intervals that hold the truth, above 0 and below 1.
    """
    drawn = draw_measures(labels, probabilities, losses, seed=seed, draws=draws)
    sizes = np.bincount(labels, minlength=probabilities.shape[1]).astype(np.float64)
    smaller_side = np.minimum(sizes, len(labels) - sizes)
    return MeasureIntervals(
        balanced_accuracy=_of_average(drawn.recall, sizes, level),
        f1=_of_average(drawn.f1, sizes, level),
        auc=_of_average(drawn.auc, AUC_WORTH * smaller_side, level),
        loss=_of_loss(drawn.loss, drawn.loss_variance, level),
        class_f1=_of_classes(drawn.f1, F1_WORTH * sizes, level),
        class_auc=_of_classes(drawn.auc, AUC_WORTH * smaller_side, level),
    )


def draw_measures(labels: Integers, probabilities: Doubles, losses: Doubles, *, seed: int, draws: int = DRAWS) -> Draws:
    """Return the measures of images drawn again within their class.

    In each class of n images n - 1 are drawn and weigh n / (n - 1), which makes the variance of the draws unbiased
    (J. N. K. Rao and C. F. J. Wu, J. Am. Stat. Assoc. 83 (1988) 231-241); a single image of its class stays. An AUC is
    drawn in its first-order form, a mean of placement values, which differs from the full one by 1 / images.
    """
    random = np.random.default_rng(seed)
    classes = probabilities.shape[1]
    sizes = np.bincount(labels, minlength=classes)
    called = np.eye(classes)[probabilities.argmax(axis=1)]
    placed = placements(labels, probabilities)
    right, losing, variance = np.zeros((1 + draws, classes)), np.zeros(1 + draws), np.zeros(1 + draws)
    others = np.zeros((1 + draws, 2 * classes))
    for index in np.flatnonzero(sizes):
        mine = labels == index
        loss = losses[mine]
        values = np.column_stack([called[mine], placed[mine], loss, loss**2])
        sums = _resampled_sums(random, values, draws)
        others += sums[:, : 2 * classes]
        right[:, index] = sums[:, index]
        losing += sums[:, -2]
        variance += _variances_of_sums(sums[:, -2], sums[:, -1], int(sizes[index]))
    named = sizes + others[:, :classes]
    auc = others[:, classes:] - others[0, classes:] / 2
    return Draws(
        recall=np.divide(right, sizes, out=np.full_like(right, np.nan), where=sizes > 0),
        f1=_f1(right, named),
        auc=np.where((sizes > 0) & (sizes < len(labels)), auc, np.nan),
        loss=losing / len(labels),
        loss_variance=variance / len(labels) ** 2,
    )


def _f1(right: Doubles, named: NDArray[Any]) -> Doubles:
    """Return F1 from right answers and from images that are plus images that are called a class."""
    found: Doubles = np.asarray(2 * right / np.maximum(named, 1), np.float64)
    found[:, named[0] == 0] = np.nan
    return found


def placements(labels: Integers, probabilities: Doubles) -> Doubles:
    """Return each image's part in the AUC of each class against the rest, ``(images, classes)``: twice AUC per column.

    For an image of the class the share of other images that score lower, for another image the share of the class'
    images that score higher, ties counting half, each divided by the number of images on its side: E. R. DeLong, D. M.
    DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988) 837-845. Zero where a side is empty.
    """
    found = np.zeros(probabilities.shape)
    for index in range(probabilities.shape[1]):
        mine, scores = labels == index, probabilities[:, index]
        ours, others = np.sort(scores[mine]), np.sort(scores[~mine])
        pairs = max(len(ours) * len(others), 1)
        found[mine, index] = _below(others, scores[mine]) / pairs
        found[~mine, index] = (len(ours) - _below(ours, scores[~mine])) / pairs
    return found


def _below(rising: Doubles, scores: Doubles) -> Doubles:
    """Return how many of the rising numbers lie below each score, equal ones counting half."""
    counts: Doubles = (np.searchsorted(rising, scores, "left") + np.searchsorted(rising, scores, "right")) / 2
    return counts


def _resampled_sums(random: np.random.Generator, values: Doubles, draws: int) -> Doubles:
    """Return sums over the images of one class: as they are, then resampled. ``(images, k)`` to ``(1 + draws, k)``."""
    images = len(values)
    block = max(1, BLOCK // images)
    sums = [values.sum(axis=0)[None]]
    for start in range(0, draws, block):
        sums.append(_weights(random, images, min(block, draws - start)) @ values)
    return np.concatenate(sums)


def _weights(random: np.random.Generator, images: int, draws: int) -> Doubles:
    """Return how much each image weighs in each draw, ``(draws, images)``; rows sum to the number of images."""
    drawn = max(images - 1, 1)
    places = random.integers(0, images, (draws, drawn)) + images * np.arange(draws)[:, None]
    counts = np.bincount(places.ravel(), minlength=draws * images).reshape(draws, images)
    weights: Doubles = np.asarray(counts * (images / drawn), np.float64)
    return weights


def _variances_of_sums(sums: Doubles, of_squares: Doubles, images: int) -> Doubles:
    """Return the variance of the sum of a class' losses: of the images (row 0, n of them) and of draws of n - 1."""
    spread = images * np.maximum(of_squares - sums**2 / images, 0.0)
    freedom = np.full(len(sums), float(max(images - 2, 1)))
    freedom[0] = max(images - 1, 1)
    variances: Doubles = np.asarray(spread / freedom, np.float64)
    return variances


def _of_average(values: Doubles, worth: Doubles, level: float) -> Interval | None:
    """Return the interval of the mean over the classes that have the measure; ``worth`` of each as in ``_of_measure``.

    Their mean is worth as many images as if all were equally hard.
    """
    there = ~np.isnan(values[0])
    seen = worth[there & (worth > 0)]
    if len(seen) == 0:
        return None
    return _of_measure(values[:, there].mean(axis=1), float(there.sum() ** 2 / np.sum(1 / seen)), level)


def _of_classes(values: Doubles, worth: Doubles, level: float) -> tuple[Interval | None, ...]:
    return tuple(
        None if np.isnan(column[0]) or images == 0 else _of_measure(column, float(images), level)
        for column, images in zip(values.T, worth, strict=True)
    )


def _of_measure(values: Doubles, worth: float, level: float) -> Interval:
    """Return Wilson's interval for as many images as give an accuracy the variance of the draws.

    Where the draws do not vary they are ``worth``, else hardly more than that.
    """
    estimate = float(np.clip(values[0], 0, 1))
    variance, spread = float(values[1:].var(ddof=1)), estimate * (1 - estimate)
    images = min(spread / variance, SLACK * worth) if min(variance, spread) > LEAST_VARIANCE else worth
    low, high = wilson_of_share(estimate, images, level)
    return _rounded(low), _rounded(high)


def _of_loss(means: Doubles, variances: Doubles, level: float) -> Interval | None:
    """Return the studentised interval of a mean of numbers that are not negative; None where they do not vary."""
    if variances[0] <= LEAST_VARIANCE:
        return None
    scaled = (means[1:] - means[0]) / np.sqrt(np.maximum(variances[1:], LEAST_VARIANCE))
    lower, upper = np.quantile(scaled, [(1 - level) / 2, (1 + level) / 2]) * np.sqrt(variances[0])
    return _rounded(max(0.0, float(means[0] - upper))), _rounded(float(means[0] - lower))


def _rounded(value: float) -> float:
    """Return the value without the digits that depend on the order of summation, which differs between machines."""
    return round(float(value), DECIMALS)
