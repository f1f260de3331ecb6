"""Thresholds against every threshold there is, answers against plain loops, and targets held on new images."""

import itertools

import numpy as np
import pytest

from headstart.evaluation.calibration import calibrated
from headstart.evaluation.operating import (
    ALWAYS_FIRST,
    NEVER,
    NO_CLASS,
    Cost,
    Threshold,
    answered,
    cost_matrix,
    threshold_for,
)

CLASSES = ("a", "b", "c")


def drawn(images, seed, classes=3, scale=2.0):
    random = np.random.default_rng(seed)
    scores = calibrated(random.normal(size=(images, classes)) * scale, 1.0)
    labels = (random.random((images, 1)) > np.cumsum(scores, axis=1)).sum(axis=1).clip(max=classes - 1)
    return labels, scores


def precision_and_answers(labels, scores, index, threshold):
    said = answered(scores, CLASSES, [Threshold(CLASSES[index], "precision", threshold)], ()) == index
    return (np.mean(labels[said] == index) if said.any() else 1.0), said.sum(), np.sum(said & (labels != index))


@pytest.mark.parametrize("target", [0.6, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("index", [0, 2])
def test_the_precision_threshold_is_the_lowest_that_bears_one_more_mistake(target, index):
    labels, scores = drawn(600, 1)
    found = threshold_for("precision", target, of_class=labels == index, scores=scores, index=index)
    precision, answers, mistakes = precision_and_answers(labels, scores, index, found)
    assert precision >= target and mistakes + 1 <= (1 - target) * answers + 1e-9
    for lower in np.unique(scores[:, index][scores[:, index] < found]):
        _, more, mistakes = precision_and_answers(labels, scores, index, lower)
        assert mistakes + 1 > (1 - target) * more + 1e-9 or more == answers


def stairs(steps):
    """Return scores of two classes that fall by steps, and whether the first is right: ``(images, share right)``."""
    scores = np.concatenate([np.full(images, 0.9 - 0.1 * step) for step, (images, _) in enumerate(steps)])
    right = np.concatenate([np.arange(images) < images * share for images, share in steps])
    return np.stack([scores, 1 - scores], axis=1), right


def test_few_answers_take_the_threshold_that_comes_nearest():
    scores, right = stairs([(8, 1), (8, 1), (8, 0.5)])
    assert threshold_for("precision", 0.99, of_class=right, scores=scores, index=0) == pytest.approx(0.75)
    assert threshold_for("precision", 0.99, of_class=~right, scores=scores, index=0) == NEVER
    all_right = np.ones(24, bool)
    assert threshold_for("precision", 0.99, of_class=all_right, scores=scores, index=0) == 0.0
    assert threshold_for("precision", 0.5, of_class=all_right, scores=scores, index=1) == NEVER


def test_a_lucky_few_are_no_precision():
    scores, right = stairs([(9, 1), (20, 0.5), (20, 0.5)])
    assert threshold_for("precision", 0.95, of_class=right, scores=scores, index=0) == NEVER
    scores, right = stairs([(10, 1), (20, 0.5), (20, 0.5)])
    assert threshold_for("precision", 0.95, of_class=right, scores=scores, index=0) == pytest.approx(0.85)


def test_a_class_with_few_answers_stays_where_all_of_them_are_right():
    scores, right = stairs([(5, 1)])
    assert threshold_for("precision", 0.99, of_class=right, scores=scores, index=0) == 0.0
    scores, right = stairs([(5, 1), (2, 0.5)])
    assert threshold_for("precision", 0.99, of_class=right, scores=scores, index=0) == NEVER


def test_equal_scores_are_answered_together():
    scores, right = stairs([(30, 1), (40, 0.25)])
    assert threshold_for("precision", 0.9, of_class=right, scores=scores, index=0) == pytest.approx(0.85)


def recall_of(labels, scores, index, threshold):
    said = answered(scores, CLASSES, [Threshold(CLASSES[index], "recall", threshold)], ())
    return np.mean(said[labels == index] == index)


@pytest.mark.parametrize("target", [0.8, 0.9, 0.99])
def test_the_recall_threshold_is_the_highest_that_finds_enough(target):
    labels, scores = drawn(900, 2)
    found = threshold_for("recall", target, of_class=labels == 1, scores=scores, index=1)
    assert 0 < found < ALWAYS_FIRST
    assert recall_of(labels, scores, 1, found) >= target
    images = np.sum(labels == 1)
    higher = scores[:, 1][(scores[:, 1] > found) & (scores[:, 1] < ALWAYS_FIRST) & (labels == 1)]
    assert recall_of(labels, scores, 1, np.sort(higher)[1] + 1e-9) < target + 1 / images


def test_targets_that_are_met_change_nothing():
    labels, scores = drawn(500, 3, scale=4)
    thresholds = [
        Threshold("a", "precision", threshold_for("precision", 0.5, of_class=labels == 0, scores=scores, index=0)),
        Threshold("b", "recall", threshold_for("recall", 0.5, of_class=labels == 1, scores=scores, index=1)),
    ]
    assert [one.value for one in thresholds] == [0.0, ALWAYS_FIRST]
    np.testing.assert_array_equal(answered(scores, CLASSES, thresholds, ()), scores.argmax(axis=1))


def test_every_image_of_a_class_can_be_found():
    labels, scores = drawn(50, 4)
    found = threshold_for("recall", 0.999, of_class=labels == 2, scores=scores, index=2)
    assert recall_of(labels, scores, 2, found) == 1
    nobody = threshold_for("recall", 0.9, of_class=np.zeros(50, bool), scores=scores, index=2)
    assert nobody == ALWAYS_FIRST


@pytest.mark.parametrize(
    ("kind", "target"), [("precision", 0.95), ("precision", 0.9), ("recall", 0.9), ("recall", 0.97)]
)
def test_targets_hold_on_average_on_new_images(kind, target):
    hits = out_of = 0
    for seed in range(150):
        labels, scores = drawn(1600, [5, seed], scale=3)
        value = threshold_for(kind, target, of_class=labels[:800] == 0, scores=scores[:800], index=0)
        said = answered(scores[800:], CLASSES, [Threshold("a", kind, value)], ()) == 0
        mine = labels[800:] == 0
        hits += np.sum(said & mine)
        out_of += np.sum(said if kind == "precision" else mine)
    assert hits / out_of == pytest.approx(target, abs=0.007)


def plain_answer(row, thresholds):
    """Return the rule in words, image by image."""
    limits = {CLASSES.index(one.class_): one for one in thresholds}
    order = sorted(range(3), key=lambda index: -row[index])
    for index in order:
        if index in limits and limits[index].kind == "recall" and row[index] >= limits[index].value:
            return index
    for index in order:
        if index not in limits or limits[index].kind == "recall" or row[index] >= limits[index].value:
            return index
    return NO_CLASS


def test_answers_follow_the_rule():
    _, scores = drawn(200, 6, scale=1)
    kinds = ("precision", "recall")
    for chosen, value in itertools.product(itertools.product((None, *kinds), repeat=3), (0.3, 0.45, 0.8, NEVER)):
        thresholds = [Threshold(name, kind, value) for name, kind in zip(CLASSES, chosen, strict=True) if kind]
        expected = [plain_answer(row, thresholds) for row in scores]
        np.testing.assert_array_equal(answered(scores, CLASSES, thresholds, ()), expected)


def test_no_class_is_answered_where_none_is_sure_enough():
    thresholds = [Threshold(name, "precision", 0.9) for name in CLASSES]
    scores = np.array([[0.95, 0.05, 0.0], [0.5, 0.3, 0.2]])
    assert answered(scores, CLASSES, thresholds, ()).tolist() == [0, NO_CLASS]
    assert answered(scores, CLASSES, thresholds[:2], ()).tolist() == [0, 2]


def test_the_answer_costs_least():
    labels, scores = drawn(400, 7, scale=1)
    costs = [Cost("a", "b", 10.0), Cost("c", "b", 0.0), Cost("b", "c", 2.5)]
    matrix = cost_matrix(costs, CLASSES)
    assert matrix.tolist() == [[0, 10, 1], [1, 0, 2.5], [1, 0, 0]]
    answers = answered(scores, CLASSES, (), costs)
    for row, said in zip(scores, answers, strict=True):
        expected = [sum(row[true] * matrix[true, each] for true in range(3)) for each in range(3)]
        assert expected[said] == pytest.approx(min(expected))
    assert matrix[labels, answers].mean() < matrix[labels, scores.argmax(axis=1)].mean()


def test_equal_costs_answer_the_most_probable_class():
    _, scores = drawn(200, 8)
    np.testing.assert_array_equal(answered(scores, CLASSES, (), [Cost("a", "b", 1.0)]), scores.argmax(axis=1))
    free = [Cost(true, said, 0.0) for true, said in itertools.permutations(CLASSES, 2)]
    np.testing.assert_array_equal(answered(scores, CLASSES, (), free), scores.argmax(axis=1))
    np.testing.assert_array_equal(answered(scores, CLASSES, (), ()), scores.argmax(axis=1))
