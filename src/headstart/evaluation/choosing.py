"""The measure by which epochs and candidates are chosen. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.metrics import area_under_roc, confusion_matrix, cross_entropy

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]

LESS_IS_BETTER = ("loss", "cost")


@dataclass(frozen=True, slots=True)
class Measure:
    """What is chosen by.

    Attributes:
        name: ``accuracy``, ``balanced_accuracy`` (mean recall of the classes that are there), ``macro_f1`` and ``auc``
            (means over the classes that have one), ``loss`` (nats) or ``cost`` (mean over images).
        costs: of ``cost``: ``(true classes, answered classes)``, as nested tuples; empty otherwise.
    """

    name: str = "accuracy"
    costs: tuple[tuple[float, ...], ...] = ()

    def of(self, labels: Integers, probabilities: Floats) -> float | None:
        """Return the measure of probabilities ``(images, classes)`` for labels ``(images,)``.

        None where it does not exist: an AUC where all images are of one class.
        """
        scores = np.asarray(probabilities, np.float64)
        if self.name == "loss":
            return cross_entropy(labels, scores)
        if self.name == "auc":
            return _macro_auc(labels, scores)
        if self.name == "cost":
            matrix = np.array(self.costs)
            answers = (scores @ matrix).argmin(axis=1)
            return float(matrix[labels, answers].mean())
        answers = scores.argmax(axis=1)
        if self.name == "accuracy":
            return float(np.mean(answers == labels))
        return _macro(confusion_matrix(labels, answers, scores.shape[1]), self.name)

    def worth(self, value: float) -> float:
        """Return a value of the measure, signed so that more is better."""
        return -value if self.name in LESS_IS_BETTER else value


ACCURACY, LOSS = Measure(), Measure("loss")


def _macro(matrix: NDArray[np.int64], name: str) -> float:
    right, there, named = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    below = there if name == "balanced_accuracy" else (there + named) / 2
    return float(np.mean(right[below > 0] / below[below > 0]))


def _macro_auc(labels: Integers, scores: NDArray[np.float64]) -> float | None:
    areas = [area_under_roc(labels == index, scores[:, index]) for index in range(scores.shape[1])]
    found = [area for area in areas if area is not None]
    return float(np.mean(found)) if found else None
