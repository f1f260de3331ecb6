"""The answer "unknown": which score tells images of no class best, its threshold, and how well it works."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.classifier.predict import Outputs
from headstart.data.split import Round
from headstart.evaluation import unknown
from headstart.evaluation.evidence import MethodScore, Unknown, UnknownTrial
from headstart.evaluation.unknown import ENERGY, METHODS, Cloud, Detector, Known, Signs, Store
from headstart.machine import core_count
from headstart.progress import Progress
from headstart.study.attempt import attempt
from headstart.study.calibration import unseen_logits
from headstart.study.case import Case
from headstart.study.judge import epochs_of, final_job
from headstart.study.parts import Rows
from headstart.training.heads import Fit, Job

# Each class costs one more training of the best head.
MOST_TRIALS = 10
# What is compared with a store at most: so many images tell a threshold to half a point, and an area to two hundredths.
MOST_OUT_OF_FOLD, MOST_PER_TRIAL = 3_000, 1_000
ROWS_AT_A_TIME = 4096
# Below it, one class is left when another is taken away, and a head has nothing to tell apart.
FEWEST_CLASSES = 3
MOST_NAMED = 3


def find_unknown(case: Case) -> tuple[Unknown, Detector]:
    """Return how the best candidate's classifier tells images of no class, and what does it there.

    Where its backbone stays frozen, every class (10 at most, drawn by the seed) is left out in turn: the head is
    trained again without it on the training images of a round, the classes taking turns with the rounds of the first
    repeat. The method is the one with the highest mean AUROC of the class' training images against the round's
    validation images of the other classes; no test image has a say in it. Where it cannot be judged it is
    ``energy_and_neighbours``, which did best on photographs of flowers, animals and vehicles, or without features
    ``energy``. What ``trials`` say is measured on test images alone, known ones and those of the class left out, at the
    threshold that keeps 95 % of the round's validation images.

    The classifier's threshold keeps 95 % of known images that a head trained as long as the final one, in the rounds of
    the first repeat, had not seen; their neighbours are of other folds only.
    """
    study = _Study(case)
    seen = _look(study)
    scores = tuple(MethodScore(one, _mean([_choice(trial, one) for trial in seen.trials])) for one in study.methods)
    method = max(scores, key=lambda one: -1.0 if one.auroc is None else one.auroc).method
    rule, memory = unknown.fit_rule(method, seen.signs), study.learned(method)
    said = case.test_of(case.kept)
    test = rule.score(study.signs(case.parts.test, said.logits, memory))
    trials = tuple(_tested(case.classes[trial.label], trial, method) for trial in seen.trials)
    found = Unknown(
        candidate=case.kept,
        method=method,
        threshold=rule.threshold,
        kept=float(np.mean(test <= rule.threshold)),
        judged=seen.reason,
        methods=scores,
        trials=trials,
        mean_auroc=_mean([one.auroc for one in trials]),
        folder=None,
        coverage=unknown.coverage_curve(said.labels, said.probabilities),
    )
    return found, unknown.make_detector(rule, memory)


def judge_folder(found: Unknown, detector: Detector, outputs: Outputs, case: Case) -> Unknown:
    """Return the same with how the images of ``--unknown`` do against the known test images.

    Args:
        outputs: what the saved classifier gives for the images; those that cannot be read are left out.
    """
    readable = np.setdiff1d(np.arange(len(outputs.logits)), list(outputs.errors)).astype(np.int64)
    known = _scores(case, detector)
    strange = detector.score(outputs.logits[readable], outputs.features[readable]) if len(readable) else np.zeros(0)
    name = Path(case.protocol.unknown_images).name
    return dataclasses.replace(found, folder=_trial(name, known, strange, detector.threshold))


def say_unreadable(files: Sequence[Path], errors: Mapping[int, str], progress: Progress) -> None:
    """Say how many files of ``--unknown`` cannot be read, and why; ``errors`` are reasons by the file's number."""
    if not errors:
        return
    first = [f"{files[index].name} ({errors[index]})" for index in sorted(errors)[:MOST_NAMED]]
    more = f" and {len(errors) - MOST_NAMED:,} more" if len(errors) > MOST_NAMED else ""
    reasons = f"{', '.join(first)}{more}"
    if len(errors) < len(files):
        progress.say(
            f"{len(errors):,} of {len(files):,} files of --unknown cannot be read and are left out: {reasons}."
        )
    else:
        progress.say(
            f"None of the {len(files):,} files of --unknown can be read as an image, so how strange images are refused "
            f"is not measured: {reasons}. Name a folder with images such as JPEG or PNG."
        )


def _scores(case: Case, detector: Detector) -> NDArray[np.float64]:
    """Return the detector's scores of the test images."""
    logits, rows = case.test_of(case.kept).logits, case.parts.test
    features = case.learner_of(case.kept).features
    parts = [slice(first, first + ROWS_AT_A_TIME) for first in range(0, len(rows), ROWS_AT_A_TIME)]
    return np.concatenate([detector.score(logits[part], features(rows[part])) for part in parts])


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """A class that a head was trained without, and how images look to that head.

    ``known`` are a round's validation images of the other classes and ``strange`` training images of the class: they
    choose the method. ``test_known`` and ``test_strange`` are test images: they judge it.
    """

    label: int
    known: Signs
    strange: Signs
    test_known: Signs
    test_strange: Signs


