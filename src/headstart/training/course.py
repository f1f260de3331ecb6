"""How far a training has come, and its form in a checkpoint."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    """How far a training has come: its history, and the weights of the best epoch."""

    history: list[EpochRow]
    best: BestEpoch
    weights: Arrays

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
    groups = {**snapshot.groups, "best": snapshot.course.weights}
    arrays = {f"{name}/{number}": values for name, group in groups.items() for number, values in enumerate(group)}
    plain = {
        "key": key,
        "sizes": {name: len(group) for name, group in groups.items()},
        "history": [dataclasses.asdict(row) for row in snapshot.course.history],
        "best": dataclasses.asdict(snapshot.course.best),
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
    return Snapshot(Course(list(history), BestEpoch(**plain["best"]), groups.pop("best")), groups)
