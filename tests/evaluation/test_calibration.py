"""Temperature against SciPy, calibration error against a plain loop and scikit-learn, and a head trained too long."""

import math

import numpy as np
import pytest
from scipy import optimize
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from headstart.evaluation.calibration import calibrated, calibration_scores, fit_temperature


def drawn(images, classes, seed, *, scale=2.0, temperature=1.0):
    """Return labels drawn from calibrated probabilities, and logits that are ``temperature`` times too sure."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(images, classes)) * scale
    sums = np.cumsum(calibrated(logits, 1.0), axis=1)
    labels = (random.random((images, 1)) > sums).sum(axis=1).clip(max=classes - 1)
    return labels, logits * temperature


def loss(inverse, labels, logits):
    return log_loss(labels, calibrated(logits, 1 / inverse), labels=range(logits.shape[1]))


@pytest.mark.parametrize("classes", [2, 5, 30])
@pytest.mark.parametrize("temperature", [0.2, 1.0, 9.0])
def test_the_temperature_is_that_of_scipy(classes, temperature):
    labels, logits = drawn(800, classes, classes, temperature=temperature)
    found = fit_temperature(logits, labels)
    best = optimize.minimize_scalar(
        lambda inverse: loss(inverse, labels, logits), bounds=(0.02, 20), method="bounded", options={"xatol": 1e-9}
    )
    assert found == pytest.approx(1 / best.x, rel=1e-5)
    inverse = 1 / found
    for step in (1 - 1e-3, 1 + 1e-3):
        assert loss(inverse, labels, logits) < loss(inverse * step, labels, logits)
    assert found == pytest.approx(temperature, rel=0.25)


def test_the_slope_of_the_loss_is_zero_at_the_temperature():
    labels, logits = drawn(500, 4, 1, temperature=3)
    scores = calibrated(logits, fit_temperature(logits, labels))
    of_truth = logits[np.arange(500), labels]
    assert np.mean(np.sum(scores * logits, axis=1) - of_truth) == pytest.approx(0, abs=1e-8)


def test_a_multiple_of_the_logits_has_that_multiple_of_the_temperature():
    labels, logits = drawn(300, 3, 2)
    found = fit_temperature(logits, labels)
    for factor in (1e-6, 7.0, 1e6):
        assert fit_temperature(logits * factor, labels) == pytest.approx(found * factor, rel=1e-6)
    shifted = logits + np.arange(300)[:, None]
    assert fit_temperature(shifted, labels) == pytest.approx(found, rel=1e-6)


def test_images_without_a_mistake_make_answers_as_sure_as_their_number_allows():
    labels = np.arange(98) % 2
    logits = np.where(labels[:, None] == np.arange(2), 0.3, 0.0)
    found = fit_temperature(logits, labels)
    assert calibrated(logits, found).max(axis=1).mean() == pytest.approx(99 / 100)
    assert fit_temperature(logits * 100, labels) == 1.0


def test_useless_logits_end_near_equal_probabilities():
    random = np.random.default_rng(3)
    logits, labels = random.normal(size=(400, 4)), random.integers(0, 4, 400)
    assert calibrated(logits, fit_temperature(logits, labels)).max() < 0.5
    backwards = (logits.argmax(axis=1) + 1) % 4
    found = fit_temperature(logits, backwards)
    assert found == pytest.approx(100 * np.sqrt(np.mean((logits - logits.mean(axis=1, keepdims=True)) ** 2)), rel=1e-6)


@pytest.mark.parametrize("logits", [np.zeros((0, 3)), np.zeros((5, 3)), np.full((5, 3), 4.0)])
def test_logits_that_say_nothing_keep_their_temperature(logits):
    assert fit_temperature(logits, np.zeros(len(logits), int)) == 1.0


def test_very_large_logits_stay_finite():
    labels, logits = drawn(200, 3, 4, temperature=1e5)
    found = fit_temperature(logits.astype(np.float32), labels)
    assert math.isfinite(found) and np.isfinite(calibrated(logits, found)).all()
    np.testing.assert_allclose(calibrated(np.array([[1e8, 0.0], [0.0, -1e8]]), 1.0), [[1, 0], [1, 0]])


def plain_error(labels, scores, bins):
    order = sorted(range(len(labels)), key=lambda image: scores[image].max())
    total = 0.0
    for part in np.array_split(order, bins):
        confidence = sum(scores[image].max() for image in part) / len(part)
        accuracy = sum(scores[image].argmax() == labels[image] for image in part) / len(part)
        total += len(part) / len(labels) * abs(confidence - accuracy)
    return total


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_calibration_error_is_that_of_a_plain_loop(temperature):
    labels, logits = drawn(750, 5, 5, temperature=temperature)
    scores = calibrated(logits, 1.0)
    found = calibration_scores(labels, scores)
    assert found.error == pytest.approx(plain_error(labels, scores, 15))
    assert [one.images for one in found.bins] == [50] * 15
    assert [one.confidence for one in found.bins] == sorted(one.confidence for one in found.bins)


def test_two_classes_give_the_curve_of_scikit_learn():
    labels, logits = drawn(600, 2, 6, temperature=2)
    scores = calibrated(logits, 1.0)
    found = calibration_scores(labels, scores, bins=10)
    right = scores.argmax(axis=1) == labels
    accuracies, confidences = calibration_curve(right, scores.max(axis=1), n_bins=10, strategy="quantile")
    assert [one.accuracy for one in found.bins] == pytest.approx(list(accuracies))
    assert [one.confidence for one in found.bins] == pytest.approx(list(confidences))


def test_brier_score_and_loss_are_those_of_scikit_learn():
    labels, logits = drawn(300, 4, 7)
    scores = calibrated(logits, 1.0)
    found = calibration_scores(labels, scores)
    assert found.brier == pytest.approx(brier_score_loss(labels, scores, labels=range(4)))
    assert found.loss == pytest.approx(log_loss(labels, scores, labels=range(4)))


def test_ends_of_the_brier_score():
    right = calibration_scores(np.array([0, 1]), np.eye(2))
    assert (right.error, right.brier, right.loss) == (0, 0, pytest.approx(0, abs=1e-6))
    wrong = calibration_scores(np.array([1, 0]), np.eye(2))
    assert (wrong.error, wrong.brier) == (1, 2)


def test_images_of_equal_confidence_stay_together_in_any_order():
    labels = np.array([0] * 130 + [1] * 70)
    scores = np.tile([0.8, 0.2], (200, 1))
    scores[:50] = 1.0, 0.0
    found = calibration_scores(labels, scores)
    assert [(one.images, one.confidence) for one in found.bins] == [(150, pytest.approx(0.8)), (50, 1.0)]
    assert found.error == pytest.approx(0.75 * abs(0.8 - 80 / 150))
    order = np.random.default_rng(8).permutation(200)
    assert calibration_scores(labels[order], scores[order]).error == pytest.approx(found.error)


@pytest.mark.parametrize(("images", "bins"), [(1, 1), (19, 1), (20, 2), (149, 14), (150, 15), (10_000, 15)])
def test_few_images_make_few_bins(images, bins):
    labels, logits = drawn(images, 3, 9)
    found = calibration_scores(labels, calibrated(logits, 1.0))
    assert len(found.bins) == bins
    assert sum(one.images for one in found.bins) == images


def test_calibrated_answers_have_no_more_error_than_chance_makes():
    labels, logits = drawn(20_000, 5, 10)
    assert calibration_scores(labels, calibrated(logits, 1.0)).error < 0.012


@pytest.mark.parametrize(("images", "scale"), [(40, 1.0), (734, 1.0), (734, 8.0)])
def test_the_noise_is_the_mean_error_of_calibrated_answers_to_other_images(images, scale):
    random = np.random.default_rng(11)
    scores = calibrated(scale * random.normal(size=(images, 4)), 1.0)
    drawn_again = [
        calibration_scores((scores.cumsum(axis=1) > random.random((images, 1))).argmax(axis=1), scores)
        for _ in range(600)
    ]
    errors = [one.error for one in drawn_again]
    assert drawn_again[0].noise == pytest.approx(np.mean(errors), abs=4 * np.std(errors) / np.sqrt(600))
    assert {one.noise for one in drawn_again} == {drawn_again[0].noise}


def overfitted(features, labels, classes, steps):
    """Return the weights of a linear softmax head after many plain gradient steps."""
    weights, truth = np.zeros((features.shape[1], classes)), np.eye(classes)[labels]
    for _ in range(steps):
        weights -= 2.0 * features.T @ (calibrated(features @ weights, 1.0) - truth) / len(labels)
    return weights


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_head_trained_too_long_keeps_at_most_half_of_its_calibration_error(seed):
    random = np.random.default_rng(seed)
    labels = np.arange(5400) % 4
    features = random.normal(size=(5400, 60)) + np.pad(np.eye(4) * 1.6, ((0, 0), (0, 56)))[labels]
    weights = overfitted(features[:400], labels[:400], 4, 1500)
    logits = features @ weights
    temperature = fit_temperature(logits[400:1400], labels[400:1400])
    before = calibration_scores(labels[1400:], calibrated(logits[1400:], 1.0))
    after = calibration_scores(labels[1400:], calibrated(logits[1400:], temperature))
    assert before.error > 0.15
    assert after.error < before.error / 2
    assert after.brier < before.brier and after.loss < before.loss
