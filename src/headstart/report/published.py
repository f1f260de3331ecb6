"""Published numbers beside those found here, laid out as tables."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import RunError
from headstart.evaluation.published import COUNTS, MATRIX, NUMBERED, Places
from headstart.evaluation.results import Published
from headstart.evaluation.summary import Summary
from headstart.report.matrices import Cell, cells
from headstart.report.names import labels
from headstart.report.numbers import escaped
from headstart.runs.folder import Timings

PARTS = {"train": "training", "validation": "validation", "test": "test"}
TITLES = {
    "accuracy": "Accuracy",
    "loss": "Loss",
    "top_2": "Top 2",
    "top_3": "Top 3",
    "top_5": "Top 5",
    "balanced_accuracy": "Balanced accuracy",
    "tp": "TP",
    "tn": "TN",
    "fp": "FP",
    "fn": "FN",
    "support": "Images",
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "Average precision",
    "precision_at_half": "Precision at 0.5",
    "recall_at_half": "Recall at 0.5",
    "parameters": "Parameters",
    "trainable_parameters": "Trainable",
    "non_trainable_parameters": "Not trainable",
    "seconds_per_step": "Time per step",
}
RATIOS = ("f1", "auc", "average_precision")
OF_CLASSES = ("precision", "recall", "specificity", *RATIOS)
"""Without a class, these are means over the classes."""

STEP = "seconds_per_step"
SIDE_BY_SIDE = 3
MOST_UNMEASURED = 6


@dataclass(frozen=True, slots=True)
class Number:
    """Where a number lies, and how it is written."""

    pointer: str
    kind: str


@dataclass(frozen=True, slots=True)
class Value:
    """A published number, the one found here and their difference, each with its pointer and how it is written.

    ``here`` is empty where nothing was measured, ``difference`` also where it would say nothing (times on two
    machines). ``reached`` tells whether what was found is at least as good (None: no such order, or not measured).
    """

    published: Number
    here: Number | None
    difference: Number | None
    reached: bool | None

    @property
    def measured(self) -> bool:
        """Whether a number was found here too."""
        return self.here is not None


@dataclass(frozen=True, slots=True)
class Row:
    """The values of one row, one per column of its table, None where none was published."""

    name: str
    values: tuple[Value | None, ...]

    @property
    def measured(self) -> bool:
        """Whether any value was found here too."""
        return any(value.measured for value in self.values if value)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one candidate; ``name`` is its label."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Overall:
    """A table of values of all images: up to three metrics, a group per candidate, a row per part.

    ``hidden`` are rows without any value found here, when there are too many of them to stand among the others.
    """

    metrics: tuple[str, ...]
    shown: tuple[Group, ...]
    hidden: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of one candidate: ``rows`` are classes or folds, ``columns`` their metrics."""

    title: str
    head: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def measured(self) -> bool:
        """Whether any value was found here too."""
        return any(row.measured for row in self.rows)


@dataclass(frozen=True, slots=True)
class Count:
    """A published count of a confusion matrix with its colour."""

    cell: Cell
    value: Value


@dataclass(frozen=True, slots=True)
class Confusion:
    """A published confusion matrix with the counts found here; None where no count was published."""

    title: str
    classes: tuple[str, ...]
    rows: tuple[tuple[Count | None, ...], ...]
    measured: bool


