"""Finished units of work on disk: each has an id made from its inputs, and is found again when the study goes on."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.training.heads import Fit


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of one unit: fits in the order asked for, and the seconds it took when it was computed."""

    fits: tuple[Fit, ...]
    seconds: float


class Jobs:
    """The folder of finished units of one study.

    Args:
        folder: where the files lie.
        study_id: identity of data, recipe, weights and version; part of every unit's id.
    """

    def __init__(self, folder: Path, study_id: str) -> None:
        self._folder, self._study_id = folder, study_id

    def trained(self, unit: Sequence[object], compute: Callable[[], Sequence[Fit]]) -> Trained:
        """Return the fits of a unit: read when it was finished before, else computed and kept."""
        path = self._path(unit, ".npz")
        if path.exists():
            return _from_bytes(path.read_bytes())
        start = time.perf_counter()
        trained = Trained(tuple(compute()), time.perf_counter() - start)
        storage.write_bytes(path, _to_bytes(trained))
        self.checkpoint(unit).remove()
        return trained

    def checkpoint(self, unit: Sequence[object]) -> Checkpoint:
        """Return the store for the half-done state of a unit."""
        return Checkpoint(self._path(unit, ".checkpoint"))

    def _path(self, unit: Sequence[object], suffix: str) -> Path:
        return self._folder / (storage.digest_of([self._study_id, *unit])[:32] + suffix)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Half-done training in one file; replaced after every epoch."""

    path: Path

    def load(self) -> bytes | None:
        """Return what was saved last, or None."""
        return self.path.read_bytes() if self.path.exists() else None

    def save(self, content: bytes) -> None:
        """Replace what was saved."""
        storage.write_bytes(self.path, content)

    def remove(self) -> None:
        """Forget what was saved."""
        self.path.unlink(missing_ok=True)


def _to_bytes(trained: Trained) -> bytes:
    """Pack fits as an npz: arrays under ``<fit>/<field>/<number>``, everything else as JSON."""
    arrays: dict[str, NDArray[Any]] = {}
    for number, fit in enumerate(trained.fits):
        for name in ("weights", "backbone_weights"):
            arrays |= {f"{number}/{name}/{place}": array for place, array in enumerate(getattr(fit, name))}
        if fit.validation_logits is not None:
            arrays[f"{number}/validation_logits/0"] = fit.validation_logits
    plain = {"seconds": trained.seconds, "fits": [_plain_fields(fit) for fit in trained.fits]}
    arrays["json"] = np.frombuffer(json.dumps(storage.to_plain(plain)).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


ARRAY_FIELDS = ("weights", "backbone_weights", "validation_logits")


def _plain_fields(fit: Fit) -> dict[str, Any]:
    names = [name for name in fit.__dataclass_fields__ if name not in ARRAY_FIELDS]
    return {name: getattr(fit, name) for name in names}


def _from_bytes(content: bytes) -> Trained:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        plain = json.loads(arrays["json"].tobytes())
        fits = tuple(_fit(number, fields, arrays) for number, fields in enumerate(plain["fits"]))
    return Trained(fits, plain["seconds"])
