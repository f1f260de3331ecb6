"""What a recipe says about the images of DATA before any is opened: names of classes, and images to leave out."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from headstart.data.listing import Listing, shown
from headstart.data.table import natural_order
from headstart.errors import UsageError, did_you_mean

REMOVED = "removed by list"
"""The reason for which a listed image is set aside."""


def without_removed(listing: Listing, remove: Sequence[str]) -> Listing:
    """Return the listing with the named images set aside; ``remove`` holds paths as they stand in the image table.

    Raises:
        UsageError: paths that DATA does not have; the first are named.
    """
    wanted = set(remove)
    if unknown := sorted(wanted - {entry.path for entry in listing.entries}):
        raise UsageError(
            f"{len(unknown)} of {len(wanted)} paths to remove are not in {listing.location}: {shown(unknown)}. "
            f"Give them relative to DATA, as in the image table.{_same_file(unknown[0], listing)}"
        )
    entries = (
        dataclasses.replace(entry, reason=REMOVED) if entry.path in wanted else entry for entry in listing.entries
    )
    return dataclasses.replace(listing, entries=tuple(entries)) if wanted else listing


def check_class_names(listing: Listing, names: Mapping[str, str]) -> None:
    """Raise UsageError if a label to rename does not exist, or a name is empty. ``names``: label as found -> name."""
    labels = _labels(listing)
    if unknown := [label for label in names if label not in labels]:
        raise UsageError(
            f"class_names has labels that {listing.location} does not have: {shown(unknown)}. "
            f"It has {shown(list(labels), 10)}.{did_you_mean(unknown[0], labels)}"
        )
    if empty := [label for label, name in names.items() if not name.strip()]:
        raise UsageError(f"class_names has no name for {shown(empty)}. Give one, or leave the line out.")


def merged_labels(listing: Listing, names: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for every class that more than one label goes to."""
    sources: dict[str, list[str]] = defaultdict(list)
    for label in _labels(listing) if names else ():
        sources[names.get(label, label)].append(label)
    for name, labels in sources.items():
        if len(labels) > 1:
            yield f"The labels {', '.join(labels)} are one class, {name}."


def _labels(listing: Listing) -> tuple[str, ...]:
    return natural_order(entry.label for entry in listing.entries if entry.label)


def _same_file(path: str, listing: Listing) -> str:
    """Return a hint to an image with the same file name."""
    name = PurePosixPath(path).name
    same = [entry.path for entry in listing.entries if PurePosixPath(entry.path).name == name]
    return did_you_mean(path, same[:100])
