"""Everything that is known once the test set is open: what evidence is gathered from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.split import Round
from headstart.evaluation.evidence import CleanTest
from headstart.evaluation.ranking import best_first
from headstart.evaluation.results import CandidateResult, FinalResult
from headstart.recipe import Protocol
from headstart.runs.folder import PredictionBlock
from headstart.study.conclude import Final, Opened
from headstart.study.judge import Judged
from headstart.study.learners import Learner
from headstart.study.parts import Parts, Rows
from headstart.study.plan import Plan
from headstart.study.prepare import Preparation
from headstart.study.workplace import Workplace
from headstart.training.heads import softmax


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """What a candidate said of every image that validated, by models that had not seen it.

    ``rows`` are positions among the images that take part, rising, each once; ``labels`` class indices ``(rows,)``;
    ``logits`` ``(rows, classes)`` float64; ``folds`` the fold of the first repeat in which each row validated. Where an
    image validated several times, its logits are the logarithms of its mean probabilities.
    """

    rows: Rows
    labels: Rows
    logits: NDArray[np.float64]
    folds: Rows

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Probabilities ``(rows, classes)``, rows sum to 1."""
        return softmax(self.logits)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A study after its test set was opened. ``best`` and ``ranked`` (best first) are among the finalists.

    ``clean`` has the finalists, the best first, on the test images that are not also training images; empty where none
    is. ``kept`` is the finalist that is recommended, whose classifier people keep: the best unless a cheaper one is
    equal.
    """

    plan: Plan
    parts: Parts
    preparation: Preparation
    judged: Sequence[Judged]
    results: Sequence[CandidateResult]
    finals: Sequence[Final]
    opened: Opened
    ranked: Sequence[CandidateResult]
    place: Workplace
    clean: tuple[CleanTest, ...] = ()
    kept: str = ""

    @property
    def best(self) -> str:
        """The id of the best candidate."""
        return self.ranked[0].id

    @property
    def protocol(self) -> Protocol:
        """How candidates are judged."""
        return self.plan.recipe.protocol

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in the order of the logits' columns."""
        return self.plan.table.classes

    def judged_of(self, candidate: str) -> Judged:
        """Return a candidate with its fits of every round."""
        return next(one for one in self.judged if one.candidate.id == candidate)

    def final_of(self, candidate: str) -> Final:
        """Return a finalist after its final training."""
        return next(one for one in self.finals if one.id == candidate)

    def result_of(self, candidate: str) -> FinalResult:
        """Return a finalist's evaluations."""
        return next(one for one in self.opened.results if one.candidate == candidate)

    def clean_of(self, candidate: str) -> CleanTest | None:
        """Return a finalist on the test images that are not also training images; None where no image is shared."""
        return next((one for one in self.clean if one.candidate == candidate), None)

    def test_of(self, candidate: str) -> PredictionBlock:
        """Return what a finalist says of the test images, in the order of ``parts.test``."""
        return self.opened.test_of(candidate)

    def learner_of(self, candidate: str) -> Learner:
        """Return who trained a candidate that has finished its rounds."""
        learner = self.judged_of(candidate).learner
        assert learner is not None, "only candidates that finished are asked for"
        return learner

    def out_of_fold(self, candidate: str) -> OutOfFold:
        """Return what a candidate that finished its rounds said of every image that validated."""
        return out_of_fold(self.judged_of(candidate), self.parts)


def ranked_finalists(
    results: Sequence[CandidateResult], finals: Sequence[Final], choose_by: str
) -> list[CandidateResult]:
    """Return the finalists, best first: by the rule of selection, which sees validation values only."""
    tested = {final.id for final in finals}
    return [one for one in best_first(results, choose_by) if one.id in tested]


def out_of_fold(judged: Judged, parts: Parts) -> OutOfFold:
    """Return a candidate's out-of-fold logits; those of several repeats become one."""
    said = [(one, fit.validation_logits) for one, fit in zip(parts.rounds, judged.fits, strict=True)]
    rows = np.unique(np.concatenate([one.validation for one, _ in said]))
    classes = next(logits.shape[1] for _, logits in said if logits is not None)
    sums, times = np.zeros((len(rows), classes)), np.zeros(len(rows), np.int64)
    for one, logits in said:
        assert logits is not None, "every round validates"
        place = np.searchsorted(rows, one.validation)
        sums[place] += softmax(logits.astype(np.float64))
        times[place] += 1
    merged = _single(said, rows) if times.max() == 1 else np.log(np.maximum(sums / times[:, None], 1e-300))
    return OutOfFold(rows, parts.labels[rows], merged, _folds(parts.rounds, rows))


def _single(said: Sequence[tuple[Round, NDArray[Any] | None]], rows: Rows) -> NDArray[np.float64]:
    """Return the logits as they are where every image validated once."""
    logits = np.concatenate([logits for _, logits in said if logits is not None]).astype(np.float64)
    order = np.argsort(np.concatenate([one.validation for one, _ in said]), kind="stable")
    assert len(order) == len(rows)
    found: NDArray[np.float64] = logits[order]
    return found


def _folds(rounds: Sequence[Round], rows: Rows) -> Rows:
    folds = np.full(len(rows), -1, np.int64)
    for one in reversed(rounds):
        folds[np.searchsorted(rows, one.validation)] = one.fold
    return folds
