"""Images that belong to no class: scores, thresholds and how well they work. NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """Tells unknown images: those whose score is above ``threshold``.

    Attributes:
        method: how the score is made, such as ``energy``.
        arrays: what the score needs, by name; float32.
    """

    method: str
    threshold: float
    arrays: Mapping[str, NDArray[np.float32]]

    def score(self, logits: Floats, features: Floats | None) -> NDArray[np.float64]:
        """Return how unknown images look ``(images,)``, from logits ``(images, classes)`` and pooled features."""
        raise NotImplementedError
