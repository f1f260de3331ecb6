"""Multinomial logistic regression on cached features: a linear head that is solved, not trained in epochs.

The features are standardised (mean and standard deviation of the training rows), and what is minimised is the mean
cross-entropy plus penalty / 2 times the sum of squares of the kernel; the bias is free. This is scikit-learn's
``LogisticRegression(C=1 / (rows * penalty))`` behind a ``StandardScaler``. The penalty is chosen inside the training
rows, then the solution is folded back into one dense layer on the features as they are.

Pooled features are strongly correlated, and as they are L-BFGS needs hundreds of passes for a weak penalty. So rows are
turned into principal axes, which leaves lengths and thus the penalty as they are: there the curvature is nearly
diagonal and known, and ten to thirty passes do. Of fewer rows than features, no more axes than rows are needed.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.machine import core_count, memory_bytes
from headstart.training.heads import (
    EpochMetrics,
    EpochRow,
    Fit,
    Floats,
    Job,
    Rows,
    Scores,
    class_weights,
    forward,
    smoothed_targets,
)
from headstart.training.stack import LOWEST_LOGIT
from headstart.training.tally import measure

Doubles = NDArray[np.float64]
Spans = Sequence[slice]

# From strong to weak: each solution is a good start for the next. The search begins at the one that is best most often.
PENALTIES = tuple(float(10 ** (power / 2)) for power in range(4, -9, -1))
FIRST = 6
# The search goes on, in each direction, until so many penalties in a row were no better than the best so far.
WORSE_IN_A_ROW = 2
# Few images make three folds too uneven, many make five needlessly slow.
MANY_IMAGES, FEW_FOLDS, MANY_FOLDS = 1000, 3, 5
# Largest entry of the gradient, in units of curvature, at which a solution is good enough: while searching, in the end.
# Its square is about what the loss could still fall.
SEARCH_GRADIENT, FINAL_GRADIENT = 1e-3, 1e-5
# What a class' probability p adds to the curvature, p (1 - p): of answers that are all sure there is still so much.
LEAST_CURVATURE = 0.01
# Rows are looked at so many values at a time: 16 MB.
PART_VALUES = 2**22
# Standardised features of all cores together are held up to this share of the memory, or made anew in every pass.
HELD_SHARE, UNTOLD_MEMORY = 1 / 4, 2**33


@dataclass(slots=True)
class SharedAxes:
    """The principal axes ``(inputs, inputs)`` of the first job that asks; close enough for jobs on much the same rows."""

    axes: Floats | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, rows: Floats) -> Floats:
        """Return the axes, found from standardised rows ``(rows, inputs)`` where there are none yet."""
        with self._lock:
            if self.axes is None:
                self.axes = np.linalg.eigh(rows.T @ rows)[1]
            return self.axes


def fit_logistic(
    features: Floats,
    labels: NDArray[np.integer[Any]],
    job: Job,
    *,
    classes: int,
    axes: SharedAxes | None = None,
) -> Fit:
    """Return the fit of a job whose head is ``logistic``.

    Its history is one row: epoch 1, learning rate 0, the loss without a penalty. Class weights and label smoothing act
    as in any training. The same job gives the same bits.

    Args:
        features: ``(images, inputs)`` float32; may be memory-mapped.
        labels: class index of every image ``(images,)``.
        axes: shared by jobs on much the same rows; the solution is the same to the tolerance. None: the job's own.
    """
    design = _Design(features, labels, job, classes, axes)
    vector, penalty = design.nothing, PENALTIES[0]
    if len(design.folds) > 1:
        penalty, vector = _choose(design)
    vector = design.solve([slice(0, design.rows)], penalty, vector, gradient=FINAL_GRADIENT)
    weights = design.folded(vector)
    train, _ = _judge(features, labels, job, job.train, weights)
    validation, logits = _judge(features, labels, job, job.validation, weights)
    assert train is not None, "every job has training rows"
    scores = Scores(1, train, validation)
    return Fit(
        key=job.key,
        history=(EpochRow(1, 1, 0.0, train, validation),),
        best_epoch=1,
        weights=weights,
        validation_logits=logits,
        best=scores,
        last=scores,
    )


def _choose(design: _Design) -> tuple[float, Doubles]:
    """Return the penalty with the lowest log loss on the images held out by the folds, and a start for its solution."""
    first = [design.nothing for _ in design.folds]
    losses = {FIRST: _held_out_loss(design, PENALTIES[FIRST], first)}
    starts = {FIRST: np.mean(first, axis=0)}
    for step in (1, -1):
        vectors, place, waited = list(first), FIRST, 0
        while waited < WORSE_IN_A_ROW and 0 <= place + step < len(PENALTIES):
            place += step
            losses[place] = _held_out_loss(design, PENALTIES[place], vectors)
            starts[place] = np.mean(vectors, axis=0)
            waited = 0 if losses[place] < min(loss for other, loss in losses.items() if other != place) else waited + 1
    best = min(losses, key=lambda place: (losses[place], place))
    return PENALTIES[best], starts[best]


def _held_out_loss(design: _Design, penalty: float, vectors: list[Doubles]) -> float:
    """Return the loss on all folds, each held out in turn; ``vectors`` are starts, and then the solutions."""
    loss = 0.0
    for number, held_out in enumerate(design.folds):
        others = [fold for fold in design.folds if fold is not held_out]
        vectors[number] = design.solve(others, penalty, vectors[number], gradient=SEARCH_GRADIENT)
        loss += design.loss([held_out], vectors[number])
    return loss


def _judge(
    features: Floats, labels: NDArray[np.integer[Any]], job: Job, rows: Rows | None, weights: Sequence[Floats]
) -> tuple[EpochMetrics | None, Floats | None]:
    """Return metrics and logits ``(rows, classes)`` of the folded weights on some rows: nothing without rows."""
    if rows is None or not len(rows):
        return None, None
    parts = _cut(slice(0, len(rows)), features.shape[1])
    logits = np.concatenate([forward(job.head, weights, features[rows[part]]) for part in parts])
    return measure(logits, labels[rows]), logits


class _Design:
    """The training rows of a job, standardised, in the order of their inner folds: a fold is a slice of them.

    A solution is one vector: the kernel ``(axes, classes)`` and the bias ``(classes,)``, flat.
    """

    def __init__(
        self,
        features: Floats,
        labels: NDArray[np.integer[Any]],
        job: Job,
        classes: int,
        axes: SharedAxes | None,
    ) -> None:
        own, self._features, self.classes = labels[job.train], features, classes
        fold = inner_folds(own, job)
        order = np.argsort(fold, kind="stable")
        self._numbers, own = job.train[order], own[order]
        self.folds = [slice(start, stop) for start, stop in itertools.pairwise(_borders(fold[order]))]
        self._own = own
        self._targets = smoothed_targets(job.settings, classes)[own]
        weights = class_weights(job.settings, own, classes)
        self._weights = None if weights is None else weights[own]
        self._mean, self._scale = _moments(features, self._numbers)
        held = HELD_SHARE * (memory_bytes() or UNTOLD_MEMORY) / core_count()
        fits = 4 * self.rows * len(self._mean) <= held
        self._held: Floats | None = None
        self._axes: Floats | None = None
        if fits:
            self._axes, self._held = _turned(self._standardized(slice(0, self.rows)), axes or SharedAxes())
        self._spread = self._variances()
        self._weight = 0.25

    @property
    def rows(self) -> int:
        """The number of training rows."""
        return len(self._numbers)

    @property
    def nothing(self) -> Doubles:
        """The solution that finds all classes alike."""
        return np.zeros((len(self._spread) + 1) * self.classes)

    def solve(self, spans: Spans, penalty: float, start: Doubles, *, gradient: float) -> Doubles:
        """Return the solution for some rows, found from ``start`` by L-BFGS (Byrd, Lu, Nocedal and Zhu 1995).

        Every axis is scaled by the root of its curvature, so that all directions are about equally steep.
        """
        from scipy.optimize import minimize

        # of the bias, whose input is 1, the curvature is that of the answers alone
        curvature = np.append(self._weight * self._spread + penalty, self._weight)
        scale = np.repeat(1 / np.sqrt(curvature), self.classes)

        def scaled(vector: Doubles) -> tuple[float, Doubles]:
            value, slope = self._objective(spans, penalty, vector * scale)
            return value, slope * scale

        options = {"maxiter": 500, "gtol": gradient, "ftol": 1e-12, "maxcor": 20}
        found = minimize(scaled, start / scale, jac=True, method="L-BFGS-B", options=options)
        vector: Doubles = found.x * scale
        return vector

    def loss(self, spans: Spans, vector: Doubles) -> float:
        """Return the sum over some rows of their weighted log losses."""
        loss = 0.0
        for part, rows in self._parts(spans):
            logits, total = self._logits(part, vector)
            losses = np.log(total) - logits[np.arange(len(part)), self._own[rows]]
            loss += float(np.sum(losses if self._weights is None else losses * self._weights[rows], dtype=np.float64))
        return loss

    def folded(self, vector: Doubles) -> tuple[Floats, Floats]:
        """Return kernel and bias of the dense layer that does to features as they are what a solution does to these."""
        kernel, bias = self._split(vector)
        if self._axes is not None:
            kernel = self._axes.astype(np.float64) @ kernel
        kernel = kernel / self._scale[:, None]
        return kernel.astype(np.float32), (bias - self._mean @ kernel).astype(np.float32)

    def _objective(self, spans: Spans, penalty: float, vector: Doubles) -> tuple[float, Doubles]:
        """Return the value to minimise and its gradient."""
        kernel, _ = self._split(vector)
        gradient = np.zeros_like(vector)
        slopes, tilt = self._split(gradient)
        loss, unsure, count = 0.0, 0.0, sum(span.stop - span.start for span in spans)
        for part, rows in self._parts(spans):
            delta, total = self._logits(part, vector)
            targets, weights = self._targets[rows], None if self._weights is None else self._weights[rows]
            losses = np.log(total) - np.einsum("ij,ij->i", delta, targets)
            np.exp(np.maximum(delta, LOWEST_LOGIT, out=delta), out=delta)
            delta /= total[:, None]
            unsure += float(delta.sum() - np.vdot(delta, delta))
            delta -= targets
            if weights is not None:
                losses *= weights
                delta *= weights[:, None]
            loss += float(np.sum(losses, dtype=np.float64))
            # twice as fast as part.T @ delta
            slopes += (delta.T @ part).T
            tilt += delta.sum(axis=0, dtype=np.float64)
        self._weight = max(LEAST_CURVATURE, unsure / (count * self.classes))
        gradient /= count
        slopes += penalty * kernel
        return loss / count + 0.5 * penalty * float(np.vdot(kernel, kernel)), gradient

    def _logits(self, part: Floats, vector: Doubles) -> tuple[Floats, Floats]:
        """Return logits ``(rows, classes)`` whose highest is 0, and the sums ``(rows,)`` of their powers."""
        kernel, bias = self._split(vector)
        logits: Floats = part @ kernel.astype(np.float32)
        logits += bias.astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        return logits, np.exp(np.maximum(logits, LOWEST_LOGIT)).sum(axis=1)

    def _split(self, vector: Doubles) -> tuple[Doubles, Doubles]:
        """View a solution as its kernel and bias."""
        return vector[: -self.classes].reshape(-1, self.classes), vector[-self.classes :]

    def _parts(self, spans: Spans) -> Iterator[tuple[Floats, slice]]:
        """Yield the standardised rows of some spans, part by part, and where they stand."""
        for span in spans:
            for rows in _cut(span, len(self._spread)):
                yield self._standardized(rows) if self._held is None else self._held[rows], rows

    def _variances(self) -> Doubles:
        """Return the mean square of the rows along every axis."""
        if self._held is None:
            return np.ones(len(self._mean))
        return np.einsum("ij,ij->j", self._held, self._held, dtype=np.float64) / self.rows

    def _standardized(self, rows: slice) -> Floats:
        part: Floats = self._features[self._numbers[rows]]
        part -= self._mean.astype(np.float32)
        part /= self._scale.astype(np.float32)
        return part


def _turned(rows: Floats, shared: SharedAxes) -> tuple[Floats, Floats]:
    """Return axes ``(inputs, axes)`` and the coordinates ``(rows, axes)`` of standardised rows ``(rows, inputs)``.

    Of fewer rows than inputs the axes span the rows, in which every solution lies.
    """
    if len(rows) >= rows.shape[1]:
        axes = shared.of(rows)
        return axes, rows @ axes
    squares, sides = np.linalg.eigh(rows @ rows.T)
    kept = squares > squares[-1] * 1e-6
    lengths = np.sqrt(squares[kept])
    coordinates = sides[:, kept] * lengths
    return rows.T @ (sides[:, kept] / lengths), coordinates


def inner_folds(labels: NDArray[np.integer[Any]], job: Job) -> Rows:
    """Return the inner fold ``(rows,)`` of every training row, from 0: the same for all versions of an image.

    Classes are dealt out evenly; a single image is one fold.
    """
    images = len(labels) // job.versions
    count = min(images, MANY_FOLDS if images <= MANY_IMAGES else FEW_FOLDS)
    shuffled = np.random.default_rng(job.order_seed).permutation(images)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    folds = np.empty(images, np.int64)
    folds[by_class] = np.arange(images) % count
    return np.tile(folds, job.versions)


def _cut(span: slice, inputs: int) -> list[slice]:
    """Return the parts of a span of rows that are looked at one after the other."""
    step = max(1, PART_VALUES // inputs)
    return [slice(start, min(start + step, span.stop)) for start in range(span.start, span.stop, step)]


def _borders(folds: Rows) -> list[int]:
    """Return where each run of equal numbers begins, and where the last ends."""
    return [0, *(np.flatnonzero(np.diff(folds)) + 1).tolist(), len(folds)]


def _moments(features: Floats, rows: Rows) -> tuple[Doubles, Doubles]:
    """Return mean and standard deviation ``(inputs,)`` of some rows; 1 where a feature does not vary."""
    parts = [rows[part] for part in _cut(slice(0, len(rows)), features.shape[1])]
    mean = sum(features[part].sum(axis=0, dtype=np.float64) for part in parts) / len(rows)
    square = sum(np.square(features[part] - mean).sum(axis=0) for part in parts) / len(rows)
    deviation = np.sqrt(square)
    return mean, np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0)
