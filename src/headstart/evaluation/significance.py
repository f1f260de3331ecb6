"""Whether two candidates differ: tests on the same images and on the same folds.

SciPy is imported inside the functions, so that what needs none of them does not load it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]
Interval = tuple[float, float]

DRAWS = 2000
# Weights of this many images are held at once while images are drawn again.
CELLS = 4_000_000
# What is smaller comes from rounding.
NOTHING = 1e-12


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the two-sided exact p-value of McNemar's test; 1.0 when no image tells the two apart.

    Twice the binomial probability of the smaller count or fewer among the discordant images. Under equal accuracy it
    falls below 5 % in at most 5 % of all test sets. Source: Q. McNemar, Psychometrika 12 (1947) 153-157.

    Args:
        only_a, only_b: numbers of images that only one of the two got right.
    """
    return min(1.0, 2 * _at_most(min(only_a, only_b), only_a + only_b))


def mcnemar_mid_p(only_a: int, only_b: int) -> float:
    """Return the two-sided mid-p value of McNemar's test; 1.0 when no image tells the two apart.

    As the exact one, but the smaller count itself has half its weight: where discordant images are few, that comes
    nearer to the 5 % than the exact test, which is too careful there. Formula: M. W. Fagerland, S. Lydersen and
    P. Laake, BMC Med. Res. Methodol. 13 (2013) 91.
    """
    smaller, discordant = min(only_a, only_b), only_a + only_b
    return min(1.0, _at_most(smaller, discordant) + _at_most(smaller - 1, discordant))


def _at_most(successes: int, trials: int) -> float:
    """Return the binomial probability, at one half, of at most so many successes."""
    from scipy import special

    return float(special.bdtr(successes, trials, 0.5)) if successes >= 0 else 0.0


