"""How much the best one's numbers flatter it, and how far training ran ahead of validation."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.evaluation.evidence import Optimism, Overfitting
from headstart.evaluation.headline import UNSEEN
from headstart.evaluation.metrics import CLIP
from headstart.evaluation.optimism import Correction, best_epoch_optimism, correct_choice
from headstart.evaluation.overfitting import Course
from headstart.evaluation.overfitting import overfitting as overfitting_of
from headstart.evaluation.ranking import best_first
from headstart.evaluation.results import FoldValues
from headstart.study.case import Case
from headstart.study.judge import Judged
from headstart.study.nested import NestedResult
from headstart.study.parts import Parts, Rows
from headstart.training.heads import EpochMetrics, EpochRow, Fit, Scores, softmax

Floats = NDArray[np.float64]


def optimism(case: Case) -> Optimism:
    """Return how much the choice among all candidates that finished, and that of the epoch, flatter the best one."""
    ranked = [case.judged_of(one.id) for one in best_first(case.results, case.protocol.choose_by)]
    found = correction(ranked, case) if len(ranked) > 1 else None
    best_epoch = _best_epoch(case.judged_of(case.best), case) if _chose_epoch(case) else None
    measured = Optimism(
        candidates=len(ranked),
        selection=found.optimism if found else None,
        corrected=None,
        corrected_ci95=None,
        best_epoch=best_epoch,
        nested=None,
        chosen=(),
        sentence="",
    )
    if found and (best_epoch is not None or not _chose_epoch(case)):
        measured = _corrected(measured, found, _accuracy(case).mean)
    return dataclasses.replace(measured, sentence=" ".join(_sentences(measured, case)))


def with_nested(measured: Optimism, nested: NestedResult | None) -> Optimism:
    """Return the same with what a nested cross-validation found, where there was one."""
    if nested is None:
        return measured
    sentence = f"{measured.sentence} {_of_nested(nested.accuracy, nested.chosen)}"
    return dataclasses.replace(measured, nested=nested.accuracy, chosen=nested.chosen, sentence=sentence)


def selection_of(measured: Optimism) -> float:
    """Return by how much the folds flatter the best one: for its choice and, where they chose it, for its epoch."""
    return (measured.selection or 0.0) + max(0.0, measured.best_epoch or 0.0)


def _corrected(measured: Optimism, found: Correction, shown: float) -> Optimism:
    """Return it with what remains of the accuracy shown, less both choices: that of the candidate and of the epoch."""
    epoch = max(0.0, measured.best_epoch or 0.0)
    moved = shown - found.value - epoch
    [remains] = _within_one(shown - found.optimism - epoch)
    low, high = _within_one(*(value + moved for value in found.ci95))
    return dataclasses.replace(measured, corrected=remains, corrected_ci95=(low, high))


def _chose_epoch(case: Case) -> bool:
    """Tell whether the images that validate the best one have also chosen among several epochs of it."""
    return case.protocol.score_epoch == "best" and any(len(fit.history) > 1 for fit in case.judged_of(case.best).fits)


def _accuracy(case: Case) -> FoldValues:
    result = case.ranked[0]
    assert result.cv is not None, "the best one has finished its rounds"
    return result.cv.accuracy


def _within_one(*values: float) -> list[float]:
    return [min(1.0, max(0.0, value)) for value in values]


def correction(ranked: Sequence[Judged], case: Case) -> Correction | None:
    """Correct the choice by what every candidate, the best first, said of every image that validated."""
    parts = case.parts
    rows, times = np.unique(np.concatenate([one.validation for one in parts.rounds]), return_counts=True)
    per_candidate = [_right_and_gain(one, parts, rows) for one in ranked]
    right, gain = (np.stack([pair[kind] for pair in per_candidate], axis=1) / times[:, None] for kind in (0, 1))
    rule = _rule(case, right, gain, parts.labels[rows])
    if case.protocol.choose_by == "cost":
        saved = [_costs_saved(one, case, rows) for one in ranked]
        rule = (np.stack(saved, axis=1) / times[:, None], right)
    seed = storage.seed_from(case.protocol.seed, "optimism")
    return correct_choice(right, rule, seed=seed, times=times)


def _rule(case: Case, right: Floats, gain: Floats, labels: Rows) -> tuple[Floats, ...]:
    """Return what the choice goes by as sums over images, most important first.

    F1 and AUC are no such sums; the balanced accuracy and the logarithms of probabilities stand in for them.
    """
    measure = case.protocol.choose_by
    if measure in ("loss", "auc"):
        return gain, right
    if measure in ("balanced_accuracy", "macro_f1"):
        return right / np.bincount(labels)[labels][:, None], right, gain
    return right, gain


def _costs_saved(judged: Judged, case: Case, rows: Rows) -> Floats:
    """Return per image the sum of what its answers cost, less than 0."""
    costs, found = np.array(case.plan.measure.costs), np.zeros(len(rows))
    for one, fit in zip(case.parts.rounds, judged.fits, strict=True):
        assert fit.validation_logits is not None, "every round validates"
        answers = (softmax(fit.validation_logits.astype(np.float64)) @ costs).argmin(axis=1)
        found[np.searchsorted(rows, one.validation)] -= costs[case.parts.labels[one.validation], answers]
    return found


def _right_and_gain(judged: Judged, parts: Parts, rows: Rows) -> tuple[Floats, Floats]:
    """Return per image how often it was right, and the sum of the logarithms of its own class's probability."""
    right, gain = np.zeros(len(rows)), np.zeros(len(rows))
    for one, fit in zip(parts.rounds, judged.fits, strict=True):
        assert fit.validation_logits is not None, "every round validates"
        labels, place = parts.labels[one.validation], np.searchsorted(rows, one.validation)
        of_truth = softmax(fit.validation_logits.astype(np.float64))[np.arange(len(labels)), labels]
        right[place] += fit.validation_logits.argmax(axis=1) == labels
        gain[place] += np.log(np.clip(np.nan_to_num(of_truth), CLIP, 1 - CLIP))
    return right, gain


