"""Nearly free accuracy: finalists that answer together, one head on two backbones, an image and its mirror image.

All are made from cached features, where they are asked for. The one that does best out of fold is recommended where it
does better there than the best candidate alone; the test images have no say in it, unless they show it to be worse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from headstart.data.decode import Resize
from headstart.evaluation.comparison import compare_accuracy
from headstart.evaluation.evidence import COMBINATION_WORDS, Combination
from headstart.evaluation.metrics import evaluate
from headstart.evaluation.results import CandidateResult, Comparison
from headstart.features.arrays import joined, new_array
from headstart.recipe import Candidate
from headstart.study.attempt import attempt
from headstart.study.case import Case
from headstart.study.judge import Judged, candidate_result, final_epochs_of, final_job, round_jobs
from headstart.study.leaks import counted
from headstart.study.learners import Goal, HeadLearner
from headstart.study.networks import HEADS, Network
from headstart.study.parts import Rows
from headstart.study.prepare import MIRRORED
from headstart.study.verdict import contradiction
from headstart.study.views import Copies
from headstart.training.heads import Fit, softmax

Probabilities = NDArray[np.float64]

AVERAGE, JOINED, FLIP, JOINED_FLIP = "average", "joined", "flip", "joined_flip"
KINDS = (AVERAGE, JOINED, FLIP, JOINED_FLIP)
RECOMMENDED = "It is the one to take: combinations were asked for, and it does best on images held back."
UNSAVED = "It does best on images held back but could not be saved, so it is not the one to take."


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a combination says, and what it costs.

    Attributes:
        rounds: probabilities ``(validation images, classes)`` of each round, by models that had not seen the images.
        test: probabilities ``(test images, classes)``.
        parameters: all weights; those that members share count once.
        passes: how often an image goes through a network.
        fit: the final training of a head of its own, for ``joined`` and ``joined_flip``.
    """

    kind: str
    members: tuple[str, ...]
    rounds: tuple[Probabilities, ...]
    test: Probabilities
    parameters: int
    passes: int
    fit: Fit | None = None


def combinations(case: Case, *, informative: bool = True) -> tuple[Combination, ...]:
    """Judge the average of finalists, joined features, the mirror image and both, where the protocol asks for it.

    One that fails is said and left out. Where the best candidate is not ``informative``, chance alone would recommend.
    """
    if not case.protocol.combinations:
        return ()
    found = [_attempted(case, kind) for kind in KINDS]
    answers = [one for one in found if one is not None]
    return _judged(case, answers, informative=informative) if answers else ()


def _attempted(case: Case, kind: str) -> Answers | None:
    reason, made = attempt(lambda: answers_of(case, kind))
    if reason:
        case.place.progress.say(f"A combination ({kind}) failed and is left out: {reason}")
    return made


def answers_of(case: Case, kind: str) -> Answers | None:
    """Return what a combination says; None where the finalists do not allow it.

    What was trained for it, or computed of mirrored images, is found again.
    """
    makers: dict[str, Callable[[Case], Answers | None]] = {
        AVERAGE: _averaged,
        JOINED: _joined,
        FLIP: _mirrored,
        JOINED_FLIP: partial(_joined, mirrored=True),
    }
    return makers[kind](case)


def _judged(case: Case, answers: Sequence[Answers], *, informative: bool) -> tuple[Combination, ...]:
    """Compare with the best candidate (McNemar's test, adjusted by Holm); recommend one at most.

    That is, of those that can be one classifier, the best out of fold by the measure that chooses, where it is better
    than the best candidate there and the test images do not show it to be worse.
    """
    counts = counted(case.plan, case.parts)
    said = {case.best: case.test_of(case.best).probabilities[counts]}
    said |= {_name(case, one.kind): one.test[counts] for one in answers}
    rows = compare_accuracy(case.best, case.parts.labels[case.parts.test][counts], said)
    alone = rounds_accuracy(case, _rounds(case.judged_of(case.best)))
    together = [rounds_accuracy(case, one.rounds) for one in answers]
    whole = [len(input_sizes(case, one.members)) == 1 for one in answers]
    worth = [_worth(case, one.rounds) if fits else -np.inf for one, fits in zip(answers, whole, strict=True)]
    first = int(np.argmax(worth))
    better = worth[first] > _worth(case, _rounds(case.judged_of(case.best))) and rows[first].verdict != "a"
    wanted = informative and better
    return tuple(
        _combination(case, one, row, (alone, accuracy), recommended=wanted and place == first)
        for place, (one, row, accuracy) in enumerate(zip(answers, rows, together, strict=True))
    )


