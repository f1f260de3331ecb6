"""Who trains: heads on the cached features of a frozen backbone, or a tail or a whole network in Keras. One door."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.evaluation.choosing import ACCURACY, Measure
from headstart.evaluation.results import ParameterCounts
from headstart.progress import Progress
from headstart.recipe import Candidate
from headstart.study.jobs import Jobs, Trained
from headstart.study.networks import Network
from headstart.study.views import Copies
from headstart.study.workshop import Workshop
from headstart.training.bank import train_bank
from headstart.training.heads import Fit, Job, forward, parameter_count
from headstart.training.logistic import principal_axes

# The share of the training images that tells when to stop, where no others may.
HELD_BACK = 0.1

Rows = NDArray[np.int64]
Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Goal:
    """What all learners of a study share: the number of classes, and the measure that chooses."""

    classes: int
    measure: Measure = ACCURACY


def heads_unit(stage: str, network: Network, jobs: Sequence[Job]) -> tuple[object, ...]:
    """Return the unit of all heads that train together."""
    return (stage, network.name, [(job.key, job.epochs) for job in jobs])


def tuned_unit(stage: str, network: Network, job: Job) -> tuple[object, ...]:
    """Return the unit of one training of a tail or a whole network."""
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

    def logits(self, candidate: Candidate, fit: Fit, rows: Rows) -> Logits:
        """Return the logits ``(rows, classes)`` of images under a trained candidate."""
        ...

    def features(self, rows: Rows) -> NDArray[np.float32] | None:
        """Return the pooled features ``(rows, channels)`` that every head sees; None where layers below train."""
        ...


class HeadLearner:
    """Heads on the cached features of a frozen backbone: all of them train at once, as one unit.

    Args:
        features: pooled features ``(images and copies, channels)`` float32.
        copies: where the changed copies of training images stand.
        frozen: number of weights of the backbone.
    """

    def __init__(
        self, network: Network, features: NDArray[np.float32], copies: Copies, goal: Goal, *, frozen: int
    ) -> None:
        self.network = network
        self._features, self._copies, self._goal, self._frozen = features, copies, goal, frozen

    def train(self, stage: str, jobs: Sequence[Job], store: Jobs, progress: Progress) -> list[Trained]:
        """Return one result per job; the unit's seconds are shared out evenly."""

        def compute() -> list[Fit]:
            return train_bank(
                self._features,
                self._copies.labels,
                [_ready(job, self._copies) for job in jobs],
                classes=self._goal.classes,
                measure=self._goal.measure,
                axes=self._axes if any(job.head.output == "logistic" for job in jobs) else None,
                progress=progress,
            )

        together = store.trained(heads_unit(stage, self.network, jobs), compute)
        return [Trained((fit,), together.seconds / len(jobs)) for fit in together.fits]

    @cached_property
    def _axes(self) -> NDArray[np.float32] | None:
        return principal_axes(self._features, self._copies.source)

    def parameters(self, candidate: Candidate) -> ParameterCounts:
        """Return the numbers of weights: the head trains, the backbone does not."""
        frozen, inputs = self._frozen, self._features.shape[1]
        trainable = parameter_count(candidate.head, inputs=inputs, classes=self._goal.classes)
        return ParameterCounts(trainable, frozen, trainable + frozen, (trainable,))

    def logits(self, candidate: Candidate, fit: Fit, rows: Rows) -> Logits:
        """Return the logits ``(rows, classes)`` of images under a trained head."""
        return forward(candidate.head, fit.weights, self._features[rows])

    def features(self, rows: Rows) -> NDArray[np.float32] | None:
        """Return the pooled features ``(rows, channels)`` that every head sees."""
        return self._features[rows]

    def beside(self, features: NDArray[np.float32]) -> HeadLearner:
        """Return a learner of the same network on other features of the same images."""
        return HeadLearner(self.network, features, self._copies, self._goal, frozen=self._frozen)


def _ready(job: Job, copies: Copies) -> Job:
    """Return a job with the changed copies of its training images, and with images that tell it when to stop."""
    if job.patience and job.watch is None and job.head.output != "logistic":
        train, watch = copies.held_back(job.train, HELD_BACK, storage.seed_from(job.order_seed, "held back"))
        job = replace(job, train=train, watch=watch)
    groups = copies.groups(job.train)
    if groups is not None:
        job = replace(job, groups=groups)
    if not copies.views:
        return job
    return replace(job, train=copies.expanded(job.train), versions=1 + len(copies.views))


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


class TunedLearner:
    """A tail or a whole network that trains in Keras: one job after another, each a unit with a checkpoint per epoch.

    Args:
        images: what the trainer takes: flat features ``(images and copies, values)`` float32 of a tail, or pixels
            ``(images and copies, height, width, 3)`` uint8 of a whole network.
        copies: where the changed copies of training images stand.
    """

    def __init__(self, network: Network, workshop: Workshop, images: NDArray[Any], copies: Copies, goal: Goal) -> None:
        self.network = network
        self._workshop, self._images, self._copies, self._goal = workshop, images, copies, goal

    def train(self, stage: str, jobs: Sequence[Job], store: Jobs, progress: Progress) -> list[Trained]:
        """Return one result per job."""
        jobs = [_ready(job, self._copies) for job in jobs]
        total = sum(job.epochs * len(job.train) for job in jobs)
        with progress.track(f"Training {self.network.name}", total=total, unit="images") as advance:
            trained = []
            for job in jobs:
                counter = _Counter(advance)
                trained.append(self._train_one(stage, job, store, counter))
                advance(job.epochs * len(job.train) - counter.done)
            return trained

    def _train_one(self, stage: str, job: Job, store: Jobs, progress: Progress) -> Trained:
        unit = tuned_unit(stage, self.network, job)

        def compute() -> list[Fit]:
            fit = self._workshop.tuner(self.network).fit(
                self._images,
                self._copies.labels,
                job,
                measure=self._goal.measure,
                checkpoint=store.checkpoint(unit),
                progress=progress,
            )
            return [fit]

        return store.trained(unit, compute)

    def parameters(self, candidate: Candidate) -> ParameterCounts:
        """Return the numbers of weights as Keras counts them, phase by phase."""
        from headstart.training.layers import parameter_counts

        return parameter_counts(self._workshop.model(self.network), candidate, self._goal.classes)

    def logits(self, candidate: Candidate, fit: Fit, rows: Rows) -> Logits:
        """Return the logits ``(rows, classes)`` of images under a trained network."""
        logits: Logits = self._workshop.tuner(self.network).logits(self._images, rows, fit)
        return logits

    def features(self, rows: Rows) -> NDArray[np.float32] | None:
        """Return None: the layers below the head are another network in every training."""
        return None
