"""Targets and costs of a protocol: thresholds from out-of-fold probabilities, judged on the test images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import UsageError, did_you_mean
from headstart.evaluation.calibration import calibrated
from headstart.evaluation.evidence import Interval, Operating, OperatingPoint
from headstart.evaluation.intervals import wilson_interval
from headstart.evaluation.operating import Cost, Threshold, answered, cost_matrix, threshold_for
from headstart.recipe.parts import DECISION
from headstart.study.calibration import unseen_logits
from headstart.study.case import Case

Indices = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """A share of ``kind`` (``precision`` or ``recall``) that the answers ``class_`` must reach."""

    class_: str
    kind: str
    share: float


def check_decisions(decide: Sequence[str], classes: Sequence[str]) -> None:
    """Check targets and costs against the classes that there are.

    Raises:
        UsageError: a class is unknown, or a right answer is given a cost (every problem, one line each).
    """
    problems = [problem for text in decide for problem in _problems(text, classes)]
    if problems:
        raise UsageError("\n".join(problems))


def _problems(text: str, classes: Sequence[str]) -> Iterator[str]:
    kind, name, _ = _read(text)
    pair = _pair(name, classes) if kind == "cost" else (name, "")
    for one in dict.fromkeys(pair if kind == "cost" else pair[:1]):
        if one not in classes:
            hint = did_you_mean(one, classes)
            yield f"{text!r}: there is no class {one!r}.{hint} The classes are {', '.join(classes)}."
    if kind == "cost" and pair[0] == pair[1]:
        yield f"{text!r}: an answer that is right costs nothing. Name two classes, TRUE:PREDICTED."


def _read(text: str) -> tuple[str, str, float]:
    match = DECISION.fullmatch(text)
    assert match, "a recipe's texts were checked when it was made"
    return match[1], match[2], float(match[3])


def _pair(name: str, classes: Sequence[str]) -> tuple[str, str]:
    """Return the true and the answered class; a colon may be part of a name."""
    places = [place for place, letter in enumerate(name) if letter == ":"]
    pairs = [(name[:place], name[place + 1 :]) for place in places]
    return max(pairs, key=lambda pair: (pair[0] in classes) + (pair[1] in classes))


def targets_and_costs(decide: Sequence[str], classes: Sequence[str]) -> tuple[tuple[Target, ...], tuple[Cost, ...]]:
    """Return what the texts of ``protocol.decide`` ask for."""
    read = [_read(text) for text in decide]
    targets = tuple(Target(name, kind, value) for kind, name, value in read if kind != "cost")
    costs = tuple(Cost(*_pair(name, classes), value) for kind, name, value in read if kind == "cost")
    return targets, costs


def thresholds_and_costs(case: Case, temperature: float) -> tuple[tuple[Threshold, ...], tuple[Cost, ...]]:
    """Return the thresholds that reach the protocol's targets on images not learned from, and its costs."""
    targets, costs = targets_and_costs(case.protocol.decide, case.classes)
    return _thresholds(targets, _unseen(case, temperature), case.classes) if targets else (), costs


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Labels ``(images,)`` and calibrated probabilities ``(images, classes)``."""

    labels: Indices
    scores: NDArray[np.float64]


def _unseen(case: Case, temperature: float) -> _Scored:
    labels, logits = unseen_logits(case)
    return _Scored(labels, calibrated(logits, temperature))


def _thresholds(targets: Sequence[Target], seen: _Scored, classes: Sequence[str]) -> tuple[Threshold, ...]:
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
    block = case.test_of(case.best)
    test = _Scored(block.labels, calibrated(block.logits, temperature))
    if targets:
        return _with_targets(case, targets, _unseen(case, temperature), test)
    return _with_costs(case, costs, test) if costs else None


def _with_costs(case: Case, costs: Sequence[Cost], test: _Scored) -> Operating:
    answers, before = answered(test.scores, case.classes, (), costs), test.scores.argmax(axis=1)
    matrix = cost_matrix(costs, case.classes)
    return Operating(
        candidate=case.best,
        points=(),
        accuracy=float(np.mean(answers == test.labels)),
        accuracy_before=float(np.mean(before == test.labels)),
        cost_before=float(matrix[test.labels, before].mean()),
        cost_after=float(matrix[test.labels, answers].mean()),
    )


def _with_targets(case: Case, targets: Sequence[Target], seen: _Scored, test: _Scored) -> Operating:
    thresholds = _thresholds(targets, seen, case.classes)
    of_seen, answers = (answered(one.scores, case.classes, thresholds, ()) for one in (seen, test))
    points = []
    for target, threshold in zip(targets, thresholds, strict=True):
        index = case.classes.index(target.class_)
        counts = (_counts(seen.labels, of_seen, index), _counts(test.labels, answers, index))
        points.append(_point(target, threshold.value, *counts))
    return Operating(
        candidate=case.best,
        points=tuple(points),
        accuracy=float(np.mean(answers == test.labels)),
        accuracy_before=float(np.mean(test.scores.argmax(axis=1) == test.labels)),
        cost_before=None,
        cost_after=None,
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
