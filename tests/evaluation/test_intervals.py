"""Intervals of shares and of folds: against statsmodels, by hand, and by how often they hold a known truth."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from headstart.evaluation.intervals import corrected_interval, wilson_interval, wilson_of_share

SIMULATED = 2000


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (3, 10), (714, 734), (1, 1), (5000, 100_000)])
def test_wilson_interval_equals_statsmodels(successes, trials, level):
    expected = proportion_confint(successes, trials, alpha=1 - level, method="wilson")
    assert wilson_interval(successes, trials, level) == pytest.approx(expected, abs=1e-12)
    assert wilson_of_share(successes / trials, trials, level) == wilson_interval(successes, trials, level)


def test_wilson_interval_equals_scipy_and_stays_inside():
    expected = stats.binomtest(9, 10).proportion_ci(method="wilson")
    assert wilson_interval(9, 10) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson_interval(0, 5)[0] == 0.0 and wilson_interval(5, 5)[1] == 1.0
    assert wilson_interval(5, 5)[0] == pytest.approx(5 / (5 + 1.959964**2), abs=1e-6)


def test_wilson_interval_of_unequal_worth_is_that_of_as_many_trials():
    low, high = wilson_of_share(0.9, 33.3)
    assert wilson_interval(27, 30)[0] < low < wilson_interval(36, 40)[0]
    assert wilson_interval(36, 40)[1] < high < wilson_interval(27, 30)[1]


@pytest.mark.parametrize("arguments", [(0, 0), (-1, 5), (6, 5), (1, 5, 1.0), (1, 5, 0.0)])
def test_wilson_interval_refuses_what_is_no_share(arguments):
    with pytest.raises(ValueError, match="wilson_interval needs"):
        wilson_interval(*arguments)


def test_wilson_intervals_cover_the_truth():
    """Design: shares 0.05 to 0.99 and 30 to 734 trials; 2,000 samples of each; coverage averaged over the shares."""
    random = np.random.default_rng(0)
    shares = np.append(np.arange(0.05, 0.96, 0.05), 0.99)
    for trials in (30, 100, 734):
        table = np.array([wilson_interval(successes, trials) for successes in range(trials + 1)])
        seen = random.binomial(trials, shares, (SIMULATED, len(shares)))
        covers = (table[seen, 0] <= shares) & (shares <= table[seen, 1])
        assert 0.93 <= covers.mean() <= 0.97
        exact = stats.binom.pmf(np.arange(trials + 1)[:, None], trials, shares)
        held = (table[:, :1] <= shares) & (shares <= table[:, 1:])
        assert covers.mean() == pytest.approx((exact * held).sum(axis=0).mean(), abs=0.005)


def test_corrected_interval_by_hand():
    # mean 0.80, S^2 = 0.001 / 4; (1/5 + 1/4) S^2 = 0.0001125; t of 4 degrees of freedom, from a printed table: 2.776
    low, high = corrected_interval([0.80, 0.82, 0.78, 0.81, 0.79], 0.25)
    assert high - 0.80 == pytest.approx(2.776 * math.sqrt(0.0001125), rel=2e-4)
    assert 0.80 - low == pytest.approx(high - 0.80)


def test_corrected_interval_equals_the_inverted_corrected_test():
    """The ends are the means at which the corrected resampled t-test, written out here, has p = 0.05."""
    values = np.random.default_rng(1).normal(0.7, 0.05, 30)
    for end in corrected_interval(values, 1 / 9):
        errors = values - end
        centre = sum(errors) / 30
        spread = sum((error - centre) ** 2 for error in errors) / 29
        statistic = centre / math.sqrt((1 / 30 + 1 / 9) * spread)
        assert 2 * stats.t.sf(abs(statistic), 29) == pytest.approx(0.05, abs=1e-9)


def test_corrected_interval_approaches_students_where_nothing_overlaps():
    values = [0.6, 0.7, 0.9]
    expected = stats.t.interval(0.9, 2, np.mean(values), stats.sem(values))
    assert corrected_interval(values, 1e-15, 0.9) == pytest.approx(expected)


def test_corrected_interval_of_what_has_none():
    assert corrected_interval([0.5], 0.25) is None
    assert corrected_interval([0.5, math.nan], 0.25) is None
    assert corrected_interval([0.5, math.inf], 0.25) is None
    assert corrected_interval([0.7, 0.7, 0.7], 0.25) is None
    assert corrected_interval([0.99, 1.0], 0.25)[1] > 1
    for share, level in ((0, 0.95), (0.2, 1), (math.nan, 0.95)):
        with pytest.raises(ValueError, match="test_share > 0"):
            corrected_interval([0.5, 0.6], share, level)


DIMENSIONS = 4
APART = np.r_[1.0, np.zeros(DIMENSIONS - 1)]


def draw_two_classes(random, times, images):
    """Two Gaussian classes, one unit to either side: ``(times, images, dimensions)`` and labels -1, 1 in turn."""
    labels = np.where(np.arange(images) % 2, 1.0, -1.0)
    return random.normal(size=(times, images, DIMENSIONS)) + labels[:, None] * APART, labels


def nearest_mean(points, labels):
    """The rule of the nearer class mean: a direction ``(times, dimensions)`` and a bound ``(times,)``."""
    ones, others = points[:, labels > 0].mean(axis=1), points[:, labels < 0].mean(axis=1)
    return ones - others, ((ones**2).sum(axis=1) - (others**2).sum(axis=1)) / 2


def true_accuracy(random, images):
    """Mean accuracy of the rule over 40,000 training sets, each on infinitely many new images (exact, Gaussian)."""
    direction, bound = nearest_mean(*draw_two_classes(random, 40_000, images))
    length = np.linalg.norm(direction, axis=1)
    ahead = stats.norm.cdf((direction @ APART - bound) / length), stats.norm.cdf((direction @ APART + bound) / length)
    return float(np.mean(ahead))


def cross_validated(random, points, labels, folds):
    """Accuracy of every fold of one stratified cross-validation per data set: ``(times, folds)``."""
    found = []
    fold_of = np.empty(len(labels), int)
    for side in (-1, 1):
        fold_of[labels == side] = random.permutation((labels == side).sum()) % folds
    for fold in range(folds):
        inside = fold_of == fold
        direction, bound = nearest_mean(points[:, ~inside], labels[~inside])
        answers = np.sign(np.einsum("tid,td->ti", points[:, inside], direction) - bound[:, None])
        found.append((answers == labels[inside]).mean(axis=1))
    return np.stack(found, axis=1)


@pytest.mark.parametrize(("folds", "repeats"), [(5, 1), (5, 4), (10, 1)])
def test_corrected_intervals_cover_the_mean_of_the_procedure(folds, repeats):
    """Design: 2,000 data sets of 100 images, two Gaussian classes in 4 dimensions, nearest class mean."""
    random = np.random.default_rng(2)
    truth = true_accuracy(random, 100 - 100 // folds)
    points, labels = draw_two_classes(random, SIMULATED, 100)
    values = np.concatenate([cross_validated(random, points, labels, folds) for _ in range(repeats)], axis=1)
    found = [corrected_interval(row, 1 / (folds - 1)) for row in values]
    values = values[[interval is not None for interval in found]]
    assert len(values) > 0.99 * SIMULATED
    ends = np.array([interval for interval in found if interval])
    assert np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])) >= 0.93
    if repeats > 1:
        plain = stats.t.interval(0.95, values.shape[1] - 1, values.mean(axis=1), stats.sem(values, axis=1))
        assert np.mean((plain[0] <= truth) & (truth <= plain[1])) < 0.75
