"""The recipes that come with headstart, and recipes in files."""

from __future__ import annotations

from pathlib import Path

from headstart.errors import UsageError, did_you_mean

FOLDER = Path(__file__).parents[1] / "recipes"


def names() -> tuple[str, ...]:
    """Return the names of the built-in recipes in alphabetical order."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))


def path(name: str) -> Path:
    """Return the file of a built-in recipe.

    Raises:
        UsageError: there is no such recipe.
    """
    if name not in names():
        raise UsageError(
            f"There is no recipe {name!r}.{did_you_mean(name, names())} "
            "`headstart recipes` lists them; a recipe of your own is a .toml file."
        )
    return FOLDER / f"{name}.toml"


def find(source: str | Path) -> Path:
    """Return the file of a recipe, given its path or the name of a built-in one; a name comes before a file.

    Raises:
        UsageError: there is neither.
    """
    text = str(source)
    if text in names():
        return path(text)
    file = Path(source)
    if file.is_file():
        return file
    if file.is_dir():
        raise UsageError(f"{file} is a folder. Give the name of a recipe, or a .toml file.")
    if file.suffix == ".toml" or len(file.parts) > 1:
        raise UsageError(
            f"There is no recipe file {file}. Check the path; `headstart recipes` lists the built-in ones."
        )
    return path(text)
