"""The files of a bundle, read from a folder or out of one zip file without trusting either.

Nothing is ever written: what a zip file calls its entries decides nothing but which of the known files they are. Links,
names that are paths, surprises, and contents larger than was said are refused before they are read.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ClassifierError

SMALL, TIGHTEST = 2**26, 20
"""An entry of a zip file may unpack to so many bytes, or to so many times what it is packed in. Weights hardly shrink,
so nobody is refused, and a small zip file cannot take much memory."""

_CHUNK = 2**20
_END, _END_BYTES = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_BYTES, _END_64_BYTES = b"PK\x06\x07", 20, 56
# The record at the end with the locator before it, and what zipfile lets follow it.
_LONGEST_TAIL = _LOCATOR_BYTES + _END_BYTES + 2**16
_DIRECTORY_BYTES = 2**16
_ENCRYPTED = 0x1 | 0x40
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, OSError)
# A fixed date, the earliest that zip files know: equal bundles are equal files.
_DATE = (1980, 1, 1, 0, 0, 0)


class Files(Protocol):
    """Where the files of a bundle lie."""

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; None where there is no such file."""
        ...

    def read(self, name: str, size: int, *, sha256: str = "") -> bytes:
        """Return a file of exactly ``size`` bytes and, if that is given, with this hex SHA-256.

        Raises:
            ClassifierError: it is not there, is another file, or cannot be read.
        """
        ...

    def check(self, name: str, size: int, *, sha256: str) -> None:
        """Raise as ``read`` does, without keeping what is read."""
        ...


def open_files(path: Path, names: Collection[str]) -> Files:
    """Return the files of the folder or zip file at ``path``; ``names`` are those that a bundle can hold.

    Raises:
        ClassifierError: it is a zip file with anything in it that no bundle has.
    """
    return _ZipFiles(path, names) if path.is_file() else _FolderFiles(path)


class _Streams:
    """What folders and zip files have in common: a stream per file, read no further than it may be."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def size(self, name: str) -> int | None:
        raise NotImplementedError

    def _open(self, name: str) -> IO[bytes]:
        raise NotImplementedError

    def read(self, name: str, size: int, *, sha256: str = "") -> bytes:
        content = b"".join(self._chunks(name, size))
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise self._damage(name)
        return content

    def check(self, name: str, size: int, *, sha256: str) -> None:
        digest = hashlib.sha256()
        for chunk in self._chunks(name, size):
            digest.update(chunk)
        if digest.hexdigest() != sha256:
            raise self._damage(name)

    def _chunks(self, name: str, size: int) -> Iterator[bytes]:
        self._check_size(name, size)
        left = size
        with _said_plainly(f"{name} in {self._path}"), self._open(name) as stream:
            # one byte more is asked for than there should be: the end is where it was said to be
            while chunk := stream.read(min(_CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
        if left:
            raise self._damage(name)

    def _check_size(self, name: str, size: int) -> None:
        found = self.size(name)
        if found is None:
            raise ClassifierError(f"The classifier {self._path} is incomplete: {name} is missing. Copy all of it.")
        if found != size:
            raise self._damage(name, f" ({found:,} bytes, not {size:,})")

    def _damage(self, name: str, detail: str = "") -> ClassifierError:
        return ClassifierError(
            f"The classifier {self._path} is damaged: {name} is not the file that was saved{detail}. "
            "Copy the classifier again."
        )


class _FolderFiles(_Streams):
    """Regular files at the top of a folder. Others beside them are the user's own and left alone."""

    def size(self, name: str) -> int | None:
        try:
            facts = (self._path / name).lstat()
        except OSError:
            return None
        if not stat.S_ISREG(facts.st_mode):
            raise ClassifierError(
                f"{self._path / name} is a link or no plain file. A classifier holds plain files only: copy the files "
                "themselves."
            )
        return facts.st_size

    def _open(self, name: str) -> IO[bytes]:
        # a link that takes the file's place in between is not followed
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self._path / name, flags), "rb")


class _ZipFiles(_Streams):
    """Entries at the top of a zip file, each of them one of the known names, once."""

    def __init__(self, path: Path, names: Collection[str]) -> None:
        super().__init__(path)
        with _said_plainly(str(path)):
            _check_directory(path, len(names))
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        self._entries = {_checked_entry(entry, names, path).filename: entry for entry in entries}
        if len(self._entries) < len(entries):
            raise ClassifierError(f"{path} holds a file twice. Make the zip file of a classifier again.")

    def size(self, name: str) -> int | None:
        entry = self._entries.get(name)
        return None if entry is None else entry.file_size

    def _open(self, name: str) -> IO[bytes]:
        with zipfile.ZipFile(self._path) as archive:
            # closing the archive leaves the stream of an entry open
            return archive.open(self._entries[name])


