"""Numbers from labels and probabilities. NumPy alone; the definitions are scikit-learn's unless said otherwise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.bootstrap import MeasureIntervals, bootstrap_intervals
from headstart.evaluation.intervals import Interval, corrected_interval, wilson_interval
from headstart.evaluation.results import Averages, ClassResult, Evaluation, FoldValues, MacroWeighted

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]

TOP_K = (2, 3, 5)
CLIP = 1e-7
# What a probability clipped to CLIP .. 1 - CLIP can cost.
LEAST_LOSS, MOST_LOSS = -math.log(1 - CLIP), -math.log(CLIP)
NAMED = 0.5
ROC_CELLS = 400


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Corners of a ROC curve from (0, 0) to (1, 1): two float64 arrays ``(points,)``, both rising, in 0..1."""

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PrecisionRecallCurve:
    """Points of a precision-recall curve, strictest threshold first: two float64 arrays ``(points,)`` in 0..1.

    ``recall`` rises from 0 to 1. The first point, recall 0 and precision 1, names no image: it is the custom of
    scikit-learn.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]


def evaluate(labels: Integers, probabilities: Floats, classes: Sequence[str], *, seed: int | None = None) -> Evaluation:
    """Measure one model on one set of images.

    Args:
        labels: true class of every image, ``(images,)``, 0 to the number of classes minus 1.
        probabilities: ``(images, classes)``, rows sum to 1.
        classes: the names, in the order of the columns.
        seed: of the drawn intervals. With it ``intervals`` holds accuracy (Wilson), balanced_accuracy, f1 and auc
            (macro averages) and loss (stratified bootstrap), and so does each class; without it accuracy alone. All are
            about this one classifier on images like these.

    Raises:
        ValueError: there is no image, the shapes disagree, a label has no class, or a probability is no number in 0..1.
    """
    _check(labels, probabilities, len(classes))
    scores = np.asarray(probabilities, dtype=np.float64)
    matrix = confusion_matrix(labels, scores.argmax(axis=1), len(classes))
    per_class = tuple(_class_result(name, matrix, labels, scores, index) for index, name in enumerate(classes))
    intervals = {"accuracy": wilson_interval(int(np.trace(matrix)), len(labels))}
    if seed is not None:
        drawn = bootstrap_intervals(labels, scores, image_losses(labels, scores), seed=seed)
        intervals |= _drawn_intervals(drawn)
        per_class = tuple(_with_intervals(row, drawn, index) for index, row in enumerate(per_class))
    named, named_right = _named(labels, scores)
    return Evaluation(
        accuracy=int(np.trace(matrix)) / len(labels),
        loss=cross_entropy(labels, scores),
        top_k=_top_k(labels, scores),
        balanced_accuracy=float(np.mean([row.recall for row in per_class if row.recall is not None])),
        confusion_matrix=tuple(tuple(int(count) for count in row) for row in matrix),
        per_class=per_class,
        averages=_averages(per_class),
        intervals=intervals,
        precision_at_half=_ratio(named_right, named),
        recall_at_half=named_right / len(labels),
    )


def cross_entropy(labels: Integers, probabilities: Floats) -> float:
    """Return the mean categorical cross-entropy in nats, computed in float64.

    Rows are divided by their sum and clipped to 1e-7 .. 1 - 1e-7, as ``keras.losses.categorical_crossentropy`` does
    with probabilities.
    """
    return float(image_losses(labels, probabilities).mean())


def image_losses(labels: Integers, probabilities: Floats) -> NDArray[np.float64]:
    """Return each image's part in ``cross_entropy``, ``(images,)``, from ``LEAST_LOSS`` to ``MOST_LOSS``."""
    scores = np.asarray(probabilities, dtype=np.float64)
    of_truth = scores[np.arange(len(labels)), labels] / scores.sum(axis=1)
    losses: NDArray[np.float64] = -np.log(np.clip(of_truth, CLIP, 1 - CLIP))
    return losses


