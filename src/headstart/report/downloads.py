"""The data behind a figure: a CSV table that the page carries, to be saved by a click."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from headstart.runs.folder import FINAL
from headstart.runs.rows import HistoryRow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NONE: Mapping[type, Mapping[str, str]] = {HistoryRow: FINAL}
"""Kind of row -> column -> the word that stands for None there in the run folder, where it is not the empty cell."""


@dataclass(frozen=True, slots=True)
class Download:
    """A CSV table under the name that it is saved as."""

    name: str
    text: str

    @property
    def address(self) -> str:
        """The whole table as a data address."""
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(self.text.encode()).decode()


def table(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Download:
    """Return rows of cells as a CSV; floats are written so that they are read back exactly, None is an empty cell."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_written(value) for value in row] for row in rows)
    return Download(name, stream.getvalue())


def rows_of(name: str, rows: Sequence[DataclassInstance]) -> Download:
    """Return rows of the run folder as a CSV whose lines are those of the folder's file, byte for byte.

    Raises:
        ValueError: there are no rows, so that the columns are unknown.
    """
    if not rows:
        raise ValueError(f"{name} needs one row or more.")
    columns = [field.name for field in fields(rows[0])]
    words = NONE.get(type(rows[0]), {})
    return table(name, columns, (_cells(row, columns, words) for row in rows))


def _cells(row: DataclassInstance, columns: Sequence[str], words: Mapping[str, str]) -> list[object]:
    values = ((column, getattr(row, column)) for column in columns)
    return [words.get(column) if value is None else value for column, value in values]


def _written(value: object) -> str:
    return "" if value is None else repr(float(value)) if isinstance(value, float) else str(value)
