"""The keys of a recipe and what may stand under them, read from the dataclasses of ``recipe.parts``.

Inside the reader a recipe's tables are plain TOML values: dicts, lists, texts, numbers and truth values.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from headstart.errors import did_you_mean
from headstart.recipe.parts import Candidate, DataRules, Protocol

Table: TypeAlias = dict[str, Any]
Address: TypeAlias = tuple[str | int, ...]

STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
MOST_SHOWN = 60

# Keys that name their own table, so that one of them elsewhere says nothing about where it belongs.
NAMES = ("name", "kind")


@functools.cache
def hints(kind: Any) -> dict[str, Any]:
    """Return the keys of a dataclass and the type of each."""
    return typing.get_type_hints(kind)


def is_table(kind: Any) -> bool:
    """Tell whether a type is a table in TOML."""
    return dataclasses.is_dataclass(kind)


def item_kind(kind: Any) -> Any:
    """Return what a tuple holds, or None for anything but a tuple."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None


def parse(key: str) -> Address:
    """Return a dotted key in steps: ``train.phases[0].epochs`` or ``train.phases.0.epochs``; empty: no key at all."""
    if not re.fullmatch(r"[^.\[\]]+(\[\d+\]|\.[^.\[\]]+)*", key):
        return ()
    steps = [(name or number) for name, number in STEP.findall(key)]
    return tuple(int(step) if step.isdecimal() else step for step in steps)


def show(address: Iterable[str | int]) -> str:
    """Return steps as a dotted key."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in address).removeprefix(".")


def kind_at(kind: Any, address: Address) -> Any:
    """Return the type of what stands at an address below a dataclass, or None where there is no such key."""
    for step in address:
        keys = hints(kind) if is_table(kind) else {}
        kind = item_kind(kind) if isinstance(step, int) else keys.get(step)
    return kind


def keys_of(kind: Any, before: str = "") -> Iterator[str]:
    """Yield every dotted key below a dataclass; those of a list stand under its item 0."""
    for name, inner in hints(kind).items():
        key = f"{before}{name}"
        yield key
        if is_table(inner):
            yield from keys_of(inner, f"{key}.")
        elif is_table(item_kind(inner)):
            yield from keys_of(item_kind(inner), f"{key}[0].")


@functools.cache
def candidate_keys() -> tuple[str, ...]:
    """Return every dotted key of a candidate but its name."""
    return tuple(key for key in keys_of(Candidate) if key != "name")


@functools.cache
def settable_keys() -> tuple[str, ...]:
    """Return every dotted key that decides a study's numbers."""
    shared = (*keys_of(DataRules, "data."), *keys_of(Protocol, "protocol."), "precision")
    return (*candidate_keys(), *shared)


def unknown_key(line: str, received: str, allowed: Sequence[str]) -> str:
    """Return the line for a key that does not exist, with the one that may have been meant.

    Args:
        line: what the line begins with: the key and all that stands before it.
        received: the key as it was written, alone or dotted.
        allowed: the keys that may stand there, alone or dotted.
    """
    name = received.rpartition(".")[2]
    everywhere = allowed if any("." in one for one in allowed) else settable_keys()
    elsewhere = [one for one in everywhere if one.rpartition(".")[2] == name and name not in NAMES]
    hint = f" Did you mean {elsewhere[0]!r}?" if elsewhere else did_you_mean(received, allowed)
    return f"{line}: there is no such key.{hint}"


def wrong_type(key: str, expected: str, received: Any) -> str:
    """Return the line for a value of another type than its key has."""
    return f"{key} must be {expected}. Received: {shown(received)}."


def shown(value: Any) -> str:
    """Return a TOML value in one short line."""
    if isinstance(value, dict):
        return "a table"
    text = str(value).lower() if isinstance(value, bool) else repr(value) if _is_plain(value) else str(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 4] + " ..."


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | list)


def expected_of(kind: Any) -> str:
    """Return a type in words."""
    if is_table(kind):
        return "a table"
    if item := item_kind(kind):
        return "a list of tables" if is_table(item) else "a list of texts"
    return WORDS[kind]


def clean(kind: Any, value: Any, key: str, problems: list[str]) -> Any:
    """Return a TOML value as far as it has the type of its key, else None; what is wrong is added to ``problems``.

    Keys may be missing, whole numbers become numbers where numbers are meant, and lists stay lists.
    """
    if is_table(kind) and isinstance(value, dict):
        return clean_table(kind, value, key, problems)
    if (item := item_kind(kind)) and isinstance(value, list):
        return _clean_list(item, value, key, problems)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _as_float(value, key, problems)
    if kind in WORDS and isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    problems.append(wrong_type(key, expected_of(kind), value))
    return None


def clean_table(kind: Any, table: Table, key: str, problems: list[str]) -> Table:
    """Return what a table holds of the keys of a dataclass, each in its type."""
    known, found = hints(kind), {}
    for name, value in table.items():
        inner = f"{key}.{name}" if key else name
        if name not in known:
            problems.append(unknown_key(inner, name, tuple(known)))
        elif (cleaned := clean(known[name], value, inner, problems)) is not None:
            found[name] = cleaned
    return found


def _clean_list(item: Any, values: list[Any], key: str, problems: list[str]) -> list[Any]:
    found = []
    for place, value in enumerate(values):
        inner = f"{key}[{place}]"
        one = clean(item, value, inner, problems)
        if is_table(item) and one is not None:
            problems += [f"{inner}.{name} is missing. Add it." for name in sorted(_required(item) - set(value))]
            one = dict.fromkeys(_required(item), 1) | one
        if one is not None:
            found.append(one)
    return found


def _required(kind: Any) -> set[str]:
    """Return the keys of a list's tables that have no default; all are whole numbers, of which 1 is a good one."""
    nothing = dataclasses.MISSING
    return {one.name for one in dataclasses.fields(kind) if one.default is nothing and one.default_factory is nothing}


def _as_float(value: int, key: str, problems: list[str]) -> float | None:
    try:
        return float(value)
    except OverflowError:
        problems.append(f"{key} must be a number below 1.8e308. Received: {shown(value)}.")
        return None


def merge(below: Any, above: Any) -> Any:
    """Return two values laid over each other: tables key by key, anything else replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{name: merge(below.get(name), value) for name, value in above.items()}}
    return above


def reaches(table: Any, address: Address) -> bool:
    """Tell whether every list on the way to an address is long enough."""
    for step in address:
        if isinstance(step, int):
            if not isinstance(table, list) or step >= len(table):
                return False
            table = table[step]
        else:
            table = table.get(step) if isinstance(table, dict) else None
    return True


def put(table: Any, address: Address, value: Any) -> Any:
    """Return a table with a value merged in at an address, or the same table where the address is not reached."""
    return _put(table, address, value) if reaches(table, address) else table


def _put(table: Any, address: Address, value: Any) -> Any:
    if not address:
        return merge(table, value)
    step, rest = address[0], address[1:]
    if isinstance(step, str):
        return {**(table or {}), step: _put((table or {}).get(step), rest, value)}
    return [_put(one, rest, value) if place == step else one for place, one in enumerate(table)]
