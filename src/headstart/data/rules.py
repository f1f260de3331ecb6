"""What a recipe says about the images of DATA before any is opened: names of classes, images left out, new labels."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from headstart.data.listing import Entry, Listing, shown
from headstart.data.table import natural_order
from headstart.errors import UsageError, did_you_mean
from headstart.recipe import DataRules

REMOVED = "removed by list"
"""The reason for which a listed image is set aside."""


def without_removed(listing: Listing, remove: Sequence[str]) -> Listing:
    """Return the listing with the named images set aside; ``remove`` holds paths as they stand in the image table.

    Raises:
        UsageError: paths that DATA does not have; the first are named.
    """
    wanted = set(remove)
    _check_paths(wanted, listing, "to remove")
    entries = (
        dataclasses.replace(entry, reason=REMOVED) if entry.path in wanted else entry for entry in listing.entries
    )
    return dataclasses.replace(listing, entries=tuple(entries)) if wanted else listing


def _check_paths(wanted: set[str], listing: Listing, purpose: str) -> None:
    if unknown := sorted(wanted - {entry.path for entry in listing.entries}):
        raise UsageError(
            f"{len(unknown)} of {len(wanted)} paths {purpose} are not in {listing.location}: {shown(unknown)}. "
            f"Give them relative to DATA, as in the image table.{_same_file(unknown[0], listing)}"
        )


def check_relabels(listing: Listing, rules: DataRules) -> None:
    """Raise UsageError if an image to relabel does not exist or is removed too, or its new label is no class.

    New labels are names of classes, as ``class_names`` has made them.
    """
    _check_paths(set(rules.relabel), listing, "to relabel")
    if both := sorted(set(rules.relabel) & set(rules.remove)):
        raise UsageError(f"{shown(both)} cannot be removed and relabelled. Say one of the two.")
    classes = natural_order(rules.class_names.get(label, label) for label in _labels(listing))
    if wrong := sorted(path for path, label in rules.relabel.items() if label not in classes):
        label = rules.relabel[wrong[0]]
        raise UsageError(
            f"{len(wrong)} of {len(rules.relabel)} new labels are no class of {listing.location}: {label!r} for "
            f"{wrong[0]}. It has {shown(list(classes), 10)}.{did_you_mean(label, classes)}"
        )


def label_of(entry: Entry, rules: DataRules) -> str:
    """Return the class that an entry counts as: its new label, or the name of the one found."""
    return rules.relabel.get(entry.path) or rules.class_names.get(entry.label, entry.label)


def corrected_labels(listing: Listing, rules: DataRules) -> Iterator[str]:
    """Yield a sentence that says how many labels were corrected."""
    plain = dataclasses.replace(rules, relabel={})
    changed = sum(label_of(entry, rules) != label_of(entry, plain) for entry in listing.entries)
    if changed:
        yield f"{changed:,} image{' has' if changed == 1 else 's have'} a corrected label."


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
