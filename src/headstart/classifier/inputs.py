"""What a person names on the command line -> the files to predict."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO

from headstart.data.listing import files_below, is_visible
from headstart.errors import UsageError, did_you_mean

STANDARD_INPUT = "-"
"""Stands for a list of paths on standard input."""

# A misspelt name is compared with so many at most.
_NEIGHBOURS = 10_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files to predict, in order.

    ``missing`` maps those of ``files`` that a named path or pattern stands for in vain, as text, to the reason.
    """

    files: tuple[Path, ...]
    missing: Mapping[str, str]


class _MissingError(UsageError):
    """There is nothing that a path or pattern could stand for."""


def find_images(
    paths: Sequence[str | Path], *, leave_out: Path | None = None, listed: IO[bytes] | None = None
) -> Inputs:
    """Return the files that ``paths`` mean, in order.

    A file is itself; a folder is all files below it without hidden files, the litter of operating systems and run
    folders, as with data; what has ``*``, ``?`` or ``[`` and is neither is a pattern, in which ``**`` stands for any
    number of folders; ``-`` stands for the lines of standard input, or of ``listed``, with NUL between them if any is
    there. Not every path needs to exist, and none in such a list: their rows will say so.

    Args:
        leave_out: a folder whose files are left out where they were not named one by one.

    Raises:
        UsageError: no path exists and no pattern matches, or nothing is left.
    """
    files: list[Path] = []
    missing: dict[str, str] = {}
    for path in paths:
        try:
            files += _files_of(path, leave_out, listed)
        except _MissingError as error:
            missing[str(Path(path))] = str(error)
            files.append(Path(path))
    if all(str(file) in missing for file in files):
        nothing = f"There are no files in {', '.join(map(str, paths))}."
        raise UsageError(next(iter(missing.values()), nothing))
    return Inputs(tuple(files), missing)


def _files_of(path: str | Path, leave_out: Path | None, listed: IO[bytes] | None) -> Iterator[Path]:
    one = Path(path)
    if str(path) == STANDARD_INPUT:
        yield from _without(_of_list(listed or sys.stdin.buffer), leave_out)
    elif _is(Path.is_dir, one):
        yield from find_below(one, leave_out)
    elif _is(Path.is_file, one):
        yield one
    elif glob.has_magic(str(path)):
        yield from _without(_of_pattern(str(path)), leave_out)
    else:
        raise _MissingError(f"There is no file or folder {path}.{_neighbour(one) or ' Check the spelling.'}")


def _neighbour(path: Path) -> str:
    """Ask whether a path of nearly this name was meant, if there is one beside it."""
    try:
        names = [one.name for one in islice(path.parent.iterdir(), _NEIGHBOURS) if is_visible(one)]
    except (OSError, ValueError):
        return ""
    return did_you_mean(path.name, names)


def find_below(folder: Path, leave_out: Path | None = None) -> Iterator[Path]:
    """Yield the files below a folder, but for those below ``leave_out``."""
    return _without(_of_folder(folder), leave_out)


def _of_folder(folder: Path) -> Iterator[Path]:
    return (file for file in files_below(folder) if file.is_file())


def _of_pattern(pattern: str) -> Iterator[Path]:
    """Yield the files that match and those below folders that match, each once."""
    found: dict[Path, None] = {}
    # Path.glob takes no absolute patterns
    for match in map(Path, sorted(glob.glob(pattern, recursive=True))):  # noqa: PTH207
        found |= dict.fromkeys(_of_folder(match) if match.is_dir() else filter(is_visible, [match]))
    if not found:
        raise _MissingError(f"Nothing matches {pattern}. Check the spelling; ** stands for any number of folders.")
    yield from found


def _of_list(stream: IO[bytes]) -> Iterator[Path]:
    content = stream.read().removeprefix(b"\xef\xbb\xbf")
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    for path in (Path(os.fsdecode(line)) for line in lines if line.strip()):
        if _is(Path.is_dir, path):
            yield from _of_folder(path)
        else:
            yield path


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    """Return whether there is such a thing; the system refuses to look for some names, which are then none."""
    try:
        return kind(path)
    except (OSError, ValueError, RuntimeError):
        # too long, no text, or links in a circle
        return False


def _without(files: Iterator[Path], folder: Path | None) -> Iterator[Path]:
    if folder is None:
        return files
    real = folder.resolve()
    # resolving asks the file system: once per folder, not once per file
    inside = cache(lambda parent: _is(lambda one: one.resolve().is_relative_to(real), parent))
    return (file for file in files if not inside(file.parent))