@contextmanager
def _said_plainly(what: str) -> Iterator[None]:
    """Turn whatever damaged files make of a reader into one line."""
    try:
        yield
    except ClassifierError:
        raise
    except _ZIP_ERRORS as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ClassifierError(f"{what} cannot be read: {reason}. Copy the classifier again.") from error


def _check_directory(path: Path, most: int) -> None:
    """Refuse a zip file with more entries than there can be, before its list of entries is read.

    PKWARE, APPNOTE 6.3.10, sections 4.3.14 to 4.3.16: the record at the end, and the one for archives above 4 GiB. That
    one is read only from just before its locator, where every version of zipfile finds it.
    """
    with path.open("rb") as stream:
        begin = stream.seek(max(0, path.stat().st_size - _LONGEST_TAIL))
        tail = stream.read()
        start = tail.rfind(_END)
        if start < 0 or len(tail) < start + _END_BYTES:
            raise ClassifierError(f"{path} is no classifier: it is neither a folder nor a zip file.")
        entries, size = struct.unpack_from("<H I", tail, start + 10)
        locator = tail[max(0, start - _LOCATOR_BYTES) : start]
        if locator.startswith(_LOCATOR):
            place = begin + start - _LOCATOR_BYTES - _END_64_BYTES
            if struct.unpack_from("<Q", locator, 8)[0] != place:
                raise ClassifierError(f"{path} is no classifier: its list of files is in two places. Do not use it.")
            stream.seek(place)
            entries, size = struct.unpack_from("<Q Q", stream.read(_END_64_BYTES), 32)
    if entries > most or size > _DIRECTORY_BYTES:
        raise ClassifierError(f"{path} is no classifier: it holds {entries:,} files; a classifier has at most {most}.")


def _checked_entry(entry: zipfile.ZipInfo, names: Collection[str], path: Path) -> zipfile.ZipInfo:
    name = entry.orig_filename
    if name not in names or entry.filename != name:
        raise ClassifierError(f"{path} is no classifier: {_strangeness(name)}")
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise ClassifierError(f"{path}: {name} is a link or no plain file. A classifier holds plain files only.")
    if entry.flag_bits & _ENCRYPTED:
        raise ClassifierError(f"{path}: {name} is encrypted. Zip the classifier without a password.")
    if entry.compress_type not in _METHODS:
        raise ClassifierError(f"{path}: {name} is packed in an unusual way. Zip it stored or deflated.")
    if entry.file_size > max(SMALL, TIGHTEST * entry.compress_size):
        raise ClassifierError(
            f"{path}: {name} would unpack from {entry.compress_size:,} to {entry.file_size:,} bytes, as no file of a "
            "classifier does. Do not use it."
        )
    return entry


def _strangeness(name: str) -> str:
    """Say what is wrong with the name of an entry."""
    shown = repr(name if len(name) <= 60 else name[:60] + "...")
    if name.startswith(("/", "\\")) or ".." in name or "\\" in name or ":" in name:
        return f"the entry {shown} points outside the zip file. Do not use it."
    if "/" in name:
        return f"it holds the entry {shown}. Zip the files of the classifier themselves, without their folder."
    return f"it holds {shown}, which is no file of a classifier."


def pack(names: Collection[str], folder: Path, stream: IO[bytes]) -> None:
    """Write files of a folder as a zip file: sorted, stored, with a fixed date, so that equal files give equal bytes.

    Stored, because weights hardly shrink, and because deflated bytes differ from one version of zlib to the next.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(names):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            entry.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)


def read_arrays(content: bytes, what: str, *, most_bytes: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name, without pickles and without more memory than was said.

    Args:
        what: the file, for messages.
        most_bytes: of all arrays together.

    Raises:
        ClassifierError: it is no npz file of plain arrays, or holds more.
    """
    with _said_plainly(what), zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > most_bytes:
            raise ValueError(f"its arrays are larger than {most_bytes:,} bytes")
        return {entry.filename.removesuffix(".npy"): _read_array(archive, entry) for entry in entries}


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as stream:
        # no more than was declared: an entry can unpack to more than it says
        values = io.BytesIO(stream.read(entry.file_size))
    version = np.lib.format.read_magic(values)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array has the format {version}")
    shape, _, dtype = readers[version](values)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != entry.file_size - values.tell():
        raise ValueError("an array is no plain numbers, or not as large as it says")
    values.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(values, allow_pickle=False)
    return array
