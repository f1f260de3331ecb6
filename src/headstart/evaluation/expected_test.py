"""What cross-validation predicts for the test images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.evaluation.evidence import ExpectedTest

# The final classifier learns from the validation images too: at best that takes away this share of its errors.
GAIN = 0.15
# A beta distribution needs a variance below that of a coin.
WIDEST = 0.99


def expect_test(
    accuracies: Sequence[float],
    images: Sequence[int],
    *,
    images_of_repeat: int,
    selection_bias: float,
    test_images: int,
    level: float = 0.99,
) -> ExpectedTest:
    """Return the test accuracy that the rounds of a cross-validation predict, with its interval.

    Beta-binomial: the accuracy of the final classifier is drawn from a beta distribution around that of the rounds,
    and so many test images from it. Its variance has two parts: the validation images are a sample, and classifiers
    differ by what they learned from, which is what the rounds vary more than their numbers of images explain. The
    lower end takes the final classifier for as good as the rounds, the upper one for better by 15 % of their errors,
    since it learns from more images. ``benchmarks/rules.py`` simulates how often the interval holds.

    Args:
        accuracies: of each round's validation images at the end of its training, 0..1, ``(rounds,)``, at least one.
        images: how many those are, each at least 1, ``(rounds,)``.
        images_of_repeat: validation images of one repeat, each counted once.
        selection_bias: by how much the accuracies are too high because this candidate was chosen by them, 0..1.
        test_images: at least 1.
        level: share of such intervals that hold the test accuracy, above 0 and below 1.
    """
    sizes, shares = np.asarray(images, np.float64), np.asarray(accuracies, np.float64)
    mean = float(sizes @ shares / sizes.sum()) - selection_bias
    # half an image right, and half one wrong, keep it off 0 and 1
    rate = (min(1.0, max(0.0, mean)) * images_of_repeat + 0.5) / (images_of_repeat + 1)
    sampling = rate * (1 - rate)
    beyond = float(shares.var(ddof=1) - sampling * np.mean(1 / sizes)) if len(shares) > 1 else 0.0
    variance = sampling / images_of_repeat + max(0.0, beyond) * (1 + 1 / len(shares))
    rest = (1 - level) / 2
    low = _quantile(rest, rate, variance, test_images)
    high = _quantile(1 - rest, 1 - (1 - GAIN) * (1 - rate), variance, test_images)
    return ExpectedTest(expected=rate, low=low, high=high, level=level)


def _quantile(chance: float, rate: float, variance: float, images: int) -> float:
    """Return the share of right answers that is exceeded with at most 1 - ``chance``."""
    from scipy import stats

    weight = rate * (1 - rate) / min(variance, WIDEST * rate * (1 - rate)) - 1
    chances = stats.betabinom.pmf(np.arange(images + 1), images, rate * weight, (1 - rate) * weight)
    right = int(np.searchsorted(np.cumsum(chances), chance))
    return min(right, images) / images
