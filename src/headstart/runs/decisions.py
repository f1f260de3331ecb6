"""What people decide on single images, written into the list of doubted labels while others may write there too."""

from __future__ import annotations

import contextlib
import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from headstart import storage
from headstart.errors import RunError
from headstart.recipe.lists import ACTIONS, RELABEL
from headstart.recipe.sheet import delimiter_of, read_sheet
from headstart.runs.doubts import FIRST, suggestion_before
from headstart.runs.folder import LOCK, RunFolder
from headstart.runs.rows import DoubtRow

PATIENCE_SECONDS = 5.0
"""How long a decision waits for another process that works in the run folder."""

COLUMNS = tuple(field.name for field in fields(DoubtRow))

Cells = dict[str, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with the image at ``path``: ``drop``, ``keep``, ``relabel``, or nothing (yet).

    ``label`` is the image's in the image table, ``new_label`` the one that it gets where it is relabelled, else empty.
    """

    path: str
    label: str
    action: str
    new_label: str = ""

    def __post_init__(self) -> None:
        if self.action not in ("", *ACTIONS) or (self.action == RELABEL) != bool(self.new_label):
            raise ValueError(f"there is no such decision: {self}")


def write_decisions(folder: RunFolder, decisions: Sequence[Decision]) -> None:
    """Write decisions into the list: the last word on an image holds, and the rest of the list stays as it is.

    A new label stands in the column ``suggested``, where ``compare --drop`` looks for it; what stood there before waits
    in ``first_suggested`` and comes back when the label is taken back. Columns that people have added stay. An image
    that is not in the list gets a row at its end, without a confidence; such a row goes again with its decision.

    Raises:
        RunError: the list is no table any more or cannot be written, or a study is at work in the folder.
    """
    try:
        with _alone(folder):
            text = _text(folder.doubts_file)
            storage.write_text(folder.doubts_file, _decided(text, {one.path: one for one in decisions}))
    except OSError as error:
        raise RunError(f"{folder.doubts_file} cannot be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def _alone(folder: RunFolder) -> Iterator[None]:
    """Hold the run folder's lock, which threads and processes wait for alike."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        with storage.exclusive_lock(folder.path / LOCK) as free:
            if free:
                yield
                return
        if time.monotonic() > end:
            raise RunError(f"A study is at work in {folder.path}. Wait until it has ended, then decide again.")
        time.sleep(0.02)


def _text(path: Path) -> str:
    if not path.exists():
        return ",".join(COLUMNS) + "\n"
    try:
        return path.read_text(encoding="utf-8-sig")
    except ValueError:
        raise _no_table(path.name) from None


def _no_table(name: str) -> RunError:
    return RunError(f"{name} in the run folder is no longer a CSV table in UTF-8. Save it as one, then decide again.")


def _decided(text: str, decisions: Mapping[str, Decision]) -> str:
    """Return the text of the list with the decisions in it."""
    delimiter = delimiter_of(text, "path")
    if delimiter is None:
        raise _no_table("The list of doubted labels")
    try:
        sheet = read_sheet(text, delimiter)
    except ValueError:
        raise _no_table("The list of doubted labels") from None
    header = [*sheet.header, *(name for name in (*COLUMNS, FIRST) if name not in sheet.header)]
    rows = [{name: sheet.cell(row, name) for name in header} for row in sheet.rows]
    listed = {row["path"] for row in rows}
    new = [one for path, one in decisions.items() if path not in listed]
    rows += [{**dict.fromkeys(header, ""), "path": one.path, "label": one.label} for one in new]
    kept = [row for row in rows if row["path"] not in decisions or _decide(row, decisions[row["path"]])]
    if not any(row[FIRST] for row in kept):
        header.remove(FIRST)
    return _table(header, kept, delimiter)


def _decide(row: Cells, decision: Decision) -> bool:
    """Write a decision into a row; return whether the row says anything then."""
    before, again = suggestion_before(row[FIRST], row["suggested"], row["action"]), decision.action == RELABEL
    row["suggested"], row[FIRST] = (decision.new_label, before) if again else (before, "")
    row["action"] = decision.action
    return any(row[name] for name in ("action", "suggested", "confidence"))


def _table(header: Sequence[str], rows: Sequence[Cells], delimiter: str) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, header, extrasaction="ignore", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
