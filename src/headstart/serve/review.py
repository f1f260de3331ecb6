"""The review of a run: its doubted labels and its copies, picture by picture, and what people decide on them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.findings import Audit
from headstart.errors import RunError
from headstart.recipe.lists import ACTIONS, RELABEL
from headstart.report import commands
from headstart.runs import folder as run_files
from headstart.runs.decisions import Decision, write_decisions
from headstart.runs.folder import DoubtRow
from headstart.serve.album import Album

CONFLICT, DOUBT, COPY, NEAR = "conflict", "doubt", "copy", "near"
MOST_AT_ONCE = 1000
"""Decisions in one request."""


@dataclass(frozen=True, slots=True)
class Case:
    """Images to be judged together, by number: one doubted label, or several that show the same picture."""

    kind: str
    images: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class State:
    """One image in the review.

    Attributes:
        suggested: by the study, whatever people have decided; empty where it has no doubt, or where a list that was
            edited by hand does not tell. ``confidence`` is the probability of that label, 0..1; None without one.
        action: what was decided: ``drop``, ``keep``, ``relabel`` (then to ``new_label``), or nothing yet.
    """

    number: int
    path: str
    label: str
    split: str
    suggested: str
    confidence: float | None
    action: str
    new_label: str


class Review:
    """The review of one run. What is decided stands in the run folder's list at once; nothing of it is kept here."""

    def __init__(self, album: Album) -> None:
        self.album = album
        summary = album.folder.summary()
        self.classes = summary.dataset.classes
        self.cases = tuple(_cases(album, album.folder.audit()))
        self.command = _command(album, summary.dataset.path)

    def states(self) -> list[State]:
        """Return every image of the cases as the list says it now, in the order of the cases."""
        return self._states(number for case in self.cases for number in case.images)

    def decide(self, text: bytes) -> list[State]:
        """Write the decisions of a request and return the images they are about.

        Args:
            text: JSON ``{"decisions": [{"image": number, "action": "drop", "label": "" or the new one}]}``.

        Raises:
            ValueError: it is not that, or names an image that is not in the review, or a class that there is not.
            RunError: the list cannot be written.
        """
        wanted = self._wanted(text)
        write_decisions(self.album.folder, [self._decision(*one) for one in wanted])
        return self._states(number for number, _, _ in wanted)

    def _decision(self, number: int, action: str, label: str) -> Decision:
        image = self.album.rows[number]
        return Decision(image.path, image.label, action, label if action == RELABEL else "")

    def _states(self, numbers: Iterable[int]) -> list[State]:
        """Return the images of these numbers, each once, as the list says it now."""
        listed: dict[str, DoubtRow] = {}
        rows, suggestions = self.album.folder.doubts_and_suggestions()
        for row in rows:
            if row.path not in listed or row.action:
                listed[row.path] = row
        return [self._state(number, listed, suggestions) for number in dict.fromkeys(numbers)]

    def _state(self, number: int, listed: Mapping[str, DoubtRow], suggestions: Mapping[str, str]) -> State:
        image = self.album.rows[number]
        row = listed.get(image.path)
        suggested = suggestions.get(image.path, "")
        confidence = row.confidence if row and suggested else None
        action = row.action if row and row.action in ACTIONS else ""
        new_label = row.suggested if row and action == RELABEL else ""
        return State(number, image.path, image.label, image.split, suggested, confidence, action, new_label)

    def _wanted(self, text: bytes) -> list[tuple[int, str, str]]:
        try:
            rows = json.loads(text)["decisions"]
            found = [(row["image"], row["action"], row.get("label") or "") for row in rows]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ValueError('Send {"decisions": [{"image": 0, "action": "drop", "label": ""}]}.') from None
        if not 0 < len(found) <= MOST_AT_ONCE:
            raise ValueError(f"Send 1 to {MOST_AT_ONCE} decisions. Received: {len(found)}.")
        here = {number for case in self.cases for number in case.images}
        for number, action, label in found:
            self._check(number, action, label, here)
        return found

    def _check(self, number: Any, action: Any, label: Any, here: set[int]) -> None:
        if type(number) is not int or number not in here:
            raise ValueError("There is no such image in this review. Load the page again.")
        if action not in ("", *ACTIONS):
            raise ValueError(f"An action is {', '.join(ACTIONS)} or empty.")
        if action == RELABEL and (label not in self.classes or label == self.album.rows[number].label):
            raise ValueError("The new label must be another class of this run.")


def _cases(album: Album, audit: Audit) -> Iterator[Case]:
    """Yield what is worth a look: contradictory labels, doubted labels, then copies; no group twice."""
    seen: set[frozenset[int]] = set()
    yield from _groups(CONFLICT, audit.label_conflicts, album, seen)
    for path in dict.fromkeys(row.path for row in album.folder.doubts() if row.confidence is not None):
        if path in album.numbers:
            yield Case(DOUBT, (album.numbers[path],))
    yield from _groups(COPY, audit.exact_duplicates, album, seen)
    yield from _groups(NEAR, audit.near_duplicates, album, seen)


def _groups(kind: str, groups: Sequence[Sequence[str]], album: Album, seen: set[frozenset[int]]) -> Iterator[Case]:
    for paths in groups:
        images = tuple(album.numbers[path] for path in paths if path in album.numbers)
        if len(images) > 1 and frozenset(images) not in seen:
            seen.add(frozenset(images))
            yield Case(kind, images)


def _command(album: Album, data: str) -> str:
    """Return the command line that compares again with the list that is written here."""
    folder = album.folder.path
    try:
        first = album.folder.environment().command
        typed = commands.typed_folder(first, folder.name)
        # a run that was copied or moved has its list here, not where its study was started
        place = typed if typed and Path(typed).resolve() == folder.resolve() else str(folder)
        correcting = commands.correcting_command(first, place, run_files.DOUBTS)
    except (RunError, ValueError):
        correcting = ""
    return correcting or shlex.join(["headstart", "compare", data, "--drop", str(folder / run_files.DOUBTS)])
