"""The head bank: every head of a study trains at once on cached features. Pure NumPy; the numbers are Keras'.

Heads that see the same batches (the learning rates of one fold) form a group and are computed side by side: a batch is
gathered once, and the first layer of all of them is one matrix product. Groups train on as many threads as there are
cores; what a group computes does not depend on how many.

The floor of an epoch of 25 linear heads (5 rates, 5 folds, 1,024 features, 5 classes, 2,350 rows, batches of 32), on
one core with 70 GFLOP/s: 1.2 GFLOP for logits and gradients (17 ms), 48 MB of rows gathered (3 ms), and 370 updates of
25,600 weights in ten passes that stay in the second-level cache (13 ms). Measured: 65 ms of one core, validation and
metrics included.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.choosing import ACCURACY, Measure
from headstart.machine import core_count
from headstart.progress import SILENT, Progress
from headstart.training.group import BankData, HeadGroup
from headstart.training.heads import Fit, Floats, Job, parameter_count
from headstart.training.logistic import fit_logistic

# Bounds what one group holds (about 30 bytes per weight), and lets large heads train on several threads.
GROUP_WEIGHTS = 2**19
# Bounds what all living groups hold; beyond it, as many live as there are threads.
LIVING_WEIGHTS = 2**22


def train_bank(
    features: Floats,
    labels: NDArray[np.integer[Any]],
    jobs: Sequence[Job],
    *,
    classes: int,
    measure: Measure = ACCURACY,
    axes: Floats | None = None,
    progress: Progress = SILENT,
) -> list[Fit]:
    """Train every job and return one fit per job, in order.

    A head that diverges (loss or weights not finite) harms no other: see ``Fit.best_epoch``. Logistic heads are solved
    on the same threads, one by one.

    Args:
        features: ``(images, inputs)`` float32; may be memory-mapped, it is never loaded whole.
        labels: class index of every image ``(images,)``, 0 to ``classes`` - 1.
        measure: what the epoch kept and early stopping go by, where a job has images to ``watch``.
        axes: of ``logistic.principal_axes``, for logistic heads; None: each one's own.

    Raises:
        ValueError: a job has no training rows, more than one phase, a backbone that trains or images that change; or
            there is no feature.
    """
    if features.ndim != 2 or not features.shape[1] or not all(len(job.train) for job in jobs):
        raise ValueError(f"features must be (images, inputs) and every job needs rows. Received: {features.shape}.")
    for job in jobs:
        if job.settings.trainable != "none" or job.settings.phases or job.fresh:
            raise ValueError(f"a head alone trains in one phase, on features that stay. Received: {job.settings}.")
    data = BankData(np.asarray(features), np.asarray(labels, np.int64), classes, measure, axes)
    unit = "heads" if all(job.head.output == "logistic" for job in jobs) else "epochs"
    with progress.track("Training heads", total=sum(job.epochs for job in jobs), unit=unit) as advance:
        fits = _train(data, _grouped(jobs, data), jobs, advance)
    return [fits[index] for index in range(len(jobs))]


def _grouped(jobs: Sequence[Job], data: BankData) -> list[list[int]]:
    """Return the numbers of the jobs of every group: they differ in rate, first weights and length alone.

    A logistic job is a group of its own.
    """
    groups: dict[Hashable, list[int]] = {}
    for index in sorted(range(len(jobs)), key=lambda number: jobs[number].key):
        key = index if jobs[index].head.output == "logistic" else _batches(jobs[index])
        groups.setdefault(key, []).append(index)
    parts = []
    for members in groups.values():
        weights = parameter_count(jobs[members[0]].head, inputs=data.inputs, classes=data.classes)
        size = max(1, GROUP_WEIGHTS // weights)
        parts += [members[start : start + size] for start in range(0, len(members), size)]
    return parts


def _batches(job: Job) -> Hashable:
    """Return what decides a job's batches and the rule of its updates, apart from the learning rate."""
    rows = (job.train.tobytes(), *(None if one is None else one.tobytes() for one in (job.validation, job.watch)))
    optimizer = dataclasses.replace(job.optimizer, learning_rate=0.0)
    settings = dataclasses.replace(job.settings, epochs=0, patience=0, optimizer=optimizer)
    length = job.settings.epochs if job.schedule.kind == "cosine" else None
    drops = any(layer.dropout for layer in job.head.dense_layers(0))
    return (rows, job.order_seed, settings, length, job.head, drops and job.dropout_seed)


class _Solution:
    """A logistic job in the place of a group: all its epochs are one."""

    def __init__(self, data: BankData, job: Job) -> None:
        self.fits: list[Fit] = []
        self.weights = parameter_count(job.head, inputs=data.inputs, classes=data.classes)
        self._data, self._job = data, job

    def run_epoch(self) -> int:
        """Solve the job. Return how many epochs need not be waited for any more."""
        data = self._data
        fit = fit_logistic(data.features, data.labels, self._job, classes=data.classes, axes=data.axes)
        self.fits = [fit]
        return self._job.epochs


Group = HeadGroup | _Solution


def _new_group(data: BankData, jobs: Sequence[Job]) -> Group:
    return _Solution(data, jobs[0]) if jobs[0].head.output == "logistic" else HeadGroup(data, jobs)


def _train(
    data: BankData, groups: Sequence[list[int]], jobs: Sequence[Job], advance: Callable[[int], None]
) -> dict[int, Fit]:
    """Train all groups, an epoch of one group at a time on each thread."""
    # before the limit, which holds for the libraries that are loaded: SciPy brings its own for logistic heads
    import scipy.optimize  # noqa: F401
    from threadpoolctl import threadpool_limits

    workers = max(1, min(core_count(), len(groups)))
    waiting, fits = deque(groups), dict[int, Fit]()
    living: dict[Future[int], tuple[list[int], Group]] = {}
    pool = ThreadPoolExecutor(workers)
    # Products this small are slower on two threads of the library than on one: the groups are the parallel part.
    with threadpool_limits(1, user_api="blas"):
        try:
            while waiting or living:
                while waiting and _room(living.values(), workers):
                    members = waiting.popleft()
                    group = _new_group(data, [jobs[index] for index in members])
                    living[pool.submit(group.run_epoch)] = (members, group)
                for future in wait(living, return_when=FIRST_COMPLETED).done:
                    members, group = living.pop(future)
                    advance(future.result())
                    if group.fits:
                        fits.update(zip(members, group.fits, strict=True))
                    else:
                        living[pool.submit(group.run_epoch)] = (members, group)
        finally:
            pool.shutdown(cancel_futures=True)
    return fits


def _room(living: Iterable[tuple[list[int], Group]], workers: int) -> bool:
    weights = [group.weights for _, group in living]
    return len(weights) < workers or sum(weights) < LIVING_WEIGHTS