@dataclass(frozen=True, slots=True)
class Details:
    """What was published of one candidate beyond values of all images."""

    name: str
    tables: tuple[Table, ...]
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True, slots=True)
class PublishedSection:
    """The whole section; ``unknown`` lists what the source leaves unsaid."""

    title: str
    source: str
    unknown: tuple[str, ...]
    overall: tuple[Overall, ...]
    details: tuple[Details, ...]
    total: int
    measured: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One published number with its metric taken apart: ``which`` is the class, the fold or the cell."""

    row: Published
    metric: str
    which: str
    value: Value


def published_section(summary: Summary, study: str, timings: Timings) -> PublishedSection | None:
    """Return the tables of all published numbers; None where there are none.

    Args:
        study: TOML text of the resolved recipe, whose ``title``, ``source`` and ``unknown`` are shown.
        timings: where the time of a step stands, which no summary holds.

    Raises:
        RunError: the text is no TOML.
    """
    if not summary.published:
        return None
    recipe = _recipe(study)
    names = {name: label.text for name, label in labels(summary.candidates).items()}
    entries = [_entry(place, row, timings) for place, row in enumerate(summary.published)]
    return PublishedSection(
        title=str(recipe.get("title", "")),
        source=str(recipe.get("source", "")),
        unknown=tuple(str(line) for line in recipe.get("unknown", ())),
        overall=_overall([one for one in entries if not one.which], names),
        details=_details([one for one in entries if one.which], names, Places(summary.dataset.classes)),
        total=len(entries),
        measured=sum(one.value.measured for one in entries),
    )


def _recipe(study: str) -> dict[str, Any]:
    try:
        return tomllib.loads(study)
    except tomllib.TOMLDecodeError as error:
        raise RunError(
            f"The recipe in the run folder is damaged ({error}). Run the study again with --fresh."
        ) from None


def _entry(place: int, row: Published, timings: Timings) -> Entry:
    metric, _, which = row.metric.partition(":")
    kind, difference_kind = _kinds(metric)
    where, here, difference = f"summary/published/{place}", None, None
    if row.here is not None:
        here, difference = Number(f"{where}/here", kind), Number(f"{where}/difference", difference_kind)
    elif row.metric == STEP and _step_was_timed(row.candidate, timings):
        here = Number(f"timings/candidates/{escaped(row.candidate)}/milliseconds_per_step", "milliseconds")
    return Entry(row, metric, which, Value(Number(f"{where}/published", kind), here, difference, _reached(metric, row)))


def _step_was_timed(candidate: str, timings: Timings) -> bool:
    timing = timings.candidates.get(candidate)
    return timing is not None and timing.milliseconds_per_step is not None


def _kinds(metric: str) -> tuple[str, str]:
    """Return how a metric and a difference in it are written."""
    if metric in COUNTS:
        return "count", "signed_count"
    if metric == "loss":
        return "fine_decimals", "signed_decimals"
    if metric == STEP:
        return "step_time", "signed_decimals"
    return ("ratio", "signed_decimals") if metric in RATIOS else ("fine_percent", "signed_points")


def _reached(metric: str, row: Published) -> bool | None:
    if row.difference is None or metric in COUNTS:
        return None
    return row.difference <= 0 if metric == "loss" else row.difference >= 0


def _overall(entries: Sequence[Entry], names: dict[str, str]) -> tuple[Overall, ...]:
    """Return tables of up to three metrics side by side."""
    metrics = _in_order(one.metric for one in entries)
    tables = []
    for start in range(0, len(metrics), SIDE_BY_SIDE):
        columns = metrics[start : start + SIDE_BY_SIDE]
        groups = _groups([one for one in entries if one.metric in columns], columns, names)
        apart = _kept(groups, measured=False)
        few = sum(len(group.rows) for group in apart) <= MOST_UNMEASURED
        shown, hidden = (groups, ()) if few else (_kept(groups, measured=True), apart)
        titles = tuple(_title(metric) + (", macro" if metric in OF_CLASSES else "") for metric in columns)
        tables.append(Overall(titles, shown, hidden))
    return tuple(tables)


def _groups(entries: Iterable[Entry], columns: Sequence[str], names: dict[str, str]) -> tuple[Group, ...]:
    """Return a group per candidate with a row per part."""
    table: dict[str, dict[str, dict[str, Value]]] = defaultdict(lambda: defaultdict(dict))
    for one in entries:
        table[one.row.candidate][one.row.part][one.metric] = one.value
    found = []
    for candidate, parts in table.items():
        rows = [
            Row(PARTS.get(part, part), tuple(parts[part].get(metric) for metric in columns))
            for part in sorted(parts, key=_part_order)
        ]
        found.append(Group(names.get(candidate, candidate), tuple(rows)))
    return tuple(found)


def _kept(groups: Iterable[Group], *, measured: bool) -> tuple[Group, ...]:
    """Return the groups with only those rows that were measured, or only the others."""
    kept = (Group(group.name, tuple(row for row in group.rows if row.measured == measured)) for group in groups)
    return tuple(group for group in kept if group.rows)


def _details(entries: Sequence[Entry], names: dict[str, str], places: Places) -> tuple[Details, ...]:
    by_candidate: dict[str, list[Entry]] = defaultdict(list)
    for one in entries:
        by_candidate[one.row.candidate].append(one)
    return tuple(_of_candidate(names.get(name, name), mine, places) for name, mine in by_candidate.items())


def _of_candidate(name: str, entries: Sequence[Entry], places: Places) -> Details:
    matrix = [one for one in entries if one.metric == MATRIX]
    folds, epochs = ([one for one in entries if _numbered(one.which, places) == word] for word in ("fold", "epoch"))
    rest = [one for one in entries if one.metric != MATRIX and not _numbered(one.which, places)]
    parts = sorted({one.row.part for one in entries}, key=_part_order)
    tables = [_class_table(part, [one for one in rest if one.row.part == part]) for part in parts]
    confusions = [_confusion(part, [one for one in matrix if one.row.part == part], places) for part in parts]
    return Details(
        name=name,
        tables=tuple(
            table for table in (*tables, _numbered_table("fold", folds), _numbered_table("epoch", epochs)) if table.rows
        ),
        confusions=tuple(one for one in confusions if one.classes),
    )


def _class_table(part: str, entries: Sequence[Entry]) -> Table:
    columns = _in_order(one.metric for one in entries)
    cells_ = {(one.which, one.metric): one.value for one in entries}
    rows = [
        Row(which, tuple(cells_.get((which, metric)) for metric in columns))
        for which in dict.fromkeys(one.which for one in entries)
    ]
    title = f"Class by class, {PARTS.get(part, part)} images"
    return Table(title, "Class", tuple(_title(metric) for metric in columns), tuple(rows))


def _numbered(which: str, places: Places) -> str:
    """Return ``fold`` or ``epoch`` for one of those, and nothing for a class."""
    match = NUMBERED.fullmatch(which) if places.of(which) is None else None
    return match[1] if match else ""


def _numbered_table(word: str, entries: Sequence[Entry]) -> Table:
    """Return the table of all folds or of all epochs: a column per metric and part."""
    columns = sorted({(one.row.part, one.metric) for one in entries}, key=lambda key: (_part_order(key[0]), key[1]))
    cells_ = {(one.which, one.row.part, one.metric): one.value for one in entries}
    rows = [
        Row(which, tuple(cells_.get((which, *column)) for column in columns))
        for which in dict.fromkeys(one.which for one in entries)
    ]
    titles = tuple(f"{_title(metric)}, {PARTS.get(part, part)}" for part, metric in columns)
    return Table(f"{word.capitalize()} by {word}", word.capitalize(), titles, tuple(rows))


def _confusion(part: str, entries: Sequence[Entry], places: Places) -> Confusion:
    pairs = [places.names(one.which) for one in entries]
    classes = tuple(dict.fromkeys([*(true for true, _ in pairs), *(said for _, said in pairs)]))
    found = dict(zip(pairs, entries, strict=True))
    counts = np.array(
        [[found[true, said].row.published if (true, said) in found else 0 for said in classes] for true in classes],
        dtype=np.int64,
    ).reshape(len(classes), len(classes))
    rows = []
    for true, row in zip(classes, cells(counts), strict=True):
        here = [found.get((true, said)) for said in classes]
        rows.append(tuple(Count(cell, one.value) if one else None for cell, one in zip(row, here, strict=True)))
    measured = any(one.value.measured for one in entries)
    return Confusion(f"Confusion matrix, {PARTS.get(part, part)} images", classes, tuple(rows), measured)


def _in_order(metrics: Iterable[str]) -> list[str]:
    """Return metrics without repetition in the order of ``TITLES``, others after them."""
    order = list(TITLES)
    return sorted(dict.fromkeys(metrics), key=lambda name: order.index(name) if name in TITLES else len(order))


def _title(metric: str) -> str:
    return TITLES.get(metric, metric.replace("_", " ").capitalize())


def _part_order(part: str) -> int:
    return list(PARTS).index(part) if part in PARTS else len(PARTS)
