"""The list of doubted labels, which people edit: it is read as a spreadsheet may have left it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from headstart.errors import RunError, UsageError
from headstart.recipe.lists import DROP, KEEP, RELABEL, read_corrections
from headstart.recipe.sheet import Sheet, SheetRow, delimiter_of, read_sheet
from headstart.runs.rows import DoubtRow


def read_doubts(path: Path) -> tuple[DoubtRow, ...]:
    """Return the rows of the list; empty when there is no file.

    Raises:
        RunError: the file is no longer a table with a column ``path``.
    """
    if not path.exists():
        return ()
    try:
        text = path.read_text(encoding="utf-8-sig")
        sheet = read_sheet(text, _delimiter(text))
    except ValueError as error:
        raise RunError(
            f"{path} is no longer a CSV table in UTF-8 ({error}). Save it as one, or remove it and run the study again "
            "with --fresh."
        ) from None
    return tuple(_row(sheet, row) for row in sheet.rows)


def _delimiter(text: str) -> str:
    delimiter = delimiter_of(text, "path")
    if delimiter is None:
        raise ValueError("the header has no column path")
    return delimiter


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
    """Return rows with the actions that people have written into an earlier list of the same study."""
    try:
        written = read_corrections(path)
    except UsageError:
        return tuple(rows)
    actions = dict.fromkeys(written.remove, DROP) | dict.fromkeys(written.keep, KEEP)
    actions |= dict.fromkeys(written.relabel, RELABEL)
    return tuple(
        dataclasses.replace(
            row,
            action=actions.get(row.path, row.action),
            suggested=written.relabel.get(row.path, row.suggested),
        )
        for row in rows
    )
