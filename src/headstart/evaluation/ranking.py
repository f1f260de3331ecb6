"""The order of candidates: the one rule by which one is selected and all are listed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from headstart.evaluation.results import CandidateResult, CrossValidation


def best_first(candidates: Iterable[CandidateResult], monitor: str) -> list[CandidateResult]:
    """Return the candidates that finished, best first: by the mean of the monitor, then of the other measure."""
    judged = [(one, one.cv) for one in candidates if one.cv is not None]
    return [one for one, _ in sorted(judged, key=lambda pair: _key(pair[1], monitor))]


def _key(cv: CrossValidation, monitor: str) -> tuple[float, float]:
    accuracy, loss = -cv.accuracy.mean, cv.loss.mean
    loss = loss if math.isfinite(loss) else math.inf
    return (loss, accuracy) if monitor == "loss" else (accuracy, loss)
