"""Who trains: a frozen backbone's heads on cached features, or a whole network on pixels. One door for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.results import ParameterCounts
from headstart.progress import Progress
from headstart.recipe import Candidate
from headstart.study.jobs import Jobs, Trained
from headstart.study.plan import Network
from headstart.training.bank import train_bank
from headstart.training.heads import Fit, Job, forward, parameter_count

if TYPE_CHECKING:
    import keras

    from headstart.training.finetune import FineTuner

Rows = NDArray[np.int64]
Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Goal:
    """What all learners of a study share: the number of classes, and the monitor (accuracy or loss)."""

    classes: int
    monitor: str


def heads_unit(stage: str, network: Network, jobs: Sequence[Job]) -> tuple[object, ...]:
    """Return the unit of all heads that train together."""
    return (stage, network.name, [(job.key, job.epochs) for job in jobs])


def whole_unit(stage: str, network: Network, job: Job) -> tuple[object, ...]:
    """Return the unit of one training of a whole network."""
    return (stage, network.name, job.key, job.epochs)


class Learner(Protocol):
    """Trains the candidates of one network and applies what they learned."""

    network: Network

    def train(self, stage: str, jobs: Sequence[Job], store: Jobs, progress: Progress) -> list[Trained]:
        """Return one result per job, in order; finished units of ``store`` are not trained again."""
        ...

    def parameters(self, candidate: Candidate) -> ParameterCounts:
        """Return the numbers of weights as Keras counts them."""
        ...

    def logits(self, fit: Fit, rows: Rows) -> Logits:
        """Return the logits ``(rows, classes)`` of images under a trained candidate."""
        ...


class HeadLearner:
    """Heads on the cached features of a frozen backbone: all of them train at once, as one unit.

    Args:
        features: pooled features ``(images, channels)`` float32.
        labels: class index ``(images,)``.
    """

    def __init__(self, network: Network, features: NDArray[np.float32], labels: Rows, goal: Goal) -> None:
        self.network = network
        self._features, self._labels, self._goal = features, labels, goal

    def train(self, stage: str, jobs: Sequence[Job], store: Jobs, progress: Progress) -> list[Trained]:
        """Return one result per job; the unit's seconds are shared out evenly."""

        def compute() -> list[Fit]:
            return train_bank(
                self._features,
                self._labels,
                jobs,
                classes=self._goal.classes,
                monitor=self._goal.monitor,
                progress=progress,
            )

        together = store.trained(heads_unit(stage, self.network, jobs), compute)
        return [Trained((fit,), together.seconds / len(jobs)) for fit in together.fits]

    def parameters(self, candidate: Candidate) -> ParameterCounts:
        """Return the numbers of weights: the head trains, the backbone does not."""
        frozen = self.network.backbone.parameters
        trainable = _head_parameters(self.network, candidate, self._goal)
        return ParameterCounts(trainable, frozen, trainable + frozen, (trainable,))

    def logits(self, fit: Fit, rows: Rows) -> Logits:
        """Return the logits ``(rows, classes)`` of images under a trained head."""
        return forward(fit.weights, self._features[rows])


class _Counter(Progress):
    """Passes what one training does on to the bar of all trainings, and counts it."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance, self.done = advance, 0

    @contextmanager
    def track(self, name: str, *, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Count on the outer bar."""
        yield self._count

    def _count(self, done: int) -> None:
        self.done += done
        self._advance(done)


class WholeLearner:
    """A network that trains whole from pixels: one job after another, each a unit with a checkpoint per epoch.

    Args:
        model: the backbone with its initial weights; built and traced once for all jobs.
        pixels: ``(images, height, width, 3)`` uint8.
        labels: class index ``(images,)``.
    """

    def __init__(
        self, network: Network, model: keras.Model, pixels: NDArray[np.uint8], labels: Rows, goal: Goal
    ) -> None:
        self.network = network
        self._model, self._pixels, self._labels, self._goal = model, pixels, labels, goal
        self._tuner: FineTuner | None = None

    @property
    def tuner(self) -> FineTuner:
        """The Keras side, built when first needed."""
        if self._tuner is None:
            from headstart.training.finetune import FineTuner

            head = self.network.candidates[0].head
            self._tuner = FineTuner(self._model, self.network.backbone.preprocessing, head, self._goal.classes)
        return self._tuner

    def train(self, stage: str, jobs: Sequence[Job], store: Jobs, progress: Progress) -> list[Trained]:
        """Return one result per job."""
        total = sum(job.epochs * len(job.train) for job in jobs)
        with progress.track(f"Training {self.network.name}", total=total, unit="images") as advance:
            trained = []
            for job in jobs:
                counter = _Counter(advance)
                trained.append(self._train_one(stage, job, store, counter))
                advance(job.epochs * len(job.train) - counter.done)
            return trained

    def _train_one(self, stage: str, job: Job, store: Jobs, progress: Progress) -> Trained:
        unit = whole_unit(stage, self.network, job)

        def compute() -> list[Fit]:
            checkpoint = store.checkpoint(unit)
            fit = self.tuner.fit(
                self._pixels, self._labels, job, monitor=self._goal.monitor, checkpoint=checkpoint, progress=progress
            )
            return [fit]

        return store.trained(unit, compute)

    def parameters(self, candidate: Candidate) -> ParameterCounts:
        """Return the numbers of weights: all train but the statistics of batch normalisation."""
        trainable = sum(int(np.prod(weight.shape)) for weight in self._model.trainable_weights)
        trainable += _head_parameters(self.network, candidate, self._goal)
        fixed = sum(int(np.prod(weight.shape)) for weight in self._model.non_trainable_weights)
        return ParameterCounts(trainable, fixed, trainable + fixed, (trainable,))

    def logits(self, fit: Fit, rows: Rows) -> Logits:
        """Return the logits ``(rows, classes)`` of images under a trained network."""
        logits: Logits = self.tuner.logits(self._pixels, rows, fit)
        return logits


def _head_parameters(network: Network, candidate: Candidate, goal: Goal) -> int:
    return parameter_count(candidate.head, inputs=network.backbone.channels, classes=goal.classes)
