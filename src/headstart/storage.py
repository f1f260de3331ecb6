"""Keeping files: atomic writes, locks, checksums, and frozen dataclasses to and from plain JSON values."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import sys
import types
import typing
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")

RUN_MARKER = ".study"
"""The file by which a run folder is known; the pictures in such a folder are no data."""


def cache_folder() -> Path:
    """Return the cache folder: ``HEADSTART_CACHE``, else the platform's place for caches."""
    chosen = os.environ.get("HEADSTART_CACHE")
    if chosen:
        return Path(chosen)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "headstart" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "headstart"


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path`` for writing bytes; rename it to ``path`` when the block ends well.

    The file's mode follows the umask, as that of any new file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a crash leaves the old file or the new one, never half of one."""
    with atomic_file(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write a dataclass or plain value as indented JSON, atomically; NaN and infinity become null."""
    write_text(path, json_text(value) + "\n")


def json_text(value: object) -> str:
    """Return ``value`` (dataclasses allowed) as indented JSON text; NaN and infinity become null."""
    return json.dumps(to_plain(value), indent=1, ensure_ascii=False, allow_nan=False)


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(value: object) -> str:
    """Return the hex SHA-256 of a value's canonical JSON: the identity of settings and of units of work."""
    text = json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def to_plain(value: Any) -> Any:
    """Turn dataclasses, tuples, paths and NumPy scalars into plain JSON values.

    A field named ``class_`` becomes the key ``class``; NaN and infinity become None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name.rstrip("_"): to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def from_plain(kind: Any, value: Any) -> Any:
    """Build a value of type ``kind`` (dataclass, tuple, dict, optional, scalar) from plain JSON values.

    A null where a number must stand is the NaN that ``to_plain`` could not write.

    Raises:
        TypeError: a key is missing or unknown, or a value has the wrong type.
    """
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _dataclass_from_plain(typing.cast(type, kind), value)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        return None if value is None else from_plain(options[0], value)
    if origin is tuple:
        return tuple(from_plain(typing.get_args(kind)[0], item) for item in value)
    if origin is dict:
        return {key: from_plain(typing.get_args(kind)[1], item) for key, item in value.items()}
    if kind is float and value is None:
        return math.nan
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, received {value!r}")
    return value


def _dataclass_from_plain(kind: type[T], value: dict[str, Any]) -> T:
    hints = typing.get_type_hints(kind)
    known = {name.rstrip("_"): name for name in hints}
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise TypeError(f"{kind.__name__}: unknown key {unknown[0]!r}, perhaps of a newer headstart")
    return kind(**{known[key]: from_plain(hints[known[key]], item) for key, item in value.items()})


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[bool]:
    """Hold a lock file while the block runs; yield False at once when another process holds it.

    The operating system frees the lock when the process ends, however it ends. It is freed by name at the end of the
    block: a child process that was just forked still has the file open, and would hold it on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        free = _try_lock(stream)
        try:
            yield free
        finally:
            if free:
                _unlock(stream)


def _try_lock(stream: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(stream: IO[bytes]) -> None:
    # elsewhere closing the file is enough
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_UN)


def seed_from(*parts: object) -> int:
    """Return a seed in 0..2**31-1 that depends on all parts and on nothing else."""
    return int(digest_of([str(part) for part in parts])[:16], 16) % 2**31
