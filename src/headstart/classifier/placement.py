"""Where a classifier's folder may be written: never in the place of what is somebody's own."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.classifier.info import FILES, INFO_FILE
from headstart.data.listing import shown
from headstart.errors import UsageError

_LITTER = {".ds_store", "thumbs.db", "desktop.ini"}


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write a classifier into; it stands at ``folder`` once the block has ended well.

    What stood there is removed only then, and with it what killed processes left beside it.

    Raises:
        UsageError: there is anything at ``folder`` but an empty folder or an older classifier.
    """
    real = _free(folder)
    part = real.with_name(f"{real.name}.{uuid.uuid4().hex}.part")
    part.mkdir(parents=True)
    try:
        yield part
        _replace(_free(folder), part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    for left in real.parent.iterdir():
        if re.fullmatch(rf"{re.escape(real.name)}\.[0-9a-f]{{32}}\.(part|old)", left.name):
            shutil.rmtree(left, ignore_errors=True)


def _free(folder: Path) -> Path:
    """Return the real path of a folder that a classifier may take the place of."""
    real = folder.resolve()
    if not real.exists():
        return real
    if not real.is_dir():
        raise UsageError(f"{folder} is a file. Choose the name of a new folder for the classifier.")
    found = [path for path in sorted(real.iterdir()) if path.name.lower() not in _LITTER]
    own = [path.name for path in found if path.name not in FILES or not path.is_file()]
    names = [path.name for path in found]
    if own or (names and INFO_FILE not in names):
        raise UsageError(
            f"{folder} is not empty and is no earlier classifier: it holds {shown(own or names)}. Choose the name of a "
            "new folder for the classifier."
        )
    if real == Path.cwd():
        raise UsageError(f"{folder} is the folder in which you work. Choose the name of a new folder in it.")
    return real


def _replace(folder: Path, part: Path) -> None:
    """Put a finished folder in its place; what stood there waits beside it as ``.old``."""
    old = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.old")
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
