"""What should be known of the images before a number is believed: ``audit.json``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from headstart.data.listing import SPLITS, shown
from headstart.data.split import Splits
from headstart.data.table import ImageRow, ImageTable

IMBALANCE = 5
"""How many times the smallest class the largest may be without a warning."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that takes no part, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Leak:
    """Equal images in more than one of the given splits; ``kind`` is ``exact`` or ``near``."""

    kind: str
    paths: tuple[str, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole of ``audit.json``; groups of paths are sorted. ``counts`` maps split to class to number of images."""

    set_aside: tuple[SetAside, ...]
    exact_duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    label_conflicts: tuple[tuple[str, ...], ...]
    leaks: tuple[Leak, ...]
    counts: dict[str, dict[str, int]]
    warnings: tuple[str, ...]


def audit(table: ImageTable, splits: Splits) -> Audit:
    """Return what was set aside, equal images, labels that contradict each other, leaks between given splits, counts.

    Equal images have the same bytes or the same decoded pixels.
    """
    equal = _equal_images(table)
    conflicts = [rows for rows in equal if len({row.label for row in rows}) > 1]
    leaks = tuple(_leak(rows) for rows in equal if len({row.split for row in rows}) > 1)
    return Audit(
        set_aside=tuple(SetAside(row.path, row.reason) for row in table.set_aside),
        exact_duplicates=_paths(equal),
        near_duplicates=(),
        label_conflicts=_paths(conflicts),
        leaks=leaks,
        counts=split_counts(table, splits),
        warnings=(*table.notes, *_warnings(table, len(equal), len(conflicts), leaks)),
    )


def split_counts(table: ImageTable, splits: Splits) -> dict[str, dict[str, int]]:
    """Return split -> class -> number of images that take part, for the splits that have any."""
    counts = {split: dict.fromkeys(table.classes, 0) for split in SPLITS}
    for row in splits.rows:
        if row.ok:
            counts[row.split][row.label] += 1
    return {split: classes for split, classes in counts.items() if any(classes.values())}


def _equal_images(table: ImageTable) -> list[list[ImageRow]]:
    """Return the groups of at least two images with the same content, in order of their first path."""
    groups: dict[str, list[ImageRow]] = defaultdict(list)
    for row in table.ok:
        groups[table.content(row)].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def _paths(groups: list[list[ImageRow]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(row.path for row in rows) for rows in groups)


def _leak(rows: list[ImageRow]) -> Leak:
    there = {row.split for row in rows}
    return Leak("exact", tuple(row.path for row in rows), tuple(split for split in SPLITS if split in there))


def _warnings(table: ImageTable, equal: int, conflicts: int, leaks: tuple[Leak, ...]) -> list[str]:
    warnings = []
    if table.set_aside:
        first = [f"{row.path}: {row.reason}" for row in table.set_aside]
        warnings.append(f"{_count(len(first), 'file')} set aside ({shown(first)}).")
    if equal:
        warnings.append(f"{_count(equal, 'group')} of equal images; headstart itself splits none of them.")
    if conflicts:
        warnings.append(f"{_count(conflicts, 'picture')} under more than one label: correct the labels or remove them.")
    if leaks:
        warnings.append(f"{_count(len(leaks), 'group')} of equal images in more than one given split: numbers flatter.")
    counts = table.counts
    small, large = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[large] >= IMBALANCE * counts[small]:
        warnings.append(
            f"The classes are uneven: {large!r} has {counts[large]:,} images, {small!r} only {counts[small]:,}. "
            "Look at the balanced accuracy."
        )
    return warnings


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
