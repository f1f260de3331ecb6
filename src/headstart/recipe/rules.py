"""The table ``[data]`` of a recipe, with the files that it may name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from headstart.errors import UsageError
from headstart.recipe import schema
from headstart.recipe.lists import read_class_names, read_removals
from headstart.recipe.parts import DataRules
from headstart.recipe.schema import Table

Found = TypeVar("Found")

CLASS_NAMES = "a table of label = name, or the path of a CSV file with the columns label,name"
REMOVE = "a list of paths, or the path of a text file with one path per line"


def clean_data(value: Any, folder: Path, key: str, problems: list[str]) -> Table:
    """Return the data rules that are given and right, with what their files hold.

    Args:
        folder: what the paths of files are relative to.
        key: what stands before the keys in ``problems``, to which everything wrong is added.
    """
    if not isinstance(value, dict):
        problems.append(schema.wrong_type(key, "a table", value))
        return {}
    files = {"class_names": _class_names, "remove": _removals}
    plain = {name: one for name, one in value.items() if name not in files}
    found = schema.clean_table(DataRules, plain, key, problems)
    for name, read in files.items():
        if name in value and (cleaned := read(value[name], folder, f"{key}.{name}", problems)) is not None:
            found[name] = cleaned
    return found


def _class_names(value: Any, folder: Path, key: str, problems: list[str]) -> dict[str, str] | None:
    if isinstance(value, str):
        return _from_file(read_class_names, folder / value, key, problems)
    if not isinstance(value, dict):
        problems.append(schema.wrong_type(key, CLASS_NAMES, value))
        return None
    cleaned = {label: schema.clean(str, name, f"{key}.{label}", problems) for label, name in value.items()}
    return {label: name for label, name in cleaned.items() if name is not None}


def _removals(value: Any, folder: Path, key: str, problems: list[str]) -> list[str] | None:
    if isinstance(value, str):
        paths = _from_file(read_removals, folder / value, key, problems)
        return None if paths is None else list(paths)
    if not isinstance(value, list):
        problems.append(schema.wrong_type(key, REMOVE, value))
        return None
    found: list[str] = schema.clean(tuple[str, ...], value, key, problems)
    return found


def _from_file(read: Callable[[Path], Found], file: Path, key: str, problems: list[str]) -> Found | None:
    try:
        return read(file)
    except UsageError as error:
        problems.append(f"{key}: {error}")
        return None
