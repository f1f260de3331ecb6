"""Nearly free accuracy: finalists that answer together, one head on two backbones, an image and its mirror image.

All are made from cached features. A combination is recommended only where it beats the best candidate by more than
chance explains, on the sealed test images and out of fold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.evaluation.comparison import compare_on_test
from headstart.evaluation.evidence import Combination
from headstart.evaluation.metrics import evaluate
from headstart.evaluation.results import CandidateResult, Comparison
from headstart.recipe import Candidate
from headstart.study.attempt import attempt
from headstart.study.case import Case, OutOfFold, out_of_fold
from headstart.study.judge import Judged, candidate_result, epochs_of, final_epochs, final_job, round_jobs
from headstart.study.learners import Goal, HeadLearner
from headstart.study.networks import HEADS
from headstart.study.views import Copies
from headstart.training.heads import Fit, softmax

Probabilities = NDArray[np.float64]

MCNEMAR = "McNemar"


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a combination says: out-of-fold and test probabilities ``(images, classes)``, and its number of weights."""

    id: str
    kind: str
    members: tuple[str, ...]
    out_of_fold: Probabilities
    test: Probabilities
    parameters: int


def combinations(case: Case) -> tuple[Combination, ...]:
    """Judge the average of finalists, and where the protocol asks for it, joined features and the mirror image.

    One that fails is said and left out.
    """
    answers = list(_averages(case))
    if case.protocol.combinations:
        for make in (_joined, _mirrored):
            reason, made = attempt(lambda make=make: list(make(case)))  # type: ignore[misc]
            if made is None:
                case.place.progress.say(f"A combination failed and is left out: {reason}")
            answers += made or []
    return _judged(case, answers) if answers else ()


def _judged(case: Case, answers: Sequence[Answers]) -> tuple[Combination, ...]:
    labels = case.parts.labels[case.parts.test]
    said = {case.best: case.test_of(case.best).probabilities} | {one.id: one.test for one in answers}
    rows = compare_on_test(case.best, labels, said, storage.seed_from(case.protocol.seed, "combinations"))
    tests = {row.b: row for row in rows if row.method.startswith(MCNEMAR)}
    return tuple(_combination(case, one, tests[one.id]) for one in answers)


def _combination(case: Case, one: Answers, comparison: Comparison) -> Combination:
    known = case.out_of_fold(case.best)
    alone, together = _accuracy(known.probabilities, known.labels), _accuracy(one.out_of_fold, known.labels)
    test = evaluate(case.parts.labels[case.parts.test], one.test, case.classes)
    better = comparison.verdict == "b" and together > alone
    return Combination(
        id=one.id,
        kind=one.kind,
        members=one.members,
        cross_validated=together,
        test=test,
        comparison=comparison,
        parameters=one.parameters,
        recommended=better,
        sentence=_sentence(one, test.accuracy, comparison, better),
    )


WORDS = {
    "average": "The mean of the answers of {members}",
    "joined": "One head on the joined features of {members}",
    "flip": "{members} on the image and on its mirror image",
}


def _sentence(one: Answers, accuracy: float, comparison: Comparison, better: bool) -> str:
    points = -100 * comparison.difference
    low, high = sorted(-100 * end for end in comparison.ci95) if comparison.ci95 else (0.0, 0.0)
    who = WORDS[one.kind].format(members=" and ".join(one.members))
    end = "worth its cost where every point counts" if better else "no more than chance explains: not worth its cost"
    if comparison.verdict == "a":
        end = "worse than the best candidate alone"
    return (
        f"{who} classified {100 * accuracy:.1f} % of the test images right, {points:+.1f} points against the best "
        f"candidate alone (95 % interval {low:+.1f} to {high:+.1f}): {end}."
    )


def _accuracy(probabilities: Probabilities, labels: NDArray[np.int64]) -> float:
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def _pretrained(case: Case) -> list[CandidateResult]:
    """Return the finalists, best first, that are no controls."""
    return [one for one in case.ranked if not case.judged_of(one.id).candidate.is_control]


def _averages(case: Case) -> Iterator[Answers]:
    """Yield the mean of the first finalists: of so many as do best out of fold, at least two."""
    ranked = _pretrained(case)
    if len(ranked) < 2:
        return
    labels = case.out_of_fold(case.best).labels
    running = np.cumsum([case.out_of_fold(one.id).probabilities for one in ranked], axis=0)
    means = [total / count for count, total in enumerate(running, start=1)]
    count = 1 + int(np.argmax([_accuracy(mean, labels) for mean in means[1:]])) + 1
    members = ranked[:count]
    test: Probabilities = np.mean([case.test_of(one.id).probabilities for one in members], axis=0)
    parameters = sum(one.parameters.total for one in members if one.parameters)
    yield Answers("average", "average", tuple(one.id for one in members), means[count - 1], test, parameters)


