import numpy as np
import pytest
from scipy.stats import binom, binomtest

from headstart.evaluation.significance import (
    compare_with_best,
    holm,
    mcnemar_mid_p,
    paired_interval,
    wilson_interval,
)

COUNTS = [(0, 1), (1, 1), (0, 10), (10, 10), (3, 7), (450, 500), (9_999, 10_000)]


@pytest.mark.parametrize(("successes", "trials"), COUNTS)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_wilson_interval_equals_scipy(successes, trials, level):
    expected = binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert wilson_interval(successes, trials, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_interval_is_mirrored_and_narrows():
    low, high = wilson_interval(30, 100)
    assert wilson_interval(70, 100) == pytest.approx((1 - high, 1 - low))
    assert low < 0.3 < high
    more_low, more_high = wilson_interval(300, 1000)
    assert more_high - more_low < high - low


@pytest.mark.parametrize("arguments", [(1, 0), (-1, 5), (6, 5), (1, 5, 1.0)])
def test_impossible_counts_are_refused(arguments):
    with pytest.raises(ValueError, match="wilson_interval needs"):
        wilson_interval(*arguments)


def test_mcnemar_mid_p_against_scipy() -> None:
    for only_a, only_b in [(0, 0), (1, 0), (3, 9), (9, 3), (40, 40), (15, 60), (600, 700)]:
        n, k = only_a + only_b, min(only_a, only_b)
        expected = min(1.0, 2 * binom.cdf(k, n, 0.5) - binom.pmf(k, n, 0.5))
        assert mcnemar_mid_p(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_mid_p_of_a_published_table() -> None:
    # Fagerland, Lydersen and Laake (2013), table 1: airway hyper-responsiveness, 1 and 7 discordant pairs
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)


def test_paired_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    counts = generator.multinomial(300, [0.08, 0.05, 0.87], size=3000)
    covered = [low <= 0.03 <= high for low, high in (paired_interval(a, b, 300) for a, b, _ in counts)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_holm_of_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_the_best_is_compared_with_every_other() -> None:
    best = np.ones(200, bool)
    near, far = best.copy(), best.copy()
    near[:2], far[:40] = False, False
    comparisons = compare_with_best("best", {"near": near, "best": best, "far": far})
    assert [(one.b, one.verdict, one.difference) for one in comparisons] == [
        ("near", "undecided", pytest.approx(0.01)),
        ("far", "a", pytest.approx(0.2)),
    ]
