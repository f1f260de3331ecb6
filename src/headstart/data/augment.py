"""Changed copies of training images: flips, rotation, zoom, shift, contrast and brightness, from a seed alone.

An entry is one operation or several joined by `` + ``, as ``recipe.check.OPERATION`` has them. Whatever moves pixels is
merged into one affine map and one bilinear resampling (Pillow's, which rounds down); what it uncovers mirrors the image
(``d c b a | a b c d | d c b a``). Contrast and brightness come after it, together.

A direction is a number from -1 to 1, and says where in its range an operation is:

=================  =====================================================================================
``flip``           below 0: left and right change places; ``flip both``: also top and bottom, on its own
``rotation A``     by ``A * direction`` turns around the centre
``zoom A``         ``1 + A * direction`` of each side is seen, around the centre: below 1 is nearer
``shift A``        by ``A * direction`` pixels on each axis on its own; ``A`` below 1: share of the side
``contrast A``     differences from the mean of each channel times ``1 + A * direction``
``brightness A``   ``255 * A * direction`` is added
=================  =====================================================================================
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headstart.machine import core_count
from headstart.recipe.check import OPERATION

VERSION = 1
"""Raised whenever the same image, operations and seed would give other pixels: part of the keys of caches."""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

_TWO_DIRECTIONS = ("flip both", "shift")
_THREADS_ABOVE = 2**20
"""Values of a batch above which threads pay."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of an image and its stated amount."""

    name: str
    amount: float = 0.0

    @property
    def directions(self) -> int:
        """How many directions it takes."""
        return 2 if self.name in _TWO_DIRECTIONS else 1


@lru_cache(maxsize=256)
def parse(text: str) -> tuple[Operation, ...]:
    """Return the operations of an entry, in order; raises ValueError for what ``recipe.check`` refuses."""
    operations = []
    for part in text.split(" + "):
        match = OPERATION.fullmatch(part)
        if not match:
            raise ValueError(f"{part!r} is no operation")
        amount = match[1]
        operations.append(Operation(part.rpartition(" ")[0], float(amount)) if amount else Operation(part))
    return tuple(operations)


def fixed_view(pixels: Pixels, operations: str, key: str, seed: int) -> Pixels:
    """Return one changed copy of an image, shape (height, width, 3), uint8; always the same one.

    Every operation has its whole stated amount: a flip is made, ``zoom 0.2`` is nearer by 20 % of the side, ``shift
    45`` is 45 pixels to one side and 45 up or down. Which of two directions depends on ``seed``, ``operations`` and
    ``key`` (the identity of the image) and on nothing else.
    """
    parsed = parse(operations)
    bits = hashlib.sha256(f"{seed}\n{operations}\n{key}".encode()).digest()
    directions: list[float] = []
    for operation in parsed:
        fixed = operation.name in ("flip", "flip both", "zoom")
        for _ in range(operation.directions):
            # one byte of the hash per direction, from the start again after 32 of them
            directions.append(-1.0 if fixed or bits[len(directions) % len(bits)] & 1 else 1.0)
    changed: Pixels = _changed(pixels[None], parsed, np.array([directions]))[0]
    return changed


def fresh_batch(
    pixels: Pixels, operations: tuple[str, ...], *, seed: int, epoch: int, rows: Sequence[int] | NDArray[np.int64]
) -> Pixels:
    """Return images ``(images, height, width, 3)``, uint8, changed as drawn for this epoch.

    Every direction is uniform in -1..1 and depends on ``seed``, ``epoch`` and the image's number in ``rows`` alone, not
    on the other images of the batch. So a flip has probability 1/2, ``rotation 0.1`` is uniform within 0.1 turns either
    way (the ``factor`` of Keras' RandomRotation), and the seen share of ``zoom 0.2`` uniform in 0.8..1.2.
    """
    parsed = tuple(operation for text in operations for operation in parse(text))
    count = sum(operation.directions for operation in parsed)
    return _changed(pixels, parsed, drawn_directions(seed, epoch, np.asarray(rows), count))


def drawn_directions(seed: int, epoch: int, rows: NDArray[np.int64], count: int) -> Floats:
    """Return numbers uniform in -1..1, shape (rows, count): SplitMix64 (Steele, Lea, Flood 2014) of a counter."""
    start = int.from_bytes(hashlib.sha256(f"{seed}\n{epoch}".encode()).digest()[:8], "big")
    drawn = np.arange(1, count + 1, dtype=np.uint64)
    counter: NDArray[np.uint64] = rows.astype(np.uint64)[:, None] * np.uint64(count) + drawn
    mixed: NDArray[np.uint64] = np.uint64(start) + counter * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    uniform: Floats = (mixed >> np.uint64(11)) / 2.0**53
    return 2 * uniform - 1


