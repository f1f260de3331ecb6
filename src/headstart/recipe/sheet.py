"""A small table as people save it from a spreadsheet: UTF-8, with commas, semicolons or tabs between the cells."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class SheetRow:
    """The cells of one row, without blanks around them, and the line of the file on which it ends (from 1)."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A header in lower case, and the rows below it that are not empty."""

    header: tuple[str, ...]
    rows: tuple[SheetRow, ...]

    def cell(self, row: SheetRow, column: str) -> str:
        """Return the cell of a column; empty where the row is too short or the table has no such column."""
        place = self.header.index(column) if column in self.header else len(row.cells)
        return row.cells[place] if place < len(row.cells) else ""


def delimiter_of(text: str, column: str) -> str | None:
    """Return what stands between the cells of a table whose header has this column, or None where it is no such table.

    A header may be that column alone.
    """
    first = text.partition("\n")[0]
    for delimiter in DELIMITERS:
        if column in [name.lower() for name in _cells(next(csv.reader([first], delimiter=delimiter), []))]:
            return delimiter
    return None


def read_sheet(text: str, delimiter: str) -> Sheet:
    """Return the table.

    Raises:
        ValueError: a quote is not closed; the message has the line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [SheetRow(reader.line_num, _cells(cells)) for cells in reader]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    header = tuple(name.lower() for name in rows[0].cells) if rows else ()
    return Sheet(header, tuple(row for row in rows[1:] if any(row.cells)))


def _cells(cells: list[str]) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in cells)
