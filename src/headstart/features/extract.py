"""From image files to features: what the cache lacks is decoded and computed once for all trunks that want it."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from headstart.data import decode
from headstart.data.decode import Resize
from headstart.features.cache import FeatureCache, Space
from headstart.features.trunk import Features, Pixels, Trunk
from headstart.machine import core_count
from headstart.progress import SILENT, Progress

# A shard is written when so many features are there: a kill loses at most this much work.
SHARD_IMAGES = 512
# Pixels beyond this go to a file.
MEMORY_BYTES = 2**30

Encoded = bytes | NDArray[np.uint8]


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


def _cancel(pending: set[Future[None]]) -> None:
    for future in pending:
        future.cancel()


class _ShardWriter:
    """Collects features of one space from several threads and writes them shard by shard."""

    def __init__(self, cache: FeatureCache, space: Space, keys: Sequence[str]) -> None:
        self._cache, self._space, self._keys = cache, space, keys
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Features]] = []
        self.features: Features | None = None
        self.seconds = 0.0

    def add(self, indices: Sequence[int], values: Features, seconds: float) -> None:
        """Take features that a trunk computed in so many seconds."""
        with self._lock:
            self.seconds += seconds
            if self.features is None:
                self.features = np.empty((len(self._keys), *values.shape[1:]), values.dtype)
            self.features[list(indices)] = values
            self._waiting += zip(indices, values, strict=True)
            if len(self._waiting) >= SHARD_IMAGES:
                self.flush()

    def flush(self) -> None:
        if self._waiting:
            indices, values = zip(*self._waiting, strict=True)
            self._waiting = []
            self._cache.write(self._space, [self._keys[index] for index in indices], np.stack(values))


@dataclass(frozen=True, slots=True)
class Request:
    """One space to fill and the trunk that fills it; the trunk is built only when something is missing."""

    space: Space
    build: Callable[[], Trunk]


def extract(
    images: ImageSet,
    requests: Sequence[Request],
    cache: FeatureCache,
    *,
    size: Resize,
    progress: Progress = SILENT,
) -> list[tuple[Features, Extraction]]:
    """Return the features of all images for every request, in order: from the cache, or computed and then cached.

    All requests share one input size, so each image is decoded and resized once for all of them.

    Returns:
        For every request the features ``(images, channels)`` float32 and how it went.
    """
    fillings = [_Filling(request, images, cache) for request in requests]
    missing = sorted(set().union(*(filling.missing for filling in fillings)))
    if missing:
        _fill(fillings, missing, images, size, progress)
    return [filling.result() for filling in fillings]


class _Filling:
    """One space while it is being filled."""

    def __init__(self, request: Request, images: ImageSet, cache: FeatureCache) -> None:
        features, found = cache.read(request.space, images.keys)
        first = {key: index for index, key in reversed(list(enumerate(images.keys)))}
        self.request = request
        self.missing = {first[images.keys[index]] for index in np.flatnonzero(~found)}
        self.cached = int(found.sum())
        self.seconds = 0.0
        self._first = [first[key] for key in images.keys]
        self._found = found
        self._writer = _ShardWriter(cache, request.space, images.keys)
        self._writer.features = None if features is None else features.astype(np.float32, copy=False)
        self._trunk: Trunk | None = None

    @property
    def trunk(self) -> Trunk:
        if self._trunk is None:
            self._trunk = self.request.build()
        return self._trunk

    def run(self, indices: Sequence[int], pixels: Pixels) -> None:
        wanted = [place for place, index in enumerate(indices) if index in self.missing]
        if wanted:
            chosen = pixels if len(wanted) == len(indices) else pixels[wanted]
            start = time.perf_counter()
            features = self.trunk.run(chosen)
            seconds = time.perf_counter() - start
            self._writer.add([indices[place] for place in wanted], features, seconds)

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
            features[row] = features[self._first[row]]
        return features, Extraction(len(self._found), self.cached, self.seconds)


def _fill(
    fillings: Sequence[_Filling], missing: Sequence[int], images: ImageSet, size: Resize, progress: Progress
) -> None:
    active = [filling for filling in fillings if filling.missing]
    trunks = [filling.trunk for filling in active]
    start = time.perf_counter()

    def load(index: int) -> Pixels:
        return decode.load(images.encoded(index), size)

    with progress.track("Computing features", total=len(missing), unit="images") as advance:

        def run(indices: Sequence[int], pixels: Pixels) -> None:
            for filling in active:
                filling.run(indices, pixels)
            advance(len(indices))

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

    Above ``MEMORY_BYTES`` they lie in a temporary file that is mapped into memory and vanishes with the array.
    """
    pixels = _pixel_array((len(images.keys), size.height, size.width, 3))

    def load(index: int) -> Pixels:
        return decode.load(images.encoded(index), size)

    with progress.track("Decoding images", total=len(images.keys), unit="images") as advance:

        def keep(indices: Sequence[int], values: Pixels) -> None:
            pixels[list(indices)] = values
            advance(len(indices))

        run_batches(range(len(images.keys)), load, keep, batch_size=64, workers=core_count())
    return pixels


def _pixel_array(shape: tuple[int, int, int, int]) -> Pixels:
    if math.prod(shape) <= MEMORY_BYTES:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile() as stream:
        return np.memmap(stream, np.uint8, "w+", shape=shape)
