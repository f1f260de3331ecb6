"""Outliers and copies planted into Gaussian clusters."""

import numpy as np
import pytest

from headstart.evaluation import outliers
from headstart.evaluation.neighbours import nearest, normalised
from headstart.evaluation.outliers import find_similar, find_strangers


def clusters(per_class=80, classes=3, channels=30, seed=0):
    """Return unit features of classes around the first axes, and labels."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    features = 6 * np.eye(channels)[labels] + random.normal(size=(len(labels), channels))
    return normalised(features.astype(np.float32)), labels


def test_images_that_are_unlike_their_class_are_found_with_the_class_they_are_like():
    features, labels = clusters()
    labels[[5, 100]] = [1, 2]  # they lie among class 0 and class 1
    features[30] = np.eye(30, dtype=np.float32)[20]  # it lies nowhere
    found = find_strangers(features, labels, 3)
    assert set(found.positions[:3].tolist()) == {5, 100, 30}
    assert found.scores[2] > 10 and (found.scores[3:] < 5).all()
    like = dict(zip(found.positions.tolist(), found.nearest.tolist(), strict=True))
    assert (like[5], like[100]) == (0, 1)
    assert (np.diff(found.scores) <= 0).all() and found.scores.min() > 3.5


def test_scores_are_modified_z_scores_of_the_distance_to_the_class():
    from scipy.stats import median_abs_deviation

    features, labels = clusters(per_class=40, classes=1)
    features[0] = np.eye(30, dtype=np.float32)[20]
    found = find_strangers(features, labels, 1)
    distances = np.sort(1 - features @ features.T + 9 * np.eye(40), axis=1)[:, :10].mean(axis=1)
    scores = (distances - np.median(distances)) / median_abs_deviation(distances, scale="normal")
    assert found.positions[0] == 0
    np.testing.assert_allclose(found.scores, scores[found.positions], rtol=1e-3)


def test_small_classes_and_classes_of_equal_images_have_no_strangers():
    features, labels = clusters(per_class=19)
    features[0] = np.eye(30, dtype=np.float32)[20]
    assert not len(find_strangers(features, labels, 3).positions)
    assert not len(find_strangers(np.tile(features[1], (50, 1)), np.zeros(50, np.int64), 1).positions)


def test_a_sample_stands_for_a_large_class(monkeypatch):
    features, labels = clusters(per_class=300, classes=2)
    features[[30, 31]] = np.eye(30, dtype=np.float32)[[20, 21]]
    whole = find_strangers(features, labels, 2)
    monkeypatch.setattr(outliers, "MOST_STORED", 100)
    sampled = find_strangers(features, labels, 2)
    assert {30, 31} <= set(sampled.positions[:3].tolist())
    assert abs(len(sampled.positions) - len(whole.positions)) <= 4


@pytest.mark.parametrize("pairs", [2**23, 1000])
def test_copies_are_found_as_groups_and_nothing_else(monkeypatch, pairs):
    from headstart.evaluation import neighbours

    monkeypatch.setattr(neighbours, "BLOCK_PAIRS", pairs)
    features, _ = clusters()
    random = np.random.default_rng(1)
    for copy, source in ((200, 3), (201, 3), (210, 90)):
        features[copy] = features[source] + 0.005 * random.normal(size=30)
    assert find_similar(normalised(features)) == [(3, 200, 201), (90, 210)]


def test_the_limit_is_a_share_of_the_usual_distance_to_the_nearest():
    features, _ = clusters()
    usual = np.median(nearest(features, features, 1, same=True).distances)
    for share, expected in ((0.15, [(0, 1)]), (0.25, [])):
        angle = np.arccos(1 - share * usual)
        across = normalised((features[2] - (features[2] @ features[0]) * features[0])[None])[0]
        features[1] = np.cos(angle) * features[0] + np.sin(angle) * across
        assert find_similar(features) == expected


def test_many_equal_images_are_one_group_and_too_many_images_are_not_compared(monkeypatch):
    features, _ = clusters()
    features[:60] = features[0]
    assert find_similar(features) == [tuple(range(60))]
    monkeypatch.setattr(outliers, "MOST_COMPARED", 100)
    assert find_similar(features) == []
    assert find_similar(features[:2]) == []
