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
from headstart.training.stack import LOWEST_LOGIT
from headstart.training.tally import measure

Doubles = NDArray[np.float64]

# From strong to weak. The search begins at the one that is best most often and goes on towards weaker ones as long as
# that is better; where that was not so at once, towards stronger ones.
PENALTIES = tuple(float(10 ** (power / 2)) for power in range(4, -9, -1))
FIRST = 7
# Few images make three folds too uneven, many make five needlessly slow.
MANY_IMAGES, FEW_FOLDS, MANY_FOLDS = 1000, 3, 5
# Largest entry of the gradient, in units of curvature, at which a solution is good enough: while searching, in the end.
# Its square is about what the loss could still fall.
SEARCH_GRADIENT, FINAL_GRADIENT = 1e-3, 1e-4
# What a class' probability p adds to the curvature, p (1 - p): of answers that are all sure there is still so much.
LEAST_CURVATURE = 0.01
# Rows are looked at so many values at a time: 2 MB, which stay near the processor for the way there and back.
PART_VALUES = 2**19
# Products are quick whose number of outputs is a multiple of this.
OUTPUTS = 8
# Standardised features of all cores together are held up to this share of the memory, or made anew in every pass.
HELD_SHARE, UNTOLD_MEMORY = 1 / 4, 2**33


def principal_axes(features: Floats, rows: Rows) -> Floats | None:
    """Return the principal axes ``(inputs, inputs)`` of some rows; computed once, they serve jobs on any of these rows.

    The solution of a job is the same along any axes, to the tolerance. None for fewer rows than features, where each
    job has fewer axes of its own, and where the rows cannot be held in memory.
    """
    from threadpoolctl import threadpool_limits

    if len(rows) < features.shape[1] or not _fits(len(rows), features.shape[1]):
        return None
    # sums over several threads differ in their last digit
    with threadpool_limits(1, user_api="blas"):
        return _axes_of(_standardized(features[rows], *_moments(features, rows)))


def fit_logistic(
    features: Floats,
    labels: NDArray[np.integer[Any]],
    job: Job,
    *,
    classes: int,
    axes: Floats | None = None,
) -> Fit:
    """Return the fit of a job whose head is ``logistic``.

    Its history is one row: epoch 1, learning rate 0, the loss without a penalty. Class weights and label smoothing act
    as in any training. The same job gives the same bits.

    Args:
        features: ``(images, inputs)`` float32; may be memory-mapped.
        labels: class index of every image ``(images,)``.
        axes: of ``principal_axes``; None: the job's own.
    """
    design = _Design(features, labels, job, classes, axes)
    start, penalty = design.nothing(1), job.penalty or PENALTIES[0]
    if len(design.folds) > 1 and not job.penalty:
        penalty, start = _choose(design)
    weights = design.folded(design.solve(penalty, start, gradient=FINAL_GRADIENT))
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
        penalty=penalty,
    )