def _changed(pixels: Pixels, operations: Sequence[Operation], directions: Floats) -> Pixels:
    """Return images changed by directions of shape (images, all directions of the operations in order)."""
    images, height, width, _ = pixels.shape
    maps = np.tile(np.eye(3), (images, 1, 1))
    gains, offsets = np.ones(images), np.zeros(images)
    start = 0
    for operation in operations:
        drawn = directions[:, start : start + operation.directions]
        start += operation.directions
        maps = maps @ _map(operation, drawn, (height, width))
        if operation.name == "contrast":
            gains = gains * (1 + operation.amount * drawn[:, 0])
        elif operation.name == "brightness":
            offsets = offsets + 255 * operation.amount * drawn[:, 0]
    result = np.empty(pixels.shape, np.uint8)

    def change(number: int) -> None:
        result[number] = _toned(_moved(pixels[number], maps[number]), gains[number], offsets[number])

    _for_each(change, images, threads=core_count() if pixels.size > _THREADS_ABOVE else 1)
    return result


def _for_each(change: Callable[[int], None], images: int, *, threads: int) -> None:
    """Do the work of every image; Pillow works without Python's lock."""
    if threads == 1:
        for number in range(images):
            change(number)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(change, range(images)))


def _map(operation: Operation, directions: Floats, size: tuple[int, int]) -> Floats:
    """Return where to look, shape (images, 3, 3): (x, y, 1) of the result from the centre -> (x, y, 1) of the image."""
    found = np.tile(np.eye(3), (len(directions), 1, 1))
    if operation.name == "flip":
        found[:, 0, 0] = np.where(directions[:, 0] < 0, -1, 1)
    elif operation.name == "flip both":
        found[:, (0, 1), (0, 1)] = np.where(directions < 0, -1, 1)
    elif operation.name == "zoom":
        found[:, (0, 1), (0, 1)] = 1 + operation.amount * directions
    elif operation.name == "shift":
        found[:, :2, 2] = -_distance(operation, size) * directions
    elif operation.name == "rotation":
        angle = 2 * math.pi * operation.amount * directions[:, 0]
        found[:, 0, 0], found[:, 0, 1] = np.cos(angle), -np.sin(angle)
        found[:, 1, 0], found[:, 1, 1] = np.sin(angle), np.cos(angle)
    return found


def _distance(operation: Operation, size: tuple[int, int]) -> Floats:
    """Return how far a shift goes at most, in pixels along x and y."""
    height, width = size
    return operation.amount * (np.array([width, height]) if operation.amount < 1 else np.ones(2))


def _moved(pixels: Pixels, look: Floats) -> Pixels:
    """Return an image ``(height, width, 3)`` seen through a map of shape (3, 3)."""
    from PIL import Image

    if np.array_equal(np.abs(look), np.eye(3)):
        return pixels[:: int(look[1, 1]), :: int(look[0, 0])]
    height, width, _ = pixels.shape
    middle = np.array([width, height]) / 2
    # Pillow counts from the top left corner, where the map counts from the centre.
    start = look[:2, 2] + middle - look[:2, :2] @ middle
    corners = start + np.array([(0, 0), (width, 0), (0, height), (width, height)]) @ look[:2, :2].T
    # one pixel more on each side: bilinear looks half a pixel beyond, and rounding may go a hair further
    first = np.floor(corners.min(axis=0)).astype(int) - 1
    last = np.ceil(corners.max(axis=0)).astype(int) + 1
    seen = pixels.take(_mirrored(first[1], last[1], height), axis=0).take(_mirrored(first[0], last[0], width), axis=1)
    (a, b), (d, e) = look[:2, :2].tolist()
    c, f = (start - first).tolist()
    affine, filter_ = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(seen).transform((width, height), affine, (a, b, c, d, e, f), filter_))


def _mirrored(first: int, last: int, side: int) -> NDArray[np.int64]:
    """Return which of ``side`` pixels stand at positions first..last-1 of an image that is mirrored without end."""
    folded = np.arange(first, last) % (2 * side)
    return np.minimum(folded, 2 * side - 1 - folded)


def _toned(pixels: Pixels, gain: float, offset: float) -> Pixels:
    """Return an image with contrast and brightness changed, rounded half up."""
    if gain == 1 and offset == 0:
        return pixels
    height, width, _ = pixels.shape
    # rows of width * 3 values: NumPy is slow where the last axis is short
    rows = pixels.reshape(height, width * 3)
    means = rows.sum(axis=0, dtype=np.uint64).reshape(width, 3).sum(axis=0) / (height * width)
    values = rows * np.float32(gain)
    values += np.tile(means * (1 - gain) + offset + 0.5, width).astype(np.float32)
    return np.clip(values, 0, 255, out=values).astype(np.uint8).reshape(pixels.shape)
