import gc

import numpy as np
import pytest

from headstart.errors import CacheError
from headstart.features import arrays


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(arrays, "limit_bytes", lambda: 1000)
    monkeypatch.setattr(arrays, "_in_memory", [])


def test_what_fits_is_in_memory_and_what_does_not_in_a_file(small_limit):
    small, large = arrays.new_array((10, 25), np.float32), arrays.new_array((10, 26), np.float32)
    assert (type(small), type(large)) == (np.ndarray, np.memmap)
    assert (small.shape, large.shape, large.dtype) == ((10, 25), (10, 26), np.float32)
    large[:] = np.arange(260).reshape(10, 26)
    np.testing.assert_array_equal(large[[9, 0], 3], [237, 3])


def test_arrays_in_use_count_together(small_limit):
    first = arrays.new_array((600,), np.uint8)
    assert isinstance(arrays.new_array((600,), np.uint8), np.memmap)
    rows = first[:10]
    del first
    gc.collect()
    assert isinstance(arrays.new_array((600,), np.uint8), np.memmap), "a part of an array holds all of it"
    del rows
    gc.collect()
    assert not isinstance(arrays.new_array((600,), np.uint8), np.memmap)


def test_a_file_vanishes(small_limit, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    large = arrays.new_array((2000,), np.uint8)
    large[:] = 7
    assert list((tmp_path / "cache").iterdir()) == []
    assert large.sum() == 14_000


def test_the_temporary_folder_serves_where_the_cache_cannot_be_written(small_limit, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file" / "cache"))
    assert isinstance(arrays.new_array((2000,), np.uint8), np.memmap)


def test_a_full_disk_is_said(small_limit, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    with pytest.raises(CacheError, match=r"of 2\.0 GB cannot be made in .*No space left on device"):
        arrays.new_array((2 * 10**9,), np.uint8)


def test_the_limit_is_a_fourth_of_the_memory_and_at_least_a_gigabyte(monkeypatch):
    for memory, limit in [(None, 10**9), (10**9, 10**9), (8 * 10**9, 2 * 10**9)]:
        monkeypatch.setattr(arrays, "memory_bytes", lambda memory=memory: memory)
        assert arrays.limit_bytes() == limit


def test_joined_is_one_array(small_limit):
    parts = [np.arange(count * 60, dtype=np.float32).reshape(count, 3, 20) for count in (3, 1, 2)]
    whole = arrays.joined(parts)
    assert isinstance(whole, np.memmap)
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert arrays.joined(parts[:1]) is parts[0]