def _choose(design: _Design) -> tuple[float, Doubles]:
    """Return the penalty with the lowest log loss on the images held out by the folds, and a start for its solution."""
    losses: dict[int, float] = {}
    solutions: dict[int, Doubles] = {}

    def is_better(place: int) -> bool:
        if not 0 <= place < len(PENALTIES) or place in losses:
            return False
        nearest = min(solutions, key=lambda other: abs(other - place), default=None)
        start = design.nothing(len(design.folds)) if nearest is None else solutions[nearest]
        solutions[place] = design.solve(PENALTIES[place], start, held_out=design.folds, gradient=SEARCH_GRADIENT)
        loss, least = design.held_out_loss(solutions[place]), min(losses.values(), default=np.inf)
        losses[place] = loss
        return loss < least

    begin = min(FIRST, len(PENALTIES) - 1)
    is_better(begin)
    for step in (1, -1):
        place = begin + step
        while is_better(place):
            place += step
        if place != begin + step:
            break
    best = min(losses, key=lambda place: (losses[place], place))
    return PENALTIES[best], solutions[best].mean(axis=0, keepdims=True)


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

    A solution is an array ``(problems, classes, axes + 1)``: kernels, and at the end biases. Problems are solved side
    by side, so that one pass over the rows serves all: each fold held out in turn, or the one of all rows.
    """

    def __init__(
        self,
        features: Floats,
        labels: NDArray[np.integer[Any]],
        job: Job,
        classes: int,
        axes: Floats | None,
    ) -> None:
        own, self._features, self.classes = labels[job.train], features, classes
        fold = inner_folds(own, job)
        order = np.argsort(fold, kind="stable")
        self._numbers, own = job.train[order], own[order]
        self.folds = [slice(start, stop) for start, stop in itertools.pairwise(_borders(fold[order]))]
        self._own = own
        self._targets = np.ascontiguousarray(smoothed_targets(job.settings, classes)[own].T)
        weights = class_weights(job.settings, own, classes)
        self._weights = None if weights is None else weights[own]
        self._mean, self._scale = _moments(features, self._numbers)
        self._held: Floats | None = None
        self.axes: Floats | None = None
        if _fits(self.rows, len(self._mean)):
            self.axes, self._held = _turned(self._read(slice(0, self.rows)), axes)
        self._spread = self._variances()
        self._weight = 0.25

    @property
    def rows(self) -> int:
        """The number of training rows."""
        return len(self._numbers)

    def nothing(self, problems: int) -> Doubles:
        """Return the solution that finds all classes alike."""
        return np.zeros((problems, self.classes, len(self._spread) + 1))

    def solve(
        self, penalty: float, start: Doubles, *, held_out: Sequence[slice | None] = (None,), gradient: float
    ) -> Doubles:
        """Return the solutions of problems, found from ``start`` by L-BFGS (Byrd, Lu, Nocedal and Zhu 1995).

        Every axis is scaled by the root of its curvature, so that all directions are about equally steep.

        Args:
            held_out: the rows that each problem does without.
        """
        from scipy.optimize import minimize

        # of the bias, whose input is 1, the curvature is that of the answers alone
        curvature = np.append(self._weight * self._spread + penalty, self._weight)
        scale = np.broadcast_to(1 / np.sqrt(curvature), start.shape).ravel()

        def scaled(vector: Doubles) -> tuple[float, Doubles]:
            value, slope = self._objective(held_out, penalty, (vector * scale).reshape(start.shape))
            return value, slope.ravel() * scale

        options = {"maxiter": 500, "gtol": gradient, "ftol": 1e-12, "maxcor": 20}
        found = minimize(scaled, start.ravel() / scale, jac=True, method="L-BFGS-B", options=options)
        solutions: Doubles = (found.x * scale).reshape(start.shape)
        return solutions

    def held_out_loss(self, solutions: Doubles) -> float:
        """Return the sum of all rows' weighted log losses, each by the problem that did without its fold."""
        loss = 0.0
        for part, rows in self._parts():
            logits, total = self._logits(part, solutions)
            for problem, fold in enumerate(self.folds):
                mine = _overlap(rows, fold)
                own = self._own[rows][mine]
                losses = np.log(total[problem, mine]) - logits[problem, :, mine][own, np.arange(len(own))]
                weighted = losses if self._weights is None else losses * self._weights[rows][mine]
                loss += float(np.sum(weighted, dtype=np.float64))
        return loss

    def folded(self, solution: Doubles) -> tuple[Floats, Floats]:
        """Return kernel and bias of the dense layer that does to features as they are what a solution does to these."""
        kernel, bias = solution[0, :, :-1].T, solution[0, :, -1]
        if self.axes is not None:
            kernel = self.axes.astype(np.float64) @ kernel
        kernel = kernel / self._scale[:, None]
        return kernel.astype(np.float32), (bias - self._mean @ kernel).astype(np.float32)

    def _objective(self, held_out: Sequence[slice | None], penalty: float, solutions: Doubles) -> tuple[float, Doubles]:
        """Return the sum of the values to minimise, and its gradient, of the shape of the solutions."""
        counts = np.array([self.rows - (0 if one is None else one.stop - one.start) for one in held_out], np.float64)
        slopes, losses, unsure = np.zeros(solutions.shape), np.zeros(len(held_out)), 0.0
        for part, rows in self._parts():
            delta, total = self._logits(part, solutions)
            targets = self._targets[:, rows]
            of_rows = np.log(total) - np.sum(delta * targets, axis=1)
            np.exp(np.maximum(delta, LOWEST_LOGIT, out=delta), out=delta)
            delta /= total[:, None]
            unsure += total.size - float(np.vdot(delta, delta))
            delta -= targets
            if self._weights is not None:
                of_rows *= self._weights[rows]
                delta *= self._weights[rows]
            for problem, fold in enumerate(held_out):
                if fold is not None:
                    without = _overlap(rows, fold)
                    of_rows[problem, without], delta[problem, :, without] = 0, 0
            losses += of_rows.sum(axis=1, dtype=np.float64)
            slopes[:, :, :-1] += _product(delta, part.T)
            slopes[:, :, -1] += delta.sum(axis=2, dtype=np.float64)
        self._weight = max(LEAST_CURVATURE, unsure / (self.rows * len(held_out) * self.classes))
        slopes /= counts[:, None, None]
        kernels = solutions[:, :, :-1]
        slopes[:, :, :-1] += penalty * kernels
        return float(np.sum(losses / counts)) + 0.5 * penalty * float(np.sum(kernels * kernels)), slopes

    def _logits(self, part: Floats, solutions: Doubles) -> tuple[Floats, Floats]:
        """Return logits ``(problems, classes, rows)`` whose highest is 0, and the sums of their powers."""
        logits = _product(solutions[:, :, :-1].astype(np.float32), part)
        logits += solutions[:, :, -1:].astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        return logits, np.exp(np.maximum(logits, LOWEST_LOGIT)).sum(axis=1)

    def _parts(self) -> Iterator[tuple[Floats, slice]]:
        """Yield the standardised rows part by part ``(axes, rows)``, and where they stand."""
        for rows in _cut(slice(0, self.rows), len(self._spread)):
            yield self._read(rows).T if self._held is None else self._held[:, rows], rows

    def _variances(self) -> Doubles:
        """Return the mean square of the rows along every axis."""
        if self._held is None:
            return np.ones(len(self._mean))
        squares: Doubles = np.einsum("ij,ij->i", self._held, self._held, dtype=np.float64)
        return squares / self.rows

    def _read(self, rows: slice) -> Floats:
        return _standardized(self._features[self._numbers[rows]], self._mean, self._scale)


