"""Facts about every image: hashes, sizes, camera, looks; from a full decode in threads, remembered by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headstart import storage
from headstart.data import decode, image_file
from headstart.data.decode import ImageFacts
from headstart.data.listing import ArraySource, Entry, FileSource, Listing
from headstart.data.look import Look
from headstart.data.memory import remember, remembered
from headstart.errors import ImageError
from headstart.machine import core_count
from headstart.progress import Progress

FACTS_VERSION = 3
"""Raised whenever the same bytes would give other facts."""

_BATCH = 1000
"""Images per batch: what a killed scan does again at most, and what bounds its memory."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one image's bytes say: ``image``, or the ``reason`` why it is not readable.

    ``sha256`` is empty if nothing was read.
    """

    sha256: str
    reason: str = ""
    image: ImageFacts | None = None


def scan(listing: Listing, *, cache: Path | None, progress: Progress) -> tuple[Facts, ...]:
    """Return the facts of every entry, in the same order.

    Files that ``cache`` (a folder, or None for no memory) knows by content are hashed but not decoded again.
    """
    files = isinstance(listing.source, FileSource)
    folder = cache / "facts" / f"v{FACTS_VERSION}-{decode.decoders()}" if cache and files else None
    known = _known(folder)
    examine = _examiner(listing, known)
    found: list[Facts] = []
    with (
        ThreadPoolExecutor(core_count()) as pool,
        progress.track("Reading images", total=len(listing.entries), unit="images") as done,
    ):
        # threads pay where files are read and decoded; for small arrays they would only wait for Python's lock
        run = pool.map if files else map
        for batch in _batches(listing.entries):
            facts = []
            for item in run(examine, batch):
                facts.append(item)
                done(1)
            if folder:
                _remember(folder, facts, known)
            found += facts
    return tuple(found)


def _examiner(listing: Listing, known: dict[str, Facts]) -> Callable[[Entry], Facts]:
    if isinstance(listing.source, FileSource):
        return partial(_examine_file, source=listing.source, known=known)
    if isinstance(listing.source, ArraySource):
        return partial(_examine_array, source=listing.source)
    raise TypeError(f"Unknown source of images: {listing.source!r}")


def _examine_file(entry: Entry, *, source: FileSource, known: dict[str, Facts]) -> Facts:
    if entry.reason:
        return Facts("", entry.reason)
    file = source.file(entry.path)
    try:
        content = image_file.read(file)
    except ImageError as error:
        return Facts(_hash(file), str(error))
    except OSError as error:
        return Facts("", f"cannot be read: {error.strerror or error}")
    sha256 = hashlib.sha256(content).hexdigest()
    return known.get(sha256) or _decoded(content, sha256)


def _hash(file: Path) -> str:
    """Return the hash of what is no image, read piece by piece; empty where it is no file or cannot be read."""
    try:
        return storage.sha256_of(file) if file.is_file() else ""
    except OSError:
        return ""


def _examine_array(entry: Entry, *, source: ArraySource) -> Facts:
    if entry.reason:
        return Facts("", entry.reason)
    image = source.encoded(entry.path)
    return _decoded(image, hashlib.sha256(image.tobytes()).hexdigest())


def _decoded(encoded: decode.Encoded, sha256: str) -> Facts:
    try:
        return Facts(sha256, "", decode.inspect(encoded))
    except ImageError as error:
        return Facts(sha256, str(error))


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]


def _known(folder: Path | None) -> dict[str, Facts]:
    """Return sha256 -> facts from the memory."""
    known: dict[str, Facts] = {}
    for value in remembered(folder):
        try:
            facts = _facts_of(**value)
        except (TypeError, KeyError):
            continue
        known[facts.sha256] = facts
    return known


def _facts_of(sha256: str, reason: str, image: dict[str, Any] | None) -> Facts:
    if image is None:
        return Facts(sha256, reason)
    return Facts(sha256, reason, ImageFacts(**{**image, "look": Look(**image["look"])}))


def _remember(folder: Path, facts: Iterable[Facts], known: dict[str, Facts]) -> None:
    """Add what is new to the memory; images that only lacked memory to be decoded may succeed the next time."""
    new = {item.sha256: item for item in facts if item.sha256 not in known and item.sha256}
    lasting = [item for item in new.values() if item.reason != decode.OUT_OF_MEMORY]
    known.update((item.sha256, item) for item in lasting)
    remember(folder, (asdict(item) for item in lasting))
