"""The block of YAML at the top of a model card, in the form that model hubs read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Value = str | int | float | bool | Sequence["Value"] | Mapping[str, "Value"]

_PLAIN_KEY = re.compile(r"[a-z][a-z_-]*")
_SHORT = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r"}


def block(values: Mapping[str, Value]) -> str:
    """Return YAML between two lines of three hyphens.

    Keys are plain words. Every text is quoted, so that ``no``, ``2024`` or ``a: b`` stay texts.
    """
    return "\n".join(["---", *_lines(values, ""), "---"]) + "\n"


def _lines(value: Value, indent: str) -> list[str]:
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in _pair(key, item, indent)]
    assert isinstance(value, Sequence) and not isinstance(value, str), "scalars stand behind a key or a hyphen"
    return [line for item in value for line in _entry(item, indent)]


def _pair(key: str, item: Value, indent: str) -> list[str]:
    assert _PLAIN_KEY.fullmatch(key), f"{key!r} is no plain word"
    if _is_scalar(item):
        return [f"{indent}{key}: {_scalar(item)}"]
    # an empty list or mapping has no lines of its own
    return [f"{indent}{key}:", *_lines(item, indent + "  ")] if item else [f"{indent}{key}: []"]


def _entry(item: Value, indent: str) -> list[str]:
    if _is_scalar(item):
        return [f"{indent}- {_scalar(item)}"]
    first, *others = _lines(item, indent + "  ")
    return [f"{indent}- {first.lstrip()}", *others]


def _is_scalar(value: Value) -> bool:
    return isinstance(value, str | int | float)


def _scalar(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # 1e-07 would be a text to readers of YAML 1.1
    return quoted(value) if isinstance(value, str) else str(value) if isinstance(value, int) else f"{value:.6f}"


def quoted(text: str) -> str:
    """Return a text as a double-quoted scalar of YAML, control characters and odd line ends escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