def _fits(rows: int, inputs: int) -> bool:
    """Tell whether standardised rows may be held in memory."""
    return 4 * rows * inputs <= HELD_SHARE * (memory_bytes() or UNTOLD_MEMORY) / core_count()


def _standardized(rows: Floats, mean: Doubles, scale: Doubles) -> Floats:
    """Return rows of one's own, changed in place."""
    rows -= mean.astype(np.float32)
    rows /= scale.astype(np.float32)
    return rows


def _axes_of(rows: Floats) -> Floats:
    """Return the principal axes ``(inputs, inputs)`` of standardised rows."""
    axes: Floats = np.linalg.eigh(rows.T @ rows)[1]
    return axes


def _product(left: Floats, right: Floats) -> Floats:
    """Return what products ``(problems, classes, n)`` with ``(n, m)`` are, by one with rows of zeros in the end.

    The larger factor enters as it lies in memory: a transposed one stands on the left, which is twice as quick.
    """
    problems, classes, inner = left.shape
    outputs = problems * classes
    wide = np.zeros((outputs + -outputs % OUTPUTS, inner), np.float32)
    wide[:outputs] = left.reshape(outputs, inner)
    found = wide @ right if right.strides[1] <= right.strides[0] else (right.T @ wide.T).T
    return found[:outputs].reshape(problems, classes, -1)


def _overlap(rows: slice, fold: slice) -> slice:
    """Return where in a part of the rows a fold stands."""
    return slice(max(0, fold.start - rows.start), max(0, min(fold.stop, rows.stop) - rows.start))


def _turned(rows: Floats, axes: Floats | None) -> tuple[Floats, Floats]:
    """Return axes ``(inputs, axes)`` and the coordinates ``(axes, rows)`` of standardised rows ``(rows, inputs)``.

    Of fewer rows than inputs the axes span the rows, in which every solution lies.
    """
    if len(rows) >= rows.shape[1]:
        own = _axes_of(rows) if axes is None else axes
        return own, own.T @ rows.T
    squares, sides = np.linalg.eigh(rows @ rows.T)
    kept = squares >= max(squares[-1] * 1e-6, np.finfo(np.float32).tiny)
    # of equal rows, one axis along which none differs
    kept[-1] = True
    lengths = np.sqrt(np.maximum(squares[kept], np.finfo(np.float32).tiny))
    coordinates = np.ascontiguousarray((sides[:, kept] * lengths).T)
    return rows.T @ (sides[:, kept] / lengths), coordinates


def inner_folds(labels: NDArray[np.integer[Any]], job: Job) -> Rows:
    """Return the inner fold ``(rows,)`` of every training row, from 0: the same for all versions of an image.

    Groups stay together, or a penalty would be chosen by images that are as good as known. Classes are dealt out
    evenly; a single group is one fold.
    """
    images = len(labels) // job.versions
    groups = np.arange(images) if job.groups is None else np.unique(job.groups, return_inverse=True)[1]
    count = min(groups.max() + 1, MANY_FOLDS if images <= MANY_IMAGES else FEW_FOLDS)
    shuffled = np.random.default_rng(job.order_seed).permutation(groups.max() + 1)
    # a group of several classes counts as of the last one
    of_group = np.zeros(len(shuffled), np.int64)
    of_group[groups] = labels[:images]
    by_class = shuffled[np.argsort(of_group[shuffled], kind="stable")]
    folds = np.empty(len(shuffled), np.int64)
    folds[by_class] = np.arange(len(shuffled)) % count
    return np.tile(folds[groups], job.versions)


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