def _name(case: Case, kind: str) -> str:
    """Return the kind, in brackets where a candidate bears that name."""
    name, taken = kind, {one.candidate.id for one in case.judged}
    while name in taken:
        name = f"({name})"
    return name


def _combination(
    case: Case, one: Answers, row: Comparison, accuracies: tuple[float, float], *, recommended: bool
) -> Combination:
    alone, together = accuracies
    labels, counts = case.parts.labels[case.parts.test], counted(case.plan, case.parts)
    right = float(np.mean((one.test.argmax(axis=1) == labels)[counts]))
    test = evaluate(labels, one.test, case.classes)
    return Combination(
        id=row.b,
        kind=one.kind,
        members=one.members,
        cross_validated=together,
        test=test,
        comparison=row,
        parameters=one.parameters,
        recommended=recommended,
        sentence=_sentence(case, one, row, _Scores(alone, together, right), recommended=recommended),
    )


@dataclass(frozen=True, slots=True)
class _Scores:
    """Accuracies in 0..1: of the best candidate and the combination out of fold, of the combination on test images.

    Only test images that are not also training images count.
    """

    alone: float
    together: float
    test: float


def _sentence(case: Case, one: Answers, row: Comparison, scores: _Scores, *, recommended: bool) -> str:
    assert row.ci95 is not None, "two accuracies on the same images have an interval"
    low, high = sorted(_rounded(-100 * end) for end in row.ci95)
    where = "In cross-validation" if case.plan.splits.kind == "folds" else "On the validation images"
    return (
        f"{_who(one)}: {100 * scores.test:.1f} % of the test images right, {_more(-row.difference)} {case.best} alone "
        f"(95 % interval of the difference {low:+.1f} to {high:+.1f} points{contradiction(row)}). "
        f"{where} {100 * scores.together:.1f} % "
        f"against {100 * scores.alone:.1f} %. {_conclusion(row, recommended=recommended)} {_cost(case, one)}"
        f"{_limit(case, one)}"
    )


def input_sizes(case: Case, members: Sequence[str]) -> tuple[Resize, ...]:
    """Return the sizes, and rules to reach them, at which the members see an image; each once."""
    return tuple(dict.fromkeys(case.judged_of(name).network.size for name in members))


def _who(one: Answers) -> str:
    names = f"{', '.join(one.members[:-1])} and {one.members[-1]}" if len(one.members) > 1 else one.members[0]
    return COMBINATION_WORDS[one.kind].subject.format(names=names)


def _more(difference: float) -> str:
    points = _rounded(100 * difference)
    return f"{abs(points):.1f} points {'more' if points > 0 else 'less'} than" if points else "as many as"


def _rounded(value: float) -> float:
    """Return one decimal, zero without a sign."""
    return round(value, 1) + 0.0


def _conclusion(row: Comparison, *, recommended: bool) -> str:
    if recommended:
        return RECOMMENDED
    if row.verdict == "a":
        return "Worse on the test images by more than chance explains."
    if row.verdict == "b":
        return "Better on the test images by more than chance explains; they have no say in what is recommended."
    return "Chance alone can explain the difference on the test images."


def _cost(case: Case, one: Answers) -> str:
    if one.kind == FLIP:
        return "Every image goes through the network twice."
    alone = _result(case, case.best).parameters
    assert alone is not None, "a finalist was built"
    against = f"It has {_millions(one.parameters)} parameters (against {_millions(alone.total)})"
    passes = f"through {one.passes} networks" if one.passes > 1 else "through one network"
    if one.kind == JOINED_FLIP:
        passes += " twice"
    return f"{against}, and every image goes {passes}."


def _limit(case: Case, one: Answers) -> str:
    sides = [str(size.height) for size in input_sizes(case, one.members)]
    if len(sides) == 1:
        return ""
    return f" It cannot be a classifier: its networks see images of different sizes ({' and '.join(sides)} pixels)."


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,.0f}"


