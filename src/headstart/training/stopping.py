"""Which epoch's weights are kept, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.choosing import Measure
from headstart.training.heads import EpochMetrics, Floats, softmax


def worth(measure: Measure, metrics: EpochMetrics, labels: NDArray[np.integer[Any]], logits: Floats) -> float:
    """Return what an epoch is worth by a measure on the images that it is judged by, more being better.

    Args:
        metrics: of these images; the loss is with the L2 penalty, as Keras shows it.
        labels: class indices ``(images,)``.
        logits: ``(images, classes)``.
    """
    if measure.name in ("accuracy", "loss"):
        return measure.worth(float(getattr(metrics, measure.name)))
    value = measure.of(labels, softmax(np.nan_to_num(logits.astype(np.float64))))
    return -math.inf if value is None else measure.worth(value)


@dataclass(slots=True)
class BestEpoch:
    """Follows what the epochs of one training are worth, as Keras' ``EarlyStopping`` with ``min_delta=0``.

    Attributes:
        patience: epochs without a better one after which training stops; 0: never.
        epoch: the best so far; 1 while there is none.
        found: whether any epoch was good enough to be kept.
        value: what the best epoch is worth; more is better.
        waited: epochs since then.
    """

    patience: int
    epoch: int = 1
    found: bool = False
    value: float = -math.inf
    waited: int = 0

    def see(self, epoch: int, value: float | None, *, finite: bool) -> bool:
        """Take in an epoch and return whether its weights are the ones to keep; the first of equals stays.

        Args:
            value: what the epoch is worth. None, where no images tell, keeps every epoch, thus the last, and never
                stops.
            finite: whether loss and weights are numbers; an epoch where they are not is never kept.
        """
        better = finite and (value is None or value > self.value)
        if better:
            self.epoch, self.found, self.value = epoch, True, -math.inf if value is None else value
        self.waited = 0 if better or value is None else self.waited + 1
        return better

    @property
    def stopped(self) -> bool:
        """Tell whether patience has run out."""
        return 0 < self.patience <= self.waited
