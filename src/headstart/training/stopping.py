"""Which epoch is the best so far, and when to stop."""

from __future__ import annotations

import math

from headstart.training.heads import EpochMetrics


class BestEpoch:
    """Follows the monitor of one training, as Keras' ``EarlyStopping`` with ``min_delta=0``.

    Args:
        monitor: ``accuracy`` or ``loss``, of the validation images.
        patience: epochs without a better monitor after which training stops; 0: never.
    """

    def __init__(self, monitor: str, patience: int) -> None:
        self._monitor, self._patience = monitor, patience
        self._best, self._waited = -math.inf, 0
        self.epoch = 1
        self.found = False

    def see(self, epoch: int, validation: EpochMetrics | None, *, finite: bool) -> bool:
        """Take in an epoch and return whether its weights are the ones to keep; the first of equals stays."""
        if validation is None:
            value, self._best = 0.0, -math.inf
        else:
            value = validation.accuracy if self._monitor == "accuracy" else -validation.loss
        better = finite and value > self._best
        if better:
            self._best, self.epoch, self.found = value, epoch, True
        self._waited = 0 if better or validation is None else self._waited + 1
        return better

    @property
    def stopped(self) -> bool:
        """Tell whether patience has run out."""
        return 0 < self._patience <= self._waited