def paired_interval(only_a: int, only_b: int, images: int, level: float = 0.95) -> Interval:
    """Return the interval of the difference of two accuracies on the same images (a minus b).

    The Wald interval after adding one half to each cell of the 2 x 2 table. Formula: A. Agresti and Y. Min,
    Statistics in Medicine 24 (2005) 729-740.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    total, a, b = images + 2, only_a + 0.5, only_b + 0.5
    centre = (a - b) / total
    half = z * math.sqrt(a + b - (a - b) ** 2 / total) / total
    return max(-1.0, centre - half), min(1.0, centre + half)


def upper_difference(right_best: NDArray[np.bool_], right_other: NDArray[np.bool_], level: float = 0.95) -> float:
    """Return by how much the accuracy of the best one is at most above the other's, at this one-sided level.

    Where this is no larger than a difference that does not matter, the other one is shown to be equivalent. The upper
    end of ``paired_interval``: mean and standard error alone would show two to be equal by a few images on which both
    are right (on 60, one with 97 % was taken for equal to one with 100 % in 14 of 100 studies; so it is in none).

    Args:
        right_best, right_other: which images each classified right without having learned from them, ``(images,)``.
        level: share of such bounds that hold the truth, above one half and below 1.
    """
    only_best, only_other = int(np.sum(right_best & ~right_other)), int(np.sum(right_other & ~right_best))
    return paired_interval(only_best, only_other, len(right_best), 2 * level - 1)[1]


def images_needed(only_a: int, only_b: int, images: int, *, level: float = 0.05, power: float = 0.8) -> int | None:
    """Return how many test images would tell two candidates apart, if they go on to differ as they did so far.

    Formula: R. J. Connor, Biometrics 43 (1987) 207-211, for McNemar's two-sided test.

    Args:
        only_a, only_b: numbers of images that only one of the two got right.
        images: all images on which both were judged.
        level: false alarms that are accepted, 0..1.
        power: the chance of finding the difference, 0..1.

    Returns:
        The number in all, those at hand included; None when they do not differ so far.
    """
    if only_a == only_b:
        return None
    discordant, difference = (only_a + only_b) / images, abs(only_a - only_b) / images
    alarm, miss = NormalDist().inv_cdf(1 - level / 2), NormalDist().inv_cdf(power)
    needed = alarm * math.sqrt(discordant) + miss * math.sqrt(discordant - difference**2)
    return math.ceil((needed / difference) ** 2)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number. Formula: S. Holm, Scand. J. Statist. 6 (1979) 65-70."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def paired_bootstrap(labels: Integers, values: Floats, *, seed: int, draws: int = DRAWS) -> Floats:
    """Draw the test images again, class by class, and return the sums of what they contribute.

    For a difference of two candidates on the same images ``values`` holds each image's share of it, so that the column
    sums are the differences found. Classes keep their numbers of images, as in a test set that was cut class by class.
    In a class of n images the spread of plain redrawing is too small by (n - 1) / n; it is widened by that factor, as
    J. N. K. Rao and C. F. J. Wu, J. Am. Stat. Assoc. 83 (1988) 231-241 do. A class of one image shows no spread; it is
    drawn together with the smallest class that has more.

    Args:
        labels: class of every image, ``(images,)``.
        values: ``(images, columns)``.
        seed: equal seeds draw equal images.
        draws: at least 1.

    Returns:
        Sums ``(draws, columns)``.
    """
    strata = _strata(labels)
    order = np.argsort(strata, kind="stable")
    ordered = strata[order]
    starts, ends = np.searchsorted(ordered, ordered), np.searchsorted(ordered, ordered, side="right")
    sizes = ends - starts
    spread = np.where(sizes > 1, np.sqrt(sizes / np.maximum(sizes - 1, 1)), 1.0)
    widened = values[order] * spread[:, None]
    found = np.concatenate([times @ widened for times in _times_drawn(starts, sizes, draws, seed)])
    # rounded, so that draws without any difference count as such
    sums: Floats = np.round(found + (values.sum(axis=0) - widened.sum(axis=0)), 12)
    return sums


def images_that_carry(values: Floats) -> Floats:
    """Return by how many images a difference is carried, ``(columns,)``: (sum of sizes)^2 / sum of squared sizes.

    Where every image counts alike these are the discordant ones; one that outweighs the others makes the number small.
    Formula: L. Kish, Survey Sampling (1965), for the effective number of unequal weights; 0 without any difference.

    Args:
        values: what each image contributes to the difference, ``(images, columns)``.
    """
    sizes = np.abs(values)
    squares: Floats = np.sum(sizes**2, axis=0)
    found: Floats = np.where(squares > 0, sizes.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1), 0.0)
    # whole numbers must not fall short of themselves
    return np.round(found, 9)


def _times_drawn(starts: Integers, sizes: Integers, draws: int, seed: int) -> Iterator[Floats]:
    """Yield how often each image is drawn, ``(draws, images)``, in blocks that fit into memory."""
    random = np.random.default_rng(seed)
    images = len(starts)
    block = max(1, CELLS // images)
    for done in range(0, draws, block):
        rows = min(block, draws - done)
        drawn = starts + (random.random((rows, images)) * sizes).astype(np.int64)
        drawn += np.arange(rows)[:, None] * images
        yield np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A difference with its interval and the p-value of no difference; both None where the data cannot say."""

    difference: float
    interval: Interval | None
    p_value: float | None


def bootstrap_test(difference: float, drawn: Floats, level: float = 0.95) -> Outcome:
    """Return the percentile interval of a difference and the two-sided p-value of none.

    The p-value is twice the share of draws on the rarer side of zero, zero itself counting on both sides and the data
    found as one draw more. Source: A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997),
    sections 4.2 and 5.3. Where all draws are equal (such as two candidates that each name one class only) they tell
    nothing: there is no interval, and p is 1 if there is no difference either.

    Args:
        difference: on the images themselves.
        drawn: the difference in every draw, ``(draws,)``.
        level: share of such intervals that hold the truth, above 0 and below 1.
    """
    if np.ptp(drawn) < NOTHING:
        return _without_spread(difference)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    rarer = min(int(np.sum(drawn <= 0)), int(np.sum(drawn >= 0)))
    p_value = min(1.0, 2 * (rarer + 1) / (len(drawn) + 1))
    return Outcome(difference, (float(low), float(high)), p_value)


def _without_spread(difference: float) -> Outcome:
    return Outcome(difference, None, 1.0 if abs(difference) < NOTHING else None)


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """Areas under the ROC curves of several candidates, ``(candidates,)`` in 0..1, and their covariance."""

    areas: Floats
    covariance: Floats


