"""Learning curves: known power laws are found again, and the intervals cover what they say."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from headstart.evaluation.learning_curve import PowerLaw, expected_gains, fit_power_law

SIZES = 2000 * np.array([0.05, 0.1, 0.2, 0.35, 0.6, 1.0])
LAWS = [(0.95, 1.2, 0.5), (0.93, 2.0, 0.4), (0.98, 1.0, 0.25), (0.92, 3.0, 1.0)]


def law(ceiling, factor, rate):
    return lambda images: ceiling - factor * np.asarray(images, float) ** -rate


def rounds_of(truth, random, *, rounds=5, level=0.01, noise=0.004):
    """Return accuracies ``(rounds, sizes)``: rounds are harder or easier at all sizes, and each size has noise."""
    return truth(SIZES) + level * random.standard_normal((rounds, 1)) + noise * random.standard_normal((rounds, 6))


@pytest.mark.parametrize("known", LAWS)
def test_a_law_without_noise_is_found_again(known):
    found = fit_power_law(SIZES, law(*known)(SIZES)[None])
    for images in (*SIZES, 4000, 8000):
        assert found.at(images)[0] == pytest.approx(law(*known)(images), abs=3e-4)


@pytest.mark.parametrize("known", LAWS)
def test_noisy_curves_are_fitted_as_scipy_fits_them(known):
    random = np.random.default_rng(0)
    curves = law(*known)(SIZES) + 0.003 * random.standard_normal((20, 6))
    found = fit_power_law(SIZES, curves)
    spread = 1 / np.sqrt(np.arange(1, 7) / 6)
    limits = ([0, 0, 0.05], [1, np.inf, 2])
    for number, curve in enumerate(curves):
        start = (min(0.99, curve.max() + 0.01), 1.0, 0.5)
        best, _ = curve_fit(
            lambda n, a, b, c: a - b * n**-c, SIZES, curve, start, sigma=spread, bounds=limits, max_nfev=20_000
        )
        ours = found.ceiling[number] - found.factor[number] * SIZES ** -found.rate[number]
        theirs = law(*best)(SIZES)
        error = [np.sum(((fit - curve) / spread) ** 2) for fit in (ours, theirs)]
        assert error[0] <= error[1] * 1.05 + 1e-7


def test_curves_neither_fall_nor_end_above_one():
    random = np.random.default_rng(0)
    found = fit_power_law(SIZES, np.clip(0.95 + 0.05 * random.standard_normal((200, 6)), 0, 1))
    assert (found.factor >= 0).all() and (found.ceiling <= 1).all()
    assert (found.at(8000) >= found.at(2000)).all() and (found.at(1e9) <= 1).all()


def test_a_falling_curve_is_fitted_by_a_level_one():
    found = fit_power_law(SIZES, np.linspace(0.9, 0.8, 6)[None])
    weights = np.arange(1, 7)
    assert found.factor[0] == 0
    assert found.at(100)[0] == pytest.approx(np.average(np.linspace(0.9, 0.8, 6), weights=weights))


@pytest.mark.parametrize("rounds", [1, 3, 5])
@pytest.mark.parametrize("known", LAWS)
def test_gains_are_found_and_their_intervals_cover_them(known, rounds):
    random, truth = np.random.default_rng(0), law(*known)
    found = [
        expected_gains(
            SIZES,
            rounds_of(truth, random, rounds=rounds),
            more=(3000, 4000, 8000),
            test_share=0.25,
            seed=seed,
            draws=150,
        )
        for seed in range(100)
    ]
    for place, images in enumerate((3000, 4000, 8000)):
        gain = truth(images) - truth(2000)
        covered = [one[place].ci95[0] - 1e-6 <= gain <= one[place].ci95[1] + 1e-6 for one in found]
        assert np.mean(covered) >= 0.9
        assert np.mean([one[place].gain for one in found]) == pytest.approx(gain, abs=0.1 * gain + 0.0015)


def test_a_level_curve_promises_next_to_nothing():
    random = np.random.default_rng(0)
    found = [
        expected_gains(SIZES, rounds_of(law(0.9, 0, 1), random), more=(4000,), test_share=0.25, seed=seed, draws=150)[0]
        for seed in range(50)
    ]
    assert all(one.gain >= 0 and one.ci95[0] >= 0 for one in found)
    assert np.mean([one.gain for one in found]) < 0.001
    assert np.mean([one.ci95[1] for one in found]) < 0.005


def test_more_images_never_bring_less():
    random = np.random.default_rng(3)
    found = expected_gains(SIZES, rounds_of(law(*LAWS[0]), random), more=(3000, 4000, 8000), test_share=0.25, seed=0)
    assert [one.images for one in found] == [3000, 4000, 8000]
    assert 0 <= found[0].gain <= found[1].gain <= found[2].gain
    assert found[0].ci95[0] <= found[1].ci95[0] and found[1].ci95[1] <= found[2].ci95[1]
    again = expected_gains(
        SIZES, rounds_of(law(*LAWS[0]), np.random.default_rng(3)), more=(3000,), test_share=0.25, seed=0
    )
    assert again[0] == found[0]


def test_three_sizes_are_too_few():
    assert expected_gains(SIZES[:3], np.full((5, 3), 0.9), more=(4000,), test_share=0.25, seed=0) == ()


def test_accuracies_of_a_law_stay_within_bounds():
    curve = PowerLaw(np.array([0.9]), np.array([30.0]), np.array([1.0]))
    assert curve.at(1)[0] == 0 and curve.at(3000)[0] == pytest.approx(0.89)
