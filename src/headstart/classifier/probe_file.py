"""Generated pictures that travel with a classifier, and what it said of them when it was saved.

No photograph of the user is among them. The file ``probes.npz`` holds ``image_0``, ``image_1``, ... uint8 RGB of
different sizes, ``logits`` ``(images, classes)`` float32 and ``probabilities`` (calibrated) float64.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.classifier import archive
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.errors import ClassifierError
from headstart.evaluation.calibration import calibrated
from headstart.features import graph
from headstart.features.trunk import OpenVinoTrunk

if TYPE_CHECKING:
    import openvino as ov

Pixels = NDArray[np.uint8]

SEED = 20
MOST_BYTES = 2**26
"""Of all arrays of the file, unpacked."""

# Larger inputs are reached by scaling up: the file stays small.
_LARGEST_SIDE = 320
# Five bits per colour shrink smooth pictures to a fifth when they are packed.
_FIVE_BITS = np.uint8(0xF8)
_KNOTS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """Pictures and what the classifier said of them.

    Attributes:
        images: uint8 RGB, each ``(height, width, 3)``.
        logits: ``(images, classes)`` float32.
        probabilities: calibrated, ``(images, classes)`` float64.
    """

    images: tuple[Pixels, ...]
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float64]


def make(size: Resize) -> tuple[Pixels, ...]:
    """Return the pictures for a network whose input has this size; always the same ones.

    One pixel; gradients that are large, tall and wide; smooth clouds of colour; squares and noise. What has hard edges
    has the network's own size: scaled, it would differ by grey levels from one version of Pillow to the next.
    """
    random = np.random.default_rng(SEED)
    height, width = min(size.height, _LARGEST_SIDE), min(size.width, _LARGEST_SIDE)
    return (
        np.array([[[200, 90, 30]]], np.uint8),
        _gradient(400, 600),
        _gradient(200, 50),
        _gradient(48, 320),
        _squares(random, height, width),
        _smooth(random, height, width),
        _smooth(random, 96, 128),
        _smooth(random, 250, 333),
        _noise(random, height, width),
    )


def _gradient(height: int, width: int) -> Pixels:
    """Return red that rises downwards, green that rises to the right, and blue that falls to the right."""
    down = np.arange(height)[:, None] * 255 // (height - 1)
    right = np.arange(width)[None, :] * 255 // (width - 1)
    red, green = np.broadcast_arrays(down, right)
    return np.stack([red, green, 255 - green], axis=2).astype(np.uint8) & _FIVE_BITS


def _squares(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Return coloured fields, eight along each side."""
    colours = random.integers(0, 256, (8, 8, 3), np.uint8)
    return colours[np.arange(height) * 8 // height][:, np.arange(width) * 8 // width]


def _noise(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Return noise that repeats every 32 pixels, so that it can be packed."""
    tile = random.integers(0, 256, (32, 32, 3), np.uint8)
    return tile[np.arange(height) % 32][:, np.arange(width) % 32]


def _smooth(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Return random colours at the knots of a grid, and all shades between them, in whole numbers."""
    colours = random.integers(0, 256, (_KNOTS, _KNOTS, 3))
    shades = _between(_between(colours, height, axis=0), width, axis=1)
    return (shades >> 16).astype(np.uint8) & _FIVE_BITS


def _between(values: NDArray[np.int64], steps: int, *, axis: int) -> NDArray[np.int64]:
    """Return 256 times what lies between knots along an axis, at equal steps."""
    places = np.arange(steps) * (_KNOTS - 1) * 256 // max(1, steps - 1)
    knots = np.minimum(places // 256, _KNOTS - 2)
    shape = [1, 1, 1]
    shape[axis] = steps
    share = (places - knots * 256).reshape(shape)
    shades: NDArray[np.int64] = values.take(knots, axis) * (256 - share) + values.take(knots + 1, axis) * share
    return shades


def measure(model: ov.Model, size: Resize, *, precision: str, temperature: float) -> Probes:
    """Return the pictures and what a classifier's graph says of them on this machine; the graph gets a fixed size."""
    model.reshape([-1, size.height, size.width, 3])
    trunk = OpenVinoTrunk(model, precision=precision, output=graph.LOGITS)
    images = make(size)
    logits = np.concatenate([trunk.run(decode.load(image, size)[None]) for image in images])
    return Probes(images, logits, calibrated(logits, temperature))


def to_bytes(probes: Probes) -> bytes:
    """Return probes as the bytes of an npz file."""
    stream, images = io.BytesIO(), {f"image_{place}": image for place, image in enumerate(probes.images)}
    np.savez_compressed(stream, allow_pickle=False, logits=probes.logits, probabilities=probes.probabilities, **images)
    return stream.getvalue()


def from_bytes(content: bytes, classes: int, what: str) -> Probes:
    """Return the probes of an npz file; ``what`` names it in messages.

    Raises:
        ClassifierError: it is damaged, or not the probes of so many classes.
    """
    arrays = archive.read_arrays(content, what, most_bytes=MOST_BYTES)
    names = [f"image_{place}" for place in range(len(arrays) - 2)]
    if not names or set(arrays) != {*names, "logits", "probabilities"}:
        raise ClassifierError(f"{what} holds no probes: {', '.join(sorted(arrays))[:100]}.")
    images, answers = [arrays[name] for name in names], (arrays["logits"], arrays["probabilities"])
    if not all(_is_picture(image) for image in images) or not all(_fits(one, len(images), classes) for one in answers):
        raise ClassifierError(f"{what} holds no pictures and answers for {classes} classes.")
    return Probes(tuple(images), answers[0].astype(np.float32), answers[1].astype(np.float64))


def _is_picture(array: NDArray[Any]) -> bool:
    return array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size > 0


def _fits(array: NDArray[Any], images: int, classes: int) -> bool:
    return array.dtype.kind == "f" and array.shape == (images, classes)
