"""From what DATA lists and what its images say to the image table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from headstart.data.facts import Facts
from headstart.data.groups import Member, group_ids
from headstart.data.listing import SPLITS, Entry, Listing, shown
from headstart.data.rules import corrected_labels, label_of, merged_labels
from headstart.data.subset import limited
from headstart.data.table import ImageRow, ImageTable, NearGroup, natural_order
from headstart.errors import DataError
from headstart.recipe import DataRules

AS_FOUND = DataRules()
"""The rules that change nothing."""


def assemble(
    listing: Listing,
    facts: Sequence[Facts],
    rules: DataRules = AS_FOUND,
    near: Sequence[NearGroup] = (),
    *,
    strict: bool = True,
) -> ImageTable:
    """Return the image table of a listing and the facts of its entries, in the same order.

    Groups are made from the labels as found; classes bear the names of ``rules.class_names``, and images with a
    corrected label that one. ``near`` are the groups of near duplicates; those that are joined are never split. Classes
    below ``rules.min_images_per_class`` are no part of the table, and ``rules.pool`` forgets the given splits. Without
    ``strict``, what no study can learn from is noted and not refused, if there is a readable image at all.

    Raises:
        DataError: there is no readable image at all or in a class, or there is only one class (left).
        UsageError: ``rules.limit`` is below the number of classes.
    """
    pairs = sorted(zip(listing.entries, facts, strict=True), key=lambda pair: pair[0].path)
    readable = [(entry, fact) for entry, fact in pairs if not fact.reason]
    groups = _groups(readable, rules.group_by, near)
    found = tuple(_row(entry, fact, label_of(entry, rules), groups.get(entry.path, "")) for entry, fact in pairs)
    rows = tuple(replace(row, split="") for row in found) if rules.pool else found
    within = limited(rows, rules.limit)
    small = _small_classes(within, rules.min_images_per_class)
    kept = tuple(row for row in within if row.label not in small)
    classes, problem = _classes(kept, listing.location, small)
    if problem and strict:
        raise DataError(problem)
    images = {entry.path: fact.image for entry, fact in readable if fact.image}
    return ImageTable(
        location=listing.location,
        name=re.sub(r"[^\w.-]+", "-", listing.name).strip("-.") or "images",
        classes=classes,
        rows=kept,
        source=listing.source,
        facts={row.path: images[row.path] for row in kept if row.ok},
        near=_within(near, kept),
        notes=(
            *listing.notes,
            *([problem] if problem else []),
            *_notes(listing, rules, found, within),
            *_left_out(small, rules.min_images_per_class),
        ),
    )


def _notes(listing: Listing, rules: DataRules, rows: tuple[ImageRow, ...], kept: tuple[ImageRow, ...]) -> Iterator[str]:
    """Say what the rules did."""
    yield from merged_labels(listing, rules.class_names)
    yield from corrected_labels(listing, rules)
    if rules.group_by and not any(row.group for row in rows):
        yield f"--group-by {rules.group_by} joined no images."
    if rules.pool:
        yield _pooled(rows)
    if len(kept) < len(rows):
        beyond = len(rows) - len(kept)
        there = beyond + rules.limit
        yield f"{beyond:,} of {there:,} images to learn from were left out: the limit is {rules.limit:,}."


def _pooled(rows: Sequence[ImageRow]) -> str:
    """Say from which given splits the images come."""
    counts = Counter(row.split for row in rows if row.ok)
    if not any(counts):
        return "--pool changed nothing: no splits are given."
    given = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if counts[split])
    return f"The given splits were put together, to be cut anew: {given} images."


def _small_classes(rows: Sequence[ImageRow], least: int) -> dict[str, int]:
    """Return the classes with fewer than ``least`` images to learn from, and how many they have."""
    counts = dict.fromkeys(natural_order(row.label for row in rows if row.label), 0)
    counts |= Counter(row.label for row in rows if row.ok and row.split != "test")
    return {name: count for name, count in counts.items() if count < least}


def _left_out(small: Mapping[str, int], least: int) -> Iterator[str]:
    if small:
        named = shown([f"{name}: {count}" for name, count in small.items()], 10)
        noun = "class was" if len(small) == 1 else "classes were"
        yield f"{len(small)} {noun} left out, with fewer than {least} images to learn from ({named})."


def _groups(readable: list[tuple[Entry, Facts]], group_by: str, near: Sequence[NearGroup]) -> dict[str, str]:
    """Return path -> group for the readable images."""
    names = {path: group.paths[0] for group in near if group.joined for path in group.paths}
    members = [
        Member(
            entry.path,
            entry.label,
            fact.sha256,
            fact.image.pixel_sha256,
            declared=entry.group,
            taken_at=fact.image.taken_at,
            camera=fact.image.camera,
            near=names.get(entry.path, ""),
        )
        for entry, fact in readable
        if fact.image
    ]
    ids = group_ids(members, group_by)
    return {member.path: group for member, group in zip(members, ids, strict=True)}


def _within(near: Sequence[NearGroup], rows: Sequence[ImageRow]) -> tuple[NearGroup, ...]:
    """Return the groups of near duplicates among the rows."""
    there = {row.path for row in rows}
    groups = (replace(group, paths=tuple(path for path in group.paths if path in there)) for group in near)
    return tuple(group for group in groups if len(group.paths) > 1)


def _row(entry: Entry, fact: Facts, label: str, group: str) -> ImageRow:
    status = "set_aside" if fact.reason else "ok"
    width, height = (fact.image.width, fact.image.height) if fact.image else (0, 0)
    return ImageRow(entry.path, label, fact.sha256, width, height, status, fact.reason, group, entry.split)


def _classes(rows: tuple[ImageRow, ...], location: str, small: Mapping[str, int]) -> tuple[tuple[str, ...], str]:
    """Return the classes in natural order, and what keeps a study from learning them, if anything.

    ``small`` are the classes that were left out, with their numbers of images.
    """
    classes = natural_order(row.label for row in rows if row.label)
    counts = Counter(row.label for row in rows if row.ok)
    bad = [row for row in rows if not row.ok]
    example = f"for example {bad[0].path}: {bad[0].reason}" if bad else ""
    if small and len(counts) < 2:
        raise DataError(
            f"Fewer than two classes of {location} have enough images to learn from; the others have "
            f"{max(small.values())} or fewer. Use a smaller --min-images-per-class, or add images."
        )
    if not counts:
        raise DataError(f"None of the {len(rows)} files in {location} is a readable image ({example}).")
    if lost := [name for name in classes if not counts[name]]:
        first = next(row for row in bad if row.label == lost[0])
        return classes, (
            f"Class {lost[0]!r} has no readable image (for example {first.path}: {first.reason}). "
            f"Add readable ones, or move the class elsewhere.{_others(lost[1:])}"
        )
    if len(classes) < 2:
        return classes, (
            f"There is only one class in {location}: {classes[0]!r}. At least two are needed.{_deeper(rows, location)}"
        )
    return classes, ""


def _others(lost: list[str]) -> str:
    return f" The same holds for {shown(lost)}." if lost else ""


def _deeper(rows: tuple[ImageRow, ...], location: str) -> str:
    """Say where the class folders may be if the one "class" holds folders itself."""
    folders = {PurePosixPath(row.path).parts[:2] for row in rows if row.path.count("/") >= 2}
    if len(folders) < 2:
        return ""
    return f" If the classes lie one folder deeper, give {Path(location) / next(iter(folders))[0]}."
