"""Every candidate on every fold, and who did best. Selection sees validation values only; the test set stays sealed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart import storage
from headstart.data.split import Round
from headstart.evaluation.choosing import Measure
from headstart.evaluation.intervals import wilson_interval
from headstart.evaluation.metrics import fold_values
from headstart.evaluation.results import CandidateResult, CrossValidation, FoldValues
from headstart.recipe import Candidate, Protocol
from headstart.study.attempt import attempt
from headstart.study.jobs import Trained
from headstart.study.learners import Learner
from headstart.study.networks import Network
from headstart.study.parts import Parts, Rows
from headstart.study.plan import Plan
from headstart.study.prepare import Prepared
from headstart.study.workplace import Workplace
from headstart.training.heads import EpochMetrics, Fit, Job, Scores, describe, softmax

BYTES_PER_PARAMETER = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate with its fit of every round (empty when it failed) and the seconds that training took.

    ``rounds`` say who trained and validated in each fit. One that was ``skipped`` was not tried, for a ``reason``.
    """

    network: Network
    candidate: Candidate
    learner: Learner | None
    fits: tuple[Fit, ...]
    seconds: float
    reason: str | None
    rounds: tuple[Round, ...] = ()
    skipped: bool = False


def judge(prepared: Sequence[Prepared], parts: Parts, protocol: Protocol, place: Workplace) -> list[Judged]:
    """Train every candidate of every network on every round; one that fails keeps its place with the reason."""
    judged = []
    for one in prepared:
        if one.learner is None:
            judged += [_failed(one.network, candidate, one.reason) for candidate in one.network.candidates]
        else:
            judged += _judge_network(one.learner, one.network.candidates, parts, protocol, place)
    return judged


def _judge_network(
    learner: Learner, candidates: Sequence[Candidate], parts: Parts, protocol: Protocol, place: Workplace
) -> list[Judged]:
    """Train candidates of one network together; should that fail, each alone, so that one failure stays alone."""
    jobs = round_jobs(candidates, parts.rounds, protocol)
    reason, trained = attempt(lambda: learner.train("rounds", jobs, place.jobs, place.progress))
    if trained is not None:
        return [_judged(learner, one, trained[at :: len(candidates)], parts) for at, one in enumerate(candidates)]
    if len(candidates) == 1:
        return [_failed(learner.network, candidates[0], reason)]
    return [judged for one in candidates for judged in _judge_network(learner, [one], parts, protocol, place)]


def _judged(learner: Learner, candidate: Candidate, trained: Sequence[Trained], parts: Parts) -> Judged:
    fits, seconds = tuple(one.fits[0] for one in trained), sum(one.seconds for one in trained)
    return Judged(learner.network, candidate, learner, fits, seconds, None, parts.rounds)


def _failed(network: Network, candidate: Candidate, reason: str | None) -> Judged:
    return Judged(network, candidate, None, (), 0.0, reason)


def left_out(network: Network, candidate: Candidate, reason: str) -> Judged:
    """Return a candidate that is not tried."""
    return dataclasses.replace(_failed(network, candidate, reason), skipped=True)


def round_job(candidate: Candidate, one: Round, protocol: Protocol) -> Job:
    """Return the training of a candidate in one round.

    All candidates of a round start from the same head and see the images in the same order, so that they differ by
    their settings alone. Where folds are scored at their best epochs, the validation images choose it.
    """
    place = (protocol.seed, one.repeat, one.fold)
    job = _job(f"{candidate.id}/{one.repeat}/{one.fold}", candidate, one.train, one.validation, place)
    return dataclasses.replace(job, watch=one.validation) if protocol.score_epoch == "best" else job


def round_jobs(candidates: Sequence[Candidate], rounds: Sequence[Round], protocol: Protocol) -> list[Job]:
    """Return the trainings of all candidates in all rounds, round by round."""
    return [round_job(candidate, one, protocol) for one in rounds for candidate in candidates]


