"""The chance of a mean recall, against all permutations of few images, scikit-learn, and studies of pure noise."""

import itertools
import time
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import recall_score

from headstart.evaluation import baseline
from headstart.evaluation.baseline import chance_of_recall


def orders(predicted):
    """Return every order of some answers once: each stands for as many permutations."""
    return sorted(set(itertools.permutations(predicted)))


def recall(labels, predicted):
    return recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [
        ([0, 0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 2, 0]),
        ([0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 1]),
        ([0, 2, 2, 0, 2, 0, 2], [0, 2, 2, 3, 2, 1, 2]),
    ],
)
def test_it_is_the_share_of_all_permutations(labels, predicted):
    found = recall(labels, predicted)
    exact = np.mean([recall(labels, one) >= found - 1e-9 for one in orders(predicted)])
    chance = chance_of_recall(np.array(labels), np.array(predicted), 4, seed=0)
    assert chance == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4)


def test_the_normal_has_the_moments_of_all_permutations(monkeypatch):
    labels, predicted = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 2, 0])
    recalls = [recall(labels, one) for one in orders(predicted)]
    above = (recall(labels, predicted) - np.mean(recalls)) / np.std(recalls)
    monkeypatch.setattr(baseline, "MOST_PERMUTED", 0)
    assert chance_of_recall(labels, predicted, 4, seed=0) == pytest.approx(NormalDist().cdf(-above))


def test_normal_and_permutations_agree_where_one_takes_over_from_the_other(monkeypatch):
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 2_000)
    predicted = np.where(random.random(2_000) < 0.02, labels, random.integers(0, 5, 2_000))
    by_permutation = chance_of_recall(labels, predicted, 5, seed=0)
    monkeypatch.setattr(baseline, "MOST_PERMUTED", 0)
    assert 0.001 < by_permutation < 0.5
    assert chance_of_recall(labels, predicted, 5, seed=0) == pytest.approx(by_permutation, abs=0.02)


@pytest.mark.parametrize("images", [30, 3_000])
def test_naming_one_class_tells_nothing(images):
    assert chance_of_recall(np.arange(images) % 3, np.ones(images, np.int64), 3, seed=0) == 1.0


def test_one_image_tells_nothing():
    assert chance_of_recall(np.array([1]), np.array([1]), 3, seed=0) == 1.0


def test_perfect_answers_are_as_improbable_as_the_permutations_can_say():
    labels = np.arange(60) % 3
    assert chance_of_recall(labels, labels, 3, seed=0) == 1e-4
    assert chance_of_recall(np.repeat([0, 1], [150, 8]), np.repeat([0, 1], [150, 8]), 2, seed=0) == 1e-4


def test_equal_seeds_draw_equal_permutations():
    labels, predicted = np.arange(50) % 4, (np.arange(50) // 2) % 4
    first, same = (chance_of_recall(labels, predicted, 4, seed=5) for _ in range(2))
    assert first == same


@pytest.mark.parametrize("sizes", [(30, 30), (60, 6), (10,) * 5])
def test_false_alarms_on_noise(sizes):
    """Answers that follow the frequencies of the classes, and no image."""
    random, labels = np.random.default_rng(1), np.repeat(np.arange(len(sizes)), sizes)
    chances = [
        chance_of_recall(labels, random.choice(len(sizes), len(labels), p=np.divide(sizes, sum(sizes))), 5, seed=seed)
        for seed in range(400)
    ]
    assert np.mean(np.array(chances) < 0.05) <= 0.08


def test_two_thousand_images_take_half_a_second():
    random = np.random.default_rng(2)
    labels, predicted = random.integers(0, 20, (2, 2_000))
    start = time.process_time()
    chance_of_recall(labels, predicted, 20, seed=0)
    assert time.process_time() - start < 0.5
