"""Grids: from axes over dotted keys to candidates, each with its name."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart import storage
from headstart.recipe import schema
from headstart.recipe.parts import DENSE, DROPOUT, Candidate
from headstart.recipe.schema import Address, Table

RATE: Address = ("train", "optimizer", "learning_rate")


@dataclass(frozen=True, slots=True)
class Axis:
    """A key that varies, its values, and the word for each of them in the names of candidates."""

    address: Address
    values: tuple[Any, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What becomes one candidate, or a grid of them.

    Attributes:
        table: the candidate's settings, laid over those of all candidates.
        axes: what varies; later ones win over earlier ones.
        key: where it stands in the file, such as ``candidate[0]``; empty: it is the whole file.
        sound: whether all of it could be read; where not, it may only seem to equal another.
        names_sound: whether its grids could be read, so that the names of its members are what they should be.
        backbone_given: whether the file says anything of its backbone, be it right or not.
    """

    table: Table
    axes: tuple[Axis, ...] = ()
    key: str = ""
    sound: bool = True
    names_sound: bool = True
    backbone_given: bool = True

    @property
    def has_backbone(self) -> bool:
        """Whether candidates can be built from it."""
        return "backbone" in self.table or any(axis.address == ("backbone",) for axis in self.axes)

    @property
    def size(self) -> int:
        """How many candidates it makes."""
        return math.prod(len(axis.values) for axis in self.axes)


def read_grid(value: Any, key: str, problems: list[str]) -> tuple[Axis, ...]:
    """Return the axes of a grid's table; keys may be written ``"a.b" = [..]`` or ``a.b = [..]``."""
    if not isinstance(value, dict):
        problems.append(schema.wrong_type(key, "a table", value))
        return ()
    axes = (_axis(name, values, f"{key}.{name}", problems) for name, values in _flat(value))
    return tuple(axis for axis in axes if axis)


