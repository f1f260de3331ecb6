"""The image table: one row per image, and where its bytes come from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headstart.data.decode import Encoded


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image: the nine columns of ``images.csv``.

    ``path`` is relative to DATA with forward slashes (``file#index`` inside an IDX file). ``status`` is ``ok`` or
    ``set_aside``, then with a ``reason``. ``width`` and ``height`` are pixels after EXIF orientation. ``group`` is
    empty for an image that stands alone. ``split`` is the given one or empty before splitting, afterwards ``train``,
    ``validation``, ``test`` or ``excluded``.
    """

    path: str
    label: str
    sha256: str
    width: int
    height: int
    status: str
    reason: str
    group: str
    split: str

    @property
    def ok(self) -> bool:
        """Whether the image takes part."""
        return self.status == "ok"


class ImageSource(Protocol):
    """Where the images of a table lie."""

    def encoded(self, path: str) -> Encoded:
        """Return a file's bytes or decoded pixels; raises ImageError if they can no longer be read."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageTable:
    """All images of DATA.

    ``location`` is DATA as given, ``name`` a short form of it for folder names, ``classes`` the labels in natural order
    ("2" before "10"), ``rows`` sorted by path, set-aside ones included. ``pixel_sha256`` maps the path of each readable
    image to the hash of its decoded pixels; ``notes`` are sentences on what was found while reading.
    """

    location: str
    name: str
    classes: tuple[str, ...]
    rows: tuple[ImageRow, ...]
    source: ImageSource
    pixel_sha256: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> tuple[ImageRow, ...]:
        """The rows that take part."""
        return tuple(row for row in self.rows if row.ok)

    @property
    def set_aside(self) -> tuple[ImageRow, ...]:
        """The rows that do not take part, each with its reason."""
        return tuple(row for row in self.rows if not row.ok)

    @property
    def counts(self) -> dict[str, int]:
        """Class -> number of images that take part."""
        counts = dict.fromkeys(self.classes, 0)
        for row in self.ok:
            counts[row.label] += 1
        return counts

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 over path, label, sha256, given split and group of all rows."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(json.dumps([row.path, row.label, row.sha256, row.split, row.group]).encode() + b"\n")
        return digest.hexdigest()

    def encoded(self, row: ImageRow) -> Encoded:
        """Return the bytes (or decoded pixels) of a row: what ``decode.load`` takes."""
        return self.source.encoded(row.path)

    def content(self, row: ImageRow) -> str:
        """Return the identity of what is seen on an image: its pixel hash, or its sha256 where there is none."""
        return self.pixel_sha256.get(row.path, row.sha256)


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Return a sort key under which "2" comes before "10"."""
    parts = re.split(r"(\d+)", text)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], text


def natural_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct labels in natural order."""
    return tuple(sorted(set(labels), key=natural_key))
