"""What an image looks like in a few numbers: brightness, contrast, sharpness, and a hash that survives re-encoding.

All of it comes from a grey copy that is shrunk to about 128 pixels: to every second pixel of every second row, which is
quick, and then by a whole factor. So it costs little beside the decoding.

The hash holds the signs of the 64 lowest frequencies of a cosine transform of 32 x 32 grey pixels, the mean left out,
in order of rising frequency. Copies in another size or encoding differ in few of its bits, other photographs in about
half of them. (The idea of hashing the low frequencies of a cosine transform is common; among the first: Coskun and
Sankur, Robust video hash extraction, EUSIPCO 2004.) It is made of whole numbers below 2**53, which floating point adds
exactly in any order, so that every machine finds the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

LOOK_SIDE = 128
"""About how many pixels the longer side has after shrinking: what is blurred there is blurred for every network."""

SMALLEST_SIDE = 64
"""Images with a side below have too little detail to be judged, and no hash."""

BLANK_CONTRAST = 3.0
"""Grey levels of standard deviation below which a picture shows nothing."""

_LUMINANCE = np.array([299, 587, 114])
"""Thousandths of red, green and blue (ITU-R BT.601), as in Pillow's conversion to grey."""

HASH_BITS = 64
_HASH_SIDE = 32


@dataclass(frozen=True, slots=True)
class Look:
    """What one image looks like.

    ``brightness`` is the mean and ``contrast`` the standard deviation of grey, both 0..255. ``sharpness`` is the
    variance of the Laplacian in squared grey levels (Pech-Pacheco et al., Diatom autofocusing in brightfield
    microscopy, ICPR 2000). ``hash`` is 16 hex digits. Images with a side below 64 pixels, and blank ones, have no hash;
    small ones no sharpness either.
    """

    brightness: float
    contrast: float
    sharpness: float = 0.0
    hash: str = ""


def look_at(image: Image.Image) -> Look:
    """Return the look of an image in mode L or RGB."""
    grey = _shrunk(image)
    values = np.asarray(grey)
    brightness, contrast = _mean_and_deviation(values.ravel().astype(np.int64))
    if min(image.size) < SMALLEST_SIDE:
        return Look(brightness, contrast)
    sharpness = _sharpness(values.astype(np.int16))
    return Look(brightness, contrast, sharpness, "" if contrast < BLANK_CONTRAST else _hash(grey))


def look_at_small(pixels: NDArray[np.uint8]) -> Look:
    """Return the look of pixels ``(height, width)`` or ``(height, width, 3)`` with a side below 64: quick for many."""
    values = pixels.astype(np.int64)
    grey = values if values.ndim == 2 else (values @ _LUMINANCE + 500) // 1000
    return Look(*_mean_and_deviation(grey.ravel()))


def _shrunk(image: Image.Image) -> Image.Image:
    """Return a grey copy with 96 to 191 pixels on its longer side, or of the image's own size where that is less."""
    from PIL import Image

    if max(image.size) >= 1.5 * LOOK_SIDE:
        width, height = image.size
        image = image.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.NEAREST)
    factor = round(max(image.size) / LOOK_SIDE)
    return (image.reduce(factor) if factor > 1 else image).convert("L")


def _mean_and_deviation(values: NDArray[np.int64]) -> tuple[float, float]:
    total, squares = int(values.sum()), int(values @ values)
    mean = total / values.size
    return round(mean, 2), round(math.sqrt(max(0.0, squares / values.size - mean**2)), 2)


def _sharpness(grey: NDArray[np.int16]) -> float:
    """Return the variance of the Laplacian; 0 for a strip so thin that it has none."""
    if min(grey.shape) < 3:
        return 0.0
    laplacian = grey[1:-1, :-2] + grey[1:-1, 2:]
    laplacian += grey[:-2, 1:-1]
    laplacian += grey[2:, 1:-1]
    laplacian -= 4 * grey[1:-1, 1:-1]
    _, deviation = _mean_and_deviation(laplacian.ravel().astype(np.int64))
    return round(deviation**2, 2)


def _hash(grey: Image.Image) -> str:
    from PIL import Image

    values = np.asarray(grey.resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX), np.float64)
    frequencies = (_COSINES @ values @ _COSINES.T).ravel()[_LOWEST]
    return np.packbits(frequencies > 0).tobytes().hex()


def _cosines(count: int) -> NDArray[np.float64]:
    """Return the first rows of the cosine transform in whole 1,024ths, ``(count, 32)``."""
    places = 2 * np.arange(_HASH_SIDE) + 1
    waves = np.cos(np.pi * places * np.arange(count)[:, np.newaxis] / (2 * _HASH_SIDE))
    rounded: NDArray[np.float64] = np.rint(waves * 1024)
    return rounded


def _lowest(count: int) -> NDArray[np.int64]:
    """Return the flat positions of the 64 lowest of ``count x count`` frequencies, without the mean."""
    down, across = np.mgrid[:count, :count].reshape(2, -1)
    positions: NDArray[np.int64] = np.lexsort((down, down + across))[1 : HASH_BITS + 1]
    return positions


_COSINES = _cosines(11)
_LOWEST = _lowest(11)
