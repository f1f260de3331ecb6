"""The order of candidates: the one rule by which one is selected and all are listed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from headstart.evaluation.choosing import Measure
from headstart.evaluation.results import CandidateResult, CrossValidation


def best_first(candidates: Iterable[CandidateResult], choose_by: str) -> list[CandidateResult]:
    """Return the candidates that finished, best first.

    By the mean of the measure that chooses; among equals by accuracy, then by loss (of accuracy: by loss).
    """
    judged = [(one, one.cv) for one in candidates if one.cv is not None]
    return [one for one, _ in sorted(judged, key=lambda pair: _key(pair[1], choose_by))]


def _key(cv: CrossValidation, choose_by: str) -> tuple[float, ...]:
    accuracy, loss = -cv.accuracy.mean, _finite(cv.loss.mean)
    if choose_by in ("accuracy", "loss") or cv.chosen is None:
        return (loss, accuracy) if choose_by == "loss" else (accuracy, loss)
    return (_finite(-Measure(choose_by).worth(cv.chosen.mean)), accuracy, loss)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.inf
