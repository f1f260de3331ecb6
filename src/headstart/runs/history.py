"""Which runs lie below a folder, and what each of them found, from the small files of each alone."""

from __future__ import annotations

import contextlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.errors import RunError
from headstart.evaluation import headline
from headstart.evaluation.summary import SCHEMA_VERSION
from headstart.runs.folder import IDENTITY, LOG, STUDY, SUMMARY, TIMINGS

DEPTH = 4
"""How many folders deep runs are looked for."""

DONE, UNFINISHED, DAMAGED = "done", "not finished", "damaged"

# The last line of a log is far shorter, whatever it says.
TAIL_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Headline:
    """An accuracy in 0..1 with its 95 % interval, None where there is none."""

    accuracy: float
    ci95: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in a line. What a run that is not ``done`` cannot say is None.

    Attributes:
        name: its folder as seen from the folder that was searched.
        folder: its folder, as it would be typed.
        title: of its recipe; empty where it has none.
        state: ``done``, ``not finished`` or ``damaged``.
        reason: why it is damaged.
        finished: when its log ends, UTC as ISO 8601; of a run that is not done, when it was last at work.
        images, classes, candidates, failed: numbers; ``failed`` are the candidates that failed, of all.
        best, recommended: ids of candidates; ``recommended`` may be that of a combination.
        validation: the best candidate's, on images held back from its training, less what choosing it adds.
        test: the best candidate's, on the test images that are not also training images; None where all are.
        test_images, contaminated: how many there are, and how many of them are also training images.
        seconds: how long the study took.
    """

    name: str
    folder: Path
    title: str = ""
    state: str = UNFINISHED
    reason: str = ""
    finished: str | None = None
    images: int | None = None
    classes: int | None = None
    candidates: int | None = None
    failed: int | None = None
    best: str | None = None
    recommended: str | None = None
    validation: Headline | None = None
    test: Headline | None = None
    test_images: int | None = None
    contaminated: int = 0
    seconds: float | None = None


def find_runs(folder: Path) -> tuple[RunRow, ...]:
    """Return the runs in and below a folder, newest first; those without a log come last.

    Links are not followed, and nothing below a run is looked at. A run that cannot be read says so in its row.

    Raises:
        RunError: there is no such folder.
    """
    if not folder.is_dir():
        raise RunError(f"There is no folder {folder}. Give the folder that holds your runs.")
    rows = [_row(found, folder) for found in _run_folders(folder, DEPTH)]
    rows.sort(key=lambda row: row.name)
    return tuple(sorted(rows, key=lambda row: row.finished or "", reverse=True))


def is_run(folder: Path) -> bool:
    """Tell whether a folder is one that a study has claimed."""
    return (folder / IDENTITY).is_file() or (folder / STUDY).is_file()


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    if is_run(folder):
        yield folder
    elif depth:
        for name in _folders_below(folder):
            yield from _run_folders(folder / name, depth - 1)


def _folders_below(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, hidden ones left out; none where it cannot be looked into."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _row(folder: Path, searched: Path) -> RunRow:
    name = folder.resolve().name if folder == searched else folder.relative_to(searched).as_posix()
    row = RunRow(name, folder, title=_title(folder), finished=_last_time(folder))
    if not (folder / SUMMARY).exists():
        return row
    try:
        return _with_headline(row)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        return replace(row, state=DAMAGED, reason=_why(error))


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"it cannot be read ({error.strerror or error})"
    words = "a candidate is missing" if isinstance(error, StopIteration) else str(error)
    return words if isinstance(error, _TooNewError) else f"{SUMMARY} cannot be read ({words})"


class _TooNewError(ValueError):
    """A summary of a newer headstart."""


def _with_headline(row: RunRow) -> RunRow:
    """Return a row with what its summary says in one line.

    The summary is read as plain JSON: to check all of it would take many times as long, for every run of the list.
    """
    summary = json.loads((row.folder / SUMMARY).read_bytes())
    version = summary["schema_version"]
    if version > SCHEMA_VERSION:
        raise _TooNewError(
            f"{SUMMARY} has schema version {version}; this headstart reads up to {SCHEMA_VERSION}. Install a newer one"
        )
    best = next(one for one in summary["candidates"] if one["id"] == summary["best"])
    dataset, shown = summary["dataset"], best["cv"]["accuracy"]
    by = _shift(summary)
    return replace(
        row,
        state=DONE,
        images=int(dataset["images"]),
        classes=len(dataset["classes"]),
        candidates=len(summary["candidates"]),
        failed=sum(one["cv"] is None and one.get("status") != "skipped" for one in summary["candidates"]),
        best=str(summary["best"]),
        recommended=str(summary["recommended"]),
        validation=_accuracy(shown["mean"], shown["ci95"], by),
        seconds=_seconds(row.folder),
        **_test(summary),
    )


def _shift(summary: Mapping[str, Any]) -> float:
    protocol, optimism = summary.get("protocol") or {}, summary.get("optimism") or {}
    return headline.shift_of(protocol.get("score_epoch", "best"), optimism.get("selection"))


def _test(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields on the test images: the figure is of those that are not also training images."""
    test, clean = summary["test"], summary.get("clean") or ()
    for one in clean:
        if one["candidate"] == summary["best"]:
            figure = None if one["accuracy"] is None else _accuracy(one["accuracy"], one["ci95"])
            return {"test": figure, "test_images": int(one["images"]), "contaminated": int(one["contaminated"])}
    images = sum(sum(row) for row in test.get("confusion_matrix", ()))
    return {"test": _accuracy(test["accuracy"], test["intervals"].get("accuracy")), "test_images": images or None}


def _accuracy(value: float, interval: list[float] | None, by: float = 0.0) -> Headline:
    """Return an accuracy with its interval, both lower by so much."""
    ends = (headline.lowered(float(interval[0]), by), headline.lowered(float(interval[1]), by)) if interval else None
    return Headline(headline.lowered(float(value), by), ends)


def _seconds(folder: Path) -> float | None:
    """Return how long the study took; None where that file is missing or damaged, for it is only a comfort."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads((folder / TIMINGS).read_bytes())["total_seconds"])
    return None


def _title(folder: Path) -> str:
    """Return the title of the recipe, which stands before its first table."""
    with contextlib.suppress(OSError, ValueError):
        head = (folder / STUDY).read_text(encoding="utf-8").partition("\n[")[0]
        return str(tomllib.loads(head).get("title", ""))
    return ""


def _last_time(folder: Path) -> str | None:
    """Return the time of the last line of the log that is whole."""
    with contextlib.suppress(OSError), (folder / LOG).open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL_BYTES))
        for line in reversed(stream.read().splitlines()):
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, Mapping) and isinstance(entry.get("time"), str):
                    return str(entry["time"])
    return None