def final_job(candidate: Candidate, train: Rows, epochs: int, protocol: Protocol, *, attempt: int = 0) -> Job:
    """Return the final training of a candidate on all training images: the procedure of the rounds.

    Where folds are scored at their best epochs no images can choose one here: it trains for ``epochs`` and ends.

    Args:
        attempt: counts from 0; each has first weights and an order of its own.
    """
    place = (protocol.seed, "final", attempt) if attempt else (protocol.seed, "final")
    key = f"{candidate.id}/final" + (f"/{attempt}" if attempt else "")
    job = _job(key, candidate, train, None, place)
    if protocol.score_epoch == "best":
        job = dataclasses.replace(job, settings=dataclasses.replace(job.settings, patience=0))
    return dataclasses.replace(job, epochs=epochs)


def _job(key: str, candidate: Candidate, train: Rows, validation: Rows | None, place: tuple[object, ...]) -> Job:
    return Job(
        key=key,
        head=candidate.head,
        settings=candidate.train,
        epochs=epochs_of(candidate),
        train=train,
        validation=validation,
        order_seed=storage.seed_from(*place, "order"),
        init_seed=storage.seed_from(*place, "init"),
        dropout_seed=storage.seed_from(*place, "dropout"),
        fresh=candidate.augmentation.fresh,
        augment_seed=storage.seed_from(*place, "augment"),
    )


def epochs_of(candidate: Candidate) -> int:
    """Return the epochs of all phases; what is solved and not trained has one."""
    return 1 if candidate.head.output == "logistic" else candidate.train.all_epochs


def candidate_result(judged: Judged, plan: Plan, parts: Parts) -> CandidateResult:
    """Return what ``summary.json`` says of a candidate."""
    candidate, classes = judged.candidate, len(plan.table.classes)
    parameters = judged.learner.parameters(candidate) if judged.learner else None
    return CandidateResult(
        id=candidate.id,
        backbone=candidate.backbone,
        head=describe(candidate.head, classes),
        cut=describe_cut(candidate),
        settings=storage.to_plain(candidate),
        status="skipped" if judged.skipped else "failed" if judged.reason else "done",
        reason=judged.reason,
        parameters=parameters,
        size_bytes=parameters.total * BYTES_PER_PARAMETER if parameters else None,
        cv=scored(judged.fits, judged.rounds, plan.measure, parts.labels) if judged.fits else None,
    )


CUT_WORDS = {"none": "backbone frozen", "all": "whole network trains"}


def describe_cut(candidate: Candidate) -> str:
    """Return what trains of the backbone, phase by phase, in words."""
    return ", then ".join(CUT_WORDS.get(cut) or _words_of(cut) for cut in candidate.train.cuts)


def _words_of(cut: str) -> str:
    kind, _, layer = cut.partition(" ")
    return f"the last {layer} layers train" if kind == "last" else f"layers from {layer} on train"


def scored(fits: Sequence[Fit], rounds: Sequence[Round], measure: Measure, labels: Rows) -> CrossValidation:
    """Return the values of a candidate's rounds, those of the measure that chooses among them."""
    cv = cross_validation(fits, rounds)
    if measure.name in ("accuracy", "loss"):
        return cv
    return dataclasses.replace(cv, chosen=chosen_values(fits, rounds, measure, labels))


def chosen_values(fits: Sequence[Fit], rounds: Sequence[Round], measure: Measure, labels: Rows) -> FoldValues:
    """Return the values of a measure on every round's validation images.

    Where a round has none (an AUC needs two classes), there is one value a repeat, of all its images together.
    """
    said = [(one, softmax(fit.validation_logits.astype(np.float64))) for one, fit in zip(rounds, fits, strict=True)
            if fit.validation_logits is not None]  # fmt: skip
    values = [measure.of(labels[one.validation], probabilities) for one, probabilities in said]
    if any(value is None for value in values):
        values = []
        for repeat in sorted({one.repeat for one in rounds}):
            mine = [(labels[one.validation], given) for one, given in said if one.repeat == repeat]
            values.append(measure.of(*(np.concatenate(part) for part in zip(*mine, strict=True))))
    found = [math.nan if value is None else value for value in values]
    return fold_values(found, found, test_share=validation_share(rounds) if len(found) > 1 else None)