def _result(case: Case, candidate: str) -> CandidateResult:
    return next(one for one in case.ranked if one.id == candidate)


def _rounds(judged: Judged) -> tuple[Probabilities, ...]:
    """Return a candidate's probabilities of every round's validation images."""
    logits = [fit.validation_logits for fit in judged.fits if fit.validation_logits is not None]
    return tuple(softmax(one.astype(np.float64)) for one in logits)


def _worth(case: Case, rounds: Sequence[Probabilities]) -> float:
    """Return what answers to the validation images are worth by the measure that chooses; more is better."""
    measure, labels = case.plan.measure, [case.parts.labels[one.validation] for one in case.parts.rounds]
    values = [measure.of(truth, said) for said, truth in zip(rounds, labels, strict=True)]
    if any(value is None for value in values):
        values = [measure.of(np.concatenate(labels), np.concatenate(rounds))]
    return float(np.mean([-np.inf if value is None else measure.worth(value) for value in values]))


def rounds_accuracy(case: Case, rounds: Sequence[Probabilities]) -> float:
    """Return the mean over the rounds of the share of validation images that are right."""
    labels = [case.parts.labels[one.validation] for one in case.parts.rounds]
    shares = [np.mean(said.argmax(axis=1) == truth) for said, truth in zip(rounds, labels, strict=True)]
    return float(np.mean(shares))


def _pretrained(case: Case) -> list[Judged]:
    """Return the finalists, best first, that are no controls."""
    judged = [case.judged_of(one.id) for one in case.ranked]
    return [one for one in judged if not one.candidate.is_control]


def _averaged(case: Case) -> Answers | None:
    """Return the mean of the first finalists: of so many as do best out of fold, at least two."""
    ranked = _pretrained(case)
    if len(ranked) < 2:
        return None
    members, rounds = ranked[:2], _mean_of_rounds([_rounds(one) for one in ranked[:2]])
    most, sums = _worth(case, rounds), tuple(2 * one for one in rounds)
    for count, judged in enumerate(ranked[2:], start=3):
        sums = tuple(total + said for total, said in zip(sums, _rounds(judged), strict=True))
        mean = tuple(total / count for total in sums)
        worth = _worth(case, mean)
        if worth > most + 1e-9:
            members, most, rounds = ranked[:count], worth, mean
    names = tuple(one.candidate.id for one in members)
    test: Probabilities = np.mean([case.test_of(name).probabilities for name in names], axis=0)
    parameters, passes = _size(case, members)
    return Answers(AVERAGE, names, rounds, test, parameters, passes)


def _mean_of_rounds(several: Sequence[tuple[Probabilities, ...]]) -> tuple[Probabilities, ...]:
    return tuple(np.mean(said, axis=0) for said in zip(*several, strict=True))


def _size(case: Case, members: Sequence[Judged]) -> tuple[int, int]:
    """Return the number of weights, a frozen network's counting once for all its heads, and of networks."""
    seen, weights, passes = set(), 0, 0
    for one in members:
        counts = _result(case, one.candidate.id).parameters
        assert counts is not None, "a finalist was built"
        shared = one.network.learner == HEADS and one.network.name in seen
        weights += counts.trainable if shared else counts.total
        passes += 0 if shared else 1
        seen.add(one.network.name)
    return weights, passes


def _frozen(case: Case) -> list[Judged]:
    """Return the best candidate of each frozen pretrained network among the finalists, best first."""
    first: dict[tuple[object, ...], Judged] = {}
    for judged in _pretrained(case):
        if judged.network.learner == HEADS:
            first.setdefault(_origin(judged.network), judged)
    return list(first.values())


def _origin(network: Network) -> tuple[object, ...]:
    """Return what decides the features of an image: networks that differ in their changed copies alone share it."""
    return (network.backbone.name, network.weights_key, network.size, network.preprocessing, network.pooling)


def joined_pair(case: Case) -> tuple[Judged, Judged] | None:
    """Return the two frozen networks whose features are joined, the better one first."""
    match _frozen(case):
        case [first, second, *_]:
            return first, second
    return None


