import dataclasses
import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import CacheError
from headstart.features import arrays
from headstart.features.cache import FeatureCache, Space

SPACE = Space(
    "mobilenet", "ab" * 32, "end", "average", "rgb", 224, 224, "stretch", 1, "pillow", "original", "openvino-1", "f32"
)


def keys_of(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, start + count)]


def values_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 7), np.float32)


def test_what_is_written_is_read_in_the_order_asked_for(tmp_path):
    cache, keys, values = FeatureCache(tmp_path), keys_of(10), values_of(10)
    cache.write(SPACE, keys[:6], values[:6])
    cache.write(SPACE, keys[6:], values[6:])
    order = [7, 0, 9, 0, 3]
    features, found = cache.read(SPACE, [keys[place] for place in order])
    assert found.all()
    np.testing.assert_array_equal(features, values[order])


def test_a_missing_image_is_told_apart(tmp_path):
    cache, keys = FeatureCache(tmp_path), keys_of(4)
    assert cache.read(SPACE, keys)[0] is None
    assert cache.missing(SPACE, keys) == 4
    cache.write(SPACE, keys[:3], values_of(3))
    assert cache.read(SPACE, keys)[1].tolist() == [True, True, True, False]
    assert cache.missing(SPACE, keys) == 1


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Space)])
def test_every_field_of_a_space_matters(tmp_path, field):
    cache, keys = FeatureCache(tmp_path), keys_of(1)
    cache.write(SPACE, keys, values_of(1))
    old = getattr(SPACE, field)
    other = dataclasses.replace(SPACE, **{field: old + 1 if isinstance(old, int) else old + "x"})
    assert cache.missing(other, keys) == 1
    assert cache.missing(SPACE, keys) == 0


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "foreign"])
def test_a_damaged_shard_counts_as_missing_and_is_removed(tmp_path, damage):
    cache, keys = FeatureCache(tmp_path), keys_of(5)
    cache.write(SPACE, keys[:3], values_of(3))
    cache.write(SPACE, keys[3:], values_of(2, seed=1))
    [victim] = [path for path in tmp_path.rglob("*.shard") if path.stat().st_size == 512 + 3 * (32 + 28)]
    content = bytearray(victim.read_bytes())
    content[-5] ^= 1
    pieces = {"cut": victim.read_bytes()[:-4], "flipped": bytes(content), "emptied": b"", "foreign": b"x" * 700}
    victim.write_bytes(pieces[damage])
    features, found = cache.read(SPACE, keys)
    assert found.tolist() == [False, False, False, True, True]
    np.testing.assert_array_equal(features[3:], values_of(2, seed=1))
    assert not victim.exists()


SHARD = 512 + 10 * (32 + 28)
"""Bytes of a shard of ten features."""


def fill_long_ago(folder: Path, shards: int) -> None:
    """Write shards of ten features as other studies did, the first before the second, and so on."""
    for number in range(shards):
        known = set(folder.rglob("*.shard"))
        FeatureCache(folder).write(SPACE, keys_of(10, 10 * number), values_of(10))
        [shard] = set(folder.rglob("*.shard")) - known
        os.utime(shard, (number, number))


def missing_of(folder: Path, shards: int) -> list[int]:
    return [FeatureCache(folder).missing(SPACE, keys_of(10, 10 * number)) for number in range(shards)]


def test_above_the_limit_the_longest_unused_goes_first(tmp_path):
    fill_long_ago(tmp_path, 3)
    FeatureCache(tmp_path).read(SPACE, keys_of(1, 0))  # another study uses the first again
    FeatureCache(tmp_path, limit_bytes=3 * SHARD).write(SPACE, keys_of(10, 30), values_of(10))
    assert missing_of(tmp_path, 4) == [0, 10, 0, 0]


@pytest.mark.parametrize("ask", [FeatureCache.read, FeatureCache.missing])
def test_what_a_study_asked_for_makes_no_room(tmp_path, ask):
    fill_long_ago(tmp_path, 3)
    cache = FeatureCache(tmp_path, limit_bytes=3 * SHARD)
    ask(cache, SPACE, keys_of(1, 0))
    cache.write(SPACE, keys_of(10, 30), values_of(10))
    cache.write(SPACE, keys_of(10, 40), values_of(10))
    assert missing_of(tmp_path, 5) == [0, 10, 10, 0, 0]


def test_what_finds_no_room_beside_what_is_in_use_is_not_kept(tmp_path):
    fill_long_ago(tmp_path, 1)
    cache = FeatureCache(tmp_path, limit_bytes=2 * SHARD)
    for number in range(1, 5):
        cache.write(SPACE, keys_of(10, 10 * number), values_of(10, seed=number))
    assert missing_of(tmp_path, 5) == [10, 0, 0, 10, 10]
    np.testing.assert_array_equal(cache.read(SPACE, keys_of(10, 10))[0], values_of(10, seed=1))
    cache.write(dataclasses.replace(SPACE, view="flip"), keys_of(40), values_of(40))
    assert missing_of(tmp_path, 3) == [10, 0, 0], "nothing goes for what cannot fit"


def test_features_too_large_for_the_memory_are_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "limit_bytes", lambda: 200)
    cache, keys, values = FeatureCache(tmp_path), keys_of(10), values_of(10)
    cache.write(SPACE, keys, values)
    features, found = cache.read(SPACE, keys[::-1])
    assert isinstance(features, np.memmap)
    assert found.all()
    np.testing.assert_array_equal(features, values[::-1])


