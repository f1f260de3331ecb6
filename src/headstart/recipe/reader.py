"""From TOML to a recipe: every problem of a file is found in one go, each with its key."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart import storage
from headstart.errors import UsageError, visible
from headstart.recipe import builtin, check, schema
from headstart.recipe.entries import OF_CANDIDATES, doubtful_names, missing_backbones, read_entries
from headstart.recipe.grid import Entry, expand, settle
from headstart.recipe.overrides import FLAG, Overrides, present_protocol, read_overrides
from headstart.recipe.parts import Candidate, DataRules, Protocol, PublishedValue
from headstart.recipe.published import PublishedReader
from headstart.recipe.recipe import Recipe
from headstart.recipe.rules import clean_data
from headstart.recipe.schema import Address, Table

WORDS = ("name", "title", "source", "unknown", "classes", "precision")
TABLES = ("data", "protocol", "published", "grid", "candidate")
TOP_KEYS = (*WORDS, *OF_CANDIDATES, *TABLES)
MOST_CANDIDATES = 10_000


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be read of a recipe, and everything that is wrong with it, one line each.

    ``candidates`` are those that could be built; ``notes`` are worth saying, but nothing is wrong. ``asks_for_folds``:
    the text says folds, and does not leave them to the default.
    """

    candidates: tuple[Candidate, ...]
    data: DataRules = field(default_factory=DataRules)
    protocol: Protocol = field(default_factory=Protocol)
    precision: str = "f32"
    name: str = ""
    title: str = ""
    classes: tuple[str, ...] = ()
    source: str = ""
    unknown: tuple[str, ...] = ()
    published: tuple[PublishedValue, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    asks_for_folds: bool = False

    def recipe(self) -> Recipe:
        """Return the recipe.

        Raises:
            UsageError: it has problems (all of them, one line each).
        """
        if self.problems:
            raise UsageError("\n".join(self.problems))
        fields = dataclasses.fields(Recipe)
        return Recipe(**{one.name: getattr(self, one.name) for one in fields})


@dataclass(frozen=True, slots=True)
class Member:
    """A candidate, and whether all that the file says of it could be read."""

    candidate: Candidate
    sound: bool


def read(source: str | Path, overrides: Sequence[str] = ()) -> Draft:
    """Read a recipe.

    Args:
        source: the name of a built-in recipe, or the path of a TOML file.
        overrides: ``key=value`` texts that win over the file.

    Raises:
        UsageError: there is no such recipe, or it is no TOML. Everything else is in the draft.
    """
    file = builtin.find(source)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text. Save it as UTF-8.") from None
    return read_text(text, overrides, name=file.stem, origin=str(file), folder=file.parent)


def read_text(
    text: str, overrides: Sequence[str] = (), *, name: str = "", origin: str = "The recipe", folder: Path = Path()
) -> Draft:
    """Read a recipe from its text.

    Args:
        overrides: ``key=value`` texts that win over the text.
        name: of the recipe, where it does not say.
        origin: how an error calls it.
        folder: what the paths in it are relative to.

    Raises:
        UsageError: it is no TOML; the message has the line.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = str(error).replace("at end of document", f"at line {len(text.splitlines())}, the end")
        raise UsageError(f"{origin} is no TOML: {place}. Mend that line.") from None
    except RecursionError:
        raise UsageError(f"{origin} is no recipe: its lists or tables lie too deep in each other.") from None
    return _Reading(raw, folder).draft(name, overrides)


class _Reading:
    """One reading of a recipe's tables; ``problems`` gathers what is wrong."""

    def __init__(self, raw: Table, folder: Path) -> None:
        self._raw = raw
        self._folder = folder
        self._problems: list[str] = []
        self._notes: list[str] = []

    def draft(self, name: str, overrides: Sequence[str]) -> Draft:
        """Return what could be read."""
        problems, raw = self._problems, self._raw
        problems += [schema.unknown_key(key, key, TOP_KEYS) for key in raw if key not in TOP_KEYS]
        settings = read_overrides(overrides, problems)
        top = schema.clean_table(Recipe, {key: raw[key] for key in WORDS if key in raw}, "", problems)
        classes = tuple(top.get("classes", ()))
        problems += [f"classes: {one!r} is there twice." for one in dict.fromkeys(classes) if classes.count(one) > 1]
        data = clean_data(raw.get("data", {}), self._folder, "data", problems) | settings.data
        given = present_protocol(raw.get("protocol", {}), problems)
        protocol = schema.clean(Protocol, given, "protocol", problems) or {}
        protocol |= settings.protocol
        candidates, published = self._candidates(settings, classes)
        draft = Draft(
            candidates=candidates,
            data=storage.from_plain(DataRules, data),
            protocol=storage.from_plain(Protocol, protocol),
            precision=top.get("precision", "f32") if settings.precision is None else settings.precision,
            name=top.get("name", name),
            title=top.get("title", ""),
            classes=classes,
            source=top.get("source", ""),
            unknown=tuple(top.get("unknown", ())),
            published=published,
            notes=tuple(self._notes),
            asks_for_folds=protocol.get("kind") == "folds" or ("folds" in protocol and "kind" not in protocol),
        )
        found = map(visible, [*problems, *_range_problems(draft)])
        return dataclasses.replace(draft, problems=tuple(dict.fromkeys(found)))

    def _candidates(
        self, settings: Overrides, classes: Sequence[str]
    ) -> tuple[tuple[Candidate, ...], tuple[PublishedValue, ...]]:
        """Return the candidates, and the published numbers of those that the settings leave."""
        entries = read_entries(self._raw, self._problems)
        members = self._members(entries)
        names = [one.candidate.id for one in members]
        doubtful = doubtful_names(entries) if members else ("",)
        rows = list(PublishedReader(classes, names, doubtful, self._problems).read(self._raw.get("published", {})))
        if settings.candidate:
            self._problems += _unreached(entries, settings.candidate)
            entries = tuple(settle(entry, settings.candidate) for entry in entries)
            members = self._members(entries, leave_twins_out=True)
        self._problems += missing_backbones(entries)
        left = {one.candidate.id for one in members}
        return tuple(one.candidate for one in members), tuple(row for row in rows if row.candidate in left)

    def _members(self, entries: Sequence[Entry], *, leave_twins_out: bool = False) -> list[Member]:
        """Return the candidates of all entries; say whether they are too many, and which are there twice."""
        size = sum(entry.size for entry in entries)
        if size > MOST_CANDIDATES:
            self._problems.append(f"grid must make at most {MOST_CANDIDATES:,} candidates. Received: {size:,}.")
            return []
        members = [Member(one, entry.sound) for entry in entries for one in expand(entry)]
        if leave_twins_out:
            members = self._without_twins(members)
        self._problems += check.twin_problems([one.candidate for one in members if one.sound])
        return members

    def _without_twins(self, members: Sequence[Member]) -> list[Member]:
        """Return the members that settings have not made equal to an earlier one."""
        first: dict[str, Member] = {}
        for one in members:
            settings = repr(dataclasses.replace(one.candidate, name=""))
            kept = first.setdefault(settings, one)
            if kept.candidate.id != one.candidate.id:
                self._notes.append(f"{one.candidate.id} now equals {kept.candidate.id}, so it is left out.")
        return list(first.values())


def _unreached(entries: Sequence[Entry], settings: Iterable[tuple[Address, Any]]) -> Iterator[str]:
    """Yield a line for every setting of a phase that no candidate has."""
    for address, _ in settings:
        if not any(schema.reaches(entry.table, address) for entry in entries):
            yield f"{FLAG}{schema.show(address)}: no candidate has so many phases."


def _range_problems(draft: Draft) -> list[str]:
    """Return what is of the right type and yet may not be."""
    return [
        *check.data_problems(draft.data),
        *check.protocol_problems(draft.protocol),
        *check.precision_problems(draft.precision),
        *check.each_problems(draft.candidates),
        *check.average_problems(draft.protocol, draft.candidates),
    ]