def delong(positive: NDArray[np.bool_], scores: Floats) -> Areas:
    """Return areas under ROC curves on the same images, with their covariance.

    Formula: E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988) 837-845; computed from ranks, in
    the time of sorting, as X. Sun and W. Xu, IEEE Signal Processing Letters 21 (2014) 1389-1393 do.

    Args:
        positive: which images belong to the class, ``(images,)``; at least two do and two do not.
        scores: ``(candidates, images)``; higher means more likely of the class.
    """
    shares = np.stack([_placements(positive, row) for row in scores])
    hits, misses = shares[:, positive], shares[:, ~positive]
    covariance = np.cov(hits) / hits.shape[1] + np.cov(misses) / misses.shape[1]
    return Areas(hits.mean(axis=1), np.atleast_2d(covariance))


def _placements(positive: NDArray[np.bool_], scores: Floats) -> Floats:
    """Return DeLong's structural components ``(images,)``.

    Of each positive the share of negatives that score lower, of each negative the share of positives that score higher;
    equal scores count half.
    """
    hits, misses = np.sort(scores[positive]), np.sort(scores[~positive])
    found = np.empty(len(scores))
    found[positive] = _ranks(misses, scores[positive]) / len(misses)
    found[~positive] = 1 - _ranks(hits, scores[~positive]) / len(hits)
    return found


def _ranks(ordered: Floats, values: Floats) -> Floats:
    """Return how many of the ordered numbers lie below each value, equal ones counting half."""
    below = np.searchsorted(ordered, values) + np.searchsorted(ordered, values, side="right")
    ranks: Floats = below / 2
    return ranks


@dataclass(frozen=True, slots=True, eq=False)
class MacroArea:
    """One candidate's macro area and what each image contributes to its sampling error, ``(images,)``."""

    area: float
    components: Floats


def macro_area(labels: Integers, probabilities: Floats) -> MacroArea | None:
    """Return the mean over classes of the area under the ROC curve of the class against the rest.

    The structural components of DeLong, DeLong and Clarke-Pearson are taken for every class. An image contributes, for
    its own class, its component as a positive over the number of positives and, for every other class, its component as
    a negative over the number of negatives; the sum of these over the number of classes is its ``components`` entry.
    The images of one class being a sample of that class, the variance of the macro area is the sum over classes of the
    number of images times the variance of their entries. For two classes this is DeLong's variance.

    Args:
        labels: class of every image, ``(images,)``.
        probabilities: ``(images, classes)``.

    Returns:
        None where no class has images both inside and outside of it.
    """
    area, components, classes = 0.0, np.zeros(len(labels)), 0
    for index in range(probabilities.shape[1]):
        positive = labels == index
        hits = int(positive.sum())
        if 0 < hits < len(labels):
            shares = _placements(positive, probabilities[:, index])
            area += float(shares[positive].mean())
            components += shares / np.where(positive, hits, len(labels) - hits)
            classes += 1
    return MacroArea(area / classes, components / classes) if classes else None


def compare_macro_areas(labels: Integers, a: MacroArea, b: MacroArea, level: float = 0.95) -> Outcome:
    """Test the difference of two macro areas on the same images (a minus b), as ``macro_area`` says.

    A class of one image shows no variance; it is counted together with the smallest class that has more. Where all
    images contribute alike in both there is no interval, and p is 1 if there is no difference either.
    """
    difference = a.area - b.area
    error = math.sqrt(_variance(_strata(labels), a.components - b.components))
    if error < NOTHING:
        return _without_spread(difference)
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    p_value = math.erfc(abs(difference) / error / math.sqrt(2))
    return Outcome(difference, (max(-1.0, difference - half), min(1.0, difference + half)), p_value)


def _strata(labels: Integers) -> NDArray[np.int64]:
    """Return the classes numbered from 0, those of one image joined with the smallest that has more."""
    _, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    several = np.flatnonzero(sizes > 1)
    smallest = several[sizes[several].argmin()] if len(several) else 0
    joined = np.where(sizes > 1, np.arange(len(sizes)), smallest)
    return joined[places].astype(np.int64)


def _variance(strata: NDArray[np.int64], values: Floats) -> float:
    """Return the variance of the sum of values that are samples of several strata."""
    sizes = np.bincount(strata)
    means = np.bincount(strata, values) / np.maximum(sizes, 1)
    squares = np.bincount(strata, (values - means[strata]) ** 2)
    return float(np.sum(squares * sizes / np.maximum(sizes - 1, 1)))