def _flat(table: Table, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _axis(name: str, values: Any, key: str, problems: list[str]) -> Axis | None:
    address = schema.parse(name)
    kind = schema.kind_at(Candidate, address) if address else None
    if kind is None and name in schema.settable_keys():
        problems.append(f"{key}: a grid goes over settings of candidates. This one is the same for all of them.")
    elif kind is None or address == ("name",):
        problems.append(schema.unknown_key(key, name, schema.candidate_keys()))
    elif not isinstance(values, list) or not values:
        problems.append(schema.wrong_type(key, "a list with at least one value", values))
    else:
        found = _clean_values(kind, values, key, problems)
        return Axis(address, tuple(found), _words(address, found)) if found else None
    return None


def _clean_values(kind: Any, values: Sequence[Any], key: str, problems: list[str]) -> list[Any]:
    """Return the values of an axis that have its key's type, each once."""
    found: list[Any] = []
    for place, value in enumerate(values):
        cleaned = schema.clean(kind, value, f"{key}[{place}]", problems)
        if cleaned is not None and cleaned in found:
            problems.append(f"{key}: {schema.shown(value)} is there twice. Leave one of them out.")
        elif cleaned is not None:
            found.append(cleaned)
    return found


def join_axes(general: Sequence[Axis], own: Sequence[Axis], table: Table) -> tuple[Axis, ...]:
    """Return the axes of one candidate: the general ones that it neither replaces nor settles in ``table``, its own."""
    mine = {axis.address for axis in own}
    kept = [axis for axis in general if axis.address not in mine and not _is_set(table, axis.address)]
    return (*kept, *own)


def _is_set(table: Any, address: Address) -> bool:
    """Tell whether a table says anything at an address."""
    for step in address:
        if not isinstance(table, dict) or step not in table:
            return False
        table = table[step]
    return True


def settle(entry: Entry, settings: Sequence[tuple[Address, Any]]) -> Entry:
    """Return an entry with settings that win over its table and its axes.

    An axis over a key that is set keeps that one value, so that names stay as they are.
    """
    table, axes = entry.table, list(entry.axes)
    for address, value in settings:
        table = schema.put(table, address, value)
        axes = [_settle_axis(axis, address, value) for axis in axes]
    return dataclasses.replace(entry, table=table, axes=tuple(axes))


def _settle_axis(axis: Axis, address: Address, value: Any) -> Axis:
    """Return an axis after a setting: of the same key, of a table around it, of a key inside it, or elsewhere."""
    shared = min(len(address), len(axis.address))
    if axis.address[:shared] != address[:shared]:
        return axis
    inner = axis.address[shared:]
    if axis.address == address or (inner and _is_set(value, inner)):
        return _single(axis, _value_at(value, inner))
    values = [one if inner else schema.put(one, address[shared:], value) for one in axis.values]
    kept = [place for place, one in enumerate(values) if one not in values[:place]]
    return Axis(axis.address, tuple(values[place] for place in kept), tuple(axis.words[place] for place in kept))


def _single(axis: Axis, value: Any) -> Axis:
    """Return an axis with one value, whose word is the one that it had among the others."""
    known = dict(zip(map(repr, axis.values), axis.words, strict=True))
    return Axis(axis.address, (value,), (known.get(repr(value)) or _words(axis.address, [value])[0],))


def _value_at(table: Any, address: Address) -> Any:
    for step in address:
        table = table[step]
    return table


def expand(entry: Entry) -> Iterator[Candidate]:
    """Yield the candidates of an entry that have a backbone: all combinations, the last axis varying first."""
    for places in itertools.product(*(range(len(axis.values)) for axis in entry.axes)):
        table, words = entry.table, {}
        for axis, place in zip(entry.axes, places, strict=True):
            table = schema.put(table, axis.address, axis.values[place])
            words[axis.address] = axis.words[place]
        if "backbone" in table:
            yield _named(table, words)


def _named(table: Table, words: Mapping[Address, str]) -> Candidate:
    """Return a candidate; the name of a grid's member is that of the entry, or its network, and a word per axis."""
    given = table.get("name", "")
    unnamed: Candidate = storage.from_plain(Candidate, {**table, "name": ""})
    base = given or (unnamed.backbone if ("weights",) in words else unnamed.network)
    parts = [word for address, word in words.items() if given or address != ("backbone",)]
    name = "-".join([base, *parts])
    if not given and (not words or name == unnamed.id):
        return unnamed
    named: Candidate = storage.from_plain(Candidate, {**table, "name": name})
    return named


def _words(address: Address, values: Sequence[Any]) -> tuple[str, ...]:
    """Return a word for each value of an axis; where two would be the same, their numbers follow."""
    words = [_word(address, value) or str(place) for place, value in enumerate(values, start=1)]
    return tuple(one if words.count(one) == 1 else f"{one}-{place}" for place, one in enumerate(words, start=1))


def _word(address: Address, value: Any) -> str:
    """Return what a value is called; empty: it has no name."""
    if isinstance(value, dict):
        return str(value.get("name") or value.get("kind") or "").replace(" ", "-")
    if isinstance(value, list):
        return "-".join(map(_item_word, value)) or "none" if all(isinstance(one, str) for one in value) else ""
    if isinstance(value, str):
        return value.replace(" ", "-")
    if address == RATE:
        return f"lr{value:g}"
    key = next(str(step) for step in reversed(address) if isinstance(step, str))
    number = str(value).lower() if isinstance(value, bool | int) else f"{value:g}"
    return f"{key}-{number}" if isinstance(value, bool) or key[-1].isdecimal() else f"{key}{number}"


def _item_word(text: str) -> str:
    """Return a layer or an operation in one word, a layer without its kind."""
    if DENSE.fullmatch(text) or DROPOUT.fullmatch(text):
        text = text.partition(" ")[2]
    return text.replace(" + ", "-").replace(" ", "-")
