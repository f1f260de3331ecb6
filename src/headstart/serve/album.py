"""The images of a run by number, and pictures of them: the photographs where they still lie, else small ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headstart.data import decode, image_file
from headstart.data.decode import Resize
from headstart.data.table import ImageRow
from headstart.errors import ImageError
from headstart.runs.folder import RunFolder
from headstart.runs.rows import ORIGINAL, OVERLAY, PHOTOGRAPH, THUMBNAIL, PictureRow

LARGEST = 900
"""Longest side of a picture, in pixels."""
LARGEST_FILE = 256_000_000
"""Bytes of a photograph that is read."""

# Photographs of many megapixels take much memory while they are decoded: so many at a time.
_DECODING = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True, eq=False)
class Album:
    """The images of a run; an image's number is its place among ``rows``.

    Attributes:
        root: where the paths of the image table begin; None where that folder is not here.
        small: path -> a small picture of it in the run folder.
    """

    folder: RunFolder
    rows: tuple[ImageRow, ...]
    root: Path | None
    small: Mapping[str, PictureRow]
    numbers: Mapping[str, int] = field(repr=False)

    def picture(self, number: int) -> bytes | None:
        """Return a picture of an image as JPEG; None where there is none any more.

        A file is opened only where the image table says that it lies, and shown only if it holds what it held then.
        """
        row = self.rows[number]
        found = self._photograph(row)
        if found is None and row.path in self.small:
            return self.folder.picture_bytes(self.small[row.path])
        return found

    def _photograph(self, row: ImageRow) -> bytes | None:
        if self.root is None:
            return None
        file = self.root / row.path
        try:
            encoded = image_file.read(file, largest=LARGEST_FILE)
            if hashlib.sha256(encoded).hexdigest() != row.sha256:
                return None
            shown = Resize.whole(row.height, row.width, longest=min(LARGEST, max(row.height, row.width)))
            with _DECODING:
                return decode.jpeg(decode.load(encoded, shown), quality=85)
        except (OSError, ImageError):
            return None


def open_album(folder: RunFolder) -> Album:
    """Read which images a finished run has.

    Raises:
        RunError: the study is not finished, or a file is damaged.
    """
    rows = folder.images()
    data = Path(folder.summary().dataset.path)
    root = data if data.is_dir() else data.parent if data.is_file() else None
    return Album(folder, rows, root, _small_pictures(folder), {row.path: place for place, row in enumerate(rows)})


def _small_pictures(folder: RunFolder) -> dict[str, PictureRow]:
    """Return the best small picture of each image that has one; one that is changed or covered is no picture of it."""
    plain = [row for row in folder.pictures() if row.kind != OVERLAY and row.operation in (None, ORIGINAL)]
    plain.sort(key=lambda row: (row.kind == PHOTOGRAPH or row.photograph is not None, row.kind == THUMBNAIL))
    return {row.path: row for row in plain}
