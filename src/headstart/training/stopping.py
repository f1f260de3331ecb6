"""Which epoch is the best so far, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from headstart.training.heads import EpochMetrics


@dataclass(slots=True)
class BestEpoch:
    """Follows the monitor of one training, as Keras' ``EarlyStopping`` with ``min_delta=0``.

    Attributes:
        monitor: ``accuracy`` or ``loss``, of the validation images.
        patience: epochs without a better monitor after which training stops; 0: never.
        epoch: the best so far; 1 while there is none.
        found: whether any epoch was good enough to be kept.
        value: of the monitor at the best epoch, signed so that more is better.
        waited: epochs since then.
    """

    monitor: str
    patience: int
    epoch: int = 1
    found: bool = False
    value: float = -math.inf
    waited: int = 0

    def see(self, epoch: int, validation: EpochMetrics | None, *, finite: bool) -> bool:
        """Take in an epoch and return whether its weights are the ones to keep; the first of equals stays.

        Args:
            validation: None keeps every epoch, thus the last, and never stops.
            finite: whether loss and weights are numbers; an epoch where they are not is never kept.
        """
        value = -math.inf
        if validation is not None:
            value = validation.accuracy if self.monitor == "accuracy" else -validation.loss
        better = finite and (validation is None or value > self.value)
        if better:
            self.epoch, self.found, self.value = epoch, True, value
        self.waited = 0 if better or validation is None else self.waited + 1
        return better

    @property
    def stopped(self) -> bool:
        """Tell whether patience has run out."""
        return 0 < self.patience <= self.waited
