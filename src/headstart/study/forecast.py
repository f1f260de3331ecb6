"""How long a study will take and what it will fill on disk, from a short measurement of its own parts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from headstart.data import decode
from headstart.features.trunk import core_count
from headstart.study.judge import round_job
from headstart.study.learners import Goal, WholeLearner
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
    """Measure decoding, each trunk and each kind of training on a few images, and scale up.

    A network that fails here counts for nothing; the study will meet the failure and report it.
    """
    keys = [row.sha256 for row in parts.rows]
    seconds, size_bytes, decoded = 0.0, 0, 0
    with place.progress.track("Measuring for the forecast", total=len(plan.networks), unit="networks") as advance:
        for network in plan.networks:
            frozen = network.trainable == "none"
            space = network.space(place.engine, plan.recipe.precision)
            missing = place.cache.missing(space, keys) if frozen else len(keys)
            decoded = max(decoded, missing)
            size_bytes += missing * network.backbone.channels * BYTES_PER_VALUE if frozen else 0
            measure = _frozen_seconds if frozen else _whole_seconds
            _, needed = attempt(partial(measure, network, missing, plan, parts, trunks))
            seconds += needed or 0.0
            advance(1)
    seconds += decoded * _decode_seconds(plan, parts) if decoded else 0.0
    return Forecast(seconds, size_bytes)


def _frozen_seconds(network: Network, missing: int, plan: Plan, parts: Parts, trunks: TrunkStore) -> float:
    features = missing * _trunk_seconds(network, trunks) if missing else 0.0
    return features + _bank_seconds(network, plan, parts)


def _decode_seconds(plan: Plan, parts: Parts) -> float:
    size = plan.networks[0].size
    rows = parts.rows[:: max(1, len(parts.rows) // SAMPLE_IMAGES)]

    def work() -> None:
        for row in rows:
            decode.load(plan.table.encoded(row), size)

    return _timed(work) / len(rows) / core_count()


def _trunk_seconds(network: Network, trunks: TrunkStore) -> float:
    """Return seconds per image of a trunk whose workers keep all cores busy."""
    trunk = trunks.get(network)
    pixels = np.zeros((trunk.batch_size, network.size.height, network.size.width, 3), np.uint8)
    trunk.run(pixels)
    return _timed(lambda: trunk.run(pixels)) / trunk.batch_size / trunk.workers


def _bank_seconds(network: Network, plan: Plan, parts: Parts) -> float:
    """Train every head of the network for one epoch on a few random features, and scale to rows and epochs."""
    random = np.random.default_rng(0)
    features = random.standard_normal((SAMPLE_ROWS, network.backbone.channels), np.float32)
    labels = random.integers(0, len(plan.table.classes), SAMPLE_ROWS)
    jobs = _sample_jobs(network, plan, parts, SAMPLE_ROWS)
    goal = Goal(len(plan.table.classes), plan.recipe.protocol.monitor)
    one_epoch = _timed(lambda: train_bank(features, labels, jobs, classes=goal.classes, monitor=goal.monitor))
    return one_epoch * _epochs(network) * len(parts.rounds[0].train) / SAMPLE_ROWS


def _whole_seconds(network: Network, missing: int, plan: Plan, parts: Parts, trunks: TrunkStore) -> float:
    """Train the whole network on a few random images: once to compile, then what two more epochs cost."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (SAMPLE_ROWS, network.size.height, network.size.width, 3), np.uint8)
    labels = random.integers(0, len(plan.table.classes), SAMPLE_ROWS)
    goal = Goal(len(plan.table.classes), plan.recipe.protocol.monitor)
    tuner = WholeLearner(network, build_network(network), pixels, labels, goal).tuner
    once = _sample_jobs(network, plan, parts, SAMPLE_ROWS)[0]
    thrice = dataclasses.replace(once, epochs=3)

    def fit_seconds(job: Job) -> float:
        return _timed(lambda: tuner.fit(pixels, labels, job, monitor=goal.monitor))

    compiling, first, all_three = (fit_seconds(job) for job in (once, once, thrice))
    one_epoch = max(0.0, all_three - first) / 2
    fits = len(network.candidates) * len(parts.rounds) + 1
    return compiling + fits * _epochs(network) * one_epoch * len(parts.rounds[0].train) / len(once.train)


def _sample_jobs(network: Network, plan: Plan, parts: Parts, rows: int) -> list[Job]:
    """Return the network's jobs of every round, cut down to one epoch on the first ``rows`` rows."""
    train, validation = np.arange(rows * 4 // 5), np.arange(rows * 4 // 5, rows)
    jobs: Sequence[Job] = [
        round_job(candidate, one, plan.recipe.protocol.seed) for candidate in network.candidates for one in parts.rounds
    ]
    return [dataclasses.replace(job, train=train, validation=validation, epochs=1) for job in jobs]


def _epochs(network: Network) -> int:
    return max(candidate.epochs for candidate in network.candidates)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
