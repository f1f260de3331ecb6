"""What folds predict for the test, against SciPy's beta-binomial and against simulated studies."""

import numpy as np
import pytest
from scipy import stats

from headstart.evaluation.expected_test import expect_test


def predicted(accuracies, images, **more):
    given = {"images_of_repeat": sum(images), "selection_bias": 0.0, "test_images": 50} | more
    return expect_test(accuracies, images, **given)


def test_one_round_is_predicted_by_the_binomial_noise_of_both():
    found = predicted([0.8], [100])
    rate = 80.5 / 101
    weight = 100 - 1
    high = 1 - 0.85 * (1 - rate)
    spread = high * (1 - high) / (rate * (1 - rate) / 100) - 1
    assert found.expected == pytest.approx(rate)
    assert found.low == stats.betabinom(50, rate * weight, (1 - rate) * weight).ppf(0.005) / 50
    assert found.high == stats.betabinom(50, high * spread, (1 - high) * spread).ppf(0.995) / 50
    assert found.level == 0.99


def test_rounds_that_vary_more_than_their_images_explain_widen_it():
    calm, unsteady = predicted([0.8] * 5, [40] * 5), predicted([0.6, 0.9, 0.7, 1.0, 0.8], [40] * 5)
    assert calm.expected == unsteady.expected
    assert unsteady.low < calm.low and unsteady.high >= calm.high


def test_the_selection_bias_is_taken_off_and_large_rounds_count_more():
    assert predicted([0.9] * 5, [40] * 5, selection_bias=0.05).expected == pytest.approx((170 + 0.5) / 201)
    assert predicted([1.0, 0.5], [30, 10]).expected == pytest.approx(35.5 / 41)


def test_repeats_show_the_same_images_again():
    twice = predicted([0.8, 0.9] * 2, [50] * 4, images_of_repeat=100)
    assert twice.expected == predicted([0.8, 0.9], [50] * 2).expected
    assert twice.high - twice.low <= predicted([0.8, 0.9], [50] * 2).high - predicted([0.8, 0.9], [50] * 2).low


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
@pytest.mark.parametrize(("images", "test_images"), [([1], 1), ([2] * 3, 2), ([40] * 5, 1_000), ([2_000], 20_000)])
def test_all_right_and_all_wrong_have_an_interval_that_holds_themselves(accuracy, images, test_images):
    found = predicted([accuracy] * len(images), images, test_images=test_images)
    assert 0 <= found.low <= accuracy <= found.high <= 1
    assert found.low < found.high
    assert 0 < found.expected < 1


def test_a_bias_larger_than_the_accuracy_leaves_nothing_negative():
    found = predicted([0.1] * 5, [4] * 5, selection_bias=0.3)
    assert found.expected == pytest.approx(0.5 / 21)
    assert found.low == 0


def test_a_test_far_from_perfect_folds_is_outside():
    found = predicted([0.995] * 5, [100] * 5, test_images=115)
    assert found.low > 110 / 115
    assert found.low > predicted([0.995] * 5, [100] * 5, test_images=115, level=0.999).low


@pytest.mark.parametrize(("images", "test_images"), [(60, 20), (60, 200), (500, 100)])
def test_the_interval_holds_what_the_final_classifier_reaches(images, test_images):
    """Learners whose accuracy strays by 2 points with what they learn; the final one is as good as in the rounds."""
    random, folds, held = np.random.default_rng(0), 5, 0
    for _ in range(1_000):
        *rates, final = np.clip(random.normal(0.85, 0.02, folds + 1), 0, 1)
        accuracies = random.binomial(images // folds, rates) / (images // folds)
        found = predicted(accuracies, [images // folds] * folds, test_images=test_images)
        held += found.low <= random.binomial(test_images, final) / test_images <= found.high
    assert held >= 983
