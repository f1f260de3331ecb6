"""How far a training has come, and its form in a checkpoint."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.training.heads import EpochRow
from headstart.training.stopping import BestEpoch

Arrays = list[NDArray[Any]]


class Checkpoint(Protocol):
    """Where the half-done state of one training is kept."""

    def load(self) -> bytes | None:
        """Return what was saved last, or None."""
        ...

    def save(self, content: bytes) -> None:
        """Replace what was saved."""
        ...


@dataclass(slots=True)
class Course:
    """How far a training has come: its history, the weights of the best epoch, and the sum of those to be averaged."""

    history: list[EpochRow]
    best: BestEpoch
    weights: Arrays
    sums: Arrays = field(default_factory=list)
    summed: int = 0

    def add(self, weights: Arrays) -> None:
        """Let weights count in the average."""
        doubles = [values.astype(np.float64) for values in weights]
        self.sums = [total + values for total, values in zip(self.sums, doubles, strict=True)] if self.sums else doubles
        self.summed += 1

    def ended(self, epochs: int) -> bool:
        """Tell whether all epochs are done, or patience has run out."""
        return len(self.history) == epochs or self.best.stopped


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A course, and the variables of that moment in named groups."""

    course: Course
    groups: Mapping[str, Arrays]


def pack(key: str, snapshot: Snapshot) -> bytes:
    """Return the state after an epoch as npz bytes: arrays ``<group>/<number>`` and JSON."""
    groups = {**snapshot.groups, "best": snapshot.course.weights, "sums": snapshot.course.sums}
    arrays = {f"{name}/{number}": values for name, group in groups.items() for number, values in enumerate(group)}
    plain = {
        "key": key,
        "sizes": {name: len(group) for name, group in groups.items()},
        "history": [dataclasses.asdict(row) for row in snapshot.course.history],
        "best": dataclasses.asdict(snapshot.course.best),
        "summed": snapshot.course.summed,
    }
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    np.savez(stream, json=text, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def unpack(key: str, content: bytes | None) -> Snapshot | None:
    """Return what ``pack`` packed under this key, or None."""
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        plain = json.loads(arrays["json"].tobytes())
        if plain["key"] != key:
            return None
        sizes = plain["sizes"]
        groups = {name: [arrays[f"{name}/{number}"] for number in range(size)] for name, size in sizes.items()}
    history = storage.from_plain(tuple[EpochRow, ...], plain["history"])
    course = Course(list(history), BestEpoch(**plain["best"]), groups.pop("best"), groups.pop("sums"), plain["summed"])
    return Snapshot(course, groups)
