"""Features on disk, found again by content.

A space is everything that decides a feature's value except the image. Each space has a folder; in it lie shards:
files of features with the images' SHA-256, written once, under a temporary name, then renamed. Several processes may
write to one space; a reader takes every whole shard it finds. Above the size limit the shards that were not used for
longest make room, but never those that a study asked for or wrote itself: what then finds no room is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.errors import CacheError
from headstart.features.arrays import new_array

DEFAULT_LIMIT_BYTES = 20 * 10**9
MAGIC = b"HSFEAT1\n"
SPACE_FILE, SPEED_FILE = "space.json", "milliseconds_per_image.json"
KEPT = "networks"
"""The folder of what is made of networks: graphs and tables of layers."""
KEY_BYTES = 32
ORIGINAL = "original"
"""The view that is no augmentation."""
ABANDONED_SECONDS = 3600
"""A half-written file older than this belongs to no running study."""
_HEADER_BYTES = 512
DIGEST_BYTES = 32
# what writing raises when another process removes the folder meanwhile; the second is mkdir's
_CLEARED = (FileNotFoundError, FileExistsError)


@dataclass(frozen=True, slots=True)
class Space:
    """Everything that decides a feature's value, except the image.

    ``weights`` is the SHA-256 of the pretrained file, or the seed and what turns it into weights; ``cut`` says where
    the trunk ends; ``decoder`` and ``engine`` name what decoded and what computed, with versions; ``view`` names the
    augmentation view.
    """

    backbone: str
    weights: str
    cut: str
    pooling: str
    preprocessing: str
    height: int
    width: int
    resize: str
    resize_version: int
    decoder: str
    view: str
    engine: str
    precision: str

    @property
    def id(self) -> str:
        """Hex name of the space: the first 32 digits of the SHA-256 of all its fields."""
        return storage.digest_of(self)[:32]


@dataclass(frozen=True, slots=True)
class SpaceInfo:
    """What one space holds: its description, number of features and bytes."""

    description: str
    features: int
    size_bytes: int


class FeatureCache:
    """All cached features below one folder.

    Args:
        folder: the cache folder; made when first written to.
        limit_bytes: what all shards may fill together; default 20 GB or ``HEADSTART_CACHE_LIMIT`` in bytes.
    """

    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        self.folder = folder / "features"
        self.limit_bytes = _limit_from_environment() if limit_bytes is None else limit_bytes
        self._in_use: set[Path] = set()
        # two threads that write at once would both take the last room
        self._writing = threading.Lock()

    def read(self, space: Space, keys: Sequence[str]) -> tuple[NDArray[np.generic] | None, NDArray[np.bool_]]:
        """Look up features by the images' hex SHA-256.

        Returns:
            Features ``(keys, ...)`` with undefined rows where nothing was found (None when the space is empty), and
            a mask ``(keys,)`` of what was found. Damaged shards are removed and count as not found. Features too
            large for the memory are mapped into it (``features.arrays``).
        """
        rows: dict[bytes, list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(bytes.fromhex(key), []).append(row)
        found = np.zeros(len(keys), bool)
        features: NDArray[np.generic] | None = None
        for path in _listed(self._folder(space), ".shard"):
            shard = _read_shard(path)
            if shard is None:
                continue
            pairs = [(row, index) for index, name in enumerate(shard.keys) for row in rows.get(name, ())]
            if not pairs:
                continue
            if features is None:
                features = new_array((len(keys), *shard.values.shape[1:]), shard.values.dtype)
            places, indices = zip(*pairs, strict=True)
            features[list(places)] = shard.values[list(indices)]
            found[list(places)] = True
            self._use(path)
        return features, found

    def missing(self, space: Space, keys: Sequence[str]) -> int:
        """Return how many of the images have no feature in the space, reading the shards' keys only.

        Whoever asks will want the others: they stay until this process ends.
        """
        wanted = {bytes.fromhex(key) for key in keys}
        missing = set(wanted)
        for path in _listed(self._folder(space), ".shard"):
            names = _read_keys(path)
            missing.difference_update(names)
            if not wanted.isdisjoint(names):
                self._in_use.add(path)
        return len(missing)

    def write(self, space: Space, keys: Sequence[str], values: NDArray[np.generic]) -> None:
        """Add one shard of features ``(keys, ...)``, unless what is in use leaves no room for it below the limit.

        Raises:
            CacheError: the folder cannot be written.
        """
        try:
            with self._writing:
                if self._make_room(_HEADER_BYTES + KEY_BYTES * len(keys) + values.nbytes):
                    self._add(space, keys, values)
        except OSError as error:
            raise CacheError(
                f"Cannot write to the cache {self.folder}: {error.strerror}. Free some space, or choose another "
                "folder with HEADSTART_CACHE."
            ) from error

    def _add(self, space: Space, keys: Sequence[str], values: NDArray[np.generic]) -> None:
        path = self._folder(space) / f"{uuid.uuid4().hex}.shard"
        self._in_use.add(path)
        try:
            self._add_shard(path, space, keys, values)
        except _CLEARED:
            self._add_shard(path, space, keys, values)

    def _add_shard(self, path: Path, space: Space, keys: Sequence[str], values: NDArray[np.generic]) -> None:
        if not (path.parent / SPACE_FILE).exists():
            storage.write_json(path.parent / SPACE_FILE, space)
        _write_shard(path, keys, values)

    def milliseconds_per_image(self, space: Space) -> float | None:
        """Return the time for one image that was noted for a space on this machine, or None."""
        try:
            return float(json.loads((self._folder(space) / SPEED_FILE).read_text("utf-8")))
        except FileNotFoundError:
            return None

    def note_milliseconds_per_image(self, space: Space, milliseconds: float) -> None:
        """Keep the measured time for one image beside the features."""
        with contextlib.suppress(*_CLEARED):
            storage.write_json(self._folder(space) / SPEED_FILE, milliseconds)

    def kept(self, key: object, make: Callable[[], bytes]) -> bytes:
        """Return what was made of a network once, with its checksum on disk; made again where it is missing or damaged.

        Args:
            key: everything that decides the bytes; part of it should be the versions of what makes them.
        """
        path = self.folder / KEPT / storage.digest_of(key)[:32]
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            if content[:DIGEST_BYTES] == hashlib.sha256(content[DIGEST_BYTES:]).digest():
                return content[DIGEST_BYTES:]
        made = make()
        # without it, it is made again the next time
        with contextlib.suppress(OSError):
            storage.write_bytes(path, hashlib.sha256(made).digest() + made)
        return made

    def _use(self, path: Path) -> None:
        self._in_use.add(path)
        with contextlib.suppress(OSError):  # another process evicted it meanwhile, or it is another user's
            os.utime(path)

    def _make_room(self, size: int) -> bool:
        """Remove the shards that were not used for longest until ``size`` bytes more fit; tell whether they do."""
        shards = [(stat.st_mtime_ns, stat.st_size, path) for path, stat in self._shards()]
        excess = sum(size for _, size, _ in shards) + size - self.limit_bytes
        removable = sorted(shard for shard in shards if shard[2] not in self._in_use)
        if excess > sum(size for _, size, _ in removable):
            return False
        for _, freed, path in removable:
            if excess <= 0:
                break
            with contextlib.suppress(OSError):  # it may be another user's
                path.unlink(missing_ok=True)
                excess -= freed
        return excess <= 0

    def info(self) -> tuple[SpaceInfo, ...]:
        """Return what each space holds; damaged shards have a size, but no features."""
        infos = []
        for folder in _listed(self.folder):
            try:
                space = json.loads((folder / SPACE_FILE).read_text("utf-8"))
            except (OSError, ValueError):  # another process cleared the cache meanwhile, or it is no space
                continue
            shards = list(_sized(folder))
            count = sum(len(_read_keys(shard)) for shard, _ in shards)
            size = sum(stat.st_size for _, stat in shards)
            infos.append(SpaceInfo(_description(space), count, size))
        if networks := _listed(self.folder / KEPT):
            infos.append(SpaceInfo("graphs and layers of networks", 0, sum(path.stat().st_size for path in networks)))
        return tuple(infos)

    def clear(self) -> int:
        """Remove all features; return the number of bytes freed.

        What a running study is writing stays, with the folders that it needs, and so does what cannot be removed.
        """
        freed = 0
        for folder in _listed(self.folder):
            for path in _listed(folder):
                with contextlib.suppress(OSError):
                    stat = path.stat()
                    if path.suffix != ".part" or stat.st_mtime < time.time() - ABANDONED_SECONDS:
                        path.unlink()
                        freed += stat.st_size
        return freed

    def _folder(self, space: Space) -> Path:
        return self.folder / space.id

    def _shards(self) -> Iterator[tuple[Path, os.stat_result]]:
        for folder in _listed(self.folder):
            yield from _sized(folder)


def _description(space: dict[str, Any]) -> str:
    """Return a space in words: what is the same in nearly all spaces is left out."""
    where = f"{space['cut']} {space['pooling']}" if space["cut"] == "end" else f"cut at {space['cut']}"
    words = [space["backbone"], f"{space['height']}x{space['width']}", where, space["engine"], space["precision"]]
    words += [f"view: {space['view']}"] if space["view"] != ORIGINAL else []
    return " ".join(words)


def _listed(folder: Path, ending: str = "") -> list[Path]:
    """Return what lies in a folder, in order; nothing where another process has removed it."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(ending))
    except OSError:
        return []