def _frozen(case: Case) -> list[Judged]:
    """Return the best candidate of each frozen pretrained network among the finalists, best first."""
    first: dict[str, Judged] = {}
    for one in _pretrained(case):
        judged = case.judged_of(one.id)
        if judged.network.learner == HEADS:
            first.setdefault(judged.network.name, judged)
    return list(first.values())


def _joined(case: Case) -> Iterator[Answers]:
    """Yield one head on the features of the two best frozen networks, trained as the better one's head was."""
    pair = _frozen(case)[:2]
    if len(pair) < 2:
        return
    first, second = pair
    everything = np.arange(len(case.parts.rows))
    blocks = [case.learner_of(one.candidate.id).features(everything) for one in pair]
    features = np.concatenate([block for block in blocks if block is not None], axis=1)
    candidate = dataclasses.replace(first.candidate, name=f"{first.candidate.id} + {second.candidate.id}")
    frozen = sum(case.learner_of(one.candidate.id).parameters(one.candidate).non_trainable for one in pair)
    goal = Goal(classes=len(case.classes), monitor=case.protocol.monitor)
    learner = HeadLearner(first.network, features, Copies(case.parts, (), first.network.seed), goal, frozen=frozen)
    judged, final = _trained(case, learner, candidate)
    yield Answers(
        "joined",
        "joined",
        tuple(one.candidate.id for one in pair),
        out_of_fold(judged, case.parts).probabilities,
        softmax(learner.logits(candidate, final, case.parts.test).astype(np.float64)),
        learner.parameters(candidate).total,
    )


def _trained(case: Case, learner: HeadLearner, candidate: Candidate) -> tuple[Judged, Fit]:
    """Return a candidate after its rounds, and its final training."""
    seed, place = case.protocol.seed, case.place
    rounds = learner.train("joined", round_jobs([candidate], case.parts.rounds, seed), place.jobs, place.progress)
    fits = tuple(one.fits[0] for one in rounds)
    judged = Judged(learner.network, candidate, learner, fits, 0.0, None)
    job = final_job(candidate, case.parts.train, _final_epochs(case, judged), seed)
    [final] = learner.train("joined final", [job], place.jobs, place.progress)
    return judged, final.fits[0]


def _final_epochs(case: Case, judged: Judged) -> int:
    if judged.candidate.head.output == "logistic":
        return epochs_of(judged.candidate)
    return final_epochs(candidate_result(judged, len(case.classes)), case.protocol.final_epochs)


def _mirrored(case: Case) -> Iterator[Answers]:
    """Yield the best frozen candidate's mean answer on an image and its mirror image."""
    chosen = _frozen(case)[:1]
    if not chosen or chosen[0].candidate.id != case.best:
        return
    judged, final = chosen[0], case.final_of(case.best)
    learner = case.learner_of(case.best)
    assert isinstance(learner, HeadLearner)
    mirrored = learner.beside(case.preparation.mirrored(judged.network))

    def mean(straight: Probabilities, fit: Fit, rows: NDArray[np.int64]) -> Probabilities:
        turned = softmax(mirrored.logits(judged.candidate, fit, rows).astype(np.float64))
        halves: Probabilities = (straight + turned) / 2
        return halves

    test = mean(case.test_of(case.best).probabilities.astype(np.float64), final.fit, case.parts.test)
    known = case.out_of_fold(case.best)
    turned = _mirrored_folds(case, judged, mirrored)
    parameters = learner.parameters(judged.candidate).total
    yield Answers("flip", "flip", (case.best,), (known.probabilities + turned.probabilities) / 2, test, parameters)


def _mirrored_folds(case: Case, judged: Judged, mirrored: HeadLearner) -> OutOfFold:
    """Return what the models of every round say of their validation images in a mirror."""
    fits = tuple(
        dataclasses.replace(fit, validation_logits=mirrored.logits(judged.candidate, fit, one.validation))
        for one, fit in zip(case.parts.rounds, judged.fits, strict=True)
    )
    return out_of_fold(dataclasses.replace(judged, fits=fits), case.parts)