def _choice(trial: _Trial, method: str) -> float | None:
    """Return a method's AUROC on the training images."""
    rule = unknown.fit_rule(method, trial.known, trial.label)
    return unknown.auroc(rule.score(trial.known, trial.label), rule.score(trial.strange, trial.label))


def _tested(name: str, trial: _Trial, method: str) -> UnknownTrial:
    """Return how a method does on the test images, at the threshold that training images gave."""
    rule = unknown.fit_rule(method, trial.known, trial.label)
    known, strange = (rule.score(signs, trial.label) for signs in (trial.test_known, trial.test_strange))
    return _trial(name, known, strange, rule.threshold)


class _Study:
    """The best candidate, who trains it, and what its images look like."""

    def __init__(self, case: Case) -> None:
        self.case, self.learner = case, case.learner_of(case.kept)
        self.labels, self.seed = case.parts.labels, case.protocol.seed
        self.rounds = [one for one in case.parts.rounds if one.repeat == 0]
        self.has_features = self.learner.features(case.parts.train[:1]) is not None
        self.methods = METHODS if self.has_features else (ENERGY,)

    def learned(self, method: str) -> Known | None:
        """Return what a method remembers of the training images."""
        if method == ENERGY:
            return None
        chosen = self.stored(self.case.parts.train)
        return unknown.learn(method, self.features(chosen), self.labels[chosen], len(self.case.classes))

    def stored(self, rows: Rows) -> Rows:
        """Return which of some training images others are compared with."""
        channels, seed = self.features(rows[:1]).shape[1], storage.seed_from(self.seed, "unknown store")
        return rows[unknown.choose_rows(self.labels[rows], channels, seed)]

    def signs(self, rows: Rows, logits: NDArray[np.floating], memory: Known | None) -> Signs:
        """Return the signs of images with their logits ``(rows, classes)``."""
        found = []
        for first in range(0, max(1, len(rows)), ROWS_AT_A_TIME):
            part = slice(first, first + ROWS_AT_A_TIME)
            found.append(unknown.measure(memory, logits[part], self.features(rows[part]) if memory else None))
        return unknown.joined(found)

    def logits(self, fit: Fit, rows: Rows) -> NDArray[np.float64]:
        """Return the logits ``(rows, classes)`` of images under a trained head."""
        candidate = self.case.final_of(self.case.kept).judged.candidate
        return self.learner.logits(candidate, fit, rows).astype(np.float64)

    def some(self, rows: Rows, most: int, name: str) -> Rows:
        """Return at most so many of the rows, drawn by the study's seed; rising."""
        if len(rows) <= most:
            return np.sort(rows)
        random = np.random.default_rng(storage.seed_from(self.seed, "unknown", name))
        return np.sort(random.choice(rows, most, replace=False))

    def validation(self, one: Round) -> Rows:
        """Return a round's share of the images that tell the threshold."""
        everyone = sum(len(other.validation) for other in self.rounds)
        share = max(1, MOST_OUT_OF_FOLD * len(one.validation) // everyone)
        return self.some(one.validation, share, f"round {one.fold}")

    def features(self, rows: Rows) -> NDArray[np.float32]:
        """Return the features ``(rows, channels)`` of images."""
        features = self.learner.features(rows)
        assert features is not None, "who remembers has features"
        return features


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """How known images look that the head had not seen; and the classes left out, or why there are none."""

    signs: Signs
    trials: Sequence[_Trial]
    reason: str


def _look(study: _Study) -> _Seen:
    """Train what is needed, all of it together, and look at images that it has not seen."""
    if not study.has_features:
        return _as_judged(study, "layers below the head train, and each training would take as long again")
    place, turns = study.case.place, _turns(study)
    jobs = [_job(study, one, label) for one, left in turns for label in (*_whole(study), *left)]
    reason, trained = attempt(lambda: study.learner.train("unknown", jobs, place.jobs, place.progress))
    if trained is None:
        return _as_judged(study, f"the training failed: {reason}")
    fits = iter([one.fits[0] for one in trained])
    whole = None if _whole(study) else iter(study.case.judged_of(study.case.kept).fits)
    heads = [(one, next(whole or fits), {label: next(fits) for label in left}) for one, left in turns]
    found = _look_around(study, heads)
    trials = sorted((trial for _, of_round in found for trial in of_round), key=lambda trial: trial.label)
    return _Seen(unknown.joined([signs for signs, _ in found]), trials, _reason(len(study.case.classes), len(trials)))


def _whole(study: _Study) -> tuple[None, ...]:
    """Return what to train on all classes again: nothing where the rounds' own heads trained as the final one did."""
    return () if study.case.protocol.score_epoch == "last" and not study.case.protocol.final_epochs else (None,)


def _turns(study: _Study) -> list[tuple[Round, list[int]]]:
    """Return every round with the classes that are left out there; other classes must have validation images there."""
    classes, rounds = len(study.case.classes), study.rounds
    left = study.some(np.arange(classes), MOST_TRIALS, "classes").tolist() if classes >= FEWEST_CLASSES else []
    turns = []
    for number, one in enumerate(rounds):
        here = study.labels[study.validation(one)]
        turns.append((one, [label for label in left[number :: len(rounds)] if (here != label).any()]))
    return turns


def _reason(classes: int, left: int) -> str:
    if left == classes:
        return ""
    if classes < FEWEST_CLASSES:
        return f"No class was left out in turn: of {classes} classes one alone would be left."
    return f"Of {classes} classes {left} were left out in turn."


def _as_judged(study: _Study, reason: str) -> _Seen:
    """Return the logits of the rounds in which candidates were judged: of every image those of one model."""
    study.methods = (ENERGY,)
    _, logits = unseen_logits(study.case)
    return _Seen(unknown.measure(None, logits, None), [], f"No class was left out in turn: {reason}.")


def _job(study: _Study, one: Round, left_out: int | None) -> Job:
    """Return the final training on a round's training images, without a class or with all, in about as many steps.

    Where the rounds' own heads stopped at their own best epochs, energies of one length of training would be no measure
    of those of another. A logistic head takes the penalty of its round.
    """
    final, train = study.case.final_of(study.case.kept), study.case.parts.train
    epochs = round(final.epochs * len(train) / len(one.train))
    epochs = min(max(final.epochs, epochs_of(final.judged.candidate)), epochs)
    rows = one.train if left_out is None else one.train[study.labels[one.train] != left_out]
    job = final_job(final.judged.candidate, rows, epochs, study.case.protocol)
    penalty = study.case.judged_of(study.case.kept).fits[study.rounds.index(one)].penalty
    return dataclasses.replace(job, key=f"{job.key}/round {one.fold}/without {left_out}", penalty=penalty)


class _Gallery:
    """A round's training images, and how near others are to them: computed once for all heads of the round."""

    def __init__(self, study: _Study, one: Round, rows: Rows) -> None:
        stored, classes = study.stored(one.train), len(study.case.classes)
        labels, features = study.labels[stored], study.features(stored)
        store, self._cloud = Store(features, labels), Cloud(features, labels, classes)
        self._rows = np.unique(rows)
        self._features = study.features(self._rows)
        self._near = store.distances(self._features, classes, roots=False)
        self._near_roots = store.distances(self._features, classes, roots=True)

    def signs(self, rows: Rows, logits: NDArray[np.float64], left_out: int | None = None) -> Signs:
        """Return the signs of some of the images; without a class the others' Gaussians are another."""
        place = np.searchsorted(self._rows, rows)
        gaussian = self._cloud.gaussian(left_out)
        return Signs(logits, self._near[place], self._near_roots[place], gaussian.distances(self._features[place]))


def _look_around(
    study: _Study, turns: Sequence[tuple[Round, Fit, Mapping[int, Fit]]]
) -> list[tuple[Signs, list[_Trial]]]:
    """Look at every round, as many at once as there are cores."""
    with ThreadPoolExecutor(core_count()) as pool:
        return list(pool.map(lambda turn: _look_in(study, *turn), turns))


def _look_in(study: _Study, one: Round, whole: Fit, without: Mapping[int, Fit]) -> tuple[Signs, list[_Trial]]:
    """Return how a round's validation images look to a head of all classes, and the trials of the round."""
    known, sets = study.validation(one), {label: _sets(study, one, label) for label in without}
    gallery = _Gallery(study, one, np.concatenate([known, *(rows for several in sets.values() for rows in several)]))
    trials = []
    for label, fit in without.items():
        rows, ends = np.concatenate(sets[label]), np.cumsum([len(part) for part in sets[label]])
        signs = gallery.signs(rows, study.logits(fit, rows), label)
        trials.append(_Trial(label, *(signs.take(part) for part in np.split(np.arange(len(rows)), ends[:-1]))))
    return gallery.signs(known, study.logits(whole, known)), trials


def _sets(study: _Study, one: Round, label: int) -> tuple[Rows, Rows, Rows, Rows]:
    """Return who is known and who is strange to a head without a class: of the training, then of the test images."""
    labels, test = study.labels, study.case.parts.test
    known, pool = study.validation(one), np.concatenate([one.train, one.validation])
    tested = study.some(test, MOST_PER_TRIAL, "tested")
    strange, left = (
        study.some(rows[labels[rows] == label], MOST_PER_TRIAL, f"{name} {label}")
        for name, rows in (("strange", pool), ("left out", test))
    )
    return known[labels[known] != label], strange, tested[labels[tested] != label], left


def _trial(name: str, known: NDArray[np.float64], strange: NDArray[np.float64], threshold: float) -> UnknownTrial:
    refused = float(np.mean(strange > threshold)) if len(strange) else None
    return UnknownTrial(name, len(strange), unknown.auroc(known, strange), refused)


def _mean(areas: Sequence[float | None]) -> float | None:
    there = [one for one in areas if one is not None]
    return float(np.mean(there)) if there else None