def test_info_and_clear(tmp_path):
    cache = FeatureCache(tmp_path)
    assert cache.info() == ()
    cache.write(SPACE, keys_of(4), values_of(4))
    [info] = cache.info()
    assert info.features == 4
    assert info.description == "mobilenet 224x224 end average openvino-1 f32"
    part = next(tmp_path.rglob("*.shard")).with_name(".x.part")
    part.touch()
    assert cache.clear() >= info.size_bytes
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [part]  # it may be a running study's
    os.utime(part, (0, 0))
    assert cache.clear() == 0
    assert not part.exists()
    assert cache.info() == ()
    assert cache.missing(SPACE, keys_of(4)) == 4


def test_info_names_cuts_and_views(tmp_path):
    cache = FeatureCache(tmp_path)
    space = dataclasses.replace(SPACE, cut="layer 130", pooling="none", view="flip, seed 0, version 1")
    cache.write(space, keys_of(1), values_of(1))
    [info] = cache.info()
    assert info.description == "mobilenet 224x224 cut at layer 130 openvino-1 f32 view: flip, seed 0, version 1"


def test_info_counts_no_features_in_damaged_shards(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.write(SPACE, keys_of(4), values_of(4))
    [good] = tmp_path.rglob("*.shard")
    for name, content in (("empty", b""), ("foreign", b"x" * 700)):
        good.with_name(f"{name}.shard").write_bytes(content)
    (tmp_path / "features" / "foreign").mkdir()
    (tmp_path / "features" / "foreign" / "space.json").write_text("{")
    [info] = cache.info()
    assert (info.features, info.size_bytes) == (4, good.stat().st_size + 700)


def test_clear_while_others_write_and_clear(tmp_path):
    cache, keys, values = FeatureCache(tmp_path), keys_of(10), values_of(10)

    def write_and_look(number: int) -> bool:
        own = dataclasses.replace(SPACE, view=str(number % 3))
        cache.write(own, keys, values)
        cache.note_milliseconds_per_image(own, 1.0)
        cache.milliseconds_per_image(own)
        features, found = cache.read(own, keys)
        cache.info()
        return features is None or np.array_equal(features[found], values[found])

    with ThreadPoolExecutor(4) as pool:
        pairs = [(pool.submit(write_and_look, number), pool.submit(cache.clear)) for number in range(60)]
    assert all(write.result() for write, _ in pairs)
    assert sum(clear.result() for _, clear in pairs) > 0


def test_a_write_survives_that_its_folder_is_removed_meanwhile(tmp_path, monkeypatch):
    cache, replace, lost = FeatureCache(tmp_path), Path.replace, []

    def replace_once_cleared(self, target):
        if not lost and self.name.endswith(".part") and ".shard." in self.name:
            lost.append(self)
            shutil.rmtree(tmp_path / "features")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_once_cleared)
    cache.write(SPACE, keys_of(3), values_of(3))
    assert lost
    assert cache.missing(SPACE, keys_of(3)) == 0
    assert cache.info()[0].features == 3


def test_what_cannot_be_removed_stays(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    cache = FeatureCache(tmp_path)
    cache.write(SPACE, keys_of(3), values_of(3))
    for name in ("unlink", "rmdir"):
        monkeypatch.setattr(os, name, refuse)
    assert cache.clear() == 0
    assert cache.missing(SPACE, keys_of(3)) == 0


def test_shards_of_another_user_are_read_though_they_cannot_be_marked(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    cache = FeatureCache(tmp_path)
    cache.write(SPACE, keys_of(3), values_of(3))
    monkeypatch.setattr(os, "utime", refuse)
    assert cache.read(SPACE, keys_of(3))[1].all()


def test_several_writers_share_a_cache(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        for start in range(0, 80, 10):
            pool.submit(FeatureCache(tmp_path).write, SPACE, keys_of(10, start), values_of(10, seed=start))
    features, found = FeatureCache(tmp_path).read(SPACE, keys_of(80))
    assert found.all()
    np.testing.assert_array_equal(features, np.concatenate([values_of(10, seed=start) for start in range(0, 80, 10)]))


def test_the_limit_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "12345")
    assert FeatureCache(tmp_path).limit_bytes == 12345
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "much")
    with pytest.raises(CacheError, match="number of bytes"):
        FeatureCache(tmp_path)


def test_milliseconds_are_kept_per_space(tmp_path):
    cache = FeatureCache(tmp_path)
    assert cache.milliseconds_per_image(SPACE) is None
    cache.note_milliseconds_per_image(SPACE, 3.25)
    assert cache.milliseconds_per_image(SPACE) == 3.25


def test_what_is_made_of_a_network_is_made_once_and_again_where_it_is_damaged(tmp_path):
    store, made = FeatureCache(tmp_path), []

    def make():
        made.append(1)
        return b"graph"

    assert [store.kept(("graph", 1), make), store.kept(("graph", 1), make)] == [b"graph"] * 2
    assert len(made) == 1
    [file] = (store.folder / "networks").iterdir()
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert store.kept(("graph", 1), make) == b"graph"
    assert store.kept(("graph", 2), make) == b"graph"
    assert len(made) == 3
    assert [row.description for row in store.info()] == ["graphs and layers of networks"]
    assert store.clear() > 0
    assert store.info() == ()
