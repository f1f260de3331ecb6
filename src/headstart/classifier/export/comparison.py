"""Running an exported file and the classifier on the same pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.classifier.bundle import Bundle
from headstart.classifier.export.pictures import Pictures
from headstart.data import decode
from headstart.data.decode import Resize
from headstart.errors import DataError, ImageError
from headstart.evaluation.calibration import calibrated
from headstart.features import graph
from headstart.features.trunk import OpenVinoTrunk
from headstart.machine import core_count
from headstart.progress import SILENT, Progress

Pixels = NDArray[np.uint8]
Doubles = NDArray[np.float64]

# So many pictures are decoded, then run: memory holds no more of them.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Runtime:
    """An exported file, opened by the program it is meant for.

    Attributes:
        engine: name and version of that program.
        any_size: whether it takes images of any size, or of the network's own only.
        run: pixels ``(n, height, width, 3)`` uint8 -> calibrated probabilities ``(n, classes)``.
    """

    engine: str
    any_size: bool
    run: Callable[[Pixels], NDArray[np.floating]]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What classifier and file say of the same pictures.

    Attributes:
        names: of the pictures that could be read.
        labels: their true classes; empty where unknown.
        expected, found: the classifier's and the file's probabilities ``(pictures, classes)``.
        unreadable: how many pictures could not be read.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    expected: Doubles
    found: Doubles
    unreadable: int


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A picture whole, and at the network's size, and what the classifier says of it."""

    whole: Pixels
    small: Pixels
    expected: Doubles


class Reference:
    """The classifier's own answers: its graph in float32, also where the study computed in bf16."""

    def __init__(self, bundle: Bundle) -> None:
        self.size: Resize = bundle.info.size
        self._temperature = bundle.info.temperature
        self._trunk = OpenVinoTrunk(bundle.graph(), precision="f32", output=graph.LOGITS)

    def run(self, pixels: Pixels) -> Doubles:
        """Return calibrated probabilities ``(n, classes)`` of pixels of the network's size."""
        return calibrated(self._trunk.run(pixels), self._temperature)


def compare(runtime: Runtime, reference: Reference, pictures: Pictures, *, progress: Progress = SILENT) -> Compared:
    """Run both on all pictures; those that cannot be read are left out.

    Raises:
        DataError: none can be read.
    """
    kept: list[int] = []
    expected, found = [], []
    with progress.track(f"Checking {pictures.name}", total=len(pictures.names), unit="images") as advance:
        for places, batch in _batches(pictures, reference):
            good = [one for one in batch if one is not None]
            if good:
                kept += [place for place, one in zip(places, batch, strict=True) if one is not None]
                expected += [one.expected for one in good]
                found.append(_run(runtime, good))
            advance(len(places))
    if not kept:
        raise DataError(f"No image of {pictures.name} can be read. Give --data images that can.")
    chosen = pictures.subset(kept)
    both = np.stack(expected), np.concatenate(found)
    return Compared(chosen.names, chosen.labels, *both, len(pictures.names) - len(kept))


def _run(runtime: Runtime, batch: list[_Read]) -> Doubles:
    if runtime.any_size:
        return np.concatenate([runtime.run(one.whole[np.newaxis]) for one in batch]).astype(np.float64)
    return np.asarray(runtime.run(np.stack([one.small for one in batch])), np.float64)


def _batches(pictures: Pictures, reference: Reference) -> Iterator[tuple[range, list[_Read | None]]]:
    def read(place: int) -> _Read | None:
        try:
            whole = decode.pixels(pictures.encoded(place))
            small = decode.load(whole, reference.size)
        except ImageError:
            return None
        return _Read(whole, small, reference.run(small[np.newaxis])[0])

    with ThreadPoolExecutor(core_count()) as pool:
        for start in range(0, len(pictures.names), _AT_ONCE):
            places = range(start, min(start + _AT_ONCE, len(pictures.names)))
            yield places, list(pool.map(read, places))


def pixels_of(pictures: Pictures, size: Resize) -> Iterator[Pixels]:
    """Yield each readable picture at the network's size, ``(1, height, width, 3)``."""
    for place in range(len(pictures.names)):
        try:
            yield decode.load(pictures.encoded(place), size)[np.newaxis]
        except ImageError:
            continue
