"""Targets and costs of a protocol: thresholds from out-of-fold probabilities, judged on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.calibration import calibrated
from headstart.evaluation.evidence import Interval, Operating, OperatingPoint
from headstart.evaluation.intervals import wilson_interval
from headstart.evaluation.operating import NEVER, Cost, Threshold, answered, cost_matrix, threshold_for
from headstart.study.asked import Target, targets_and_costs
from headstart.study.calibration import unseen_logits
from headstart.study.case import Case

Indices = NDArray[np.integer[Any]]


def thresholds_and_costs(case: Case, temperature: float) -> tuple[tuple[Threshold, ...], tuple[Cost, ...]]:
    """Return the thresholds that reach the protocol's targets on images not learned from, and its costs."""
    targets, costs = targets_and_costs(case.protocol.decide, case.classes)
    return thresholds_for(targets, _unseen(case, temperature), case.classes) if targets else (), costs


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Labels ``(images,)`` and calibrated probabilities ``(images, classes)``."""

    labels: Indices
    scores: NDArray[np.float64]


def _unseen(case: Case, temperature: float) -> Scored:
    labels, logits = unseen_logits(case)
    return Scored(labels, calibrated(logits, temperature))


def thresholds_for(targets: Sequence[Target], seen: Scored, classes: Sequence[str]) -> tuple[Threshold, ...]:
    """Return the threshold of every target, found on images that were not learned from."""
    found = []
    for one in targets:
        index = classes.index(one.class_)
        of_class = seen.labels == index
        value = threshold_for(one.kind, one.share, of_class=of_class, scores=seen.scores, index=index)
        found.append(Threshold(one.class_, one.kind, value))
    return tuple(found)


def operating(case: Case, temperature: float) -> Operating | None:
    """Return what the protocol's targets or costs do to the best candidate's answers; None without any."""
    targets, costs = targets_and_costs(case.protocol.decide, case.classes)
    block = case.test_of(case.kept)
    test = Scored(block.labels, calibrated(block.logits, temperature))
    if targets:
        return _with_targets(case, targets, _unseen(case, temperature), test)
    return _with_costs(case, costs, test) if costs else None


def _with_costs(case: Case, costs: Sequence[Cost], test: Scored) -> Operating:
    answers, before = answered(test.scores, case.classes, (), costs), test.scores.argmax(axis=1)
    matrix = cost_matrix(costs, case.classes)
    return Operating(
        candidate=case.kept,
        points=(),
        accuracy=float(np.mean(answers == test.labels)),
        accuracy_before=float(np.mean(before == test.labels)),
        cost_before=float(matrix[test.labels, before].mean()),
        cost_after=float(matrix[test.labels, answers].mean()),
        sentence=(
            f"With the given costs an answer costs {matrix[test.labels, answers].mean():.3f} on average on the test "
            f"images, against {matrix[test.labels, before].mean():.3f} for the most probable class."
        ),
    )


def _with_targets(case: Case, targets: Sequence[Target], seen: Scored, test: Scored) -> Operating:
    thresholds = thresholds_for(targets, seen, case.classes)
    of_seen, answers = (answered(one.scores, case.classes, thresholds, ()) for one in (seen, test))
    points = []
    for target, threshold in zip(targets, thresholds, strict=True):
        index = case.classes.index(target.class_)
        counts = (_counts(seen.labels, of_seen, index), _counts(test.labels, answers, index))
        points.append(_point(target, threshold.value, *counts))
    return Operating(
        candidate=case.kept,
        points=tuple(points),
        accuracy=float(np.mean(answers == test.labels)),
        accuracy_before=float(np.mean(test.scores.argmax(axis=1) == test.labels)),
        cost_before=None,
        cost_after=None,
        sentence=" ".join(map(_sentence, points)),
    )


def _sentence(point: OperatingPoint) -> str:
    """Return what became of a target on the test images."""
    target = f"{point.kind} of at least {100 * point.target:g} %"
    if point.threshold == NEVER:
        return f"{point.class_} is never named: no threshold reached a {target} with ten answers or more."
    precise = point.kind == "precision"
    found = point.test_precision if precise else point.test_recall
    interval = point.test_precision_ci95 if precise else point.test_recall_ci95
    if found is None or interval is None:
        return f"{point.class_}: a {target} was asked for; the test images cannot tell."
    low, high = (f"{100 * end:.1f}" for end in interval)
    return (
        f"{point.class_}: a {target} was asked for; on the test images it is {100 * found:.1f} % "
        f"(95 % interval {low} to {high})."
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    """Images of a class, answers of it, and how many are both."""

    images: int
    answers: int
    hits: int

    @property
    def precision(self) -> float | None:
        return self.hits / self.answers if self.answers else None

    @property
    def recall(self) -> float | None:
        return self.hits / self.images if self.images else None


def _counts(labels: Indices, answers: Indices, index: int) -> _Counts:
    mine, said = labels == index, answers == index
    return _Counts(int(mine.sum()), int(said.sum()), int((mine & said).sum()))


def _point(target: Target, threshold: float, seen: _Counts, test: _Counts) -> OperatingPoint:
    found = seen.precision if target.kind == "precision" else seen.recall
    return OperatingPoint(
        class_=target.class_,
        kind=target.kind,
        target=target.share,
        threshold=threshold,
        reached=found is not None and found >= target.share - 1e-9,
        out_of_fold_precision=seen.precision,
        out_of_fold_recall=seen.recall,
        test_precision=test.precision,
        test_precision_ci95=_interval(test.hits, test.answers),
        test_recall=test.recall,
        test_recall_ci95=_interval(test.hits, test.images),
    )


def _interval(hits: int, images: int) -> Interval | None:
    return wilson_interval(hits, images) if images else None
