"""Confident learning against tables worked by hand, and against planted errors of a stated design."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from headstart.evaluation.labels import (
    class_thresholds,
    confident_classes,
    confident_joint,
    doubt_labels,
    estimated_joint,
    log_odds,
)

# Worked by hand. Thresholds: class 0 (0.9 + 0.8 + 0.4 + 0.3) / 4 = 0.6, class 1 (0.8 + 0.7 + 0.2) / 3 = 0.5667.
LABELS = np.array([0, 0, 0, 0, 1, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8], [0.3, 0.7], [0.8, 0.2]])


def test_a_table_of_two_classes_worked_by_hand():
    thresholds = class_thresholds(LABELS, PROBABILITIES)
    np.testing.assert_allclose(thresholds, [0.6, 17 / 30])
    confident = confident_classes(PROBABILITIES, thresholds)
    np.testing.assert_array_equal(confident, [0, 0, 1, 1, 1, 1, 0])
    counts = confident_joint(LABELS, confident, 2)
    np.testing.assert_array_equal(counts, [[2, 2], [1, 2]])
    # rows scaled to 4 and 3 images: [[2, 2], [1, 2]] / 7
    np.testing.assert_allclose(estimated_joint(counts, LABELS), np.array([[2, 2], [1, 2]]) / 7)
    found = doubt_labels(LABELS, PROBABILITIES)
    assert found.wrong_share == pytest.approx(3 / 7)
    assert (found.wrong, found.images) == (3, 7)
    # odds: 0.8 / 0.2, 0.7 / 0.3, 0.6 / 0.4; 1.5 * 3 would be five images, but only these three are doubtful
    np.testing.assert_array_equal(found.doubted, [6, 3, 2])
    np.testing.assert_array_equal(found.suggested, [0, 1, 1])
    np.testing.assert_allclose(found.confidence, [0.8, 0.7, 0.6])


def test_of_two_classes_that_are_reached_the_more_probable_counts_and_some_images_count_nowhere():
    # thresholds 0.5, 0.4 and 0.3; the last two images reach none
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    probabilities = np.array(
        [
            [0.6, 0.3, 0.1],
            [0.4, 0.45, 0.15],
            [0.1, 0.6, 0.3],
            [0.45, 0.2, 0.35],
            [0.05, 0.4, 0.55],
            [0.46, 0.38, 0.16],
            [0.47, 0.34, 0.19],
        ]
    )
    thresholds = class_thresholds(labels, probabilities)
    np.testing.assert_allclose(thresholds, [0.5, 0.4, 0.3])
    confident = confident_classes(probabilities, thresholds)
    np.testing.assert_array_equal(confident, [0, 1, 1, 2, 2, -1, -1])
    counts = confident_joint(labels, confident, 3)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 1], [0, 0, 1]])
    joint = estimated_joint(counts, labels)
    np.testing.assert_allclose(joint, np.array([[1, 1, 0], [0, 1, 1], [0, 0, 3]]) / 7)
    assert doubt_labels(labels, probabilities).wrong_share == pytest.approx(2 / 7)


def test_nothing_is_doubted_where_every_label_is_the_most_probable_class():
    labels = np.repeat(np.arange(4), 10)
    probabilities = np.full((40, 4), 0.1)
    probabilities[np.arange(40), labels] = 0.7
    found = doubt_labels(labels, probabilities)
    assert (found.wrong_share, found.wrong, len(found.doubted)) == (0.0, 0, 0)
    np.testing.assert_allclose(found.joint, np.eye(4) / 4)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.7])
def test_equal_probabilities_reach_their_own_mean(value):
    labels = np.array([0, 0, 0, 1])
    probabilities = np.column_stack([np.full(4, value), np.full(4, 1 - value)])
    assert (confident_classes(probabilities, class_thresholds(labels, probabilities)) >= 0).all()


def test_a_class_that_no_image_bears_is_never_confident_and_one_image_is_a_class():
    labels = np.array([0] * 9 + [2])
    probabilities = np.array([[0.5, 0.4, 0.1]] * 9 + [[0.2, 0.5, 0.3]])
    assert class_thresholds(labels, probabilities)[1] == np.inf
    found = doubt_labels(labels, probabilities)
    assert found.wrong_share == 0
    np.testing.assert_allclose(found.joint.sum(axis=1), [0.9, 0, 0.1])


def test_a_label_without_confident_images_counts_as_right():
    joint = estimated_joint(np.array([[3, 1], [0, 0]]), np.array([0, 0, 0, 0, 1]))
    np.testing.assert_allclose(joint, np.array([[3, 1], [0, 1]]) / 5)


def test_without_images_nothing_is_doubted():
    found = doubt_labels(np.zeros(0, np.int64), np.zeros((0, 3)))
    assert (found.wrong, found.images, len(found.doubted)) == (0, 0, 0)


def test_sure_zeros_and_ones_give_finite_odds_in_the_order_of_the_images():
    labels, others = np.array([0, 0, 1]), np.array([1, 1, 0])
    odds = log_odds(labels, others, np.array([[0.0, 1.0], [0.0, 1.0], [0.5, 0.5]]))
    assert np.isfinite(odds).all()
    found = doubt_labels(np.array([0, 0, 0, 1, 1]), np.array([[0, 1.0], [0, 1.0], [1.0, 0], [0, 1.0], [0, 1.0]]))
    np.testing.assert_array_equal(found.doubted, [0, 1])


def planted(seed, *, images=1000, classes=5, wrong=50, apart=3.0, shares=None):
    """Return out-of-fold probabilities of a logistic regression on Gaussian classes, labels, and who is wrong."""
    random = np.random.default_rng(seed)
    truth = random.choice(classes, images, p=shares)
    features = random.normal(size=(images, 20)) + apart * np.eye(20)[truth]
    mistaken = random.choice(images, wrong, replace=False)
    labels = truth.copy()
    labels[mistaken] = (truth[mistaken] + random.integers(1, classes, wrong)) % classes
    model = LogisticRegression(C=0.05)
    return labels, cross_val_predict(model, features, labels, method="predict_proba", cv=5), mistaken


@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_stand_first_and_are_counted(seed):
    labels, probabilities, mistaken = planted(seed)
    found = doubt_labels(labels, probabilities)
    assert np.isin(mistaken, found.doubted[:75]).mean() >= 0.85
    assert found.wrong == pytest.approx(50, abs=25)
    assert found.joint.sum() == pytest.approx(1)


def test_planted_errors_of_uneven_classes_stand_first():
    labels, probabilities, mistaken = planted(7, classes=3, shares=[0.8, 0.17, 0.03], wrong=40, apart=4.0)
    found = doubt_labels(labels, probabilities)
    assert np.isin(mistaken, found.doubted[:60]).mean() >= 0.85


def test_the_estimated_joint_has_the_planted_pairs():
    random = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], 1000)
    features = random.normal(size=(3000, 10)) + 4 * np.eye(10)[truth]
    labels = truth.copy()
    labels[:100] = 1  # of class 0, one in ten is called 1
    model = LogisticRegression(C=0.05)
    joint = doubt_labels(labels, cross_val_predict(model, features, labels, method="predict_proba", cv=5)).joint
    assert joint[1, 0] == pytest.approx(100 / 3000, abs=0.005)
    assert joint[np.triu_indices(3, 1)].sum() + joint[2, :2].sum() < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_images_and_of_classes_does_not_matter(seed):
    labels, probabilities, _ = planted(seed, images=300, wrong=20)
    random = np.random.default_rng(seed)
    order, names = random.permutation(300), random.permutation(5)
    found = doubt_labels(labels, probabilities)
    moved = doubt_labels(names[labels][order], probabilities[order][:, np.argsort(names)])
    np.testing.assert_array_equal(order[moved.doubted], found.doubted)
    np.testing.assert_array_equal(moved.suggested, names[found.suggested])
    assert moved.wrong_share == pytest.approx(found.wrong_share)
