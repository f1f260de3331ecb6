"""The table ``[data]`` of a recipe, with the files that it may name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from headstart.errors import UsageError
from headstart.recipe import schema
from headstart.recipe.lists import Corrections, read_class_names, read_corrections
from headstart.recipe.parts import DataRules
from headstart.recipe.schema import Table

Found = TypeVar("Found")

CLASS_NAMES = "a table of label = name, or the path of a CSV file with the columns label,name"
REMOVE = "a list of paths, or the path of a file with one path per line or of a CSV file with a column path"
RELABEL = "a table of path = class"


def clean_data(value: Any, folder: Path, key: str, problems: list[str]) -> Table:
    """Return the data rules that are given and right, with what their files hold.

    Args:
        folder: what the paths of files are relative to.
        key: what stands before the keys in ``problems``, to which everything wrong is added.
    """
    if not isinstance(value, dict):
        problems.append(schema.wrong_type(key, "a table", value))
        return {}
    own = ("class_names", "remove", "relabel")
    plain = {name: one for name, one in value.items() if name not in own}
    found = schema.clean_table(DataRules, plain, key, problems)
    if "class_names" in value:
        found |= _given("class_names", _class_names(value["class_names"], folder, f"{key}.class_names", problems))
    if "remove" in value:
        keep = found.get("keep", [])
        found |= _removals(value["remove"], folder, f"{key}.remove", problems)
        found |= _given("keep", list(dict.fromkeys([*keep, *found.get("keep", [])])) or None)
    if "relabel" in value:
        relabel = _texts(value["relabel"], RELABEL, f"{key}.relabel", problems)
        found |= _given("relabel", None if relabel is None else found.get("relabel", {}) | relabel)
    return found


def _given(name: str, value: Any) -> Table:
    return {} if value is None else {name: value}


def _class_names(value: Any, folder: Path, key: str, problems: list[str]) -> dict[str, str] | None:
    if isinstance(value, str):
        return _from_file(read_class_names, folder / value, key, problems)
    return _texts(value, CLASS_NAMES, key, problems)


def _texts(value: Any, expected: str, key: str, problems: list[str]) -> dict[str, str] | None:
    """Return a table of texts."""
    if not isinstance(value, dict):
        problems.append(schema.wrong_type(key, expected, value))
        return None
    cleaned = {name: schema.clean(str, one, f"{key}.{name}", problems) for name, one in value.items()}
    return {name: one for name, one in cleaned.items() if one is not None}


def _removals(value: Any, folder: Path, key: str, problems: list[str]) -> Table:
    """Return the paths to leave out, and from a corrected list all that it says, and the run that it lies in."""
    if isinstance(value, str):
        found = _from_file(read_corrections, folder / value, key, problems)
        return {} if found is None else table_of(found)
    if not isinstance(value, list):
        problems.append(schema.wrong_type(key, REMOVE, value))
        return {}
    return _given("remove", schema.clean(tuple[str, ...], value, key, problems))


def table_of(corrections: Corrections) -> Table:
    """Return corrections as data rules; what they do not speak of stays open."""
    found: Table = {"remove": list(corrections.remove)}
    if corrections.relabel:
        found["relabel"] = dict(corrections.relabel)
    if corrections.keep:
        found["keep"] = list(corrections.keep)
    return found | ({"corrected_from": corrections.run} if corrections.run else {})


def _from_file(read: Callable[[Path], Found], file: Path, key: str, problems: list[str]) -> Found | None:
    try:
        return read(file)
    except UsageError as error:
        problems.append(f"{key}: {error}")
        return None