def _sized(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the shards of a space that are still there."""
    for path in _listed(folder, ".shard"):
        with contextlib.suppress(OSError):
            yield path, path.stat()


@dataclass(frozen=True, slots=True, eq=False)
class _Shard:
    keys: list[bytes]
    values: NDArray[np.generic]


def _write_shard(path: Path, keys: Sequence[str], values: NDArray[np.generic]) -> None:
    key_bytes = b"".join(bytes.fromhex(key) for key in keys)
    content = np.ascontiguousarray(values)
    header = {
        "count": len(keys),
        "shape": list(content.shape[1:]),
        "dtype": content.dtype.str,
        "crc32": zlib.crc32(content.data, zlib.crc32(key_bytes)),
    }
    text = (MAGIC + json.dumps(header).encode()).ljust(_HEADER_BYTES)
    with storage.atomic_file(path) as stream:
        stream.write(text)
        stream.write(key_bytes)
        stream.write(content.data)


def _read_header(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        text = stream.read(_HEADER_BYTES)
    if not text.startswith(MAGIC):
        raise ValueError("not a shard")
    header: dict[str, Any] = json.loads(text[len(MAGIC) :])
    return header


def _read_keys(path: Path) -> list[bytes]:
    try:
        count = _read_header(path)["count"]
        content = np.fromfile(path, np.uint8, count * KEY_BYTES, offset=_HEADER_BYTES).tobytes()
    except (OSError, ValueError, KeyError):
        return []
    return _split_keys(content)


def _split_keys(content: bytes) -> list[bytes]:
    return [content[at : at + KEY_BYTES] for at in range(0, len(content), KEY_BYTES)]


def _read_shard(path: Path) -> _Shard | None:
    """Read and check one shard; remove it and return None when it is damaged."""
    try:
        header = _read_header(path)
        content = np.fromfile(path, np.uint8, offset=_HEADER_BYTES)
        split = header["count"] * KEY_BYTES
        if zlib.crc32(content[split:].data, zlib.crc32(content[:split].data)) != header["crc32"]:
            raise ValueError("checksum")
        values = content[split:].view(header["dtype"]).reshape(header["count"], *header["shape"])
        keys = content[:split].tobytes()
    except FileNotFoundError:  # another process evicted it meanwhile
        return None
    except (ValueError, KeyError):
        path.unlink(missing_ok=True)
        return None
    return _Shard(_split_keys(keys), values)


def _limit_from_environment() -> int:
    text = os.environ.get("HEADSTART_CACHE_LIMIT", "")
    if not text:
        return DEFAULT_LIMIT_BYTES
    if not text.isdigit():
        raise CacheError(f"HEADSTART_CACHE_LIMIT must be a number of bytes. Received: {text!r}.")
    return int(text)
