"""Frozen dataclasses as rows of a CSV file: one column per field, an empty cell for None."""

from __future__ import annotations

import csv
import io
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from headstart import storage
from headstart.errors import RunError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")
Words = Mapping[str, str]
"""Column -> the word that stands for None in it, where that is not the empty cell."""

NO_WORDS: Words = types.MappingProxyType({})


def write_table(path: Path, kind: type[Row], rows: Iterable[Row], words: Words = NO_WORDS) -> None:
    """Write rows as UTF-8 CSV, atomically. Floats are written so that they are read back exactly."""
    names = [field.name for field in fields(kind)]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name), words.get(name, "")) for name in names] for row in rows)
    storage.write_text(path, stream.getvalue())


def _cell(value: object, none: str) -> str:
    return none if value is None else repr(float(value)) if isinstance(value, float) else str(value)


def read_table(path: Path, kind: type[Row], words: Words = NO_WORDS) -> tuple[Row, ...]:
    """Read rows that ``write_table`` wrote, also before ``kind`` got its last columns, if those have defaults.

    Raises:
        RunError: the columns are not those of ``kind``, or a cell cannot be read.
    """
    names = [field.name for field in fields(kind)]
    hints = typing.get_type_hints(kind)
    with path.open(encoding="utf-8", newline="") as stream:
        lines = csv.reader(stream)
        header = next(lines, [])
        if header != names[: len(header)] or len(header) < _required(kind):
            raise RunError(f"{path} must have the columns {','.join(names)}. Received: {','.join(header)}.")
        return tuple(_row(kind, line, header, hints, words, path) for line in lines)


def _required(kind: type[Row]) -> int:
    """Return how many columns there must be: up to the last field without a default."""
    return max(place for place, field in enumerate(fields(kind), 1) if field.default is MISSING)


def _row(kind: type[Row], line: list[str], names: list[str], hints: dict[str, Any], words: Words, path: Path) -> Row:
    try:
        cells = zip(names, line, strict=True)
        return kind(*[_value(hints[name], cell, words.get(name, "")) for name, cell in cells])
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}. Run the study again with --fresh.") from None


def _value(hint: Any, cell: str, none: str) -> Any:
    options = typing.get_args(hint)
    if options:
        return None if cell == none else options[0](cell)
    return hint(cell)
