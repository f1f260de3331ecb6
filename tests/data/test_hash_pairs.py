import numpy as np
import pytest

from headstart.data import hash_pairs
from headstart.data.hash_pairs import bit_counts, close_pairs


@pytest.fixture
def hashes():
    """Return 300 hashes, among them clusters with few differing bits."""
    random = np.random.default_rng(0)
    values = random.integers(0, 2**64, 100, np.uint64)
    flips = np.uint64(1) << random.integers(0, 64, (200, 4), np.uint64)
    near = values[random.integers(0, 20, 200)] ^ np.bitwise_or.reduce(flips, axis=1)
    return random.permutation(np.concatenate([values, near]))


def brute_force(hashes, bits):
    found = []
    for first, one in enumerate(hashes.tolist()):
        for second in range(first + 1, len(hashes)):
            distance = (one ^ int(hashes[second])).bit_count()
            if distance <= bits:
                found.append((first, second, distance))
    return found


@pytest.mark.parametrize("block", [(64, 8192), (7, 11), (300, 1)])
@pytest.mark.parametrize("bits", [0, 4, 10])
def test_pairs_are_those_of_brute_force(hashes, block, bits, monkeypatch):
    monkeypatch.setattr(hash_pairs, "_BLOCK", block)
    found = close_pairs(hashes, bits)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True))
    assert pairs == brute_force(hashes, bits)
    assert bits < 10 or len(pairs) > 500


def test_where_all_are_alike_each_keeps_its_nearest_partners():
    hashes = np.uint64(1) << (np.arange(64, dtype=np.uint64) // np.uint64(8))
    found = close_pairs(np.repeat(hashes, 2), 2)
    assert np.bincount(found.first).max() == hash_pairs.MOST_PARTNERS
    assert sorted(found.second[found.first == 0].tolist())[:15] == list(range(1, 16))


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_hashes_have_no_pairs(count):
    assert len(close_pairs(np.zeros(count, np.uint64), 10).first) == 0


def test_bits_are_counted_with_and_without_numpy_2():
    values = np.random.default_rng(1).integers(0, 2**64, (5, 7), np.uint64)
    expected = [[int(value).bit_count() for value in row] for row in values.tolist()]
    assert hash_pairs._counts_by_table(values).tolist() == bit_counts(values).tolist() == expected
