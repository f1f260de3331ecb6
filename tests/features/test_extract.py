import dataclasses
import hashlib
import threading

import numpy as np
import pytest

from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features.cache import FeatureCache, Space
from headstart.features.extract import ImageSet, Request, decode_all, extract, run_batches

SIZE = Resize(6, 6)
SPACE = Space("tiny", "0", "end", "average", "rgb", 6, 6, "stretch", 1, "pillow", "original", "test-1", "f32")


class CountingTrunk:
    """Mean and position-weighted mean of each channel; counts the images it sees."""

    batch_size, workers = 4, 2

    def __init__(self) -> None:
        self.seen = 0
        self._lock = threading.Lock()

    def run(self, pixels: np.ndarray) -> np.ndarray:
        with self._lock:
            self.seen += len(pixels)
        ramp = np.arange(36, dtype=np.float32).reshape(6, 6, 1)
        return np.concatenate([pixels.mean((1, 2)), (pixels * ramp).mean((1, 2))], axis=1).astype(np.float32)


def image_set(count: int) -> tuple[ImageSet, list[np.ndarray]]:
    random = np.random.default_rng(1)
    arrays = [random.integers(0, 256, (9 + number % 3, 8, 3), np.uint8) for number in range(count)]
    keys = tuple(hashlib.sha256(array.tobytes()).hexdigest() for array in arrays)
    return ImageSet(keys, lambda index: arrays[index]), arrays


def expected_features(arrays: list[np.ndarray]) -> np.ndarray:
    return CountingTrunk().run(np.stack([decode.load(array, SIZE) for array in arrays]))


def test_features_come_in_order_and_from_the_cache_the_second_time(tmp_path):
    images, arrays = image_set(23)
    trunk = CountingTrunk()
    request = Request(SPACE, lambda: trunk)
    [(features, first)] = extract(images, [request], FeatureCache(tmp_path), size=SIZE)
    np.testing.assert_array_equal(features, expected_features(arrays))
    [(again, second)] = extract(images, [request], FeatureCache(tmp_path), size=SIZE)
    np.testing.assert_array_equal(again, features)
    assert (first.cached, second.cached, trunk.seen) == (0, 23, 23)


def test_the_same_image_twice_is_computed_once(tmp_path):
    images, arrays = image_set(5)
    twice = ImageSet(images.keys + images.keys[:2], lambda index: arrays[index % 5])
    trunk = CountingTrunk()
    [(features, _)] = extract(twice, [Request(SPACE, lambda: trunk)], FeatureCache(tmp_path), size=SIZE)
    np.testing.assert_array_equal(features[5:], features[:2])
    assert trunk.seen == 5


def test_two_trunks_share_one_decoding_and_fill_what_each_lacks(tmp_path):
    images, arrays = image_set(10)
    cache, other = FeatureCache(tmp_path), dataclasses.replace(SPACE, backbone="other")
    extract(ImageSet(images.keys[:4], images.encoded), [Request(SPACE, CountingTrunk)], cache, size=SIZE)
    decoded: list[int] = []

    def encoded(index: int) -> np.ndarray:
        decoded.append(index)
        return arrays[index]

    trunks = CountingTrunk(), CountingTrunk()
    requests = [Request(SPACE, lambda: trunks[0]), Request(other, lambda: trunks[1])]
    results = extract(ImageSet(images.keys, encoded), requests, cache, size=SIZE)
    for features, _ in results:
        np.testing.assert_array_equal(features, expected_features(arrays))
    assert sorted(decoded) == list(range(10))
    assert [trunk.seen for trunk in trunks] == [6, 10]


def test_a_trunk_is_not_built_when_nothing_is_missing(tmp_path):
    images, _ = image_set(3)
    extract(images, [Request(SPACE, CountingTrunk)], FeatureCache(tmp_path), size=SIZE)

    def fail() -> CountingTrunk:
        raise AssertionError("built although everything is cached")

    [(features, extraction)] = extract(images, [Request(SPACE, fail)], FeatureCache(tmp_path), size=SIZE)
    assert len(features) == extraction.cached == 3


def test_what_was_done_before_an_error_is_kept(tmp_path):
    images, arrays = image_set(40)

    def encoded(index: int) -> np.ndarray:
        if index == 39:
            raise OSError("the disk is gone")
        return arrays[index]

    with pytest.raises(OSError, match="the disk is gone"):
        extract(ImageSet(images.keys, encoded), [Request(SPACE, CountingTrunk)], FeatureCache(tmp_path), size=SIZE)
    trunk = CountingTrunk()
    [(features, extraction)] = extract(images, [Request(SPACE, lambda: trunk)], FeatureCache(tmp_path), size=SIZE)
    assert extraction.cached >= 32
    assert trunk.seen == 40 - extraction.cached
    np.testing.assert_array_equal(features, expected_features(arrays))


def test_run_batches_covers_every_index_once():
    seen: list[int] = []
    run_batches(
        range(3, 24),
        lambda index: np.full((1, 1, 3), index, np.uint8),
        lambda indices, pixels: seen.extend(pixels[:, 0, 0, 0].tolist()) if len(indices) <= 4 else None,
        batch_size=4,
        workers=3,
    )
    assert sorted(seen) == list(range(3, 24))


def test_decode_all_equals_decoding_one_by_one():
    images, arrays = image_set(7)
    np.testing.assert_array_equal(decode_all(images, SIZE), np.stack([decode.load(array, SIZE) for array in arrays]))
