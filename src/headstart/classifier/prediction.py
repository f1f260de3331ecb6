"""What is said of images, and what an image may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Image = str | Path | bytes | NDArray[np.uint8]
"""A file, the bytes of one, or uint8 pixels ``(height, width, 3)`` or ``(height, width)``."""

Images = Sequence[Image] | NDArray[np.uint8]
"""Several of them; pixels of one size may be one array ``(images, height, width, 3)``."""


ONE_IMAGE = "Give images in a list, also a single one: [image]."
"""What is said where one image stands for a list of them."""


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """One class with its probability in 0..1."""

    class_: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is said of one image, or the error that kept it from being seen.

    Attributes:
        path: of the file; ``bytes`` or ``array`` where the image was none.
        answer: a class name or ``answering.unknown_word``; None with an error. It follows the classifier's thresholds
            or costs, so it need not be the most probable class.
        ranked: classes from the most to the least probable, by calibrated probability.
        unknown_score: how unknown the image looks; None with an error, or where nothing tells the unknown.
    """

    path: str
    answer: str | None
    ranked: tuple[ClassProbability, ...]
    unknown_score: float | None
    error: str | None

    def top(self, count: int) -> tuple[ClassProbability, ...]:
        """Return the ``count`` most probable classes."""
        return self.ranked[:count]


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the network gives: ``logits`` ``(images, classes)`` and pooled ``features`` ``(images, values)``, float32.

    ``errors`` are reasons by the number of the image; its rows say nothing.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    errors: Mapping[int, str]


def is_one(images: object) -> bool:
    """Return whether this is one image rather than several.

    Arrays ``(height, width)``, ``(height, width, 3)`` and ``(height, width, 4)`` are one; ``(images, height, width)``
    are several grey ones.
    """
    if isinstance(images, np.ndarray):
        return images.ndim < 3 or (images.ndim == 3 and images.shape[-1] in (3, 4))
    return isinstance(images, str | Path | bytes)


def name_of(image: Image) -> str:
    """Return what an image is called in its row."""
    if isinstance(image, str | Path):
        return str(image)
    return "bytes" if isinstance(image, bytes) else "array"
