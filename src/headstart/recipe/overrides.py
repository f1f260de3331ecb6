"""The settings that ``--set key=value`` gives."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.recipe import schema
from headstart.recipe.parts import Candidate, DataRules, Protocol
from headstart.recipe.rules import clean_data
from headstart.recipe.schema import Address, Table

FLAG = "--set "
FIXED = ("name", "title", "source", "unknown", "classes", "published", "grid", "candidate")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What wins over a recipe: settings of every candidate, in order, and what all candidates share."""

    candidate: tuple[tuple[Address, Any], ...] = ()
    data: Table = field(default_factory=dict)
    protocol: Table = field(default_factory=dict)
    precision: str | None = None


def read_overrides(texts: Sequence[str], problems: list[str]) -> Overrides:
    """Return the settings of ``key=value`` texts; paths are relative to the current folder.

    A value is TOML; what is no TOML is a text. The last of one key counts.
    """
    candidate: list[tuple[Address, Any]] = []
    data: Table = {}
    protocol: Table = {}
    precision = None
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key:
            problems.append(f"{FLAG}{text!r} must be KEY=VALUE, such as train.epochs=5.")
        elif key == "precision":
            precision = schema.clean(str, _value(value), f"{FLAG}{key}", problems)
        elif key.startswith("data."):
            data |= _shared(DataRules, key, value, problems)
        elif key.startswith("protocol."):
            protocol |= _shared(Protocol, key, value, problems)
        else:
            candidate += _of_candidates(key, value, problems)
    return Overrides(tuple(candidate), data, protocol, precision)


def _value(text: str) -> Any:
    """Return a value as TOML reads it, else as a number of Python's, else the text itself."""
    with contextlib.suppress(tomllib.TOMLDecodeError):
        table = tomllib.loads(f"value = {text}")
        if len(table) == 1:
            return table["value"]
    with contextlib.suppress(ValueError):
        return float(text)
    return text


def present_protocol(table: Any, problems: list[str]) -> Any:
    """Return a protocol in the present words: ``monitor`` stems from when folds were scored at their best epochs."""
    if not isinstance(table, dict) or "monitor" not in table:
        return table
    if "choose_by" in table:
        problems.append("protocol: monitor is the earlier name of choose_by; one of the two must go.")
    rest = {key: value for key, value in table.items() if key != "monitor"}
    return {"choose_by": table["monitor"], "score_epoch": "best"} | rest


def _shared(kind: Any, key: str, value: str, problems: list[str]) -> Table:
    """Return one setting that all candidates share, in a table of its own."""
    room, name = key.split(".", 1)
    if kind is Protocol and name == "monitor":
        return schema.clean_table(kind, present_protocol({name: _value(value)}, problems), f"{FLAG}{room}", problems)
    if name not in schema.hints(kind):
        problems.append(schema.unknown_key(f"{FLAG}{key}", name, tuple(schema.hints(kind))))
        return {}
    if kind is DataRules:
        return clean_data({name: _value(value)}, Path(), f"{FLAG}{room}", problems)
    return schema.clean_table(kind, {name: _value(value)}, f"{FLAG}{room}", problems)


def _of_candidates(key: str, text: str, problems: list[str]) -> list[tuple[Address, Any]]:
    """Return one setting of every candidate."""
    address = schema.parse(key)
    kind = schema.kind_at(Candidate, address) if address else None
    if address and address[0] in FIXED:
        problems.append(f"{FLAG}{key}: only settings can be set: data, protocol, precision and those of candidates.")
        return []
    if kind is None:
        problems.append(schema.unknown_key(f"{FLAG}{key}", key, schema.settable_keys()))
        return []
    value = schema.clean(kind, _value(text), f"{FLAG}{key}", problems)
    return [] if value is None else [(address, value)]