def cross_validation(fits: Sequence[Fit], rounds: Sequence[Round] = ()) -> CrossValidation:
    """Return the values of all rounds: where each is scored, and at its last epoch.

    Args:
        fits: one per round.
        rounds: who trained and validated in each fit. With two rounds or more the 95 % intervals are about the mean of
            this training procedure over training sets of this size (``evaluation.intervals.corrected_interval``). A
            single round has one only for validation accuracy, about this one classifier on images like its validation
            images (``wilson_interval``); so has accuracy where all rounds agree, since their spread of zero would give
            a point. Without ``rounds`` there are none.
    """
    best, last = [fit.best for fit in fits], [fit.last for fit in fits]
    share = validation_share(rounds) if len(rounds) > 1 else None

    def values(measure: Callable[[Scores], float], high: float = math.inf) -> FoldValues:
        measured = [measure(one) for one in best], [measure(one) for one in last]
        return fold_values(*measured, test_share=share, bounds=(0.0, high))

    accuracy = values(lambda one: _of_validation(one).accuracy, 1.0)
    return CrossValidation(
        accuracy=_by_images(accuracy, rounds) if rounds and accuracy.ci95 is None else accuracy,
        loss=values(lambda one: _of_validation(one).loss),
        train_accuracy=values(lambda one: one.train.accuracy, 1.0),
        train_loss=values(lambda one: one.train.loss),
        best_epochs=tuple(fit.best_epoch for fit in fits),
    )


def validation_share(rounds: Sequence[Round]) -> float:
    """Return the validation images per training image, mean over the rounds: about 0.25 for five folds."""
    return sum(len(one.validation) / len(one.train) for one in rounds) / len(rounds)


def _by_images(accuracy: FoldValues, rounds: Sequence[Round]) -> FoldValues:
    """Return the accuracy with Wilson's interval over the validation images of one repeat, where it is a number."""
    images = sum(len(one.validation) for one in rounds if one.repeat == rounds[0].repeat)
    if not math.isfinite(accuracy.mean):
        return accuracy
    return dataclasses.replace(accuracy, ci95=wilson_interval(round(accuracy.mean * images), images))


def _of_validation(scores: Scores) -> EpochMetrics:
    assert scores.validation is not None, "every round validates"
    return scores.validation


def with_failure(result: CandidateResult, reason: str | None) -> CandidateResult:
    """Return the result as it is, or as failed for a reason that came up after its rounds."""
    return dataclasses.replace(result, status="failed", reason=reason, cv=None) if reason else result


def final_epochs_of(judged: Judged, result: CandidateResult, protocol: Protocol) -> int:
    """Return the epochs of a candidate's final training.

    The protocol's where it says so, else as many as the procedure has; or, where folds are scored at their best epochs,
    the rounded mean of those, at least 1.
    """
    if protocol.score_epoch == "last" or judged.candidate.head.output == "logistic":
        solved = judged.candidate.head.output == "logistic"
        return protocol.final_epochs if protocol.final_epochs and not solved else epochs_of(judged.candidate)
    return final_epochs(result, protocol.final_epochs)


def finalists(ranked: Sequence[CandidateResult], rule: str) -> list[CandidateResult]:
    """Return the candidates that are trained again and tested, best first: best | per_backbone | all."""
    if rule == "best":
        return [ranked[0]]
    if rule == "all":
        return list(ranked)
    first: dict[tuple[str, str], CandidateResult] = {}
    for result in ranked:
        first.setdefault((result.backbone, result.settings["weights"]), result)
    return list(first.values())


def final_epochs(result: CandidateResult, fixed: int) -> int:
    """Return the fixed number of epochs, or for 0 the rounded mean of the rounds' best epochs, at least 1."""
    assert result.cv is not None
    if fixed:
        return fixed
    epochs = result.cv.best_epochs
    return max(1, math.floor(sum(epochs) / len(epochs) + 0.5))
