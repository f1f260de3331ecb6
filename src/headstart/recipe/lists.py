"""The lists that a recipe or an option may name by a file: names of classes, and images to leave out or relabel."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from headstart.errors import UsageError, did_you_mean
from headstart.recipe.sheet import Sheet, SheetRow, delimiter_of, read_sheet
from headstart.storage import RUN_MARKER

DROP, RELABEL, KEEP = "drop", "relabel", "keep"
ACTIONS = (DROP, RELABEL, KEEP)
"""What may stand in the column ``action`` of a corrected list; an empty cell is ``keep``."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """What a list says: paths to leave out, the new label of other paths, and paths that were looked at and stay.

    ``run`` is the run folder that the list lies in, as it was given; empty for a list of one's own.
    """

    remove: tuple[str, ...] = ()
    relabel: dict[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    run: str = ""


def read_class_names(path: Path) -> dict[str, str]:
    """Return label -> class name from a CSV file in UTF-8 with the columns label,name; a header may be there.

    Raises:
        UsageError: the file cannot be read, or lines are not what they should be; all of them at once.
    """
    names: dict[str, str] = {}
    problems: list[str] = []
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        for number, cells in enumerate([cell.strip() for cell in row] for row in reader):
            if number == 0 and [cell.lower() for cell in cells] == ["label", "name"]:
                continue
            if any(cells):
                _add(names, cells, f"line {reader.line_num}", problems)
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}")
    if not names and not problems:
        problems.append("it has no lines")
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UsageError(f"{path}: {'; '.join(problems[:5])}{more}. Give one line label,name per class.")
    return names


def _add(names: dict[str, str], cells: list[str], line: str, problems: list[str]) -> None:
    if len(cells) != 2 or not all(cells):
        problems.append(f"{line}: a label and a name are needed, received {','.join(cells)!r}")
    elif names.get(cells[0], cells[1]) != cells[1]:
        problems.append(f"{line}: {cells[0]!r} has the name {names[cells[0]]!r} already")
    else:
        names[cells[0]] = cells[1]


def read_corrections(path: Path) -> Corrections:
    """Return what a list of images says: a text file with one path per line, or a table with a column ``path``.

    In a text file, lines that begin with ``#`` and empty lines say nothing. A table may have the columns ``action``
    (drop, relabel, keep or empty) and ``suggested`` (the new label of what is relabelled), as the list of doubts in a
    run folder has; without ``action`` all its images are left out.

    Raises:
        UsageError: the file cannot be read, names no path, or lines are not what they should be; all of them at once.
    """
    text = _text(path)
    delimiter = delimiter_of(text, "path")
    found = _from_lines(text) if delimiter is None else _from_table(path, text, delimiter)
    if found == Corrections():
        advice = "Give one path per line, relative to DATA."
        if delimiter is not None and "action" in read_sheet(text, delimiter).header:
            advice = f"Write {DROP}, {RELABEL} or {KEEP} into the column action of the images that you have looked at."
        raise UsageError(f"{path} names no images. {advice}")
    run = str(path.parent) if (path.parent / RUN_MARKER).is_file() else ""
    return Corrections(found.remove, found.relabel, found.keep, run)


def _from_lines(text: str) -> Corrections:
    lines = (line.strip() for line in text.splitlines())
    return Corrections(tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#"))))


def _from_table(path: Path, text: str, delimiter: str) -> Corrections:
    problems: list[str] = []
    actions: dict[str, str] = {}
    labels: dict[str, str] = {}
    try:
        sheet = read_sheet(text, delimiter)
    except ValueError as error:
        raise UsageError(f"{path}: {error}. Save the table as CSV in UTF-8.") from None
    for row in sheet.rows:
        _add_action(actions, labels, sheet, row, problems)
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UsageError(f"{path}: {'; '.join(problems[:5])}{more}. Correct the file and try again.")
    return Corrections(
        remove=tuple(name for name, action in actions.items() if action == DROP),
        relabel={name: labels[name] for name, action in actions.items() if action == RELABEL},
        keep=tuple(name for name, action in actions.items() if action == KEEP),
    )


def _add_action(
    actions: dict[str, str], labels: dict[str, str], sheet: Sheet, row: SheetRow, problems: list[str]
) -> None:
    name = sheet.cell(row, "path")
    action = sheet.cell(row, "action").lower() if "action" in sheet.header else DROP
    label = sheet.cell(row, "suggested") if action == RELABEL else ""
    if not action:
        return
    if not name:
        problems.append(f"line {row.line}: path is missing")
    elif action not in ACTIONS:
        hint = did_you_mean(action, ACTIONS)
        hint = f" (d{hint[2:]})" if hint else ""
        problems.append(f"line {row.line}: action must be {DROP}, {RELABEL} or {KEEP}, received {action!r}{hint}")
    elif action == RELABEL and not label:
        problems.append(f"line {row.line}: {name!r} is to be relabelled, but suggested is empty")
    elif (actions.get(name, action), labels.get(name, label)) != (action, label):
        problems.append(f"line {row.line}: {name!r} is there twice, with different actions")
    else:
        actions[name], labels[name] = action, label


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8. Save it in UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
