"""Arrays too large for the memory lie in files: the system keeps in memory what is in use and drops the rest."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from headstart import storage
from headstart.errors import CacheError
from headstart.machine import memory_bytes

SMALLEST_LIMIT_BYTES = 10**9
MEMORY_SHARE = 4
"""Arrays made here may fill the fourth part of the memory, all that are still in use together."""

_in_memory: list[weakref.ref[NDArray[Any]]] = []


def limit_bytes() -> int:
    """Return how much memory the arrays made here may fill together."""
    return max(SMALLEST_LIMIT_BYTES, (memory_bytes() or 0) // MEMORY_SHARE)


def new_array(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array with undefined values: in memory, or beyond the limit in a temporary file that is mapped into it.

    The file lies in the cache folder (in the system's temporary folder where that cannot be written) and vanishes with
    the array.

    Raises:
        CacheError: there is no room for the file.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size and size + _held_bytes() > limit_bytes():
        return _mapped(tuple(shape), dtype)
    array = np.empty(shape, dtype)
    _in_memory.append(weakref.ref(array))
    return array


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return arrays ``(n, ...)`` one after the other as one; a single part is returned as it is."""
    if len(parts) == 1:
        return parts[0]
    whole = new_array((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    first = 0
    for part in parts:
        whole[first : first + len(part)] = part
        first += len(part)
    return whole


def _held_bytes() -> int:
    """Return the bytes of the arrays in memory that somebody still holds."""
    arrays = [(reference, reference()) for reference in _in_memory]
    _in_memory[:] = [reference for reference, array in arrays if array is not None]
    return sum(array.nbytes for _, array in arrays if array is not None)


def _mapped(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    folder = _writable_folder()
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            if hasattr(os, "posix_fallocate"):
                # without this a full disk would show as a crash in the middle of the work
                os.posix_fallocate(stream.fileno(), 0, size)
            return np.memmap(stream, dtype, "w+", shape=shape)
    except OSError as error:
        raise CacheError(
            f"A temporary file of {size / 1e9:.1f} GB cannot be made in {folder or tempfile.gettempdir()}: "
            f"{error.strerror}. Free some space, or choose another folder with HEADSTART_CACHE."
        ) from error


def _writable_folder() -> Path | None:
    """Return the cache folder, or None where it cannot be written."""
    folder = storage.cache_folder()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder if os.access(folder, os.W_OK) else None
