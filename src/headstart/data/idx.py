"""DATA as a folder of MNIST IDX files: ``train-images-idx3-ubyte`` with its labels, and ``t10k-`` for the test."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.listing import ArraySource, Entry, Listing, indexed_path, visible
from headstart.errors import DataError

_IMAGES = re.compile(r"(?:.*-)?(train|t10k|test)-images[-.]idx[34]-ubyte(?:\.gz)?")
_SPLIT = {"train": "train", "t10k": "test", "test": "test"}


def is_idx_folder(root: Path) -> bool:
    """Whether a folder holds IDX image files."""
    return any(_IMAGES.fullmatch(path.name) for path in visible(root))


def list_idx(root: Path, location: str) -> Listing:
    """Read all IDX files of a folder into memory; labels are the numbers as text.

    Raises:
        DataError: a file is damaged, labels are missing, or numbers of images and labels differ.
    """
    entries: list[Entry] = []
    arrays: dict[str, NDArray[np.uint8]] = {}
    for file in visible(root):
        match = _IMAGES.fullmatch(file.name)
        if match and file.name.removesuffix(".gz") not in {name.removesuffix(".gz") for name in arrays}:
            images, labels = _read(file), _read(_labels_file(file))
            if images.shape[3:] not in ((), (3,)) or images.ndim < 3 or labels.shape != images.shape[:1]:
                raise DataError(f"{file}: images of shape {images.shape} do not fit labels of shape {labels.shape}.")
            arrays[file.name] = images
            for index, label in enumerate(labels.tolist()):
                path = indexed_path(file.name, index, len(labels))
                entries.append(Entry(path, str(label), _SPLIT[match[1]]))
    return Listing(location, root.resolve().name, tuple(entries), ArraySource(arrays))


def _labels_file(images: Path) -> Path:
    """Return the file with the labels, packed or not."""
    name = re.sub(r"-images([-.])idx[34]-", r"-labels\1idx1-", images.name.removesuffix(".gz"))
    for candidate in (images.with_name(name), images.with_name(f"{name}.gz")):
        if candidate.is_file():
            return candidate
    raise DataError(f"{images} has no labels. Put {name} or {name}.gz beside it.")


def _read(file: Path) -> NDArray[np.uint8]:
    """Return the array of an IDX file of unsigned bytes: two zeros, type 8, dimensions, sizes, values."""
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
        if content[:3] != b"\0\0\x08":
            raise ValueError("it does not start as an IDX file of bytes")
        dimensions = content[3]
        shape = tuple(np.frombuffer(content, ">u4", count=dimensions, offset=4).tolist())
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
        if len(values) != math.prod(shape):
            raise ValueError(f"it holds {len(values):,} values where {math.prod(shape):,} are announced")
        return values.reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(f"{file} is no sound IDX file: {error}. Fetch it again.") from error
