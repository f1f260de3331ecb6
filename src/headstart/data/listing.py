"""What DATA lists before any image is opened, and the two places where images lie: files and arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data import image_file
from headstart.data.table import ImageSource
from headstart.errors import DataError, ImageError
from headstart.storage import RUN_MARKER

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
"""How a split may be written, in lower case -> its name."""

_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r"}
"""What operating systems leave in folders, in lower case; passed over without a word, like hidden files."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed image; with a ``reason`` it is set aside before it is opened."""

    path: str
    label: str
    split: str = ""
    group: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """All entries of DATA as given (``location``), a short name for it, and where the images lie."""

    location: str
    name: str
    entries: tuple[Entry, ...]
    source: ImageSource
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileSource:
    """Image files below a root; a table may also name absolute paths."""

    root: Path

    def file(self, path: str) -> Path:
        """Return where the file of a table's path lies."""
        return self.root / path

    def encoded(self, path: str) -> bytes:
        """Return the file's bytes; raises ImageError if it is no image or cannot be read."""
        try:
            return image_file.read(self.file(path))
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """Decoded images in memory: file name -> uint8 of shape (images, height, width) or (images, height, width, 3)."""

    arrays: Mapping[str, NDArray[np.uint8]]

    def encoded(self, path: str) -> NDArray[np.uint8]:
        """Return the pixels of ``file#index``."""
        name, _, index = path.rpartition("#")
        image: NDArray[np.uint8] = self.arrays[name][int(index)]
        return image


def indexed_path(name: str, index: int, count: int) -> str:
    """Return ``file#index``, padded with zeros so that paths sort as the images do."""
    return f"{name}#{index:0{len(str(count - 1))}d}"


def visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted by name, without hidden files and the litter of operating systems."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be listed: {error.strerror}. Check its permissions.") from error
    return [path for path in found if is_visible(path)]


def is_visible(path: Path) -> bool:
    """Return whether a name is neither that of a hidden file nor of the litter of operating systems."""
    return not path.name.startswith(".") and path.name.lower() not in _LITTER


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run folder of headstart; the pictures in it are no data."""
    return (folder / RUN_MARKER).is_file()


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield everything visible below a folder that is no folder; run folders of headstart are passed over.

    Links to folders are followed, but never in a circle: not to a folder that they lie in, nor to one of ``above``.
    """
    real = folder.resolve()
    if real in above:
        return
    for path in visible(folder):
        if not path.is_dir():
            yield path
        elif not is_run(path):
            yield from files_below(path, (*above, real))


def shown(names: list[str], limit: int = 3) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
