"""How long a study will take and what it will fill on disk, from a short measurement of its own parts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from headstart.data import decode
from headstart.data.images import ImageRow
from headstart.machine import core_count
from headstart.study.judge import round_jobs
from headstart.study.learners import Goal, WholeLearner, heads_unit, whole_unit
from headstart.study.parts import Parts
from headstart.study.plan import Network, Plan
from headstart.study.prepare import TrunkStore, attempt, build_network
from headstart.study.workplace import Workplace
from headstart.training.bank import train_bank
from headstart.training.heads import Job

SAMPLE_IMAGES = 16
SAMPLE_ROWS = 256
BYTES_PER_VALUE = 4


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds of features and training, and bytes of features that the cache will gain."""

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


def forecast(plan: Plan, parts: Parts, trunks: TrunkStore, place: Workplace) -> Forecast:
    """Measure decoding, each trunk and each kind of training on a few images, and scale up what is still to do.

    A network that fails here counts for nothing; the study will meet the failure and report it.
    """
    return _Measurement(plan, parts, trunks, place).forecast()


class _Measurement:
    """Short measurements of the parts of one study."""

    def __init__(self, plan: Plan, parts: Parts, trunks: TrunkStore, place: Workplace) -> None:
        self._plan, self._parts, self._trunks, self._place = plan, parts, trunks, place
        keys = [row.sha256 for row in parts.rows]
        self._missing = {network.name: self._to_decode(network, keys) for network in plan.networks}

    def forecast(self) -> Forecast:
        networks, missing = self._plan.networks, self._missing
        seconds = 0.0
        with self._place.progress.track("Measuring for the forecast", total=len(networks), unit="networks") as advance:
            for network in networks:
                measure = self._frozen if network.trainable == "none" else self._whole
                _, needed = attempt(partial(measure, network))
                seconds += needed or 0.0
                advance(1)
        if any(missing.values()):
            seconds += max(missing.values()) * self._decoding()
        frozen = [network for network in networks if network.trainable == "none"]
        size = sum(missing[network.name] * network.backbone.channels for network in frozen) * BYTES_PER_VALUE
        return Forecast(seconds, size)

    def _to_decode(self, network: Network, keys: Sequence[str]) -> int:
        """Return how many images are still to be decoded for a network."""
        if network.trainable == "none":
            space = network.space(self._plan.engine, self._plan.recipe.precision)
            return self._place.cache.missing(space, keys)
        return len(keys)

    def _decoding(self) -> float:
        """Return seconds per image on all cores."""
        size, rows = self._plan.networks[0].size, self._parts.rows
        sample = rows[:: max(1, len(rows) // SAMPLE_IMAGES)]
        work = partial(_for_each, lambda row: decode.load(self._plan.encoded(row), size), sample)
        return _timed(work) / len(sample) / core_count()

    def _frozen(self, network: Network) -> float:
        missing = self._missing[network.name]
        jobs = self._jobs(network)
        seconds = missing * self._trunk(network) if missing else 0.0
        if self._place.jobs.finished(heads_unit("rounds", network, jobs)):
            return seconds
        return seconds + self._bank(network, jobs)

    def _trunk(self, network: Network) -> float:
        """Return seconds per image of a trunk whose workers keep all cores busy."""
        trunk = self._trunks.get(network)
        pixels = np.zeros((trunk.batch_size, network.size.height, network.size.width, 3), np.uint8)
        trunk.run(pixels)
        # the shortest of three: other work on the machine only ever adds
        return min(_timed(lambda: trunk.run(pixels)) for _ in range(3)) / trunk.batch_size / trunk.workers

    def _bank(self, network: Network, jobs: Sequence[Job]) -> float:
        """Train every head on a few random features: what two more epochs cost, scaled to rows and epochs."""
        random, goal = np.random.default_rng(0), self._goal()
        features = random.standard_normal((SAMPLE_ROWS, network.backbone.channels), np.float32)
        labels = self._labels(random)

        def bank_seconds(epochs: int) -> float:
            sample = [dataclasses.replace(_cut_down(job), epochs=epochs) for job in jobs]
            work = partial(train_bank, features, labels, sample, classes=goal.classes, monitor=goal.monitor)
            return _timed(work)

        first, all_three = bank_seconds(1), bank_seconds(3)
        return first + max(0.0, all_three - first) / 2 * self._whole_epochs(jobs) / len(jobs)

    def _whole(self, network: Network) -> float:
        """Train the whole network on a few random images: once to compile, then what two more epochs cost."""
        jobs = [job for job in self._jobs(network) if not self._place.jobs.finished(whole_unit("rounds", network, job))]
        if not jobs:
            return 0.0
        random, goal = np.random.default_rng(0), self._goal()
        pixels = random.integers(0, 256, (SAMPLE_ROWS, network.size.height, network.size.width, 3), np.uint8)
        labels = self._labels(random)
        tuner = WholeLearner(network, build_network(network), pixels, labels, goal).tuner
        once = _cut_down(jobs[0])

        def fit_seconds(epochs: int) -> float:
            job = dataclasses.replace(once, epochs=epochs)
            return _timed(lambda: tuner.fit(pixels, labels, job, monitor=goal.monitor))

        compiling, first, all_three = (fit_seconds(epochs) for epochs in (1, 1, 3))
        return compiling + max(0.0, all_three - first) / 2 * self._whole_epochs(jobs)

    def _whole_epochs(self, jobs: Sequence[Job]) -> float:
        """Return how many epochs of the sample the jobs' epochs are worth, with one final training more."""
        longer = len(self._parts.rounds[0].train) / len(_cut_down(jobs[0]).train)
        return longer * (sum(job.epochs for job in jobs) + max(job.epochs for job in jobs))

    def _jobs(self, network: Network) -> list[Job]:
        return round_jobs(network.candidates, self._parts.rounds, self._plan.recipe.protocol.seed)

    def _goal(self) -> Goal:
        return Goal(len(self._plan.table.classes), self._plan.recipe.protocol.monitor)

    def _labels(self, random: np.random.Generator) -> NDArray[np.int64]:
        return random.integers(0, len(self._plan.table.classes), SAMPLE_ROWS)


def _cut_down(job: Job) -> Job:
    """Return a job for one epoch on ``SAMPLE_ROWS`` rows, a fifth of which validate."""
    border = SAMPLE_ROWS * 4 // 5
    return dataclasses.replace(job, train=np.arange(border), validation=np.arange(border, SAMPLE_ROWS), epochs=1)


def _for_each(work: Callable[[ImageRow], object], rows: Sequence[ImageRow]) -> None:
    for row in rows:
        work(row)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
