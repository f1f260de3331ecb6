"""Confusion matrices as compact HTML: what was said of the images of each class, on every part of the images."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation import headline
from headstart.evaluation.metrics import confusion_matrix
from headstart.evaluation.summary import Summary
from headstart.report import downloads
from headstart.report.content import Findings
from headstart.report.downloads import Download
from headstart.report.numbers import NONE, count

FEW_CLASSES = 12
"""Up to so many classes, shares have a decimal."""

MANY_CLASSES = 30
"""Above, cells without images stay empty, and the box scrolls under its headings."""

SHORT_NAME = 11
"""Class names up to so many letters can stand side by side, if the classes are few."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """What was counted: the part of the images, its title, a sentence on it, counts (rows true, columns said)."""

    name: str
    title: str
    note: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix with its title and a sentence on what was counted; ``table`` is its HTML."""

    part: str
    title: str
    note: str
    table: str
    download: Download


@dataclass(frozen=True, slots=True)
class Cell:
    """A count of a confusion matrix with its share of the row (true class) and of the column (what was said).

    Shares are None where row or column is empty. ``right`` on the diagonal.
    """

    count: int
    of_true: float | None
    of_said: float | None
    right: bool

    @property
    def heat(self) -> float:
        """How deep the colour is by the true class, 0 to 1."""
        return _heat(self.of_true)

    @property
    def heat_of_said(self) -> float:
        """How deep the colour is by what was said, 0 to 1."""
        return _heat(self.of_said)


def gather(findings: Findings) -> tuple[Matrix, ...]:
    """Return the best candidate's confusion matrices: test; validation where given, else out of fold; train."""
    classes = findings.summary.dataset.classes
    return tuple(drawn(part, classes) for part in parts(findings))


def drawn(part: Part, classes: Sequence[str]) -> Matrix:
    """Return the confusion matrix of one part of the images."""
    return Matrix(part.name, part.title, part.note, _table(part, classes), _download(part, classes))


def parts(findings: Findings) -> Iterator[Part]:
    """Yield what the best candidate was asked, and its answers counted."""
    summary = findings.summary
    final = next(final for final in summary.finals if final.candidate == summary.best)
    yield Part("test", "Test images", _of_test(summary), _counts(final.test.confusion_matrix))
    if final.validation:
        epoch = "the epoch and " if summary.protocol.score_epoch == "best" else ""
        note = f"Given for validation: used to choose {epoch}the candidate."
        yield Part("validation", "Validation images", note, _counts(final.validation.confusion_matrix))
    elif findings.out_of_fold:
        note = f"{_held_back(findings)}, predicted by a model that had not seen it."
        yield Part("out_of_fold", "Out of fold", note, _out_of_fold_counts(findings))
    note = "The images it learned from: usually better than on new ones."
    yield Part("train", "Training images", note, _counts(final.train.confusion_matrix))


def _of_test(summary: Summary) -> str:
    """Return when the test images were opened, or that they were learned from."""
    times = summary.protocol.test_openings
    if clean := headline.clean_of(summary, summary.best):
        return f"{clean.contaminated:,} of them are also training images, which flatters."
    if not headline.is_sealed(summary):
        return "Some of them are also training images, which flatters."
    return f"Sealed until the choice was made{', then opened once' if times == 1 else f'; opened {times} times'}."


def _held_back(findings: Findings) -> str:
    protocol = findings.summary.protocol
    if protocol.kind != "folds":
        return "Every image held back"
    times = f", {protocol.repeats} times" if protocol.repeats > 1 else ""
    return f"Every training image{times}"


def _counts(matrix: Sequence[Sequence[int]]) -> Counts:
    return np.array(matrix, dtype=np.int64)


def _out_of_fold_counts(findings: Findings) -> Counts:
    classes = len(findings.summary.dataset.classes)
    total = np.zeros((classes, classes), np.int64)
    for block in findings.out_of_fold:
        total += confusion_matrix(block.labels, block.probabilities.argmax(axis=1), classes)
    return total


def _download(part: Part, classes: Sequence[str]) -> Download:
    rows = ([name, *row] for name, row in zip(classes, part.counts.tolist(), strict=True))
    return downloads.table(f"confusion-matrix-{part.name.replace('_', '-')}.csv", ["true / said", *classes], rows)


def cells(counts: Counts) -> Iterator[list[Cell]]:
    """Yield the cells of a confusion matrix row by row."""
    rows, columns = counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist()
    for true, row in enumerate(counts.tolist()):
        yield [
            Cell(number, _share(number, rows[true]), _share(number, columns[said]), true == said)
            for said, number in enumerate(row)
        ]


def _share(number: int, whole: int) -> float | None:
    return number / whole if whole else None


def _table(part: Part, classes: Sequence[str]) -> str:
    """Return a matrix as an HTML table; written here because 30,000 cells take a template too long."""
    names, many = [html.escape(name) for name in classes], len(classes) > MANY_CLASSES
    kinds = ["matrix", *(["upright"] if _stand_upright(classes) else []), *(["many"] if many else [])]
    heads = "".join(f'<th scope="col" title="{name}"><span>{name}</span></th>' for name in names)
    lines = [
        f'<table class="{" ".join(kinds)}" data-part="{part.name}">',
        f'<thead><tr><th class="corner" scope="col">true ↓<br>said →</th>{heads}</tr></thead>',
        "<tbody>",
    ]
    for name, row in zip(names, cells(part.counts), strict=True):
        written = "".join(_cell(one, name, said, len(names)) for one, said in zip(row, names, strict=True))
        hint = f' title="{name}"' if many else ""
        lines.append(f'<tr><th scope="row"{hint}><span>{name}</span></th>{written}</tr>')
    return "\n".join([*lines, "</tbody>", "</table>"])


def _stand_upright(classes: Sequence[str]) -> bool:
    longest = max(map(len, classes))
    return longest > SHORT_NAME or (len(classes) > 6 and longest > 4)


def _cell(cell: Cell, true: str, said: str, classes: int) -> str:
    """Return a cell: its count, share of the true class and share of what was said, of which one is shown at a time."""
    if classes > MANY_CLASSES and not cell.count and not cell.right:
        return "<td></td>"
    kind = "right" if cell.right else "wrong" if cell.count else "none"
    hint = f' title="{true} → {said}"' if classes > MANY_CLASSES else ""
    heats = f' style="--heat:{cell.heat:g};--said:{cell.heat_of_said:g}"' if cell.count else ""
    of_true, of_said = _percent(cell.of_true, classes), _percent(cell.of_said, classes)
    texts = f"<span class=count>{count(cell.count)}</span><span class=share>{of_true}</span><span class=said>{of_said}"
    return f"<td class={kind}{hint}{heats}>{texts}</span></td>"


def _heat(share: float | None) -> float:
    """Return a number that grows with the root of a share, so that few mistakes are seen."""
    return round(math.sqrt(share or 0.0), 2)


def _percent(share: float | None, classes: int) -> str:
    """Return a share in percent: 100 only for exactly all, 0 only for exactly none."""
    if share is None:
        return NONE
    places = 1 if classes <= FEW_CLASSES else 0
    text, least = f"{100 * share:.{places}f}", 10.0**-places
    if float(text) == 100 and share < 1:
        return f"{100 - least:.{places}f}"
    return f"&lt;{least:.{places}f}" if float(text) == 0 and share > 0 else text
