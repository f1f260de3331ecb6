"""How long a study will take and what it will fill on disk, from a short measurement of its own parts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from headstart import recipe
from headstart.data import decode
from headstart.data.images import ImageRow
from headstart.features.cache import ORIGINAL
from headstart.machine import core_count
from headstart.study.attempt import attempt
from headstart.study.judge import round_jobs
from headstart.study.learners import heads_unit, tuned_unit
from headstart.study.networks import HEADS, TAIL, WHOLE, Network
from headstart.study.parts import Parts
from headstart.study.plan import Plan
from headstart.study.prepare import MIRRORED
from headstart.study.workplace import Workplace
from headstart.study.workshop import Workshop
from headstart.training.bank import train_bank
from headstart.training.heads import Job

# A measurement takes at most one of so many images that are to be computed.
SPARE = 20
SAMPLE_IMAGES = 16
SAMPLE_ROWS = 256
# Passes over the training images until a logistic head is solved, its penalty chosen, and the folds side by side in it.
PASSES, SIDE_BY_SIDE = 80, 3
# Principal axes are measured on so many features; their time grows with the third power.
AXES_MEASURED = 256
# Seconds of everything behind the trainings, and of each image in it: evidence, classifier, pictures, page.
AFTERWARDS, AFTERWARDS_PER_IMAGE = 5.0, 0.0015
# Batches of the short and of the long measurement of a training in Keras.
SHORT, LONG = 1, 3
BYTES_PER_VALUE = 4


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds of everything that is still to be done, and bytes of features that the cache will gain."""

    seconds: float
    size_bytes: int

    @property
    def sentence(self) -> str:
        """What the user is told before work starts."""
        return f"Forecast: about {duration(self.seconds)}, and {self.size_bytes / 1e6:,.0f} MB more in the cache."


