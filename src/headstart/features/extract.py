"""From image files to features: what the cache lacks is decoded and computed once for all trunks that want it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features.arrays import new_array
from headstart.features.cache import FeatureCache, Space
from headstart.features.trunk import Features, Pixels, Trunk
from headstart.machine import core_count
from headstart.progress import SILENT, Progress

# A shard is written when so many features, or bytes of them, are there: a kill loses at most this much work.
SHARD_IMAGES = 512
SHARD_BYTES = 60 * 10**6

# A batch that takes long holds up those after it once so many are done: enough for a few very large photographs.
BATCHES_AHEAD = 16

Item = TypeVar("Item")
Made = TypeVar("Made")
Encoded = bytes | NDArray[np.uint8]
View = Callable[[Pixels, Sequence[int]], Pixels]


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images to compute features of: their content's SHA-256 and how to get the encoded bytes (or pixels) of each."""

    keys: tuple[str, ...]
    encoded: Callable[[int], Encoded]


@dataclass(frozen=True, slots=True)
class Extraction:
    """How one space was filled: images in all, found in the cache, and seconds spent on the rest."""

    images: int
    cached: int
    seconds: float


def run_batches(
    indices: Sequence[int],
    load: Callable[[int], Pixels],
    run: Callable[[Sequence[int], Pixels], None],
    *,
    batch_size: int,
    workers: int,
) -> None:
    """Decode and compute batch by batch, ``workers`` at a time; each worker decodes its batch, then runs it.

    With as many workers as cores no core waits for another, and the time comes close to decoding plus computing, each
    spread over all cores. Memory holds ``2 * workers`` batches at most. The first error stops the rest.
    """

    def work(batch: Sequence[int]) -> None:
        run(batch, np.stack([load(index) for index in batch]))

    batches = iter([indices[at : at + batch_size] for at in range(0, len(indices), batch_size)])
    with ThreadPoolExecutor(workers) as pool:
        pending = {pool.submit(work, batch) for batch in islice(batches, 2 * workers)}
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                pending |= {pool.submit(work, batch) for batch in islice(batches, len(done))}
        except BaseException:
            _cancel(pending)
            raise


def in_batches(
    items: Iterable[Item], work: Callable[[Sequence[Item]], Made], *, batch_size: int, workers: int
) -> Generator[Made, None, None]:
    """Yield what ``work`` makes of batch after batch, in order, ``workers`` batches at a time.

    No more than ``BATCHES_AHEAD * workers`` batches are begun before their turn, whatever the caller does between them.
    The first error stops the rest, as does closing the generator.
    """
    there = iter(items)
    batches = iter(lambda: list(islice(there, batch_size)), [])
    with ThreadPoolExecutor(workers) as pool:
        pending = deque(pool.submit(work, batch) for batch in islice(batches, BATCHES_AHEAD * workers))
        try:
            while pending:
                made = pending.popleft().result()
                pending.extend(pool.submit(work, batch) for batch in islice(batches, 1))
                yield made
        finally:
            _cancel(pending)


def _cancel(pending: Iterable[Future[Any]]) -> None:
    for future in pending:
        future.cancel()


