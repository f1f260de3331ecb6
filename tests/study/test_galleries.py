"""Which images the galleries show, against plain loops over the predictions."""

from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from headstart.report.content import confused_pairs as pairs_of_the_page
from headstart.study import galleries
from headstart.study.galleries import chosen


def made(images, classes, *, skill=1.5, seed=0, finalists=3):
    """Return labels and the probabilities of several finalists, all of them somewhat right."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images)
    logits = random.normal(size=(finalists, images, classes)) + skill * np.eye(classes)[labels]
    shares = np.exp(logits)
    return labels, list(shares / shares.sum(axis=2, keepdims=True))


SIZES = [(200, 2), (300, 5), (400, 40), (7, 3)]


@pytest.mark.parametrize(("images", "classes"), SIZES)
def test_mistakes_are_the_most_confident_wrong_answers(images, classes):
    labels, said = made(images, classes)
    wrong = [n for n in range(images) if max(range(classes), key=lambda c: said[0][n, c]) != labels[n]]
    expected = sorted(wrong, key=lambda n: -max(said[0][n]))[: galleries.MISTAKES_SHOWN]
    assert chosen(labels, said)["mistake"] == expected


@pytest.mark.parametrize(("images", "classes"), SIZES)
def test_sure_and_right_takes_the_surest_of_every_class_in_turn(images, classes):
    labels, said = made(images, classes)
    found = chosen(labels, said)["sure"]
    left = {c: [n for n in range(images) if labels[n] == c == said[0][n].argmax()] for c in range(classes)}
    expected = []
    while any(left.values()) and len(expected) < galleries.SURE_SHOWN:
        turn = [max(mine, key=lambda n: said[0][n].max()) for mine in left.values() if mine]
        expected += sorted(turn, key=lambda n: -said[0][n].max())
        for n in turn:
            left[labels[n]].remove(n)
    assert found == expected[: galleries.SURE_SHOWN]


@pytest.mark.parametrize(("images", "classes"), SIZES)
def test_least_sure_has_the_smallest_margins(images, classes):
    _, said = made(images, classes)
    margins = [sorted(row)[-1] - sorted(row)[-2] for row in said[0].tolist()]
    expected = sorted(range(images), key=lambda n: margins[n])[: galleries.UNSURE_SHOWN]
    assert galleries.least_sure(said[0]).tolist() == expected


@pytest.mark.parametrize(("images", "classes"), SIZES)
def test_confused_pairs_are_the_commonest_with_their_surest_images(images, classes):
    labels, said = made(images, classes)
    predicted = said[0].argmax(axis=1)
    times = Counter((t, p) for t, p in zip(labels.tolist(), predicted.tolist(), strict=True) if t != p)
    support = Counter(labels.tolist())
    order = sorted(times, key=lambda pair: (-times[pair], -times[pair] / support[pair[0]], pair))
    expected = []
    for pair in order[: galleries.PAIRS_SHOWN]:
        mine = [n for n in range(images) if (labels[n], predicted[n]) == pair]
        expected += sorted(mine, key=lambda n: -said[0][n].max())[: galleries.OF_A_PAIR]
    assert chosen(labels, said)["confused"] == expected


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_the_pairs_are_those_that_the_page_lists(classes):
    labels, said = made(300, classes)
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, said[0].argmax(axis=1)), 1)
    names = tuple(str(n) for n in range(classes))
    places = galleries.confused(labels, said[0])
    shown = dict.fromkeys((names[labels[n]], names[said[0][n].argmax()]) for n in places)
    assert list(shown) == [(pair.true, pair.predicted) for pair in pairs_of_the_page(counts.tolist(), names)]


def test_disagreements_differ_in_the_class_and_most_in_the_probabilities():
    labels, said = made(300, 5)
    found = chosen(labels, said)["disagreement"]
    named = np.stack(said).argmax(axis=2)
    apart = [n for n in range(300) if len(set(named[:, n])) > 1]
    two = galleries.disagreements(said[:2]).tolist()
    distance = {n: jensenshannon(said[0][n], said[1][n]) for n in range(300) if named[0, n] != named[1, n]}
    assert two == sorted(distance, key=lambda n: -distance[n])[: galleries.DISAGREEMENTS_SHOWN]
    assert len(found) == galleries.DISAGREEMENTS_SHOWN and set(found) <= set(apart)
    spread = np.array([divergence([one[n] for one in said]) for n in range(300)])
    assert spread[found].tolist() == sorted(spread[apart], reverse=True)[: len(found)]


def divergence(rows):
    """Return the Jensen-Shannon divergence as the mean Kullback-Leibler divergence from the mean."""
    mean = np.mean(rows, axis=0)
    return np.round(np.mean([np.sum(row * np.log(row / mean)) for row in rows]), 12)


def test_one_finalist_disagrees_with_nobody_nor_do_equal_ones():
    labels, said = made(50, 3)
    assert chosen(labels, said[:1])["disagreement"] == []
    assert chosen(labels, [said[0], said[0] ** 2 / (said[0] ** 2).sum(axis=1, keepdims=True)])["disagreement"] == []


def test_without_a_mistake_two_galleries_are_empty():
    labels = np.arange(30) % 3
    said = 0.97 * np.eye(3)[labels] + 0.01
    found = chosen(labels, [said])
    assert found["mistake"] == found["confused"] == [] and len(found["sure"]) == 12 and len(found["unsure"]) == 12


def test_without_a_right_answer_nothing_is_sure_and_right():
    labels = np.arange(30) % 3
    said = 0.97 * np.eye(3)[(labels + 1) % 3] + 0.01
    found = chosen(labels, [said])
    assert found["sure"] == [] and len(found["mistake"]) == 18 and len(found["confused"]) == 9


def test_certainty_of_exactly_one_keeps_the_order_of_the_images():
    labels = np.zeros(20, int)
    said = np.tile([1.0, 0.0], (20, 1))
    assert chosen(labels, [said, said[:, ::-1]])["sure"] == list(range(12))
    assert chosen(labels, [said, said[:, ::-1]])["disagreement"] == list(range(8))