def _joined(case: Case, *, mirrored: bool = False) -> Answers | None:
    """Return one head on the features of the two best frozen networks, trained as the better one's head was.

    Where ``mirrored`` it learns from mirror images too, and its answers to an image and its mirror image are averaged.
    """
    pair = joined_pair(case)
    if pair is None:
        return None
    everything, views = np.arange(len(case.parts.rows)), (MIRRORED,) if mirrored else ()
    features = _side_by_side([case.learner_of(one.candidate.id).features(everything) for one in pair])
    if mirrored:
        turned = _side_by_side([case.preparation.mirrored(one.network) for one in pair])
        features = joined([features, turned[case.parts.train]])
    network, copies = pair[0].network, Copies(case.parts, views, pair[0].network.seed)
    frozen = sum(case.learner_of(one.candidate.id).parameters(one.candidate).non_trainable for one in pair)
    learner = HeadLearner(network, features, copies, Goal(len(case.classes), case.plan.measure), frozen=frozen)
    names = tuple(one.candidate.id for one in pair)
    candidate = dataclasses.replace(pair[0].candidate, name=" + ".join(names))
    kind = JOINED_FLIP if mirrored else JOINED
    judged, final = _trained(case, learner, candidate, kind)
    rounds = _rounds(judged)
    test: Probabilities = softmax(learner.logits(candidate, final, case.parts.test).astype(np.float64))
    if mirrored:
        rounds, test = _with_mirror(case, judged, final, learner.beside(turned), test)
    return Answers(kind, names, rounds, test, learner.parameters(candidate).total, len(pair), final)


def _side_by_side(blocks: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32]:
    """Return the pooled features of all images under several networks ``(images, all their values)``."""
    found = [block for block in blocks if block is not None]
    features: NDArray[np.float32] = new_array((len(found[0]), sum(one.shape[1] for one in found)), np.float32)
    return np.concatenate(found, axis=1, out=features)


def _trained(case: Case, learner: HeadLearner, candidate: Candidate, stage: str) -> tuple[Judged, Fit]:
    """Return a candidate after its rounds, and its final training."""
    protocol, place, parts = case.protocol, case.place, case.parts
    rounds = learner.train(stage, round_jobs([candidate], parts.rounds, protocol), place.jobs, place.progress)
    judged = Judged(learner.network, candidate, learner, tuple(one.fits[0] for one in rounds), 0.0, None, parts.rounds)
    epochs = final_epochs_of(judged, candidate_result(judged, case.plan, parts), protocol)
    job = final_job(candidate, parts.train, epochs, protocol)
    [final] = learner.train(f"{stage} final", [job], place.jobs, place.progress)
    return judged, final.fits[0]


def _mirrored(case: Case) -> Answers | None:
    """Return the best candidate's mean answer for an image and its mirror image, where its backbone is frozen."""
    judged, final = case.judged_of(case.best), case.final_of(case.best)
    learner = judged.learner
    if not isinstance(learner, HeadLearner) or judged.candidate.is_control:
        return None
    mirror = learner.beside(case.preparation.mirrored(judged.network))
    rounds, test = _with_mirror(case, judged, final.fit, mirror, case.test_of(case.best).probabilities)
    parameters = learner.parameters(judged.candidate).total
    return Answers(FLIP, (case.best,), rounds, test, parameters, passes=2)


def _with_mirror(
    case: Case, judged: Judged, final: Fit, mirror: HeadLearner, test: NDArray[np.floating]
) -> tuple[tuple[Probabilities, ...], Probabilities]:
    """Return the mean answers for images and their mirror images: of every round, and to the test images.

    Args:
        mirror: the learner on the features of the mirror images.
        test: what the final training says of the test images as they are.
    """

    def turned(fit: Fit, rows: Rows) -> Probabilities:
        return softmax(mirror.logits(judged.candidate, fit, rows).astype(np.float64))

    pairs = zip(case.parts.rounds, judged.fits, strict=True)
    rounds = _mean_of_rounds([_rounds(judged), tuple(turned(fit, one.validation) for one, fit in pairs)])
    mean: Probabilities = np.mean([test, turned(final, case.parts.test)], axis=0)
    return rounds, mean