def _best_epoch(judged: Judged, case: Case) -> float | None:
    """Return the optimism of the best epoch, mean over the repeats: folds of one repeat share no validation image."""
    repeats: dict[int, list[Fit]] = defaultdict(list)
    for one, fit in zip(case.parts.rounds, judged.fits, strict=True):
        repeats[one.repeat].append(fit)
    found = [_of_repeat(fits, case.protocol.choose_by) for fits in repeats.values()]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def _of_repeat(fits: Sequence[Fit], choose_by: str) -> float | None:
    accuracies = [np.array([_validation(row).accuracy for row in fit.history]) for fit in fits]
    losses = [_losses(fit) for fit in fits]
    if choose_by == "loss":
        return best_epoch_optimism(accuracies, [-one for one in losses])
    pairs = zip(accuracies, losses, strict=True)
    return best_epoch_optimism(accuracies, [np.where(np.isfinite(loss), one, -np.inf) for one, loss in pairs])


def _losses(fit: Fit) -> Floats:
    return np.array([_validation(row).loss for row in fit.history])


def _validation(row: EpochRow | Scores) -> EpochMetrics:
    assert row.validation is not None, "every round validates"
    return row.validation


def _sentences(measured: Optimism, case: Case) -> Iterator[str]:
    yield _of_choice(measured, case)
    if measured.best_epoch is not None:
        points = _points(measured.best_epoch)
        as_published = ", as its report did," if case.plan.recipe.published else ""
        yield f"Scoring every fold at its own best epoch{as_published} flatters it by {points}."
        if measured.corrected is not None:
            yield f"Less both, {_percent(measured.corrected)} remain."
    elif _chose_epoch(case):
        last = _percent(_accuracy(case).last_epoch_mean)
        yield f"Its best epoch was chosen on the same images, though: at the last epoch it was {last}."


def _of_choice(measured: Optimism, case: Case) -> str:
    shown, candidates = _percent(_accuracy(case).mean), measured.candidates
    if candidates == 1:
        return f"Only one candidate was judged: no choice among several flatters its {shown}."
    where = "folds" if case.plan.splits.kind == "folds" else "validation images"
    if measured.selection is None:
        return f"Chosen as the best of {candidates} candidates on too few images to say how much that flatters it."
    return (
        f"Chosen as the best of {candidates} candidates on the same {where}: that flatters its {shown} by "
        f"{_points(measured.selection)}."
    )


def _of_nested(accuracy: FoldValues, chosen: Sequence[str]) -> str:
    interval = ""
    if accuracy.ci95:
        interval = f" (95 % interval {100 * accuracy.ci95[0]:.1f} to {100 * accuracy.ci95[1]:.1f})"
    names = [f"{name} in {count}" for name, count in Counter(chosen).most_common()]
    return (
        f"The whole choice, judged on images that had no say in it, reaches {_percent(accuracy.mean)}{interval}; of "
        f"{len(chosen)} outer folds it chose {', '.join(names)}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return "less than 0.1 points" if share < UNSEEN else f"about {100 * share:.1f} points"


def overfitting(case: Case) -> tuple[Overfitting, ...]:
    """Return how far training ran ahead of validation in the rounds of every finalist, the best first."""
    return tuple(_overfitting(case.judged_of(one.id)) for one in case.ranked)


def _overfitting(judged: Judged) -> Overfitting:
    courses = [Course(_pair(fit.best), _pair(fit.last), _losses(fit)) for fit in judged.fits]
    return overfitting_of(judged.candidate.id, courses, solved=judged.candidate.head.output == "logistic")


def _pair(scores: Scores) -> tuple[float, float]:
    return scores.train.accuracy, _validation(scores).accuracy
