"""Neighbours against scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from headstart.evaluation import neighbours
from headstart.evaluation.neighbours import nearest, normalised, votes


@pytest.fixture
def points():
    random = np.random.default_rng(0)
    return normalised(random.normal(size=(200, 12)).astype(np.float32))


@pytest.mark.parametrize("block", [1, 700, 2**23])
def test_the_nearest_are_those_of_scikit_learn(points, monkeypatch, block):
    monkeypatch.setattr(neighbours, "BLOCK_PAIRS", block)
    distances, positions = NearestNeighbors(n_neighbors=4, metric="cosine").fit(points[50:]).kneighbors(points[:50])
    found = nearest(points[:50], points[50:], 4)
    np.testing.assert_array_equal(found.positions, positions)
    np.testing.assert_allclose(found.distances, distances, atol=1e-6)


def test_no_image_is_its_own_neighbour_and_there_are_no_more_than_the_store_has(points, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK_PAIRS", 30)
    found = nearest(points[:6], points[:6], 10, same=True)
    assert found.positions.shape == (6, 5)
    assert all(set(row) == set(range(6)) - {place} for place, row in enumerate(found.positions))
    assert nearest(points[:1], points[:1], 3, same=True).positions.shape == (1, 0)


def test_rows_have_length_one_and_of_many_channels_every_nth_counts():
    features = np.random.default_rng(0).normal(size=(3, 5000)).astype(np.float32)
    rows = normalised(features)
    np.testing.assert_allclose(rows, features[:, ::3] / np.linalg.norm(features[:, ::3], axis=1)[:, None], rtol=1e-5)
    assert not normalised(np.zeros((2, 4))).any()


def test_votes_are_counts_of_labels():
    found = votes(np.array([[0, 1, 2], [3, 3, 3]]), np.array([0, 0, 1, 2]), 4)
    np.testing.assert_array_equal(found, [[2, 1, 0, 0], [0, 0, 3, 0]])
