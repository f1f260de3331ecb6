"""From logits to an answer: calibrated probabilities, thresholds or costs, and whether the image is known at all.

NumPy alone; a bundle carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.calibration import calibrated
from headstart.evaluation.operating import Cost, Threshold, answered
from headstart.evaluation.unknown import Detector

Floats = NDArray[np.floating[Any]]

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """What turns logits into answers.

    Attributes:
        temperature: logits are divided by it before the softmax; above 0.
        detector: tells images that belong to no class; None: nothing is refused.
        thresholds: calibrated probabilities from which classes are answered, see ``evaluation.operating``.
        costs: of errors; others cost 1. Empty: the most probable class.
    """

    temperature: float = 1.0
    detector: Detector | None = None
    thresholds: tuple[Threshold, ...] = ()
    costs: tuple[Cost, ...] = ()

    @property
    def needs_features(self) -> bool:
        """Whether logits alone are not enough."""
        return self.detector is not None and bool(self.detector.arrays)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What is said of some images.

    Attributes:
        probabilities: calibrated, ``(images, classes)`` float64, rows sum to 1.
        words: a class name per image, or ``unknown_word``.
        unknown_scores: how unknown each image looks ``(images,)``; None without a detector.
    """

    probabilities: NDArray[np.float64]
    words: tuple[str, ...]
    unknown_scores: NDArray[np.float64] | None


def answer(answering: Answering, logits: Floats, features: Floats | None, classes: Sequence[str]) -> Answers:
    """Return calibrated probabilities and answers.

    An image is ``unknown`` where the detector refuses it, or where every class has a precision threshold and none is
    reached.

    Args:
        logits: ``(images, classes)``.
        features: pooled features ``(images, values)``; None where ``answering`` needs none.
    """
    probabilities = calibrated(logits, answering.temperature)
    chosen = answered(probabilities, classes, answering.thresholds, answering.costs)
    scores, detector = None, answering.detector
    if detector is not None:
        scores = detector.score(logits, features)
        chosen = np.where(scores > detector.threshold, len(classes), chosen)
    # NO_CLASS is -1: the last word
    words = (*classes, unknown_word(classes))
    return Answers(probabilities, tuple(words[index] for index in chosen), scores)


def unknown_word(classes: Sequence[str]) -> str:
    """Return ``unknown``, in brackets where a class bears that name: the two answers must not look alike."""
    word = UNKNOWN
    while word in classes:
        word = f"({word})"
    return word
