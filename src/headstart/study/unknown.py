"""The answer "unknown": which score tells images of no class best, its threshold, and how well it works."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.classifier.predict import Outputs
from headstart.data.split import Round
from headstart.evaluation import unknown
from headstart.evaluation.evidence import MethodScore, Unknown, UnknownTrial
from headstart.evaluation.unknown import ENERGY, METHODS, Detector, Known, Rule, Signs
from headstart.study.attempt import attempt
from headstart.study.case import Case
from headstart.study.judge import epochs_of, final_job
from headstart.study.parts import Rows
from headstart.training.heads import Fit, Job

# Each class costs one more training of the best head.
MOST_TRIALS = 20
# What is compared with the store at most: a few thousand images tell a threshold and an area well enough.
MOST_OUT_OF_FOLD, MOST_PER_TRIAL = 10_000, 2_000
ROWS_AT_A_TIME = 4096
# Below it, one class is left when another is taken away, and a head has nothing to tell apart.
FEWEST_CLASSES = 3


def find_unknown(case: Case) -> tuple[Unknown, Detector]:
    """Return how the best candidate's classifier tells images of no class, and what does it there.

    Where its backbone stays frozen, every class (20 at most, drawn by the seed) is left out in turn: the head is
    trained again without it, and its images must look less known than test images of the other classes. The method is
    the one with the highest mean AUROC over these trials; there are four, so that the choice flatters that mean little
    beside the differences between classes. Where it cannot be judged it is ``energy_and_neighbours``, which did best
    on photographs of flowers, animals and vehicles, or without features ``energy``.

    The threshold keeps 95 % of known images that a head trained as long as the final one, in the rounds of the first
    repeat, had not seen; their neighbours are of other folds only. That of a trial keeps 95 % of its known test images:
    its head was trained on fewer classes, and is surer of them.
    """
    study = _Study(case)
    seen = _look(study)
    trials = {method: [_judged(study, seen, method, one) for one in seen.left_out] for method in study.methods}
    scores = tuple(MethodScore(method, _mean_auroc(found)) for method, found in trials.items())
    method = max(scores, key=lambda one: -1.0 if one.auroc is None else one.auroc).method
    rule = unknown.fit_rule(method, seen.signs)
    test = rule.score(study.signs(case.parts.test, case.test_of(case.best).logits, study.memory))
    found = Unknown(
        candidate=case.best,
        method=method,
        threshold=rule.threshold,
        kept=float(np.mean(test <= rule.threshold)),
        judged=seen.reason,
        methods=scores,
        trials=tuple(trials[method]),
        mean_auroc=_mean_auroc(trials[method]),
        folder=None,
        coverage=unknown.coverage_curve(case.test_of(case.best).labels, case.test_of(case.best).probabilities),
    )
    return found, unknown.make_detector(rule, study.memory)


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


def _scores(case: Case, detector: Detector) -> NDArray[np.float64]:
    """Return the detector's scores of the test images."""
    logits, rows = case.test_of(case.best).logits, case.parts.test
    features = case.learner_of(case.best).features
    parts = [slice(first, first + ROWS_AT_A_TIME) for first in range(0, len(rows), ROWS_AT_A_TIME)]
    return np.concatenate([detector.score(logits[part], features(rows[part])) for part in parts])


@dataclass(frozen=True, slots=True, eq=False)
class _LeftOut:
    """A class that a head was trained without, and how images look to that head."""

    label: int
    known: Signs
    unknown: Signs


