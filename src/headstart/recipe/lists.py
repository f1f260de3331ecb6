"""The two lists that a recipe or an option may name by a file: names of classes, and images to leave out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from headstart.errors import UsageError


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


def read_removals(path: Path) -> tuple[str, ...]:
    """Return the paths in a text file in UTF-8, one per line; lines that begin with ``#`` and empty lines say nothing.

    Raises:
        UsageError: the file cannot be read, or names no path.
    """
    lines = (line.strip() for line in _text(path).splitlines())
    paths = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not paths:
        raise UsageError(f"{path} names no images. Give one path per line, relative to DATA.")
    return paths


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8. Save it in UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