def confusion_matrix(labels: Integers, predicted: Integers, classes: int) -> NDArray[np.int64]:
    """Return counts ``(classes, classes)``: a row per true class, a column per predicted class."""
    pairs = np.asarray(labels, dtype=np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def roc_curve(labels: Integers, probabilities: Floats, class_index: int) -> RocCurve | None:
    """Return one class's curve against the rest, or None where it is undefined (class absent, or no other class).

    Thinned for drawing: points on a straight line are dropped, and of the points inside one of 400 x 400 cells only the
    first and the last stay. What stays are points of the full curve.
    """
    hits, misses = _cumulative_counts(labels == class_index, probabilities[:, class_index])
    if hits[-1] == 0 or misses[-1] == 0:
        return None
    corners = _corners(misses, hits)
    x, y = misses[corners] / misses[-1], hits[corners] / hits[-1]
    kept = _ends_of_cells(x, y)
    return RocCurve(false_positive_rate=x[kept], true_positive_rate=y[kept])


def precision_recall_curve(labels: Integers, probabilities: Floats, class_index: int) -> PrecisionRecallCurve | None:
    """Return one class's precision at every recall, or None where it is undefined (class absent).

    Thinned for drawing: where recall stands still only the ends stay, and of the points inside one of 400 x 400 cells
    only the first and the last. What stays are points of the full curve.
    """
    hits, misses = _cumulative_counts(labels == class_index, probabilities[:, class_index])
    if hits[-1] == 0:
        return None
    recall = hits / hits[-1]
    precision = np.append(1.0, hits[1:] / (hits[1:] + misses[1:]))
    moves = np.diff(hits) != 0
    ends = np.flatnonzero(np.append(True, moves) | np.append(moves, True))
    kept = ends[_ends_of_cells(recall[ends], precision[ends])]
    return PrecisionRecallCurve(recall=recall[kept], precision=precision[kept])


def fold_values(
    best: Sequence[float],
    last: Sequence[float],
    *,
    test_share: float | None = None,
    bounds: Interval = (-math.inf, math.inf),
) -> FoldValues:
    """Summarise one measure over the folds.

    Args:
        best: each fold's value at its best epoch.
        last: each fold's value at the last epoch it trained.
        test_share: validation images per training image of a fold, above 0: with it and two folds or more ``ci95`` is
            the interval of ``intervals.corrected_interval``: where the mean of this training procedure lies, over
            training sets of this size. Without it ``ci95`` is None.
        bounds: the range of the measure, to which the interval is cut.

    The standard deviation is the sample's (divided by folds minus 1), None for a single fold.

    Raises:
        ValueError: there is no fold, or the two lengths differ.
    """
    if not best or len(best) != len(last):
        raise ValueError(f"fold_values needs as many best as last values, at least one. Received: {best!r}, {last!r}.")
    found = None if test_share is None else corrected_interval(best, test_share)
    return FoldValues(
        folds=tuple(float(value) for value in best),
        mean=float(np.mean(best)),
        std=float(np.std(best, ddof=1)) if len(best) > 1 else None,
        ci95=None if found is None else (max(bounds[0], found[0]), min(bounds[1], found[1])),
        last_epoch_mean=float(np.mean(last)),
    )


def area_under_roc(positive: NDArray[np.bool_], scores: Floats) -> float | None:
    """Return the share of (positive, negative) pairs in the right order, ties counting half; None without any pair.

    Hanley and McNeil, Radiology 143 (1982) 29-36: this is the area under the ROC curve.
    """
    hits, misses = _cumulative_counts(positive, scores)
    if hits[-1] == 0 or misses[-1] == 0:
        return None
    area = np.sum(np.diff(misses) * (hits[1:] + hits[:-1]) / 2)
    return float(area / (hits[-1] * misses[-1]))


def average_precision(positive: NDArray[np.bool_], scores: Floats) -> float | None:
    """Return the precision averaged over the steps of recall, not interpolated; None without any positive."""
    hits, misses = _cumulative_counts(positive, scores)
    if hits[-1] == 0:
        return None
    precision = hits[1:] / (hits[1:] + misses[1:])
    return float(np.sum(np.diff(hits) * precision) / hits[-1])


def _check(labels: Integers, probabilities: Floats, classes: int) -> None:
    if labels.ndim != 1 or len(labels) == 0 or probabilities.shape != (len(labels), classes):
        raise ValueError(
            f"labels must be (images,) and probabilities (images, {classes}) with at least one image. "
            f"Received: {labels.shape} and {probabilities.shape}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be 0 to {classes - 1}. Received: {labels.min()} to {labels.max()}.")
    if not (np.isfinite(probabilities).all() and probabilities.min() >= 0 and probabilities.max() <= 1 + 1e-6):
        raise ValueError("probabilities must be numbers in 0..1. Received: a negative one, one above 1, or NaN.")


def _cumulative_counts(positive: NDArray[np.bool_], scores: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return true and false positives at every threshold, from none to all: equal scores make one step."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order], dtype=np.float64)
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = hits[last_of_ties]
    return np.append(0.0, hits), np.append(0.0, last_of_ties + 1 - hits)


def _corners(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the indices of the points at which a line through whole numbers turns, both ends included."""
    dx, dy = np.diff(x), np.diff(y)
    turns = dx[1:] * dy[:-1] != dx[:-1] * dy[1:]
    return np.flatnonzero(np.concatenate(([True], turns, [True])))


def _ends_of_cells(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the indices of the first and the last point inside each cell of a grid that is finer than the eye."""
    cells = np.floor(x * ROC_CELLS) * (ROC_CELLS + 1) + np.floor(y * ROC_CELLS)
    changes = np.diff(cells) != 0
    return np.flatnonzero(np.append(True, changes) | np.append(changes, True))


def _class_result(
    name: str, matrix: NDArray[np.int64], labels: Integers, scores: NDArray[np.float64], index: int
) -> ClassResult:
    tp = int(matrix[index, index])
    fn = int(matrix[index].sum()) - tp
    fp = int(matrix[:, index].sum()) - tp
    tn = int(matrix.sum()) - tp - fn - fp
    positive = labels == index
    return ClassResult(
        class_=name,
        support=tp + fn,
        tp=tp,
        tn=tn,
        fp=fp,
        fn=fn,
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        specificity=_ratio(tn, tn + fp),
        accuracy=(tp + tn) / len(labels),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        auc=area_under_roc(positive, scores[:, index]),
        average_precision=average_precision(positive, scores[:, index]),
    )


def _drawn_intervals(drawn: MeasureIntervals) -> dict[str, Interval]:
    """Return the intervals of the averages that have one, by name; no loss lies above that of a probability of zero."""
    loss = drawn.loss and (drawn.loss[0], min(drawn.loss[1], -math.log(CLIP)))
    return _present(balanced_accuracy=drawn.balanced_accuracy, f1=drawn.f1, auc=drawn.auc, loss=loss)


def _with_intervals(row: ClassResult, drawn: MeasureIntervals, index: int) -> ClassResult:
    """Return a class with the intervals of its ratios (Wilson) and of its F1 and AUC (drawn)."""
    intervals = _present(
        precision=_wilson(row.tp, row.tp + row.fp),
        recall=_wilson(row.tp, row.support),
        specificity=_wilson(row.tn, row.tn + row.fp),
        f1=drawn.class_f1[index],
        auc=drawn.class_auc[index],
    )
    return dataclasses.replace(row, intervals=intervals)


def _present(**intervals: Interval | None) -> dict[str, Interval]:
    return {name: interval for name, interval in intervals.items() if interval is not None}


def _wilson(successes: int, trials: int) -> Interval | None:
    return wilson_interval(successes, trials) if trials else None


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def _named(labels: Integers, scores: NDArray[np.float64]) -> tuple[int, int]:
    """Return how many images get a class with a probability above ``NAMED``, and how many of those the right one."""
    return int((scores > NAMED).sum()), int((scores[np.arange(len(labels)), labels] > NAMED).sum())


def _top_k(labels: Integers, scores: NDArray[np.float64]) -> dict[str, float]:
    """Return the share of images whose class is among the k most probable; of equal ones the first counts as higher."""
    of_truth = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < np.asarray(labels)[:, None]
    rank = (scores > of_truth).sum(axis=1) + ((scores == of_truth) & earlier).sum(axis=1)
    return {str(k): float(np.mean(rank < k)) for k in TOP_K if k < scores.shape[1]}


def _averages(per_class: Sequence[ClassResult]) -> MacroWeighted:
    return MacroWeighted(
        macro=_average(per_class, [1] * len(per_class)),
        weighted=_average(per_class, [row.support for row in per_class]),
    )


def _counted(row: ClassResult, name: str) -> float | None:
    """Return a class's value as averages count it: a class that is there but never named has no precision, so 0."""
    value: float | None = getattr(row, name)
    return 0.0 if name == "precision" and value is None and row.support else value


def _average(per_class: Sequence[ClassResult], weights: Sequence[int]) -> Averages:
    def mean(name: str) -> float | None:
        values = [_counted(row, name) for row in per_class]
        present = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
        total = sum(weight for _, weight in present)
        return sum(value * weight for value, weight in present) / total if total else None

    return Averages(
        precision=mean("precision"),
        recall=mean("recall"),
        specificity=mean("specificity"),
        f1=mean("f1"),
        auc=mean("auc"),
        average_precision=mean("average_precision"),
    )
