"""How sure a number is, and whether two candidates differ: intervals and tests."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.results import Comparison

Right = NDArray[np.bool_]


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

    Unlike mean plus or minus a standard error it stays inside 0..1 and holds its level for few trials and for shares
    near 0 or 1. Formula: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212; recommended by Brown, Cai and DasGupta,
    Statistical Science 16 (2001) 101-133.

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
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / trials
    denominator = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / denominator
    half = z / denominator * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def compare_with_best(best: str, right: Mapping[str, Right], level: float = 0.05) -> tuple[Comparison, ...]:
    """Compare the best candidate with every other one on the same test images.

    Args:
        best: a key of ``right``.
        right: for every candidate whether it classified each image right, ``(images,)``.
        level: below this adjusted p-value a difference counts as more than chance.

    Returns:
        One comparison per other candidate: McNemar's mid-p test, adjusted by Holm over the pairs, and the interval of
        the difference in accuracy.
    """
    pairs = [_mcnemar(best, other, right[best], right[other]) for other in right if other != best]
    adjusted = holm([pair.p_value or 0.0 for pair in pairs])
    return tuple(
        dataclasses.replace(pair, p_adjusted=p_value, verdict=_verdict(pair.difference, p_value < level))
        for pair, p_value in zip(pairs, adjusted, strict=True)
    )


def _mcnemar(a: str, b: str, right_a: Right, right_b: Right) -> Comparison:
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    return Comparison(
        a=a,
        b=b,
        on="test",
        method="McNemar mid-p, Holm",
        measure="accuracy",
        difference=(only_a - only_b) / len(right_a),
        unit="share of images",
        ci95=paired_interval(only_a, only_b, len(right_a)),
        p_value=mcnemar_mid_p(only_a, only_b),
        p_adjusted=None,
        posterior=None,
        verdict="undecided",
    )


def _verdict(difference: float, decided: bool) -> str:
    if not decided:
        return "undecided"
    return "a" if difference > 0 else "b"


def mcnemar_mid_p(only_a: int, only_b: int) -> float:
    """Return the two-sided mid-p value of McNemar's test; 1.0 when no image tells the two apart.

    Twice the binomial probability of the smaller count or fewer among the discordant images, with half the weight on
    the count itself. Formula: M. W. Fagerland, S. Lydersen and P. Laake, BMC Med. Res. Methodol. 13 (2013) 91.

    Args:
        only_a, only_b: numbers of images that only one of the two got right.
    """
    discordant, smaller = only_a + only_b, min(only_a, only_b)
    logs = [_log_binomial_half(discordant, count) for count in range(smaller + 1)]
    at, below = math.exp(logs[-1]), math.fsum(map(math.exp, logs[:-1]))
    return min(1.0, 2 * below + at)


def _log_binomial_half(trials: int, successes: int) -> float:
    """Return the log of the binomial probability at one half."""
    choose = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    return choose - trials * math.log(2)


def paired_interval(only_a: int, only_b: int, images: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the difference of two accuracies on the same images (a minus b).

    The Wald interval after adding one half to each cell of the 2 x 2 table. Formula: A. Agresti and Y. Min,
    Statistics in Medicine 24 (2005) 729-740.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    total, a, b = images + 2, only_a + 0.5, only_b + 0.5
    centre = (a - b) / total
    half = z * math.sqrt(a + b - (a - b) ** 2 / total) / total
    return max(-1.0, centre - half), min(1.0, centre + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number. Formula: S. Holm, Scand. J. Statist. 6 (1979) 65-70."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
