"""Nested cross-validation: the whole choice, of candidate and of epoch, judged on images that had no say in it.

Varma and Simon, BMC Bioinformatics 7 (2006) 91. Each of the study's folds is an outer fold once: the other folds take
turns in validating, the best candidate there is trained again on all of them, and then it meets the outer fold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from headstart.data.split import Round
from headstart.evaluation.metrics import fold_values
from headstart.evaluation.ranking import best_first
from headstart.evaluation.results import CandidateResult, FoldValues
from headstart.study.attempt import attempt
from headstart.study.case import Case
from headstart.study.judge import final_epochs_of, final_job, round_jobs, scored, validation_share
from headstart.study.learners import Learner


@dataclass(frozen=True, slots=True)
class NestedResult:
    """The accuracy of the whole choice on every outer fold, and who was chosen there."""

    accuracy: FoldValues
    chosen: tuple[str, ...]


def nested(case: Case) -> NestedResult | None:
    """Judge the whole choice by the folds of the first repeat, when the protocol asks for it.

    Candidates that failed in the study take no part; one that fails here is not chosen where it failed.

    Returns:
        None when it was not asked for, or, said on progress, when all candidates failed in an outer fold.
    """
    if not case.protocol.nested:
        return None
    folds = [one for one in case.parts.rounds if one.repeat == 0]
    candidates = [one for one in case.results if one.cv is not None]
    trainings = len(folds) * ((len(folds) - 1) * len(candidates) + 1)
    case.place.progress.say(f"Nested cross-validation: {trainings:,} more trainings.")
    verdicts = []
    for outer in folds:
        verdict = _OuterFold(case, folds, outer).judged(candidates)
        if verdict is None:
            case.place.progress.say("The nested cross-validation was given up: every candidate failed in it.")
            return None
        verdicts.append(verdict)
    values = [accuracy for _, accuracy in verdicts]
    accuracy = fold_values(values, values, test_share=validation_share(folds), bounds=(0.0, 1.0))
    return NestedResult(accuracy, tuple(chosen for chosen, _ in verdicts))


def inner_rounds(folds: Sequence[Round], outer: Round) -> tuple[Round, ...]:
    """Return the rounds inside an outer fold: every other fold validates in turn, and no image of ``outer`` is there.

    Their ``repeat`` is the number of the outer fold.
    """
    return tuple(
        Round(outer.fold, one.fold, np.setdiff1d(one.train, outer.validation), one.validation)
        for one in folds
        if one.fold != outer.fold
    )


class _OuterFold:
    """One outer fold: a small study on all other images, and its winner's accuracy on this fold."""

    def __init__(self, case: Case, folds: Sequence[Round], outer: Round) -> None:
        self._case, self._outer, self._rounds = case, outer, inner_rounds(folds, outer)
        self._stage = f"nested {outer.fold}"

    def judged(self, candidates: Sequence[CandidateResult]) -> tuple[str, float] | None:
        """Return who was chosen and its accuracy on the outer fold; the next best where the winner cannot be trained.

        None when all fail.
        """
        groups: dict[int, list[CandidateResult]] = {}
        for one in candidates:
            groups.setdefault(id(self._case.learner_of(one.id)), []).append(one)
        results = [result for group in groups.values() for result in self._validated(group)]
        for result in best_first(results, self._case.protocol.choose_by):
            _, accuracy = attempt(partial(self._accuracy, result))
            if accuracy is not None:
                return result.id, accuracy
        return None

    def _validated(self, group: Sequence[CandidateResult]) -> list[CandidateResult]:
        """Train the candidates of one learner in all inner rounds: together, or each alone should that fail."""
        _, results = attempt(lambda: self._trained(group))
        if results is not None:
            return results
        return [] if len(group) == 1 else [result for one in group for result in self._validated([one])]

    def _trained(self, group: Sequence[CandidateResult]) -> list[CandidateResult]:
        judged, protocol = [self._case.judged_of(one.id) for one in group], self._case.protocol
        jobs = round_jobs([one.candidate for one in judged], self._rounds, protocol)
        place, measure, labels = self._case.place, self._case.plan.measure, self._case.parts.labels
        trained = self._learner(group[0]).train(self._stage, jobs, place.jobs, place.progress)
        fits = [one.fits[0] for one in trained]
        return [
            dataclasses.replace(result, cv=scored(fits[at :: len(group)], self._rounds, measure, labels))
            for at, result in enumerate(group)
        ]

    def _accuracy(self, result: CandidateResult) -> float:
        """Train a candidate on all images but the outer fold's, as a finalist is, and judge it on those."""
        judged, protocol, place = self._case.judged_of(result.id), self._case.protocol, self._case.place
        candidate, epochs = judged.candidate, final_epochs_of(judged, result, protocol)
        job = final_job(candidate, self._outer.train, epochs, protocol)
        learner = self._learner(result)
        [trained] = learner.train(self._stage, [job], place.jobs, place.progress)
        logits = learner.logits(candidate, trained.fits[0], self._outer.validation)
        return float(np.mean(logits.argmax(axis=1) == self._case.parts.labels[self._outer.validation]))

    def _learner(self, result: CandidateResult) -> Learner:
        return self._case.learner_of(result.id)