class _Study:
    """The best candidate's known images: what is remembered of them, and how they look out of fold."""

    def __init__(self, case: Case) -> None:
        self.case, self.learner = case, case.learner_of(case.best)
        self.labels, self.seed = case.parts.labels, case.protocol.seed
        self.has_features = self.learner.features(case.parts.train[:1]) is not None
        self.methods = METHODS if self.has_features else (ENERGY,)
        self.memory = self.learned(case.parts.train)

    def learned(self, rows: Rows) -> Known | None:
        """Return what is remembered of some training images."""
        if not self.has_features:
            return None
        channels = self._features(rows[:1]).shape[1]
        chosen = rows[unknown.choose_rows(self.labels[rows], channels, storage.seed_from(self.seed, "unknown store"))]
        return unknown.learn(self._features(chosen), self.labels[chosen], len(self.case.classes))

    def signs(self, rows: Rows, logits: NDArray[np.floating], memory: Known | None) -> Signs:
        """Return the signs of images with their logits ``(rows, classes)``."""
        found = []
        for first in range(0, max(1, len(rows)), ROWS_AT_A_TIME):
            part = slice(first, first + ROWS_AT_A_TIME)
            found.append(unknown.measure(memory, logits[part], self._features(rows[part]) if memory else None))
        return unknown.joined(found)

    def some(self, rows: Rows, most: int, name: str) -> Rows:
        """Return at most so many of the rows, drawn by the study's seed; rising."""
        if len(rows) <= most:
            return rows
        random = np.random.default_rng(storage.seed_from(self.seed, "unknown", name))
        return np.sort(random.choice(rows, most, replace=False))

    def _features(self, rows: Rows) -> NDArray[np.float32]:
        features = self.learner.features(rows)
        assert features is not None, "who remembers has features"
        return features


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Known images that the head had not seen, with their labels; and the classes left out, or why there are none."""

    signs: Signs
    labels: Rows
    left_out: Sequence[_LeftOut]
    reason: str


def _look(study: _Study) -> _Seen:
    """Train what is needed, all of it together, and look at images that it has not seen."""
    classes, rounds = len(study.case.classes), [one for one in study.case.parts.rounds if one.repeat == 0]
    if not study.has_features:
        return _as_judged(study, "layers below the head train, and each training would take as long again")
    left = study.some(np.arange(classes), MOST_TRIALS, "classes") if classes >= FEWEST_CLASSES else np.arange(0)
    place = study.case.place
    jobs = [*(_round_job(study, one) for one in rounds), *(_job(study, int(label)) for label in left)]
    reason, trained = attempt(lambda: study.learner.train("unknown", jobs, place.jobs, place.progress))
    if trained is None:
        return _as_judged(study, f"the training failed: {reason}")
    fits = [one.fits[0] for one in trained]
    found = [_validated(study, one, fit) for one, fit in zip(rounds, fits[: len(rounds)], strict=True)]
    return _Seen(
        signs=unknown.joined([signs for signs, _ in found]),
        labels=np.concatenate([study.labels[rows] for _, rows in found]),
        left_out=[_left_out(study, int(label), fit) for label, fit in zip(left, fits[len(rounds) :], strict=True)],
        reason=_reason(classes, len(left)),
    )


def _reason(classes: int, left: int) -> str:
    if not left:
        return f"No class was left out in turn: of {classes} classes one alone would be left."
    return "" if left == classes else f"Of {classes} classes {left} were left out in turn."


def _as_judged(study: _Study, reason: str) -> _Seen:
    """Return the logits of the rounds in which candidates were judged."""
    said = study.case.out_of_fold(study.case.best)
    study.methods, study.memory = (ENERGY,), None
    signs = unknown.measure(None, said.logits, None)
    return _Seen(signs, said.labels, [], f"No class was left out in turn: {reason}.")


def _round_job(study: _Study, one: Round) -> Job:
    """Return the final training on a round's training images, with about as many steps.

    The rounds' own heads stopped at their own best epochs; energies of one length of training would be no measure of
    those of another.
    """
    final, train = study.case.final_of(study.case.best), study.case.parts.train
    epochs = round(final.epochs * len(train) / len(one.train))
    epochs = min(max(final.epochs, epochs_of(final.judged.candidate)), epochs)
    job = final_job(final.judged.candidate, one.train, epochs, study.seed)
    return dataclasses.replace(job, key=f"{job.key}/round {one.fold}")


def _validated(study: _Study, one: Round, fit: Fit) -> tuple[Signs, Rows]:
    """Return how a round's validation images look, and who they are; their neighbours are its training images."""
    share = (
        MOST_OUT_OF_FOLD
        * len(one.validation)
        // sum(len(other.validation) for other in study.case.parts.rounds if other.repeat == 0)
    )
    rows = study.some(one.validation, max(1, share), f"round {one.fold}")
    candidate = study.case.final_of(study.case.best).judged.candidate
    return study.signs(rows, study.learner.logits(candidate, fit, rows), study.learned(one.train)), rows


def _job(study: _Study, label: int) -> Job:
    """Return the final training without the images of a class."""
    final, train = study.case.final_of(study.case.best), study.case.parts.train
    job = final_job(final.judged.candidate, train[study.labels[train] != label], final.epochs, study.seed)
    return dataclasses.replace(job, key=f"{job.key}/without {label}")


def _left_out(study: _Study, label: int, fit: Fit) -> _LeftOut:
    """Return how test images of the other classes, and all images of the class left out, look without it."""
    parts, candidate = study.case.parts, study.case.final_of(study.case.best).judged.candidate
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    strange = study.some(np.sort(rows[study.labels[rows] == label]), MOST_PER_TRIAL, f"left out {label}")
    others = study.some(parts.test[study.labels[parts.test] != label], MOST_PER_TRIAL, f"known {label}")
    memory = study.memory.without(label) if study.memory else None
    looks = [study.signs(rows, study.learner.logits(candidate, fit, rows), memory) for rows in (others, strange)]
    return _LeftOut(label, *looks)


def _judged(study: _Study, seen: _Seen, method: str, left: _LeftOut) -> UnknownTrial:
    """Return how a method does without a class, at the threshold that keeps 95 % of the images of the other classes."""
    rule: Rule = unknown.fit_rule(method, seen.signs.take(seen.labels != left.label), left.label)
    known, strange = rule.score(left.known, left.label), rule.score(left.unknown, left.label)
    return _trial(study.case.classes[left.label], known, strange, unknown.threshold_keeping(known))


def _trial(name: str, known: NDArray[np.float64], strange: NDArray[np.float64], threshold: float) -> UnknownTrial:
    refused = float(np.mean(strange > threshold)) if len(strange) else None
    return UnknownTrial(name, len(strange), unknown.auroc(known, strange), refused)


def _mean_auroc(trials: Sequence[UnknownTrial]) -> float | None:
    areas = [one.auroc for one in trials if one.auroc is not None]
    return float(np.mean(areas)) if areas else None
