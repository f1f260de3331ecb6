"""Multinomial logistic regression on cached features: a linear head that is solved, not trained in epochs.

The features are standardised (mean and standard deviation of the training rows), and what is minimised is the mean
cross-entropy plus penalty / 2 times the sum of squares of the kernel; the bias is free. This is scikit-learn's
``LogisticRegression(C=1 / (rows * penalty))`` behind a ``StandardScaler``. The penalty is chosen inside the training
rows, then the solution is folded back into one dense layer on the features as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
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
from headstart.training.tally import measure

Doubles = NDArray[np.float64]
Spans = Sequence[slice]

# From strong to weak: each solution is a good start for the next.
PENALTIES = tuple(float(10 ** (power / 2)) for power in range(4, -9, -1))
# The search ends when this many penalties in a row were no better than the best so far.
WORSE_IN_A_ROW = 2
# Few images make three folds too uneven, many make five needlessly slow.
MANY_IMAGES, FEW_FOLDS, MANY_FOLDS = 1000, 3, 5
# Largest entry of the gradient at which a solution is good enough, while searching and in the end.
SEARCH_GRADIENT, FINAL_GRADIENT = 1e-4, 1e-6
# Rows are looked at so many values at a time: 16 MB.
PART_VALUES = 2**22
# Standardised features of all cores together are held up to this share of the memory, or made anew in every pass.
HELD_SHARE, UNTOLD_MEMORY = 1 / 4, 2**33


def fit_logistic(features: Floats, labels: NDArray[np.integer[Any]], job: Job, *, classes: int) -> Fit:
    """Return the fit of a job whose head is ``logistic``.

    Its history is one row: epoch 1, learning rate 0, the loss without a penalty. Class weights and label smoothing act
    as in any training. The same job gives the same bits.

    Args:
        features: ``(images, inputs)`` float32; may be memory-mapped.
        labels: class index of every image ``(images,)``.
    """
    design = _Design(features, labels, job, classes)
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
    vectors = [design.nothing for _ in design.folds]
    best, chosen, start, waited = np.inf, PENALTIES[0], design.nothing, 0
    for penalty in PENALTIES:
        loss = 0.0
        for number, held_out in enumerate(design.folds):
            others = [fold for fold in design.folds if fold is not held_out]
            vectors[number] = design.solve(others, penalty, vectors[number], gradient=SEARCH_GRADIENT)
            loss += design.loss([held_out], vectors[number])
        waited += 1
        if loss < best:
            best, chosen, start, waited = loss, penalty, np.mean(vectors, axis=0), 0
        if waited == WORSE_IN_A_ROW:
            break
    return chosen, start


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

    A solution is one vector: the kernel ``(inputs, classes)`` and the bias ``(classes,)``, flat.
    """

    def __init__(self, features: Floats, labels: NDArray[np.integer[Any]], job: Job, classes: int) -> None:
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
        self._held = self._standardized(slice(0, self.rows)) if fits else None

    @property
    def rows(self) -> int:
        """The number of training rows."""
        return len(self._numbers)

    @property
    def nothing(self) -> Doubles:
        """The solution that finds all classes alike."""
        return np.zeros((len(self._mean) + 1) * self.classes)

    def solve(self, spans: Spans, penalty: float, start: Doubles, *, gradient: float) -> Doubles:
        """Return the solution for some rows, found from ``start`` by L-BFGS (Byrd, Lu, Nocedal and Zhu 1995)."""
        from scipy.optimize import minimize

        found = minimize(
            lambda vector: self._objective(spans, penalty, vector),
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000, "gtol": gradient, "ftol": 1e-10},
        )
        vector: Doubles = found.x
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
        kernel = kernel / self._scale[:, None]
        return kernel.astype(np.float32), (bias - self._mean @ kernel).astype(np.float32)

    def _objective(self, spans: Spans, penalty: float, vector: Doubles) -> tuple[float, Doubles]:
        """Return the value to minimise and its gradient."""
        kernel, _ = self._split(vector)
        gradient = np.zeros_like(vector)
        slopes, tilt = self._split(gradient)
        loss, count = 0.0, sum(span.stop - span.start for span in spans)
        for part, rows in self._parts(spans):
            delta, total = self._logits(part, vector)
            targets, weights = self._targets[rows], None if self._weights is None else self._weights[rows]
            losses = np.log(total) - np.einsum("ij,ij->i", delta, targets)
            np.exp(delta, out=delta)
            delta /= total[:, None]
            delta -= targets
            if weights is not None:
                losses *= weights
                delta *= weights[:, None]
            loss += float(np.sum(losses, dtype=np.float64))
            slopes += part.T @ delta
            tilt += delta.sum(axis=0, dtype=np.float64)
        gradient /= count
        slopes += penalty * kernel
        return loss / count + 0.5 * penalty * float(np.vdot(kernel, kernel)), gradient

    def _logits(self, part: Floats, vector: Doubles) -> tuple[Floats, Floats]:
        """Return logits ``(rows, classes)`` whose highest is 0, and the sums ``(rows,)`` of their powers."""
        kernel, bias = self._split(vector)
        logits: Floats = part @ kernel.astype(np.float32)
        logits += bias.astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        return logits, np.exp(logits).sum(axis=1)

    def _split(self, vector: Doubles) -> tuple[Doubles, Doubles]:
        """View a solution as its kernel and bias."""
        return vector[: -self.classes].reshape(-1, self.classes), vector[-self.classes :]

    def _parts(self, spans: Spans) -> Iterator[tuple[Floats, slice]]:
        """Yield the standardised rows of some spans, part by part, and where they stand."""
        for span in spans:
            for rows in _cut(span, len(self._mean)):
                yield self._standardized(rows) if self._held is None else self._held[rows], rows

    def _standardized(self, rows: slice) -> Floats:
        part: Floats = self._features[self._numbers[rows]]
        part -= self._mean.astype(np.float32)
        part /= self._scale.astype(np.float32)
        return part


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
