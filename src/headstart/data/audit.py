"""What should be known of the images before a number is believed: ``audit.json``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from statistics import median_low

from headstart.data.concerns import concerns
from headstart.data.findings import Atypical, Audit, Leak, SetAside, Sizes, Span, WrongExtension
from headstart.data.listing import SPLITS
from headstart.data.look import SMALLEST_SIDE
from headstart.data.looks import blank, blurred, dark
from headstart.data.split import Splits
from headstart.data.table import ImageRow, ImageTable

__all__ = [
    "Atypical", "Audit", "Leak", "SetAside", "Sizes", "Span", "WrongExtension", "audit", "split_counts",
]  # fmt: skip

ALL = "all"
"""What counts call images of no given split."""

ELONGATED = 3
"""How many times the shorter side the longer one may be."""

_EXTENSIONS = {
    "JPEG": "jpg jpeg jpe jfif jif",
    "PNG": "png apng",
    "GIF": "gif",
    "WEBP": "webp",
    "TIFF": "tif tiff",
    "BMP": "bmp dib",
    "PPM": "ppm pgm pbm pnm",
    "AVIF": "avif",
    "HEIF": "heic heif hif",
}
FORMAT_OF_EXTENSION = {f".{one}": name for name, extensions in _EXTENSIONS.items() for one in extensions.split()}
"""Extension in lower case -> the format that it promises. Other extensions promise none."""


def audit(table: ImageTable, splits: Splits | None = None) -> Audit:
    """Return what was set aside, equal images, contradictory labels, leaks between given splits, looks, counts.

    Equal images have the same bytes or the same decoded pixels. Without ``splits`` the counts are those of the given
    ones, or of ``all`` images. With them, given validation images count as what they are used for.
    """
    if splits:
        table = _as_used(table, splits)
    equal = _equal_images(table)
    near = [group.paths for group in table.near]
    conflicts = _conflicts(table, equal)
    leaks = _leaks(table, equal)
    found = Audit(
        set_aside=tuple(SetAside(row.path, row.reason) for row in table.set_aside),
        exact_duplicates=_paths(equal),
        near_duplicates=tuple(near),
        label_conflicts=conflicts,
        leaks=leaks,
        counts=split_counts(table, splits) if splits else _given_counts(table),
        warnings=(),
        wrong_extensions=tuple(_wrong_extensions(table)),
        rotated=tuple(row.path for row in table.ok if row.path in table.facts and table.facts[row.path].rotated),
        colour_modes=_colour_modes(table),
        sizes=_sizes(table),
        dark=dark(table),
        blank=blank(table),
        blurred=blurred(table),
    )
    return replace(found, warnings=(*table.notes, *concerns(found, table)))


def _as_used(table: ImageTable, splits: Splits) -> ImageTable:
    """Return the table with given validation images in the part that they play: they may train or test instead."""
    used = {row.path: row.split for row in splits.rows}
    rows = (replace(row, split=used[row.path]) if row.split == "validation" and row.ok else row for row in table.rows)
    return replace(table, rows=tuple(rows))


def split_counts(table: ImageTable, splits: Splits) -> dict[str, dict[str, int]]:
    """Return split -> class -> number of images that take part, for the splits that have any."""
    counts = {split: dict.fromkeys(table.classes, 0) for split in SPLITS}
    for row in splits.rows:
        if row.ok:
            counts[row.split][row.label] += 1
    return {split: classes for split, classes in counts.items() if any(classes.values())}


def _given_counts(table: ImageTable) -> dict[str, dict[str, int]]:
    """Return given split -> class -> number of images, ``all`` for images without one."""
    counts = {split: dict.fromkeys(table.classes, 0) for split in (*SPLITS, ALL)}
    for row in table.ok:
        counts[row.split or ALL][row.label] += 1
    return {split: classes for split, classes in counts.items() if any(classes.values())}


def _equal_images(table: ImageTable) -> list[list[ImageRow]]:
    """Return the groups of at least two images with the same content, in order of their first path."""
    groups: dict[str, list[ImageRow]] = defaultdict(list)
    for row in table.ok:
        groups[table.content(row)].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def _paths(groups: list[list[ImageRow]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(row.path for row in rows) for rows in groups)


def _near_rows(table: ImageTable, *, joined: bool | None = None) -> list[list[ImageRow]]:
    """Return the rows of the groups of near duplicates, or of the joined ones alone."""
    rows = {row.path: row for row in table.ok}
    groups = [group for group in table.near if joined is None or group.joined == joined]
    return [[rows[path] for path in group.paths] for group in groups]


def _conflicts(table: ImageTable, equal: list[list[ImageRow]]) -> tuple[tuple[str, ...], ...]:
    """Return the pictures under more than one label; exact copies of near duplicates stand in one entry with them."""
    near = [rows for rows in _near_rows(table, joined=True) if len({row.label for row in rows}) > 1]
    inside = {row.path for rows in near for row in rows}
    exact = [rows for rows in equal if len({row.label for row in rows}) > 1 and rows[0].path not in inside]
    return tuple(sorted(_paths(exact + near)))


def _leaks(table: ImageTable, equal: list[list[ImageRow]]) -> tuple[Leak, ...]:
    """Return the groups of equal and of nearly equal images that span given splits."""
    kinds = [("exact", rows) for rows in equal] + [("near", rows) for rows in _near_rows(table)]
    return tuple(_leak(kind, rows) for kind, rows in kinds if len({row.split for row in rows}) > 1)


def _leak(kind: str, rows: list[ImageRow]) -> Leak:
    there = {row.split for row in rows}
    return Leak(kind, tuple(row.path for row in rows), tuple(split for split in SPLITS if split in there))


def _wrong_extensions(table: ImageTable) -> Iterator[WrongExtension]:
    for row in table.ok:
        claimed = FORMAT_OF_EXTENSION.get(PurePosixPath(row.path).suffix.lower())
        facts = table.facts.get(row.path)
        if claimed and facts and facts.format not in (claimed, "array"):
            yield WrongExtension(row.path, facts.format)


def _colour_modes(table: ImageTable) -> dict[str, int]:
    """Return colour mode -> number of images, the commonest first."""
    modes = Counter(table.facts[row.path].mode for row in table.ok if row.path in table.facts)
    return dict(sorted(modes.items(), key=lambda item: (-item[1], item[0])))


def _sizes(table: ImageTable) -> Sizes:
    rows = table.ok
    elongated = (row.path for row in rows if max(row.width, row.height) > ELONGATED * min(row.width, row.height))
    return Sizes(
        width=_span([row.width for row in rows]),
        height=_span([row.height for row in rows]),
        shapes=len({(row.width, row.height) for row in rows}),
        small=sum(min(row.width, row.height) < SMALLEST_SIDE for row in rows),
        elongated=tuple(elongated),
    )


def _span(values: list[int]) -> Span:
    return Span(min(values), median_low(values), max(values))
