"""What an audit found, as warnings in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headstart.data.findings import Audit
from headstart.data.listing import shown
from headstart.data.table import ImageTable

IMBALANCE = 5
"""How many times the smallest class the largest may be without a warning."""

FEW = 5
"""Classes with fewer images than this are warned of: there are not enough for the usual folds."""

USUAL_MODES = ("RGB", "L", "P", "RGBA", "LA", "1")
"""Colour modes that need no word: colour, grey and palette, with or without transparency."""


def concerns(found: Audit, table: ImageTable) -> Iterator[str]:
    """Yield one sentence for everything that a reader of the numbers should know of the images."""
    if found.set_aside:
        first = [f"{one.path}: {one.reason}" for one in found.set_aside]
        yield f"{_count(len(first), 'file')} set aside ({shown(first)})."
    yield from _copies(found, table)
    yield from _files(found)
    yield from _looks(found, len(table.ok))
    yield from _uneven(table.counts)
    yield from _few(table.counts)


def _copies(found: Audit, table: ImageTable) -> Iterator[str]:
    if equal := len(found.exact_duplicates):
        yield f"{_count(equal, 'group')} of equal images; headstart itself splits none of them."
    joined = [group.paths for group in table.near if group.joined]
    if joined:
        yield (
            f"{_count(len(joined), 'group')} of images that show the same picture in another size, encoding or "
            f"finish (first: {' and '.join(joined[0][:2])}); headstart itself splits none of them."
        )
    for group in table.near:
        if not group.joined:
            yield (
                f"{len(group.paths):,} images look nearly the same ({shown(list(group.paths))}): too much of a class "
                "to be kept together. Images of one object or film may so be learned from and tested on, and numbers "
                "flatter; say what belongs together with --group-by or a group column."
            )
    if conflicts := len(found.label_conflicts):
        yield f"{_count(conflicts, 'picture')} under more than one label: correct the labels or remove them."
    for kind, words in (("exact", "equal"), ("near", "nearly equal")):
        if leaks := sum(leak.kind == kind for leak in found.leaks):
            yield f"{_count(leaks, 'group')} of {words} images in more than one given split: numbers flatter."


def _files(found: Audit) -> Iterator[str]:
    if found.wrong_extensions:
        first = [f"{one.path}: {one.format}" for one in found.wrong_extensions]
        yield f"{_count(len(first), 'file')} in another format than the name says ({shown(first)}); read all the same."
    if found.rotated:
        yield (
            f"{_count(len(found.rotated), 'image')} turned upright as the camera noted ({shown(list(found.rotated))}); "
            "programs that ignore the note (EXIF) see them lying or mirrored."
        )
    for mode, count in found.colour_modes.items():
        if mode not in USUAL_MODES:
            print_colours = " (colours for print)" if mode == "CMYK" else ""
            yield f"{_count(count, 'image')} stored as {mode}{print_colours} and converted to RGB."


def _looks(found: Audit, images: int) -> Iterator[str]:
    assert found.sizes is not None
    if found.sizes.elongated:
        yield (
            f"{_count(len(found.sizes.elongated), 'image')} with one side more than three times the other "
            f"({shown(list(found.sizes.elongated))}): little is left of them after resizing."
        )
    if 0 < found.sizes.small < images / 2:
        yield f"{_count(found.sizes.small, 'image')} with a side below 64 pixels, far smaller than the others."
    for paths, words in (
        (found.blank, "of nearly one colour, with nothing to see"),
        (found.dark, "very dark"),
        (found.blurred, "far less sharp than the others"),
    ):
        if paths:
            yield f"{_count(len(paths), 'image')} {words} ({shown(list(paths))})."


def _uneven(counts: Mapping[str, int]) -> Iterator[str]:
    small, large = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[large] >= IMBALANCE * counts[small] > 0:
        yield (
            f"The classes are uneven: {large!r} has {counts[large]:,} images, {small!r} only {counts[small]:,}. "
            "Look at the balanced accuracy."
        )


def _few(counts: Mapping[str, int]) -> Iterator[str]:
    if single := [name for name in counts if counts[name] == 1]:
        yield (
            f"One image in all of {shown(single)}: nothing would be left to judge such a class by, so a study refuses. "
            "Add images, or leave such classes out with --min-images-per-class 2."
        )
    if few := [f"{name}: {counts[name]}" for name in counts if 1 < counts[name] < FEW]:
        yield (
            f"Fewer than {FEW} images of a class ({shown(few)}): they cannot validate in every fold, and what is said "
            "of such a class rests on one or two of them."
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
