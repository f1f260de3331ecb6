"""The candidates of a recipe's tables: what is said for all, ``[[candidate]]`` laid over it, and grids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from headstart.recipe import schema
from headstart.recipe.grid import Axis, Entry, join_axes, read_grid
from headstart.recipe.parts import Candidate
from headstart.recipe.schema import Table

OF_CANDIDATES = tuple(name for name in schema.hints(Candidate) if name != "name")
BACKBONE_MISSING = "is missing. Name one: `headstart backbones` lists them."


def read_entries(raw: Table, problems: list[str]) -> tuple[Entry, ...]:
    """Return what ``raw`` lists as candidates, or the one that its own keys make; what is wrong is left out and said.

    A key of the general grid is left out for a candidate that has a value or a grid of its own for it.
    """
    reading = _EntriesReader(raw, problems)
    entries = tuple(reading.entries())
    for axis in reading.general:
        if not any(schema.reaches(entry.table, axis.address) for entry in entries):
            problems.append(f"grid.{schema.show(axis.address)}: no candidate has so many phases.")
    return entries


class _EntriesReader:
    def __init__(self, raw: Table, problems: list[str]) -> None:
        self._problems = problems
        given = {key: value for key, value in raw.items() if key in OF_CANDIDATES}
        self._defaults = schema.clean_table(Candidate, given, "", problems)
        self._named = "backbone" in raw
        self.general, self._general_sound = self._grid(raw.get("grid", {}), "grid")
        self._listed = raw.get("candidate", [])

    def entries(self) -> Iterator[Entry]:
        """Yield every candidate with its axes."""
        listed = self._listed
        if not isinstance(listed, list):
            self._problems.append(schema.wrong_type("candidate", "a list of tables, [[candidate]]", listed))
            listed = [listed] if isinstance(listed, dict) else []
        if not listed:
            yield self._entry({}, "")
        for place, table in enumerate(listed):
            if isinstance(table, dict):
                yield self._entry(table, f"candidate[{place}]")
            else:
                self._problems.append(schema.wrong_type(f"candidate[{place}]", "a table", table))

    def _entry(self, value: Table, key: str) -> Entry:
        before = len(self._problems)
        settings = {name: one for name, one in value.items() if name != "grid"}
        own = schema.clean_table(Candidate, settings, key, self._problems)
        axes, sound = self._grid(value.get("grid", {}), f"{key}.grid")
        table = schema.merge(self._defaults, own)
        self._problems += [
            f"{key}.grid.{schema.show(axis.address)}: the candidate has not so many phases."
            for axis in axes
            if not schema.reaches(table, axis.address)
        ]
        axes = [axis for axis in join_axes(self.general, axes, own) if schema.reaches(table, axis.address)]
        return Entry(
            table=table,
            axes=tuple(axes),
            key=key,
            sound=len(self._problems) == before,
            names_sound=sound and self._general_sound,
            backbone_given=self._named or "backbone" in value,
        )

    def _grid(self, value: Any, key: str) -> tuple[Sequence[Axis], bool]:
        """Return the axes of a grid, and whether all of it could be read."""
        before = len(self._problems)
        axes = read_grid(value, key, self._problems)
        return axes, len(self._problems) == before


def missing_backbones(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a line for every entry that names no backbone."""
    for entry in entries:
        if not entry.has_backbone and not entry.backbone_given:
            yield f"{entry.key}.backbone {BACKBONE_MISSING}".removeprefix(".")


def doubtful_names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return how the names of candidates begin that could not all be built."""
    doubtful = [entry for entry in entries if not entry.names_sound or not entry.has_backbone]
    return tuple(entry.table.get("name") or entry.table.get("backbone", "") for entry in doubtful)
