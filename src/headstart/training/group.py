"""One group of the head bank: jobs that see the same batches, trained epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.evaluation.choosing import Measure
from headstart.training.heads import (
    EpochMetrics,
    EpochRow,
    Fit,
    Floats,
    Job,
    Rows,
    Scores,
    batch_order,
    class_weights,
    initial_weights,
    layer_sizes,
    smoothed_targets,
)
from headstart.training.optimizers import Layer, Updater, schedule_factor
from headstart.training.stack import HeadStack
from headstart.training.stopping import BestEpoch, worth
from headstart.training.tally import Tally, measure

# Rows that are judged at once: about this many values pass through a layer.
CHUNK_VALUES = 2**18
# Logits of training steps are collected up to this many values, then counted together.
LEDGER_VALUES = 2**16


@dataclass(frozen=True, slots=True, eq=False)
class BankData:
    """What all groups share.

    ``features`` are ``(images, inputs)``, ``labels`` ``(images,)``; ``measure`` is what the epoch kept goes by,
    ``axes`` are what logistic heads are solved along.
    """

    features: Floats
    labels: Rows
    classes: int
    measure: Measure
    axes: Floats | None = None

    @property
    def inputs(self) -> int:
        """The number of features of an image."""
        return int(self.features.shape[1])


class _Course:
    """How far one head of a group has come; ``last`` is set when it has ended."""

    def __init__(self, job: Job) -> None:
        self.job, self.best = job, BestEpoch(job.patience)
        self.history: list[EpochRow] = []
        self.validation_logits: Floats | None = None
        self.last: Scores | None = None

    @property
    def ends_now(self) -> bool:
        """Tell whether the epoch just written down is the last."""
        return self.last is None and (len(self.history) == self.job.epochs or self.best.stopped)


class HeadGroup:
    """Jobs that differ in learning rate, first weights, epochs and patience alone.

    A job that has ended is computed on, unrecorded, until all have. ``fits`` is filled then: one per job, in order.
    """

    def __init__(self, data: BankData, jobs: Sequence[Job]) -> None:
        self.fits: list[Fit] = []
        self._data, self._job, self._epoch = data, jobs[0], 0
        self._courses = [_Course(job) for job in jobs]
        self._batch = min(self._job.batch_size, len(self._job.train))
        self._steps = -(-len(self._job.train) // self._batch)
        self._stack = self._new_stack(jobs)
        self._best = [values.copy() for values in self._stack.values]
        self._updater = self._new_updater(jobs)
        self._inputs = np.empty((self._stack.capacity, data.inputs), np.float32)
        self._dropout = np.random.default_rng(self._job.dropout_seed) if self._stack.drops else None
        self._targets = smoothed_targets(self._job.settings, data.classes)
        self._class_weights = class_weights(self._job.settings, data.labels[self._job.train], data.classes)

    def _new_stack(self, jobs: Sequence[Job]) -> HeadStack:
        head, inputs, classes = self._job.head, self._data.inputs, self._data.classes
        weights = [initial_weights(head, inputs=inputs, classes=classes, seed=job.init_seed) for job in jobs]
        widest = max(inputs, len(jobs) * max(units for _, units in layer_sizes(head, inputs, classes)))
        return HeadStack(head, weights, max(self._batch, CHUNK_VALUES // widest), self._batch)

    def _new_updater(self, jobs: Sequence[Job]) -> Updater:
        rates = np.array([job.optimizer.learning_rate for job in jobs], np.float32)
        stack = self._stack
        parts = zip(stack.values, stack.gradients, stack.layers, strict=True)
        layers = [Layer(values, gradient, np.repeat(rates, one.units), one.l2) for values, gradient, one in parts]
        return Updater(self._job.optimizer, layers)

    @property
    def weights(self) -> int:
        """The number of weights of all heads."""
        return sum(values.size for values in self._stack.values)

    def run_epoch(self) -> int:
        """Train one epoch and judge it. Return how many epochs, over all jobs, need not be waited for any more."""
        self._epoch += 1
        running = [head for head, course in enumerate(self._courses) if course.last is None]
        # A head that diverges does so quietly; its history says it.
        with np.errstate(all="ignore"):
            train = self._train_epoch()
            validation, logits = self._judge(self._job.validation, self._stack.values, with_penalty=True)
            worths = self._worths(running, validation, logits)
            for head in running:
                self._record(head, train[head], validation[head] if validation else None, logits, worths.get(head))
            return len(running) + self._end([head for head in running if self._courses[head].ends_now], logits)

    def _worths(
        self, heads: Sequence[int], validation: Sequence[EpochMetrics], logits: Floats | None
    ) -> dict[int, float]:
        """Return what the epoch of every head is worth to the images that watch it; nothing without such images."""
        watch, measure = self._job.watch, self._data.measure
        if watch is None or not len(watch):
            return {}
        metrics: Sequence[EpochMetrics] = validation
        if watch is not self._job.validation:
            metrics, logits = self._judge(watch, self._stack.values, with_penalty=True)
        assert logits is not None, "there are images"
        labels = self._data.labels[watch]
        return {head: worth(measure, metrics[head], labels, logits[:, head]) for head in heads}

    def _train_epoch(self) -> list[EpochMetrics]:
        job, stack = self._job, self._stack
        rows = job.train[batch_order(job.order_seed, self._epoch, len(job.train))]
        labels = self._data.labels[rows]
        ledger = _Ledger(stack, labels)
        for step in range(self._steps):
            batch = slice(step * self._batch, (step + 1) * self._batch)
            inputs, own = self._gather(rows[batch]), labels[batch]
            logits = stack.forward(inputs, stack.values, self._dropout)
            ledger.add(logits)
            weights = None if self._class_weights is None else self._class_weights[own]
            stack.backward(inputs, logits, self._targets[own], weights)
            self._updater.step(self._factor(step))
            if stack.regularized:
                ledger.tally.add_penalty(stack.per_head(self._updater.penalties), len(inputs))
        return ledger.metrics()

    def _factor(self, step: int) -> float:
        """Return the schedule's factor at a step of the present epoch."""
        job, before = self._job, (self._epoch - 1) * self._steps
        return schedule_factor(
            job.schedule, step=before + step, steps_per_epoch=self._steps, epochs=job.settings.epochs
        )

    def _gather(self, rows: Rows) -> Floats:
        """Return the features of some rows in a buffer that is used again."""
        inputs = self._inputs[: len(rows)]
        # With mode="raise", take would fill a second buffer first.
        np.take(self._data.features, rows, axis=0, out=inputs, mode="clip")
        return inputs

    def _judge(
        self, rows: Rows | None, values: Sequence[Floats], *, with_penalty: bool = False
    ) -> tuple[list[EpochMetrics], Floats | None]:
        """Return every head's metrics on some rows and the logits ``(rows, heads, classes)``: nothing without rows."""
        if rows is None or not len(rows):
            return [], None
        stack = self._stack
        logits = np.empty((len(rows), stack.heads, stack.classes), np.float32)
        tally = Tally(stack.heads, stack.classes)
        for start in range(0, len(rows), stack.capacity):
            part = rows[start : start + stack.capacity]
            chunk = logits[start : start + len(part)]
            chunk[:] = stack.forward(self._gather(part), values)
            tally.add(chunk, self._data.labels[part])
        if with_penalty:
            tally.add_penalty(stack.penalties(values), len(rows))
        return tally.metrics(), logits

    def _record(
        self,
        head: int,
        train: EpochMetrics,
        validation: EpochMetrics | None,
        logits: Floats | None,
        value: float | None,
    ) -> None:
        """Write down one head's epoch and what it is worth, and keep its weights when it is the best so far."""
        course = self._courses[head]
        rate = course.job.optimizer.learning_rate * self._factor(0)
        course.history.append(EpochRow(1, self._epoch, rate, train, validation))
        weights = self._stack.one_head(self._stack.values, head)
        finite = np.isfinite((validation or train).loss) and all(np.isfinite(values).all() for values in weights)
        if course.best.see(self._epoch, value, finite=bool(finite)):
            for kept, values in zip(self._stack.one_head(self._best, head), weights, strict=True):
                kept[:] = values
            course.validation_logits = None if logits is None else logits[:, head].copy()

    def _end(self, heads: Sequence[int], logits: Floats | None) -> int:
        """Judge the last weights of heads that end now; return how many of their epochs are left out."""
        if not heads:
            return 0
        train, _ = self._judge(self._job.train, self._stack.values)
        for head in heads:
            self._courses[head].last = Scores(self._epoch, train[head], self._measure(logits, head))
        if all(course.last is not None for course in self._courses):
            self.fits = self._finished()
        return sum(self._courses[head].job.epochs - self._epoch for head in heads)

    def _measure(self, logits: Floats | None, head: int) -> EpochMetrics | None:
        return None if logits is None else measure(logits[:, head], self._data.labels[self._job.validation])

    def _finished(self) -> list[Fit]:
        train, _ = self._judge(self._job.train, self._best)
        validation, logits = self._judge(self._job.validation, self._best)
        fits = []
        for head, course in enumerate(self._courses):
            assert course.last is not None, "called when every job has ended"
            scores = Scores(course.best.epoch, train[head], validation[head] if validation else None)
            fits.append(
                Fit(
                    key=course.job.key,
                    history=tuple(course.history),
                    best_epoch=course.best.epoch,
                    weights=self._stack.weights_of(self._best, head),
                    validation_logits=None if logits is None else logits[:, head].copy(),
                    best=scores,
                    last=course.last,
                )
            )
        return fits


class _Ledger:
    """The logits of an epoch's training steps, counted many steps at a time."""

    def __init__(self, stack: HeadStack, labels: Rows) -> None:
        self.tally = Tally(stack.heads, stack.classes)
        rows = min(len(labels), max(stack.capacity, LEDGER_VALUES // (stack.heads * stack.classes)))
        self._logits = np.empty((rows, stack.heads, stack.classes), np.float32)
        self._labels, self._counted, self._filled = labels, 0, 0

    def add(self, logits: Floats) -> None:
        """Take a copy of the logits ``(rows, heads, classes)`` of the next rows."""
        if self._filled + len(logits) > len(self._logits):
            self._count()
        self._logits[self._filled : self._filled + len(logits)] = logits
        self._filled += len(logits)

    def _count(self) -> None:
        labels = self._labels[self._counted : self._counted + self._filled]
        self.tally.add(self._logits[: self._filled], labels)
        self._counted, self._filled = self._counted + self._filled, 0

    def metrics(self) -> list[EpochMetrics]:
        """Return every head's metrics of the epoch."""
        self._count()
        return self.tally.metrics()
