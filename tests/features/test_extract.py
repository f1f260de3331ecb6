import dataclasses
import hashlib
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features import arrays as memory
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


def darker(pixels: np.ndarray, positions: Sequence[int]) -> np.ndarray:
    """A view that depends on the image's position."""
    return np.stack([image // (2 + position) for image, position in zip(pixels, positions, strict=True)])


def of_view(arrays: list[np.ndarray], rows: Sequence[int]) -> np.ndarray:
    pixels = np.stack([decode.load(arrays[row], SIZE) for row in rows])
    return CountingTrunk().run(darker(pixels, rows))


DARKER = dataclasses.replace(SPACE, view="darker")


def test_views_of_some_rows_equal_direct_computation(tmp_path):
    images, arrays = image_set(11)
    decoded: list[int] = []

    def encoded(index: int) -> np.ndarray:
        decoded.append(index)
        return arrays[index]

    rows = [7, 2, 10, 3, 9]
    trunks = CountingTrunk(), CountingTrunk()
    requests = [Request(SPACE, lambda: trunks[0]), Request(DARKER, lambda: trunks[1], view=darker, rows=rows)]
    (plain, _), (changed, extraction) = extract(
        ImageSet(images.keys, encoded), requests, FeatureCache(tmp_path), size=SIZE
    )
    np.testing.assert_array_equal(plain, expected_features(arrays))
    np.testing.assert_array_equal(changed, of_view(arrays, rows))
    assert sorted(decoded) == list(range(11))
    assert [trunk.seen for trunk in trunks] == [11, 5]
    assert (extraction.images, extraction.cached) == (5, 0)


def test_only_the_missing_rows_of_a_view_are_decoded_and_computed(tmp_path):
    images, arrays = image_set(9)
    cache = FeatureCache(tmp_path)
    extract(images, [Request(DARKER, CountingTrunk, view=darker, rows=[4, 1])], cache, size=SIZE)
    decoded: list[int] = []

    def encoded(index: int) -> np.ndarray:
        decoded.append(index)
        return arrays[index]

    trunk = CountingTrunk()
    request = Request(DARKER, lambda: trunk, view=darker, rows=np.array([8, 4, 0, 1]))
    [(features, extraction)] = extract(ImageSet(images.keys, encoded), [request], cache, size=SIZE)
    np.testing.assert_array_equal(features, of_view(arrays, [8, 4, 0, 1]))
    assert (sorted(decoded), trunk.seen, extraction.cached) == ([0, 8], 2, 2)


def test_trunks_that_want_the_same_view_share_its_work(tmp_path):
    images, arrays = image_set(10)
    seen: list[int] = []

    def counted(pixels: np.ndarray, positions: Sequence[int]) -> np.ndarray:
        seen.extend(positions)
        return darker(pixels, positions)

    spaces = [dataclasses.replace(DARKER, backbone=name) for name in ("one", "other")]
    rows = [[0, 5, 6], [1, 5, 9]]
    requests = [
        Request(space, CountingTrunk, view=counted, rows=wanted) for space, wanted in zip(spaces, rows, strict=True)
    ]
    results = extract(images, requests, FeatureCache(tmp_path), size=SIZE)
    for (features, _), wanted in zip(results, rows, strict=True):
        np.testing.assert_array_equal(features, of_view(arrays, wanted))
    assert sorted(seen) == [0, 1, 5, 6, 9]


def test_two_requests_for_one_space_are_one(tmp_path):
    images, _ = image_set(6)
    trunks = CountingTrunk(), CountingTrunk()
    requests = [Request(SPACE, lambda: trunks[0]), Request(SPACE, lambda: trunks[1])]
    (first, cost), (second, free) = extract(images, requests, FeatureCache(tmp_path), size=SIZE)
    assert first is second
    assert [trunk.seen for trunk in trunks] == [6, 0]
    assert (cost.cached, free.cached, free.seconds) == (0, 6, 0.0)


def test_shards_hold_so_many_images_and_bytes(tmp_path, monkeypatch):
    images, arrays = image_set(20)
    for images_each, bytes_each, counts in [(512, 6 * 24, [2, 6, 6, 6]), (4, 10**6, [4] * 5), (512, 1, [1] * 20)]:
        folder = tmp_path / str(bytes_each)
        monkeypatch.setattr("headstart.features.extract.SHARD_IMAGES", images_each)
        monkeypatch.setattr("headstart.features.extract.SHARD_BYTES", bytes_each)
        [(features, _)] = extract(images, [Request(SPACE, CountingTrunk)], FeatureCache(folder), size=SIZE)
        sizes = sorted(path.stat().st_size - 512 for path in folder.rglob("*.shard"))
        assert [size // (32 + 24) for size in sizes] == counts
        np.testing.assert_array_equal(features, expected_features(arrays))


def test_features_too_large_for_memory_and_cache_still_come(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "limit_bytes", lambda: 0)
    monkeypatch.setattr("headstart.features.extract.SHARD_IMAGES", 5)
    images, arrays = image_set(23)
    cache = FeatureCache(tmp_path, limit_bytes=2 * (512 + 5 * (32 + 24)))
    for cached in (0, 10, 10):
        [(features, extraction)] = extract(images, [Request(SPACE, CountingTrunk)], cache, size=SIZE)
        assert isinstance(features, np.memmap)
        np.testing.assert_array_equal(features, expected_features(arrays))
        assert extraction.cached == cached
        cache = FeatureCache(tmp_path, limit_bytes=cache.limit_bytes)


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


def test_pixels_too_large_for_the_memory_are_mapped(monkeypatch):
    monkeypatch.setattr(memory, "limit_bytes", lambda: 0)
    images, arrays = image_set(4)
    pixels = decode_all(images, SIZE)
    assert isinstance(pixels, np.memmap)
    np.testing.assert_array_equal(pixels, np.stack([decode.load(array, SIZE) for array in arrays]))