def corrected_t_test(differences: Sequence[float], test_share: float) -> float | None:
    """Return the two-sided p-value of the corrected resampled t-test.

    Training sets of folds overlap, so their differences are more alike than independent ones; the variance of their
    mean is taken as (1 / J + n_test / n_train) S^2 for J rounds, with J - 1 degrees of freedom. Formula: C. Nadeau and
    Y. Bengio, Machine Learning 52 (2003) 239-281; for repeated folds R. R. Bouckaert and E. Frank, PAKDD 2004, 3-12.

    Args:
        differences: of each round, ``(rounds,)``.
        test_share: validation images per training image of a round, above 0: 0.25 for five folds.

    Returns:
        1.0 where all rounds are equal; None for a single round, and where all rounds differ by exactly the same: their
        spread says nothing then.
    """
    from scipy import special

    if len(differences) < 2:
        return None
    mean, error = _mean_and_error(differences, test_share)
    if error == 0:
        return 1.0 if mean == 0 else None
    return float(2 * special.stdtr(len(differences) - 1, -abs(mean) / error))


def practical_equivalence(
    differences: Sequence[float], test_share: float, equivalence: float
) -> dict[str, float] | None:
    """Return the posterior probabilities that a is better, that the two are equal in practice, and that b is better.

    The Bayesian correlated t-test: G. Corani and A. Benavoli, Machine Learning 100 (2015) 285-304. The posterior of the
    mean difference is Student's t with J - 1 degrees of freedom and the scale of ``corrected_t_test``.

    Args:
        differences: a minus b of each round, ``(rounds,)``.
        test_share: validation images per training image of a round, above 0.
        equivalence: differences up to this size do not matter.

    Returns:
        ``a``, ``equal`` and ``b``, which sum to 1; None for a single round and where the rounds show no spread.
    """
    from scipy import special

    if len(differences) < 2:
        return None
    mean, error = _mean_and_error(differences, test_share)
    if error == 0:
        return None
    degrees = len(differences) - 1
    b = float(special.stdtr(degrees, (-equivalence - mean) / error))
    a = float(special.stdtr(degrees, (mean - equivalence) / error))
    return {"a": a, "equal": max(0.0, 1 - a - b), "b": b}


def _mean_and_error(differences: Sequence[float], test_share: float) -> tuple[float, float]:
    """Return the mean of the rounds and its corrected standard error; what is below rounding is 0."""
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    error = math.sqrt(1 / len(differences) + test_share) * spread
    return (mean if abs(mean) > NOTHING else 0.0), (error if error > NOTHING else 0.0)


@dataclass(frozen=True, slots=True)
class RankTest:
    """Mean ranks ``(candidates,)``, 1 is best, with Friedman's statistic and its p-value."""

    mean_ranks: tuple[float, ...]
    statistic: float
    p_value: float


def friedman_test(values: Floats) -> RankTest:
    """Test whether any of several candidates differs over the same blocks.

    Formula: M. Friedman, J. Am. Stat. Assoc. 32 (1937) 675-701, corrected for ties; chi-squared with candidates minus 1
    degrees of freedom. Where all are equal in every block the statistic is 0 and p is 1.

    Args:
        values: ``(blocks, candidates)``, higher is better; at least three candidates.
    """
    from scipy import special, stats

    blocks, candidates = values.shape
    ranks = stats.rankdata(-np.round(values, 12), axis=1)
    means = ranks.mean(axis=0)
    spread = float(np.sum((ranks - (candidates + 1) / 2) ** 2))
    between = blocks**2 * float(np.sum((means - (candidates + 1) / 2) ** 2))
    statistic = (candidates - 1) * between / spread if spread else 0.0
    return RankTest(tuple(map(float, means)), statistic, float(special.chdtrc(candidates - 1, statistic)))


def nemenyi_difference(candidates: int, blocks: int, level: float = 0.05) -> float:
    """Return by how much two mean ranks must differ, so that no pair is named by chance alone in all but 5 % of cases.

    Formula: P. B. Nemenyi's test as given by J. Demsar, J. Mach. Learn. Res. 7 (2006) 1-30.
    """
    from scipy import stats

    quantile = float(stats.studentized_range.ppf(1 - level, candidates, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(candidates * (candidates + 1) / (6 * blocks))
