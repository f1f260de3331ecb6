"""How sure a number is: intervals of shares and of means over folds. Other measures: ``bootstrap``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

Interval = tuple[float, float]


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share.

    Estimand: the share among all images like these, of which the ``trials`` are a random sample. Unlike mean plus or
    minus a standard error it stays inside 0..1 and holds its level for few trials and for shares near 0 or 1. Formula:
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212; recommended by Brown, Cai and DasGupta, Statistical Science 16
    (2001) 101-133.

    Args:
        successes: how many of the trials went well, 0 to ``trials``.
        trials: at least 1.
        level: share of such intervals that hold the truth, above 0 and below 1.

    Raises:
        ValueError: an argument is outside its range.
    """
    if trials < 1 or not 0 <= successes <= trials or not 0 < level < 1:
        raise ValueError(
            "wilson_interval needs 0 <= successes <= trials, trials >= 1 and 0 < level < 1. "
            f"Received: successes={successes}, trials={trials}, level={level}."
        )
    return wilson_of_share(successes / trials, trials, level)


def wilson_of_share(share: float, trials: float, level: float = 0.95) -> Interval:
    """Return the Wilson interval of a share 0..1 that is as sure as one of ``trials`` trials, not always whole."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    denominator = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / denominator
    half = z / denominator * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if share <= 0 else max(0.0, centre - half)
    high = 1.0 if share >= 1 else min(1.0, centre + half)
    return low, high


def corrected_interval(values: Sequence[float], test_share: float, level: float = 0.95) -> Interval | None:
    """Return the interval of the mean over the folds of a cross-validation, repeated or not.

    Estimand: the mean value of this training procedure over training sets of this size, each judged on new images;
    not the value of any one classifier. Training sets of folds overlap, so their values are more alike than
    independent ones; the variance of the mean is taken as (1 / J + n_test / n_train) S^2 for J values with sample
    variance S^2, and Student's t has J - 1 degrees of freedom. Formula: C. Nadeau and Y. Bengio, Machine Learning 52
    (2003) 239-281; for repeated cross-validation R. R. Bouckaert and E. Frank, PAKDD 2004, LNAI 3056, 3-12.

    Args:
        values: one value per fold of every repeat.
        test_share: validation images per training image of a fold, above 0: 0.25 for five folds.
        level: share of such intervals that hold the truth, above 0 and below 1.

    Returns:
        The two ends, not cut to any range; None for a single value, where all are equal (their spread says nothing), or
        where one is not finite.

    Raises:
        ValueError: ``test_share`` or ``level`` is outside its range.
    """
    if not test_share > 0 or not 0 < level < 1:
        raise ValueError(
            f"corrected_interval needs test_share > 0 and 0 < level < 1. Received: {test_share=}, {level=}."
        )
    if len(values) < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return None
    from scipy import stats

    error = math.sqrt((1 / len(values) + test_share) * float(np.var(values, ddof=1)))
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * error
    centre = float(np.mean(values))
    return centre - half, centre + half
