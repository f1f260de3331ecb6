"""Where a study works and with what."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from headstart import storage
from headstart.features.cache import FeatureCache
from headstart.features.trunk import Engine
from headstart.progress import Progress
from headstart.runs.folder import RunFolder
from headstart.study.jobs import Jobs
from headstart.study.plan import Plan


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent in each named stage of this start of the study."""

    stages: dict[str, float] = field(default_factory=dict)
    _start: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        yield
        self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - start

    @property
    def total(self) -> float:
        """Seconds since the stopwatch was made."""
        return time.perf_counter() - self._start


@dataclass(frozen=True, slots=True)
class Workplace:
    """Run folder, finished units, cache, engine, listener and stopwatch of a study; ``command`` repeats it."""

    folder: RunFolder
    jobs: Jobs
    cache: FeatureCache
    engine: Engine
    progress: Progress
    stopwatch: Stopwatch
    command: str


def open_workplace(
    folder: RunFolder, plan: Plan, progress: Progress, *, command: str, began: float | None = None
) -> Workplace:
    """Return the workplace of a plan in its run folder, with this machine's cache.

    Args:
        began: when the command began, by ``time.perf_counter``; None: now.
    """
    watch = Stopwatch() if began is None else Stopwatch(_start=began)
    jobs, cache = Jobs(folder.jobs, plan.study_id), FeatureCache(storage.cache_folder())
    return Workplace(folder, jobs, cache, plan.engine, progress, watch, command)
