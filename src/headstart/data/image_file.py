"""The bytes of an image file, read only once its first bytes show that it is an image and its size that it fits."""

from __future__ import annotations

import stat
from pathlib import Path

from headstart.data import decode
from headstart.data.decode import Encoded
from headstart.errors import ImageError

LARGEST_FILE = 2**30
"""Bytes that are read at most: as many pixels as are decoded fit in, in three channels of 16 bits, not packed."""


def read(file: Path, *, largest: int | None = None) -> bytes:
    """Return the bytes of an image file. Of anything else no more than the head is read, and nothing is waited for.

    Args:
        largest: bytes that are read at most; None: ``LARGEST_FILE``.

    Raises:
        ImageError: it is no plain file, no image of an allowed format, or too large; the message is the reason alone.
        OSError: the system does not let it be read.
    """
    largest = LARGEST_FILE if largest is None else largest
    try:
        facts = file.stat()
        _check_kind(facts.st_mode)
        # without a buffer the bytes are in memory once only
        with file.open("rb", buffering=0) as stream:
            decode.identify(stream.read(decode.HEAD_BYTES))
            if facts.st_size > largest:
                raise ImageError(f"too large: {facts.st_size:,} bytes; at most {largest:,} are read")
            stream.seek(0)
            return stream.readall()
    except MemoryError as error:
        raise ImageError(decode.OUT_OF_MEMORY) from error
    except ValueError as error:
        raise ImageError("no file can have this name") from error


def encoded(image: str | Path | Encoded) -> Encoded:
    """Return what ``decode`` takes of an image: the bytes of a file; bytes and pixels as they are.

    Raises:
        ImageError: as ``read`` does, and where the system does not let it be read.
    """
    try:
        return read(Path(image)) if isinstance(image, str | Path) else image
    except OSError as error:
        raise ImageError(error.strerror or "cannot be read") from error


def _check_kind(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise ImageError("a folder, not an image")
    if not stat.S_ISREG(mode):
        # a pipe may never give anything, a device may never end
        raise ImageError("no regular file")
