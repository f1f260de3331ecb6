"""Near duplicates: resized, re-encoded or retouched copies of one picture, found by hash and confirmed by pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from headstart.data import decode
from headstart.data.decode import ImageFacts
from headstart.data.facts import Facts
from headstart.data.groups import Union
from headstart.data.hash_pairs import close_pairs
from headstart.data.listing import Entry, Listing
from headstart.data.memory import remember, remembered
from headstart.data.sameness import SAMENESS_VERSION, SMALL, Small, same, small
from headstart.data.table import ImageSource, NearGroup
from headstart.errors import ImageError
from headstart.machine import core_count
from headstart.progress import Progress

HASH_DISTANCE = 10
"""Bits of 64 in which the hashes of copies may differ; copies of photographs differ in at most 6 (measured)."""

SWALLOWED = 5
"""A group with more than a fifth of a class's pictures is not joined: too little would be left to split."""

_BATCH = 512
"""Pairs compared at once."""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Picture:
    """Everything listed with the same decoded pixels, in order of paths."""

    entries: tuple[Entry, ...]
    image: ImageFacts

    @property
    def key(self) -> str:
        """The picture's identity in the memory."""
        return self.image.pixel_sha256[:32]


def near_duplicates(
    listing: Listing, facts: Sequence[Facts], *, cache: Path | None, progress: Progress
) -> tuple[NearGroup, ...]:
    """Return the groups of different images that show the same picture, their exact copies included.

    Images with a side below 64 pixels and blank ones are not looked at. Below ``cache``, what was compared is
    remembered by content.
    """
    pictures = _pictures(listing, facts)
    hashes = np.array([int(picture.image.look.hash, 16) for picture in pictures], np.uint64)
    close = close_pairs(hashes, HASH_DISTANCE)
    pairs = list(zip(close.first.tolist(), close.second.tolist(), strict=True))
    if not pairs:
        return ()
    folder = cache / "near" / f"v{SAMENESS_VERSION}-{decode.decoders()}" if cache else None
    known = _known(folder)
    unknown = [pair for pair in pairs if _key(pictures, pair) not in known]
    new = _compared(unknown, pictures, listing.source, progress)
    if folder:
        remember(folder, ([*key, verdict] for key, verdict in new.items()))
    known |= new
    confirmed = [pair for pair in pairs if known.get(_key(pictures, pair))]
    return tuple(_groups(confirmed, pictures))


def _pictures(listing: Listing, facts: Sequence[Facts]) -> list[_Picture]:
    """Return the pictures that have a hash, in an order that depends on content alone."""
    images: dict[str, ImageFacts] = {}
    entries: dict[str, list[Entry]] = defaultdict(list)
    for entry, fact in zip(listing.entries, facts, strict=True):
        if fact.image and fact.image.look.hash:
            images[fact.image.pixel_sha256] = fact.image
            entries[fact.image.pixel_sha256].append(entry)
    return [_Picture(tuple(sorted(entries[key], key=lambda entry: entry.path)), images[key]) for key in sorted(images)]


def _key(pictures: Sequence[_Picture], pair: Pair) -> tuple[str, str]:
    return pictures[pair[0]].key, pictures[pair[1]].key


def _known(folder: Path | None) -> dict[tuple[str, str], bool]:
    """Return what the memory says of pairs of pictures."""
    known: dict[tuple[str, str], bool] = {}
    for value in remembered(folder):
        match value:
            case [str(first), str(second), bool(verdict)]:
                known[first, second] = verdict
    return known


def _compared(
    pairs: Sequence[Pair], pictures: Sequence[_Picture], source: ImageSource, progress: Progress
) -> dict[tuple[str, str], bool]:
    """Return whether pairs show the same picture; those with a file that is gone by now are left out."""
    wanted = sorted({position for pair in pairs for position in pair})
    smalls: dict[int, Small] = {}
    if wanted:
        with (
            ThreadPoolExecutor(core_count()) as pool,
            progress.track("Comparing lookalikes", total=len(wanted), unit="images") as done,
        ):
            chosen = [pictures[position] for position in wanted]
            for position, found in zip(wanted, pool.map(partial(_small, source), chosen), strict=True):
                if found:
                    smalls[position] = found
                done(1)
    found_both = [pair for pair in pairs if pair[0] in smalls and pair[1] in smalls]
    verdicts: dict[tuple[str, str], bool] = {}
    for start in range(0, len(found_both), _BATCH):
        batch = found_both[start : start + _BATCH]
        alike = same([smalls[first] for first, _ in batch], [smalls[second] for _, second in batch])
        verdicts |= zip((_key(pictures, pair) for pair in batch), alike.tolist(), strict=True)
    return verdicts


def _small(source: ImageSource, picture: _Picture) -> Small | None:
    try:
        pixels = decode.load(source.encoded(picture.entries[0].path), SMALL)
    except ImageError:
        return None
    return small(pixels, picture.image.width, picture.image.height)


def _groups(confirmed: Sequence[Pair], pictures: Sequence[_Picture]) -> Iterator[NearGroup]:
    """Yield the groups, in order of their first path."""
    union = Union(len(pictures))
    for pair in confirmed:
        union.join(pair)
    sizes = _pictures_per_label(pictures)
    groups = []
    for component in union.components():
        if len(component) > 1:
            members = [pictures[position] for position in component]
            paths = sorted(entry.path for member in members for entry in member.entries)
            groups.append(NearGroup(tuple(paths), _may_join(members, sizes)))
    yield from sorted(groups, key=lambda group: group.paths)


def _pictures_per_label(pictures: Sequence[_Picture]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for picture in pictures:
        for label in {entry.label for entry in picture.entries}:
            counts[label] += 1
    return counts


def _may_join(members: Sequence[_Picture], sizes: dict[str, int]) -> bool:
    """Return whether a group leaves enough of each of its classes: at most a fifth, or a few of a small class."""
    return all(
        count <= max(sizes[label] // SWALLOWED, min(SWALLOWED, (sizes[label] - 1) // 2))
        for label, count in _pictures_per_label(members).items()
    )
