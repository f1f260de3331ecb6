import math

import numpy as np
import pytest
from sklearn.metrics import log_loss, precision_score, recall_score, top_k_accuracy_score

from headstart.evaluation.metrics import cross_entropy
from headstart.training.heads import softmax
from headstart.training.tally import Tally, measure

CLASSES, HEADS, IMAGES = 6, 3, 90


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(scale=2, size=(IMAGES, HEADS, CLASSES)).astype(np.float32)


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, CLASSES, IMAGES)


def test_metrics_agree_with_scikit_learn(logits, labels):
    tally = Tally(HEADS, CLASSES)
    for start in range(0, IMAGES, 40):
        tally.add(logits[start : start + 40], labels[start : start + 40])
    one_hot = np.eye(CLASSES)[labels]
    for head, metrics in enumerate(tally.metrics()):
        probabilities = softmax(logits[:, head].astype(np.float64))
        passed = probabilities > 0.5
        assert metrics.loss == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
        assert metrics.accuracy == pytest.approx(np.mean(probabilities.argmax(axis=1) == labels))
        assert metrics.precision == pytest.approx(precision_score(one_hot, passed, average="micro"))
        assert metrics.recall == pytest.approx(recall_score(one_hot, passed, average="micro"))
        assert metrics.top_k == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))


def test_the_loss_of_logits_far_out_is_that_of_their_probabilities(logits, labels):
    far = logits[:, 0] * 40
    keras = pytest.importorskip("keras")
    probabilities = softmax(far.astype(np.float64))
    assert probabilities[np.arange(IMAGES), labels].min() < 1e-12
    loss = measure(far, labels).loss
    assert loss == pytest.approx(cross_entropy(labels, probabilities), rel=1e-6)
    by_keras = keras.losses.categorical_crossentropy(np.eye(CLASSES)[labels], probabilities)
    assert loss == pytest.approx(float(by_keras.numpy().mean()), rel=1e-5)


def test_two_candidates_stand_in_one_order_in_validation_and_in_the_evaluation():
    # the first is wrong once, by far; the second is wrong twice, but not by much
    labels = np.zeros(40, np.int64)
    first, second = (np.tile(np.float32([9, 0]), (40, 1)) for _ in range(2))
    first[0], second[:2] = [0, 60], [0, 12]
    kept = [measure(one, labels).loss for one in (first, second)]
    evaluated = [cross_entropy(labels, softmax(one.astype(np.float64))) for one in (first, second)]
    assert kept == pytest.approx(evaluated, rel=1e-5)
    assert kept[0] < kept[1]


def test_penalty_is_a_mean_over_images(logits, labels):
    tally = Tally(HEADS, CLASSES)
    tally.add(logits, labels)
    plain = [metrics.loss for metrics in tally.metrics()]
    tally.add_penalty(np.array([0.0, 1.0, 2.0]), 30)
    tally.add_penalty(np.array([0.0, 4.0, 2.0]), 60)
    added = [metrics.loss - before for metrics, before in zip(tally.metrics(), plain, strict=True)]
    assert added == pytest.approx([0.0, 3.0, 2.0])


def test_equal_logits_count_as_the_first_class():
    metrics = measure(np.zeros((4, 3), np.float32), np.array([0, 0, 0, 2]))
    assert metrics.accuracy == 0.75
    assert metrics.loss == pytest.approx(math.log(3))


@pytest.mark.parametrize("images", [49, 98, 103, 107])
def test_all_right_is_one(images):
    metrics = measure(np.tile(np.float32([9, 0, 0, 0, 0, 0]), (images, 1)), np.zeros(images, np.int64))
    assert (metrics.accuracy, metrics.recall, metrics.top_k) == (1.0, 1.0, 1.0)


def test_nothing_above_one_half_gives_precision_zero():
    metrics = measure(np.zeros((4, 3), np.float32), np.array([0, 1, 2, 0]))
    assert (metrics.precision, metrics.recall) == (0.0, 0.0)


def test_two_classes_have_no_top_k():
    assert measure(np.zeros((2, 2), np.float32), np.array([0, 1])).top_k is None


def test_logits_that_are_no_numbers_hit_nothing_but_class_zero():
    metrics = measure(np.full((4, 5), np.nan, np.float32), np.array([1, 2, 3, 4]))
    assert math.isnan(metrics.loss)
    assert (metrics.accuracy, metrics.precision, metrics.recall, metrics.top_k) == (0.0, 0.0, 0.0, 0.0)
