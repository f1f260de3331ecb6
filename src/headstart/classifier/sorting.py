"""Copies of images in one folder per answer. Nothing is ever moved or overwritten."""

from __future__ import annotations

import contextlib
import filecmp
import os
import re
import shutil
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, takewhile
from pathlib import Path

from headstart.classifier.answering import unknown_word
from headstart.classifier.prediction import Prediction
from headstart.errors import UsageError

# Names of devices in Windows, with or without an ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')

LONGEST_NAME = 200
"""Bytes of a folder's name; file systems take 255."""

LONGEST_FILE_NAME = 255
"""Bytes of a copy's name with its number."""


class Sorter:
    """Copies files into ``folder/<answer>/``.

    A file of another content under the same name gets a number, ``name (2).jpg``; one of the same content is not copied
    again, so sorting twice adds nothing.

    Attributes:
        copied: how many files were copied so far.
        there: how many were not copied because an equal copy was there, from before or of another file of this run.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        words = (*classes, unknown_word(classes))
        self.folder = folder
        self.copied = 0
        self.there = 0
        self._folders = dict(zip(words, (folder / name for name in folder_names(words)), strict=True))
        # wanted name -> the copies that bear it, so that a thousand equal names are not all tried each time
        self._bearers: dict[Path, list[Path]] = {}

    def sort(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Pass predictions on; each image is copied first, but for those without an answer.

        Raises:
            OSError: a folder or a copy cannot be written; no half copy is left.
        """
        for prediction in predictions:
            yield self._sorted(prediction)

    def _sorted(self, prediction: Prediction) -> Prediction:
        file = Path(prediction.path)
        try:
            if prediction.answer is not None:
                self.copy(file, prediction.answer)
        except FileNotFoundError:
            if file.exists():
                raise
            return Prediction(prediction.path, None, (), None, "vanished before it was copied")
        return prediction

    def copy(self, file: Path, answer: str) -> Path:
        """Copy a file into the folder of its answer; return its copy, which may have been there."""
        folder = self._folders[answer]
        wanted = folder / file.name
        bearers = self._bearers.setdefault(wanted, [])
        bearers += _bearers(wanted, len(bearers))
        if there := next((one for one in bearers if _same(file, one)), None):
            self.there += 1
            return there
        target = _copied(file, wanted, len(bearers))
        bearers.append(target)
        self.copied += 1
        return target


def _bearers(wanted: Path, known: int) -> Iterator[Path]:
    """Yield what bears the wanted name, beyond so many, until a number is free."""
    return takewhile(Path.exists, (_numbered(wanted, number) for number in count(known + 1)))


def _numbered(wanted: Path, number: int) -> Path:
    """Return the wanted name with a number; it loses letters before that where it would be longer than can be."""
    addition = "" if number == 1 else f" ({number})"
    stem, ending = wanted.stem, addition + wanted.suffix
    if len(os.fsencode(ending)) >= LONGEST_FILE_NAME:
        stem, ending = wanted.name, addition
    while len(os.fsencode(stem + ending)) > LONGEST_FILE_NAME:
        stem = stem[:-1]
    return wanted.with_name(stem + ending)


def _copied(file: Path, wanted: Path, known: int) -> Path:
    """Copy a file to the first free number beyond ``known``; return that path."""
    part = wanted.with_name(f".{uuid.uuid4().hex}.part")
    with file.open("rb") as source:
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("xb") as stream:
                shutil.copyfileobj(source, stream, 2**20)
            with contextlib.suppress(OSError):
                shutil.copystat(file, part)
            return next(one for n in count(known + 1) if _named(part, one := _numbered(wanted, n)))
        except OSError as error:
            # the system may name the source here, which is not what to mend
            raise OSError(error.errno, error.strerror, str(wanted.parent)) from error
        finally:
            # what stands in the place of the folder is said above
            with contextlib.suppress(OSError):
                part.unlink()


def _named(part: Path, target: Path) -> bool:
    """Give a file its name unless something bears it already; tell whether it could be done."""
    try:
        target.hardlink_to(part)
        return True
    except FileExistsError:
        return False
    except (OSError, NotImplementedError):
        # a file system without hard links, such as that of memory cards
        if target.exists():
            return False
        part.rename(target)
        return True


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        # it is gone, or is a folder
        return False


def folder_names(words: Sequence[str]) -> tuple[str, ...]:
    """Return names for folders that every file system takes, all different also where letters' case does not count."""
    names: dict[str, str] = {}
    for word in words:
        safe = _safe(word)
        numbered = (safe if number == 1 else f"{safe} ({number})" for number in count(1))
        name = next(one for one in numbered if _folded(one) not in names)
        names[_folded(name)] = name
    return tuple(names.values())


def _safe(word: str) -> str:
    short = word.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore")
    name = _FORBIDDEN.sub("_", short).strip().rstrip(". ")
    name = re.sub(r"^\.", "_", name)
    return f"{name}_" if not name or _DEVICES.fullmatch(name) else name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_apart(paths: Sequence[str | Path], folder: Path) -> None:
    """Refuse to sort what lies in the folder to sort into: copies would be sorted again.

    Raises:
        UsageError: one of the paths is the folder or lies in it, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--sort-into {folder} is a file. Give a folder.")
    real = folder.resolve()
    for path in paths:
        if Path(path).resolve().is_relative_to(real):
            raise UsageError(f"{path} lies in {folder}, the folder to sort into. Choose a --sort-into outside of it.")