class _ShardWriter:
    """Collects features of one space from several threads and writes them shard by shard."""

    def __init__(self, cache: FeatureCache, space: Space, keys: Sequence[str]) -> None:
        self._cache, self._space, self._keys = cache, space, keys
        self._lock = threading.Lock()
        self._waiting: list[int] = []
        self.features: Features | None = None
        self.seconds = 0.0

    def add(self, rows: Sequence[int], values: Features, seconds: float) -> None:
        """Take features ``(rows, values)`` that a trunk computed in so many seconds; write each shard that is full."""
        with self._lock:
            self.seconds += seconds
            if self.features is None:
                self.features = new_array((len(self._keys), *values.shape[1:]), values.dtype)
            self.features[list(rows)] = values
            self._waiting += rows
            shards = self._full_shards(values[0].nbytes)
        # outside the lock: the other threads go on meanwhile
        for shard in shards:
            self._write(shard)

    def _full_shards(self, row_bytes: int) -> list[list[int]]:
        size = max(1, min(SHARD_IMAGES, SHARD_BYTES // row_bytes))
        full = len(self._waiting) // size * size
        shards = [self._waiting[at : at + size] for at in range(0, full, size)]
        self._waiting = self._waiting[full:]
        return shards

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting:
            self._write(self._waiting)
            self._waiting = []

    def _write(self, rows: Sequence[int]) -> None:
        assert self.features is not None, "only what was added is written"
        self._cache.write(self._space, [self._keys[row] for row in rows], self.features[list(rows)])


@dataclass(frozen=True, slots=True)
class Request:
    """One space to fill and the trunk that fills it; the trunk is built only when something is missing.

    Attributes:
        view: turns the pixels ``(n, height, width, 3)`` of some images and their positions in the image set into the
            pixels that the trunk sees; must be safe to call from several threads. Requests whose spaces bear the same
            view share its work, so the space's ``view`` must say all that decides it.
        rows: positions in the image set of the images that are wanted; None: all.
    """

    space: Space
    build: Callable[[], Trunk]
    view: View | None = None
    rows: Sequence[int] | None = None


def extract(
    images: ImageSet,
    requests: Sequence[Request],
    cache: FeatureCache,
    *,
    size: Resize,
    progress: Progress = SILENT,
) -> list[tuple[Features, Extraction]]:
    """Return the features for every request, in order: from the cache, or computed and then cached.

    All requests share one input size, so each image is decoded and resized once for all of them. Requests for the same
    rows of one space get one array; the first of them bears its cost.

    Returns:
        For every request the features ``(rows, values)`` float32, mapped from a file where they are too large for the
        memory, and how it went.
    """
    wanted = [(request.space, None if request.rows is None else tuple(request.rows)) for request in requests]
    firsts = [wanted.index(one) for one in wanted]
    fillings = {place: _Filling(requests[place], images, cache) for place in sorted(set(firsts))}
    missing = sorted(set().union(*(filling.missing for filling in fillings.values())))
    if missing:
        _fill(list(fillings.values()), missing, images, size, progress)
    results = {place: filling.result() for place, filling in fillings.items()}
    return [results[first] if first == place else _shared(results[first]) for place, first in enumerate(firsts)]


def _shared(result: tuple[Features, Extraction]) -> tuple[Features, Extraction]:
    features, extraction = result
    return features, Extraction(extraction.images, extraction.images, 0.0)


class _Filling:
    """One space while it is being filled.

    ``missing`` holds for every image that must be computed its position in the image set and its row in the result.
    """

    def __init__(self, request: Request, images: ImageSet, cache: FeatureCache) -> None:
        positions = range(len(images.keys)) if request.rows is None else request.rows
        keys = [images.keys[position] for position in positions]
        features, found = cache.read(request.space, keys)
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        self.request = request
        self.missing = {positions[row]: row for row in {first[keys[row]] for row in np.flatnonzero(~found)}}
        self.cached = int(found.sum())
        self.seconds = 0.0
        self._first = [first[key] for key in keys]
        self._found = found
        self._writer = _ShardWriter(cache, request.space, keys)
        self._writer.features = None if features is None else features.astype(np.float32, copy=False)
        self._trunk: Trunk | None = None

    @property
    def trunk(self) -> Trunk:
        if self._trunk is None:
            self._trunk = self.request.build()
        return self._trunk

    def run(self, positions: Sequence[int], pixels: Pixels) -> None:
        """Compute what is missing among some images, given the pixels of all of them."""
        wanted = [place for place, position in enumerate(positions) if position in self.missing]
        if wanted:
            start = time.perf_counter()
            features = self.trunk.run(pixels if len(wanted) == len(positions) else pixels[wanted])
            seconds = time.perf_counter() - start
            self._writer.add([self.missing[positions[place]] for place in wanted], features, seconds)

    @property
    def computing_seconds(self) -> float:
        """Seconds spent in the trunk, added up over all workers."""
        return self._writer.seconds

    def flush(self) -> None:
        self._writer.flush()

    def result(self) -> tuple[Features, Extraction]:
        features = self._writer.features
        assert features is not None, "an image set is never empty"
        for row in np.flatnonzero(~self._found):
            if self._first[row] != row:
                features[row] = features[self._first[row]]
        return features, Extraction(len(self._found), self.cached, self.seconds)


def _run_views(groups: Sequence[Sequence[_Filling]], positions: Sequence[int], pixels: Pixels) -> None:
    """Run all trunks on a batch; trunks that want the same view share its pixels."""
    for group in groups:
        view = group[0].request.view
        if view is None:
            for filling in group:
                filling.run(positions, pixels)
            continue
        wanted = [place for place, one in enumerate(positions) if any(one in filling.missing for filling in group)]
        if wanted:
            chosen = [positions[place] for place in wanted]
            changed = view(pixels[wanted], chosen)
            for filling in group:
                filling.run(chosen, changed)


def _by_view(fillings: Sequence[_Filling]) -> list[list[_Filling]]:
    groups: dict[tuple[bool, str], list[_Filling]] = {}
    for filling in fillings:
        request = filling.request
        groups.setdefault((request.view is None, request.space.view), []).append(filling)
    return list(groups.values())


def _fill(
    fillings: Sequence[_Filling], missing: Sequence[int], images: ImageSet, size: Resize, progress: Progress
) -> None:
    active = [filling for filling in fillings if filling.missing]
    trunks, groups = [filling.trunk for filling in active], _by_view(active)
    start = time.perf_counter()

    def load(position: int) -> Pixels:
        return decode.load(images.encoded(position), size)

    with progress.track("Computing features", total=len(missing), unit="images") as advance:

        def run(positions: Sequence[int], pixels: Pixels) -> None:
            _run_views(groups, positions, pixels)
            advance(len(positions))

        try:
            batch_size = max(trunk.batch_size for trunk in trunks)
            run_batches(missing, load, run, batch_size=batch_size, workers=max(trunk.workers for trunk in trunks))
        finally:
            for filling in active:
                filling.flush()
    # what all spent together, decoding included, is shared out by what each trunk computed
    elapsed, computed = time.perf_counter() - start, sum(filling.computing_seconds for filling in active)
    for filling in active:
        filling.seconds = elapsed * filling.computing_seconds / computed


def decode_all(images: ImageSet, size: Resize, *, progress: Progress = SILENT) -> Pixels:
    """Return the resized pixels ``(images, height, width, 3)`` of all images: what a whole network trains on.

    Too large for the memory, they are mapped from a temporary file (``features.arrays``).
    """
    pixels: Pixels = new_array((len(images.keys), size.height, size.width, 3), np.uint8)

    def load(index: int) -> Pixels:
        return decode.load(images.encoded(index), size)

    with progress.track("Decoding images", total=len(images.keys), unit="images") as advance:

        def keep(indices: Sequence[int], values: Pixels) -> None:
            pixels[list(indices)] = values
            advance(len(indices))

        run_batches(range(len(images.keys)), load, keep, batch_size=64, workers=core_count())
    return pixels
