"""The list of doubted labels, which people edit: it is read as a spreadsheet may have left it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from pathlib import Path

from headstart.errors import RunError
from headstart.recipe.lists import DROP, KEEP, RELABEL
from headstart.recipe.sheet import Sheet, SheetRow, delimiter_of, read_sheet
from headstart.runs.rows import DoubtRow

FIRST = "first_suggested"
"""The column for what stood in ``suggested`` before an image was relabelled; there while a row has something in it."""


def read_doubts(path: Path) -> tuple[tuple[DoubtRow, ...], dict[str, str]]:
    """Return the rows of the list, and path -> what the study suggested; both empty when there is no file.

    The study's suggestion is told whatever label people have written in its place. An image has none where the study
    had no doubt, and where somebody wrote ``relabel`` into the list by hand: whose label stands there cannot be told.

    Raises:
        RunError: the file is no longer a table with a column ``path``.
    """
    if not path.exists():
        return (), {}
    try:
        sheet = _sheet(path)
    except ValueError as error:
        raise RunError(
            f"{path} is no longer a CSV table in UTF-8 ({error}). Save it as one, or remove it and run the study again "
            "with --fresh."
        ) from None
    return tuple(_row(sheet, row) for row in sheet.rows), _suggestions(sheet)


def suggestion_before(first: str, suggested: str, action: str) -> str:
    """Return what stood in ``suggested`` before people wrote a label there; empty where nobody knows."""
    return first or ("" if action.lower() == RELABEL else suggested)


def _suggestions(sheet: Sheet) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in sheet.rows:
        path, confidence, *written = (
            sheet.cell(row, name) for name in ("path", "confidence", FIRST, "suggested", "action")
        )
        before = suggestion_before(*written)
        if confidence and before:
            found.setdefault(path, before)
    return found


def _sheet(path: Path) -> Sheet:
    text = path.read_text(encoding="utf-8-sig")
    delimiter = delimiter_of(text, "path")
    if delimiter is None:
        raise ValueError("the header has no column path")
    return read_sheet(text, delimiter)


def _row(sheet: Sheet, row: SheetRow) -> DoubtRow:
    names = [field.name for field in dataclasses.fields(DoubtRow)]
    path, label, suggested, confidence, action = (sheet.cell(row, name) for name in names)
    return DoubtRow(path, label, suggested, _number(confidence), action.lower())


def _number(cell: str) -> float | None:
    """Return a number that may have got a comma for its point; None for what is none."""
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def with_actions(rows: Iterable[DoubtRow], path: Path) -> tuple[DoubtRow, ...]:
    """Return rows with the actions that people have written into an earlier list of the same study.

    Nothing that people wrote is lost: an action stays as it was written, right or not, and stands at the end where its
    image is not among ``rows`` or is there twice. A list that cannot be read gets another name beside its own.
    """
    written: dict[str, DoubtRow] = {}
    further: list[DoubtRow] = []
    for row in _acted(path):
        if _said(written.setdefault(row.path, row)) != _said(row):
            further.append(row)
    merged = [_merged(row, written.pop(row.path, row)) for row in rows]
    return (*merged, *(dataclasses.replace(row, confidence=None) for row in (*written.values(), *further)))


def _acted(path: Path) -> tuple[DoubtRow, ...]:
    """Return the rows of a list that have an action; a file that is no such list is put aside."""
    if not path.exists():
        return ()
    try:
        sheet = _sheet(path)
    except (OSError, ValueError):
        sheet = None
    # where somebody has taken the column of actions away, rows alone do not tell what was meant
    if sheet is None or "action" not in sheet.header:
        path.rename(_free_name(path))
        return ()
    return tuple(row for row in (_row(sheet, one) for one in sheet.rows) if row.action)


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.old{number if number > 1 else ''}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def _said(row: DoubtRow) -> tuple[str, str]:
    """Return what people say of an image: drop and keep are the same whatever is suggested beside them."""
    return row.action, "" if row.action in (DROP, KEEP) else row.suggested


def _merged(row: DoubtRow, written: DoubtRow) -> DoubtRow:
    suggested = row.suggested if written.action in (DROP, KEEP) else written.suggested
    return dataclasses.replace(row, action=written.action or row.action, suggested=suggested)
