"""Named arrays of other programs: the formats npz and safetensors, and torchvision's AlexNet in the layout of Keras.

Only numbers are read: no pickle, nothing runs. The streams are opened by ``weights``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]

# Layers of AlexNet here, and the names of their weight and bias in torchvision without the last word.
ALEXNET_NAMES: Mapping[str, str] = {
    "convolution_1": "features.0",
    "convolution_2": "features.3",
    "convolution_3": "features.6",
    "convolution_4": "features.8",
    "convolution_5": "features.10",
    "classifier_1": "classifier.1",
}
# Side of the feature map that enters the first dense layer.
ALEXNET_SIDE = 6

_HEADER_LIMIT = 100_000_000
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_npz(stream: BinaryIO) -> dict[str, Array]:
    """Return the arrays of an npz file as float32.

    Raises:
        ValueError: it is none, or holds Python objects.
    """
    loaded = np.load(stream, allow_pickle=False)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise ValueError("it is no npz archive")
    return {name: np.asarray(loaded[name], np.float32) for name in loaded.files}


def read_safetensors(stream: BinaryIO) -> dict[str, Array]:
    """Return the floating-point arrays of a safetensors file as float32.

    The format: eight bytes with the length of the header, a JSON header that gives each array's type, shape and place,
    then the numbers, little-endian.

    Raises:
        ValueError: it is none, it is cut off, or an array lies outside it.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(size - 8, _HEADER_LIMIT):
        raise ValueError("it is no safetensors file, or it is cut off")
    header = json.loads(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    start = 8 + length
    return {
        name: _read_array(stream, name, entry, start=start, size=size)
        for name, entry in header.items()
        if not isinstance(entry, dict) or entry.get("dtype") in _DTYPES
    }


def _read_array(stream: BinaryIO, name: str, entry: Any, *, start: int, size: int) -> Array:
    dtype, shape, (begin, end) = _place(name, entry)
    if not 0 <= begin <= end <= size - start:
        raise ValueError(f"{name} lies outside the file")
    if math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize != end - begin:
        raise ValueError(f"{name} has another size than its shape {shape} says")
    stream.seek(start + begin)
    values = np.frombuffer(stream.read(end - begin), _DTYPES[dtype])
    if dtype == "BF16":
        # the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(shape).astype(np.float32)


def _place(name: str, entry: Any) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """Return an array's type, shape and offsets (from the end of the header) as its entry gives them."""
    try:
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        whole = all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the entry of {name} is not understood") from error
    if not whole:
        raise ValueError(f"the entry of {name} is not understood")
    return str(entry["dtype"]), shape, (begin, end)


def alexnet(arrays: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Return kernel and bias of every layer of AlexNet here from the arrays of torchvision's.

    A convolution's ``(out, in, height, width)`` becomes ``(height, width, in, out)``. The dense layer's
    ``(out, in)`` becomes ``(in, out)``, its inputs put from channel-first into channel-last order. Arrays of the later
    dense layers are not looked at.

    Raises:
        ValueError: an array is missing or has another shape.
    """
    wanted = [f"{name}.{kind}" for name in ALEXNET_NAMES.values() for kind in ("weight", "bias")]
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise ValueError(
            f"it lacks {', '.join(missing)}; it holds {', '.join(list(arrays)[:4]) or 'nothing'} and so on"
        )
    return {layer: (_kernel(arrays[f"{name}.weight"]), arrays[f"{name}.bias"]) for layer, name in ALEXNET_NAMES.items()}


def _kernel(weight: Array) -> Array:
    if weight.ndim == 4:
        return weight.transpose(2, 3, 1, 0)
    if weight.ndim != 2 or weight.shape[1] % ALEXNET_SIDE**2:
        raise ValueError(f"an array has the shape {weight.shape}")
    maps = weight.reshape(len(weight), -1, ALEXNET_SIDE, ALEXNET_SIDE)
    return maps.transpose(2, 3, 1, 0).reshape(weight.shape[1], len(weight))


READERS: Mapping[str, Callable[[BinaryIO], dict[str, Array]]] = {".npz": read_npz, ".safetensors": read_safetensors}
CONVERTERS: Mapping[str, Callable[[Mapping[str, Array]], dict[str, tuple[Array, Array]]]] = {"alexnet": alexnet}
