"""The learning curve: the best candidate trained on fewer images, and what more of them would bring."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from headstart import recipe, storage
from headstart.data.split import Round
from headstart.evaluation.evidence import Expected, LearningCurve, LearningPoint
from headstart.evaluation.headline import UNSEEN
from headstart.evaluation.learning_curve import Gain, expected_gains
from headstart.evaluation.ranking import best_first
from headstart.recipe import Protocol
from headstart.study.attempt import attempt
from headstart.study.case import Case
from headstart.study.judge import Judged, cross_validation, round_job, validation_share
from headstart.study.parts import Parts, Rows
from headstart.training.heads import Fit, Job

# Shares of a round's training images, each about twice the one before; the study itself has trained on all of them.
SHARES = (0.05, 0.1, 0.2, 0.35, 0.6)
FEWEST_PER_CLASS = 2
# To how many times as many images the curve is carried on.
FACTORS = (1.5, 2.0, 4.0)


def learning_curve(case: Case) -> LearningCurve | None:
    """Train on growing parts of every round's training images, when the protocol asks for it.

    The candidate is the best one whose backbone stays frozen: its heads train on features that are there. Every part is
    trained for as many steps as the whole, so that fewer images do not mean less training. All sizes, the whole too,
    are judged at the last epoch trained: small parts have many more epochs, and the best of many would flatter them
    most.

    Returns:
        None when it was not asked for, or, said on progress, when no candidate's backbone stays frozen or the training
        failed.
    """
    if not case.protocol.learning_curve:
        return None
    judged = _frozen(case)
    if judged is None:
        case.place.progress.say("No learning curve: it is drawn from cached features, and every backbone here trains.")
        return None
    reason, fits = attempt(lambda: _trained(judged, case))
    if fits is None:
        case.place.progress.say(f"No learning curve: the training failed. {reason}")
        return None
    return _curve(judged, [*fits, list(zip(case.parts.rounds, judged.fits, strict=True))], case)


def _frozen(case: Case) -> Judged | None:
    """Return the best candidate that trains on features."""
    for result in best_first(case.results, case.protocol.choose_by):
        if case.learner_of(result.id).features(case.parts.train[:1]) is not None:
            return case.judged_of(result.id)
    return None


Trainings = list[tuple[Round, Fit]]


def _trained(judged: Judged, case: Case) -> list[Trainings]:
    """Return for every share the smaller rounds and their fits: all of them train at once."""
    smaller = smaller_rounds(case.parts, case.protocol.seed)
    pairs = [(one, whole) for rounds in smaller for one, whole in zip(rounds, case.parts.rounds, strict=True)]
    jobs = [_job(judged, one, whole, case.protocol) for one, whole in pairs]
    if not jobs:
        return []
    place = case.place
    trained = case.learner_of(judged.candidate.id).train("learning curve", jobs, place.jobs, place.progress)
    fits = iter([one.fits[0] for one in trained])
    return [[(one, next(fits)) for one in rounds] for rounds in smaller]


def smaller_rounds(parts: Parts, seed: int) -> list[tuple[Round, ...]]:
    """Return every round with each share of its training images; shares that would be no smaller are left out."""
    standing = _standing(parts, seed)
    found: list[tuple[Round, ...]] = []
    for share in SHARES:
        rounds = tuple(
            dataclasses.replace(one, train=_part(one.train, share, parts.labels, standing)) for one in parts.rounds
        )
        before = found[-1] if found else None
        if _images(rounds) < _images(parts.rounds) and (before is None or _images(before) < _images(rounds)):
            found.append(rounds)
    return found


def _images(rounds: Sequence[Round]) -> int:
    return sum(len(one.train) for one in rounds)


def _standing(parts: Parts, seed: int) -> Rows:
    """Return a number for every image that says how early it joins: drawn from the seed, the same within a group."""
    drawn = [storage.seed_from(seed, "learning curve", row.group or row.sha256) for row in parts.rows]
    return np.array(drawn, np.int64)


def _part(train: Rows, share: float, labels: Rows, standing: Rows) -> Rows:
    """Return a share of the training rows, class by class; larger shares contain smaller ones."""
    kept = []
    for label in np.unique(labels[train]):
        rows = train[labels[train] == label]
        count = max(min(FEWEST_PER_CLASS, len(rows)), round(share * len(rows)))
        kept.append(rows[standing[rows] <= np.sort(standing[rows])[count - 1]])
    return np.sort(np.concatenate(kept))


def _job(judged: Judged, one: Round, whole: Round, protocol: Protocol) -> Job:
    """Return the training of a part, with about as many steps as that of the whole round."""
    job = round_job(judged.candidate, one, protocol)
    key = f"{job.key}/{len(one.train)}"
    if job.head.output == "logistic":
        return dataclasses.replace(job, key=key)
    copies = 1 + len(judged.network.views)
    steps = [math.ceil(copies * len(rows) / job.batch_size) for rows in (whole.train, one.train)]
    settings = _stretched(job.settings, steps[0] / steps[1])
    return dataclasses.replace(job, key=key, settings=settings, epochs=settings.epochs)


def _stretched(settings: recipe.Training, factor: float) -> recipe.Training:
    """Return settings of one phase with everything that is counted in epochs multiplied."""

    def times(epochs: int) -> int:
        return max(1, round(factor * epochs)) if epochs else 0

    schedule = dataclasses.replace(settings.schedule, every=times(settings.schedule.every))
    return dataclasses.replace(
        settings, epochs=times(settings.epochs), patience=times(settings.patience), schedule=schedule
    )


def _curve(judged: Judged, sizes: Sequence[Trainings], case: Case) -> LearningCurve:
    """Return the curve through the sizes, the last of which is the whole."""
    points = tuple(_point(trainings, case.parts.rounds) for trainings in sizes)
    whole = points[-1]
    expected = expected_gains(
        [float(point.images) for point in points],
        np.array([point.accuracy.folds for point in points]).T,
        more=[factor * whole.images for factor in FACTORS],
        test_share=validation_share(case.parts.rounds),
        seed=storage.seed_from(case.protocol.seed, "learning curve"),
    )
    name = judged.candidate.id
    sentence = sentence_of(expected, whole, case.protocol.equivalence)
    if judged.candidate.head.output != "logistic":
        sentence += f" {_rule(whole)}"
    if name != case.best:
        sentence = f"Measured with {name}, the best one whose backbone stays frozen. {sentence}"
    return LearningCurve(name, points, tuple(_expected(gain, whole) for gain in expected), sentence)


def _point(trainings: Trainings, rounds: Sequence[Round]) -> LearningPoint:
    """Return the accuracy of one size at the last epoch. Two rounds share as much of any size as ``rounds`` do."""
    images = _images([one for one, _ in trainings]) / len(trainings)
    at_last = [dataclasses.replace(fit, best=fit.last) for _, fit in trainings]
    return LearningPoint(round(images), cross_validation(at_last, rounds).accuracy)


def _expected(gain: Gain, whole: LearningPoint) -> Expected:
    """Return what a gain makes of the accuracy that is there: never less than that, never above 1."""
    now = whole.accuracy.mean
    low, high = (min(1.0, now + value) for value in gain.ci95)
    return Expected(gain.images, min(1.0, now + gain.gain), (low, high))


def sentence_of(gains: Sequence[Gain], whole: LearningPoint, equivalence: float) -> str:
    if not gains:
        return f"{whole.images:,} training images are too few to tell from smaller parts of them what more would bring."
    room = 1 - whole.accuracy.mean
    _, double, fourfold = gains
    low, high = double.ci95
    if high < max(equivalence, UNSEEN):
        return (
            f"More images of the same kind would hardly help: twice as many ({double.images:,}) would bring "
            f"{_points(double, room)}."
        )
    if low < UNSEEN:
        return (
            f"What more images would bring is not clear: twice as many ({double.images:,}) {_points(double, room)}, "
            f"four times as many {_points(fourfold, room)}."
        )
    return (
        f"Twice as many training images ({double.images:,}) would bring {_points(double, room)}, four times as many "
        f"{_points(fourfold, room)}."
    )


def _rule(whole: LearningPoint) -> str:
    return (
        f"All sizes were judged at the last epoch ({100 * whole.accuracy.mean:.1f} % with {whole.images:,} images): "
        "the best of its many epochs would flatter a small part most."
    )


def _points(gain: Gain, room: float) -> str:
    """Return a gain in points of accuracy; there is no more room than up to 1."""
    most, low, high = (100 * min(room, value) for value in (gain.gain, *gain.ci95))
    return f"about {most:.1f} points (95 % interval {low:.1f} to {high:.1f})"
