"""Accuracy against the number of training images, and what more of them would bring. NumPy alone.

The curve is an inverse power law, accuracy = ceiling - factor * images ** -rate (Figueroa, Zeng-Treitler, Kandula and
Ngo, BMC Medical Informatics and Decision Making 12 (2012) 8), fitted by least squares with their weights: the j-th of m
sizes counts j / m, for it is the large sizes that tell of still larger ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Rates that are tried: the residuals change smoothly with it, and steps of 3 % do not show in a forecast.
RATES = np.geomspace(0.05, 2.0, 125)
PARAMETERS = 3
FEWEST_SIZES = PARAMETERS + 1
DRAWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class PowerLaw:
    """Curves ``ceiling - factor * images ** -rate``, each field ``(curves,)``: they rise, and not above 1."""

    ceiling: Floats
    factor: Floats
    rate: Floats

    def at(self, images: float) -> Floats:
        """Return the accuracies ``(curves,)`` in 0..1 at a number of training images."""
        accuracy: Floats = np.clip(self.ceiling - self.factor * images**-self.rate, 0, 1)
        return accuracy


@dataclass(frozen=True, slots=True)
class Gain:
    """What ``images`` training images bring beyond the most that were tried: a difference in accuracy, at least 0."""

    images: int
    gain: float
    ci95: tuple[float, float]


def fit_power_law(images: NDArray[Any], accuracy: NDArray[Any]) -> PowerLaw:
    """Fit an inverse power law to each of several curves over the same sizes.

    For a given rate the best ceiling (at most 1) and factor (at least 0) have a closed form; the rates are tried one by
    one.

    Args:
        images: the sizes ``(sizes,)``, rising, at least two.
        accuracy: ``(curves, sizes)``, in 0..1.
    """
    weights, sizes = _weights(len(images)), np.asarray(images, np.float64)
    best = np.full((4, len(accuracy)), np.inf)
    for rate in RATES:
        falling = sizes**-rate
        ceiling, factor = _line(falling, accuracy, weights)
        misses = ceiling[:, None] - factor[:, None] * falling - accuracy
        found = np.stack([misses**2 @ weights, ceiling, factor, np.full(len(accuracy), rate)])
        best = np.where(found[0] < best[0], found, best)
    return PowerLaw(ceiling=best[1], factor=best[2], rate=best[3])


def _weights(sizes: int) -> Floats:
    ranks = np.arange(1, sizes + 1, dtype=np.float64)
    weights: Floats = ranks / ranks.sum()
    return weights


def _line(x: Floats, y: NDArray[Any], weights: Floats) -> tuple[Floats, Floats]:
    """Return ceiling and factor ``(curves,)`` of y = ceiling - factor * x with ceiling at most 1, factor at least 0."""
    middle, level = x @ weights, y @ weights
    factor = -((y - level[:, None]) @ (weights * (x - middle))) / (weights @ (x - middle) ** 2)
    flat = factor < 0
    factor = np.where(flat, 0.0, factor)
    ceiling = level + factor * middle
    # where the ceiling would be above 1 it is 1, and only the factor is fitted
    steep = (1 - y) @ (weights * x) / (weights @ x**2)
    above = ceiling > 1
    return np.where(above, 1.0, ceiling), np.where(above, steep, factor)


def expected_gains(
    images: Sequence[float],
    accuracy: NDArray[Any],
    *,
    more: Sequence[float],
    test_share: float,
    seed: int,
    draws: int = DRAWS,
) -> tuple[Gain, ...]:
    """Return what more training images are expected to bring, with 95 % intervals.

    Each draw takes rounds with replacement, spreads their mean as Nadeau and Bengio (Machine Learning 52 (2003)
    239-281) correct it for training sets that overlap, adds residuals of the fit drawn with replacement, and fits
    again. A single round has residuals only: they are spread as Student's t for the few sizes.

    Args:
        images: training images at every size, rising.
        accuracy: ``(rounds, sizes)``.
        more: numbers of images, each above the last size.
        test_share: validation images over training images of a round.

    Returns:
        One gain per number in ``more``; nothing for fewer than 4 sizes.
    """
    sizes, mean = np.asarray(images, np.float64), np.asarray(accuracy, np.float64).mean(axis=0)
    if len(sizes) < FEWEST_SIZES:
        return ()
    law = fit_power_law(sizes, mean[None])
    drawn = fit_power_law(sizes, _redrawn(sizes, accuracy, law, test_share=test_share, seed=seed, draws=draws))
    gains = []
    for number in more:
        each = drawn.at(number) - drawn.at(sizes[-1])
        low, high = np.quantile(each, (0.025, 0.975))
        gain = float((law.at(number) - law.at(sizes[-1]))[0])
        gains.append(Gain(round(number), gain, (float(low), float(high))))
    return tuple(gains)


def _redrawn(
    images: Floats, accuracy: NDArray[Any], law: PowerLaw, *, test_share: float, seed: int, draws: int
) -> Floats:
    """Return curves ``(draws, sizes)`` that might have been found instead."""
    random, (rounds, sizes) = np.random.default_rng(seed), accuracy.shape
    mean, weights = accuracy.mean(axis=0), np.sqrt(_weights(sizes))
    curves = np.broadcast_to(mean, (draws, sizes)).copy()
    if rounds > 1:
        picked = random.integers(rounds, size=(draws, rounds))
        # the variance of a mean of resampled rounds is (rounds - 1) / rounds ** 2 times theirs; it should be
        # 1 / rounds + test_share
        spread = np.sqrt((1 / rounds + test_share) * rounds**2 / (rounds - 1))
        curves += spread * (accuracy[picked].mean(axis=1) - mean)
    fitted, spare = np.array([law.at(number)[0] for number in images]), sizes - PARAMETERS
    residuals = random.choice((mean - fitted) * weights * np.sqrt(sizes / spare), size=(draws, sizes)) / weights
    curves += residuals if rounds > 1 else residuals * np.sqrt(spare / random.chisquare(spare, size=(draws, 1)))
    cut: Floats = np.clip(curves, 0, 1)
    return cut