def duration(seconds: float) -> str:
    """Return a length of time in words that suit its size."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def forecast(plan: Plan, parts: Parts, workshop: Workshop, place: Workplace) -> Forecast:
    """Measure decoding, each trunk and each kind of training on a few images, and scale up what is still to do.

    A network that fails here counts for nothing; the study will meet the failure and report it.
    """
    return Measurement(plan, parts, workshop, place).forecast()


class Measurement:
    """Short measurements of the parts of one study."""

    def __init__(self, plan: Plan, parts: Parts, workshop: Workshop, place: Workplace) -> None:
        self._plan, self._parts, self._workshop, self._place = plan, parts, workshop, place
        self._classes = len(plan.table.classes)
        self._trunk_seconds: dict[str, float] = {}
        self._missing = {network.name: self._images_to_compute(network) for network in plan.networks}
        self._mirrored = {
            network.name: self._not_cached(network, MIRRORED, self._everything)
            for network in plan.networks
            if plan.recipe.protocol.combinations and network.learner == HEADS and not network.candidates[0].is_control
        }

    def forecast(self) -> Forecast:
        """Return what the whole study still needs."""
        networks, missing = self._plan.networks, self._missing
        seconds = 0.0
        for network in networks:
            _, needed = attempt(partial(self.network_seconds, network))
            seconds += needed or 0.0
        images = len(self._parts.rows)
        seconds += AFTERWARDS + AFTERWARDS_PER_IMAGE * images + self.combining(networks)
        if any(missing.values()):
            seconds += min(images, max(missing.values())) * self._decoding
        new = [one for one in networks if one.learner != WHOLE and missing[one.name]]
        size = sum(missing[one.name] * self._values(one) for one in new)
        size += sum(self._mirrored[one.name] * self._values(one) for one in self._dearest(networks))
        return Forecast(seconds, size * BYTES_PER_VALUE)

    def network_seconds(self, network: Network) -> float:
        """Return the seconds of a network's features and of its trainings."""
        trainings = self._heads(network) if network.learner == HEADS else self.tuned(network)
        return self.features(network) + trainings

    def features(self, network: Network) -> float:
        """Return the seconds in which a network's missing features are computed, decoding left out."""
        missing = self._missing[network.name]
        return missing * self._trunk(network, missing) if missing and network.learner != WHOLE else 0.0

    def combining(self, networks: Sequence[Network]) -> float:
        """Return the seconds of combinations: mirror images, and two heads on the features of two networks.

        Nobody knows yet which networks will be the best two: it is what the dearest two would take.
        """
        pair, rounds = self._dearest(networks), len(self._parts.rounds)
        seconds = sum(self._mirroring(one) for one in pair)
        if len(pair) > 1:
            inputs, images = sum(self._values(one) for one in pair), len(self._parts.rounds[0].train)
            # the second head learns from the mirror images too
            seconds += self._solved(rounds, inputs, images) + self._solved(rounds, inputs, 2 * images)
        return seconds

    def _dearest(self, networks: Sequence[Network]) -> list[Network]:
        """Return the frozen networks, two at most, whose mirror images take longest; none where nothing is combined."""
        frozen = [one for one in networks if one.name in self._mirrored]
        return sorted(frozen, key=self._mirroring, reverse=True)[:2]

    def _mirroring(self, network: Network) -> float:
        """Return the seconds of a network's missing mirror images; nothing for one that fails."""
        missing = self._mirrored[network.name]
        _, each = attempt(lambda: self._trunk(network, missing) + self._decoding) if missing else (None, 0.0)
        return missing * (each or 0.0)

    def _images_to_compute(self, network: Network) -> int:
        """Return how many images and changed copies are still to be computed, or for pixels to be decoded."""
        if network.learner == WHOLE:
            return len(self._everything)
        learned = [self._everything[row] for row in self._parts.train]
        copies = sum(self._not_cached(network, view, learned) for view in network.views)
        return self._not_cached(network, ORIGINAL, self._everything) + copies

    @cached_property
    def _everything(self) -> list[str]:
        """The keys of all images."""
        return [row.sha256 for row in self._parts.rows]

    def _not_cached(self, network: Network, view: str, keys: Sequence[str]) -> int:
        """Return how many images have no features under a network yet, seen as they are or in a changed copy."""
        return self._place.cache.missing(network.space(self._plan.engine, self._plan.recipe.precision, view), keys)

    @cached_property
    def _decoding(self) -> float:
        """Seconds per image on all cores."""
        size, rows = self._plan.networks[0].size, self._parts.rows
        count = max(1, min(SAMPLE_IMAGES, len(rows) // SPARE))
        sample = rows[:: max(1, len(rows) // count)]
        work = partial(_for_each, lambda row: decode.load(self._plan.encoded(row), size), sample)
        return _timed(work) / len(sample) / core_count()

    def _trunk(self, network: Network, missing: int) -> float:
        """Return seconds per image of a trunk whose workers keep all cores busy; it is measured once."""
        if network.name not in self._trunk_seconds:
            trunk = self._workshop.trunk(network)
            images = max(1, min(trunk.batch_size, missing // (2 * SPARE)))
            pixels = np.zeros((images, network.size.height, network.size.width, 3), np.uint8)
            trunk.run(pixels)
            self._trunk_seconds[network.name] = _timed(partial(trunk.run, pixels)) / images / trunk.workers
        return self._trunk_seconds[network.name]

    def _values(self, network: Network) -> int:
        """Return how many values the trunk gives for an image."""
        if network.learner == HEADS and network.pooling != "flatten":
            return network.backbone.channels
        pixels = np.zeros((1, network.size.height, network.size.width, 3), np.uint8)
        _, features = attempt(lambda: self._workshop.trunk(network).run(pixels))
        return 0 if features is None else features.size

    def _heads(self, network: Network) -> float:
        jobs = self._jobs(network)
        if self._place.jobs.finished(heads_unit("rounds", network, jobs)):
            return 0.0
        solved = [job for job in jobs if job.head.output == "logistic"]
        trained = [job for job in jobs if job.head.output != "logistic"]
        seconds = self._solved(len(solved), self._values(network), self._rows(network))
        return seconds + (self._trained(network, trained) if trained else 0.0)

    def _solved(self, jobs: int, inputs: int, images: int) -> float:
        """Return the seconds of logistic heads: axes, and products of all training images with some folds' weights."""
        if not jobs:
            return 0.0
        random = np.random.default_rng(0)
        rows = random.random((min(SAMPLE_ROWS, images), inputs), np.float32)
        weights = random.random((inputs, SIDE_BY_SIDE * self._classes), np.float32)
        # there and back, the second time without what the first brings with it
        product = min(_timed(lambda: rows @ weights) for _ in range(2))
        rounds, few = len(self._parts.rounds), images < inputs
        every = jobs + (jobs / rounds if rounds else 0)
        small = np.cov(random.random((AXES_MEASURED, AXES_MEASURED), np.float32)).astype(np.float32)
        axes = _timed(partial(np.linalg.eigh, small)) * (min(images, inputs) / AXES_MEASURED) ** 3
        # of few images every head has axes of its own, else the network's serve all
        axes *= every / core_count() if few else 1
        return axes + 2 * PASSES * product * images / len(rows) * every / core_count()

    def _trained(self, network: Network, jobs: Sequence[Job]) -> float:
        """Train the heads on random features: once, then what two more epochs cost."""
        random, inputs = np.random.default_rng(0), self._values(network)
        features = random.random((SAMPLE_ROWS, inputs), np.float32)
        labels = random.integers(0, self._classes, SAMPLE_ROWS)

        def bank_seconds(epochs: int) -> float:
            sample = [dataclasses.replace(_cut_down(job), epochs=epochs) for job in jobs]
            work = partial(train_bank, features, labels, sample, classes=self._classes, measure=self._plan.measure)
            return _timed(work)

        first, all_three = bank_seconds(1), bank_seconds(3)
        longer = self._rows(network) / len(_cut_down(jobs[0]).train)
        epochs = sum(job.epochs for job in jobs) + max(job.epochs for job in jobs)
        return first + max(0.0, all_three - first) / 2 * longer * epochs / len(jobs)

    def tuned(self, network: Network) -> float:
        """Train each phase of the first candidate for some steps: what they cost, and all steps of all candidates."""
        jobs = [job for job in self._jobs(network) if not self._place.jobs.finished(tuned_unit("rounds", network, job))]
        if not jobs:
            return 0.0
        first, finals = jobs[0], max(jobs, key=lambda job: job.epochs)
        steps = -(-self._rows(network) // first.batch_size)
        seconds = 0.0
        for epochs, settings in _phases(first.settings):
            compiling, step = self._step_seconds(network, dataclasses.replace(first, settings=settings, epochs=1))
            trainings = sum(job.epochs for job in (*jobs, finals)) / first.epochs
            # what a frozen part gives is computed once, and the head alone is next to nothing
            passes = 1 if settings.trainable == "none" and not first.fresh else epochs
            seconds += compiling + trainings * passes * steps * step
        return seconds

    def _step_seconds(self, network: Network, job: Job) -> tuple[float, float]:
        """Return the seconds until the first step, and those of a step, by training a few random images."""
        random, most = np.random.default_rng(0), LONG * job.batch_size
        if network.learner == TAIL:
            images = random.random((most, self._values(network)), np.float32)
        else:
            images = random.integers(0, 256, (most, network.size.height, network.size.width, 3), np.uint8)
        labels = np.arange(most) % self._classes
        tuner = self._workshop.tuner(network)

        def fit_seconds(batches: int) -> float:
            rows = np.arange(batches * job.batch_size)
            settings = dataclasses.replace(job.settings, average=0.0)
            sample = dataclasses.replace(job, settings=settings, train=rows, validation=rows[:1], watch=None)
            return _timed(lambda: tuner.fit(images, labels, sample, measure=self._plan.measure))

        compiling, short, long = fit_seconds(SHORT), fit_seconds(SHORT), fit_seconds(LONG)
        return compiling, max(0.0, long - short) / (LONG - SHORT)

    def _rows(self, network: Network) -> int:
        """Return how many images and copies a round trains on."""
        return len(self._parts.rounds[0].train) * (1 + len(network.views))

    def _jobs(self, network: Network) -> list[Job]:
        return round_jobs(network.candidates, self._parts.rounds, self._plan.recipe.protocol)


def _phases(settings: recipe.Training) -> Iterator[tuple[int, recipe.Training]]:
    """Yield the epochs of every phase, and settings of that phase alone."""
    yield settings.epochs, dataclasses.replace(settings, phases=())
    for phase in settings.phases:
        yield (
            phase.epochs,
            dataclasses.replace(
                settings,
                trainable=phase.trainable,
                batch_normalization=phase.batch_normalization,
                phases=(),
            ),
        )


def _cut_down(job: Job) -> Job:
    """Return a job for one epoch on ``SAMPLE_ROWS`` rows, a fifth of which validate."""
    border = SAMPLE_ROWS * 4 // 5
    rows = np.arange(border), np.arange(border, SAMPLE_ROWS)
    return dataclasses.replace(job, train=rows[0], validation=rows[1], watch=rows[1], epochs=1)


def _for_each(work: Callable[[ImageRow], object], rows: Sequence[ImageRow]) -> None:
    for row in rows:
        work(row)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
