"""How many images of each class every split holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headstart.evaluation.summary import Summary
from headstart.report import downloads
from headstart.report.downloads import Download

COLOURS = {"train": 1, "validation": 4, "test": 2}
WORDS = {"train": "learned from", "validation": "held back to choose", "test": "kept for the test"}


@dataclass(frozen=True, slots=True)
class ClassFrequency:
    """One class: its images in every split, and in all of them."""

    name: str
    counts: Mapping[str, int]
    total: int


@dataclass(frozen=True, slots=True)
class Frequencies:
    """All classes in their order; ``totals`` are over the classes, ``largest`` is the largest class of all splits.

    ``colours`` are numbers of the page's series, and ``words`` what a split is for.
    """

    rows: tuple[ClassFrequency, ...]
    totals: Mapping[str, int]
    largest: int
    colours: Mapping[str, int]
    words: Mapping[str, str]
    download: Download


def gather(summary: Summary) -> Frequencies:
    """Return the images of each class in every split."""
    splits, classes = summary.dataset.counts, summary.dataset.classes
    rows = tuple(_row(name, {split: counts[name] for split, counts in splits.items()}) for name in classes)
    cells = ([row.name, *row.counts.values(), row.total] for row in rows)
    return Frequencies(
        rows=rows,
        totals={split: sum(counts.values()) for split, counts in splits.items()},
        largest=max(1, *(row.total for row in rows)),
        colours={split: COLOURS.get(split, 3) for split in splits},
        words={split: WORDS.get(split, split) for split in splits},
        download=downloads.table("images-per-class.csv", ["class", *splits, "all"], cells),
    )


def _row(name: str, counts: Mapping[str, int]) -> ClassFrequency:
    return ClassFrequency(name, counts, sum(counts.values()))
