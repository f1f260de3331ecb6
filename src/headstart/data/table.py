"""The image table: one row per image, and where its bytes come from."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headstart.data.decode import Encoded, ImageFacts


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


@dataclass(frozen=True, slots=True)
class NearGroup:
    """Images that show the same picture, exact copies included; sorted paths.

    A group is ``joined``, so that no split takes it apart, unless it holds too much of a class.
    """

    paths: tuple[str, ...]
    joined: bool


class ImageSource(Protocol):
    """Where the images of a table lie."""

    def encoded(self, path: str) -> Encoded:
        """Return a file's bytes or decoded pixels; raises ImageError if they can no longer be read."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageTable:
    """All images of DATA.

    ``location`` is DATA as given, ``name`` a short form of it for folder names, ``classes`` the labels in natural order
    ("2" before "10"), ``rows`` sorted by path, set-aside ones included. ``facts`` maps the path of each readable image
    to what its decoding said; ``near`` are the groups of near duplicates; ``notes`` are sentences on what was found
    while reading.
    """

    location: str
    name: str
    classes: tuple[str, ...]
    rows: tuple[ImageRow, ...]
    source: ImageSource
    facts: Mapping[str, ImageFacts] = field(default_factory=dict)
    near: tuple[NearGroup, ...] = ()
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
        facts = self.facts.get(row.path)
        return facts.pixel_sha256 if facts else row.sha256

    def under_two_labels(self) -> set[str]:
        """Return the paths of images whose picture, or a joined near duplicate of it, stands under another label."""
        labels: dict[str, set[str]] = defaultdict(set)
        names = {path: group.paths[0] for group in self.near if group.joined for path in group.paths}
        pictures = {row.path: names.get(row.path, self.content(row)) for row in self.ok}
        for row in self.ok:
            labels[pictures[row.path]].add(row.label)
        return {path for path, picture in pictures.items() if len(labels[picture]) > 1}


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Return a sort key under which "2" comes before "10"."""
    parts = re.split(r"(\d+)", text)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], text


def natural_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct labels in natural order."""
    return tuple(sorted(set(labels), key=natural_key))
