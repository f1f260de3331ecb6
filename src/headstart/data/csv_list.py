"""DATA as a CSV file with the columns ``path,label`` and optional ``split,group``."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from headstart.data.listing import SPLIT_NAMES, Entry, FileSource, Listing, shown
from headstart.errors import DataError, did_you_mean

_REQUIRED = ("path", "label")
_OPTIONAL = ("split", "group")


def list_csv(file: Path, location: str, *, strict: bool = True) -> Listing:
    """List the rows of a CSV file in UTF-8; paths are relative to its folder, or absolute.

    ``strict``: files that do not exist are a problem; else they are listed too, to be set aside.

    Raises:
        DataError: the file cannot be read, or its columns or rows are wrong; all problems at once.
    """
    rows = _rows(file, location)
    header = [name.strip().lower() for name in rows[0][1]] if rows else []
    notes = _check_columns(header, location)
    problems: list[str] = []
    entries = [_entry(dict(zip(header, cells, strict=False)), line, problems) for line, cells in rows[1:]]
    problems = _problems(entries) + (_missing(entries, FileSource(file.parent)) if strict else []) + problems
    if problems:
        raise DataError(f"{location}: {'; '.join(problems[:5])}{_and_more(problems)}. Correct the file and try again.")
    if not entries:
        raise DataError(f"{location} lists no images. Add one line per image below the header.")
    return Listing(location, file.stem, tuple(entries), FileSource(file.parent), notes)


def _rows(file: Path, location: str) -> list[tuple[int, list[str]]]:
    """Return the lines that are not empty as (line number, cells)."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError as error:
        raise DataError(f"{location} is not text in UTF-8. Save the table as CSV in UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{location} is not a CSV table (line {reader.line_num}: {error}).") from error
    except OSError as error:
        raise DataError(f"{location} cannot be read: {error.strerror}. Check its permissions.") from error


def _check_columns(header: list[str], location: str) -> tuple[str, ...]:
    """Return a note on columns that are passed over; refuse missing ones, and unknown ones that look mistyped."""
    allowed = (*_REQUIRED, *_OPTIONAL)
    absent = [name for name in allowed if name not in header]
    unknown = [name for name in header if name not in allowed]
    hints = [did_you_mean(name, absent) for name in unknown]
    missing = [name for name in _REQUIRED if name in absent]
    if missing or any(hints) or len(set(header)) < len(header):
        wanted = "It needs the columns path,label and may have split,group"
        raise DataError(f"{location}: {wanted}. Received: {','.join(header) or 'nothing'}.{''.join(hints)}")
    return (f"The columns {', '.join(unknown)} were passed over.",) if unknown else ()


def _entry(cells: dict[str, str], line: int, problems: list[str]) -> Entry:
    values = {name: cells.get(name, "").strip() for name in (*_REQUIRED, *_OPTIONAL)}
    problems += [f"line {line}: {name} is missing" for name in _REQUIRED if not values[name]]
    split = values["split"].lower()
    if split and split not in SPLIT_NAMES:
        hint = did_you_mean(split, SPLIT_NAMES)
        hint = f".{hint}" if hint else ""
        problems.append(f"line {line}: split must be train, validation or test, received {values['split']!r}{hint}")
    path = values["path"].replace("\\", "/")
    return Entry(path, values["label"], SPLIT_NAMES.get(split, ""), values["group"])


def _problems(entries: list[Entry]) -> list[str]:
    """Return what is wrong with the rows together."""
    problems = []
    paths = Counter(entry.path for entry in entries if entry.path)
    if twice := [path for path, count in paths.items() if count > 1]:
        problems.append(f"{len(twice)} paths are listed more than once ({shown(twice)})")
    unsplit = sum(not entry.split for entry in entries)
    if 0 < unsplit < len(entries):
        problems.append(f"split is empty in {unsplit} of {len(entries)} lines: give it in all lines or in none")
    return problems


def _missing(entries: list[Entry], source: FileSource) -> list[str]:
    paths = dict.fromkeys(entry.path for entry in entries if entry.path)
    absent = [path for path in paths if not source.file(path).is_file()]
    return [f"{len(absent)} of {len(paths)} files do not exist ({shown(absent)})"] if absent else []


def _and_more(problems: list[str]) -> str:
    return f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
