"""Finished units of work on disk: each has an id made from its inputs, and is found again when the study goes on."""

from __future__ import annotations

import dataclasses
import io
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import storage
from headstart.training.heads import EpochRow, Fit, Scores

DECISIONS = "decisions.json"


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
        finished = _read(path)
        if finished:
            return finished
        start = time.perf_counter()
        trained = Trained(tuple(compute()), time.perf_counter() - start)
        storage.write_bytes(path, _to_bytes(trained))
        self.checkpoint(unit).remove()
        return trained

    def finished(self, unit: Sequence[object]) -> bool:
        """Tell whether a unit was finished before."""
        return self._path(unit, ".npz").exists()

    def checkpoint(self, unit: Sequence[object]) -> Checkpoint:
        """Return the store for the half-done state of a unit."""
        return Checkpoint(self._path(unit, ".checkpoint"))

    def count_opening(self, finalists: Sequence[str]) -> int:
        """Remember that the test set was opened for these finalists, and return how many openings there were.

        Opening it again for the same finalists, after a kill, is no second opening.
        """
        path = self._folder / "openings.json"
        openings = json.loads(path.read_text("utf-8")) if path.exists() else []
        if list(finalists) not in openings:
            openings.append(list(finalists))
            storage.write_json(path, openings)
        return len(openings)

    def decided(self, question: str) -> int | None:
        """Return what an earlier start of this study decided, or None."""
        answer: int | None = self._decisions().get(question)
        return answer

    def decide(self, question: str, answer: int) -> None:
        """Remember a decision that hangs on how fast this machine was."""
        storage.write_json(self._folder / DECISIONS, self._decisions() | {question: answer})

    def _decisions(self) -> dict[str, int]:
        path = self._folder / DECISIONS
        found: dict[str, int] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found

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
    plain: dict[str, Any] = {"seconds": trained.seconds, "fits": []}
    for number, fit in enumerate(trained.fits):
        logits = () if fit.validation_logits is None else (fit.validation_logits,)
        fields = {"weights": fit.weights, "backbone_weights": fit.backbone_weights, "validation_logits": logits}
        for name, values in fields.items():
            arrays |= {f"{number}/{name}/{place:05d}": array for place, array in enumerate(values)}
        plain["fits"].append({f.name: getattr(fit, f.name) for f in dataclasses.fields(fit) if f.name not in fields})
    arrays["json"] = np.frombuffer(storage.json_text(plain).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _read(path: Path) -> Trained | None:
    """Return a finished unit, or None when there is none that can be read."""
    try:
        return _from_bytes(path.read_bytes())
    except (FileNotFoundError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _from_bytes(content: bytes) -> Trained:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        plain = json.loads(arrays["json"].tobytes())
        fits = tuple(_fit(number, fields, arrays) for number, fields in enumerate(plain["fits"]))
    return Trained(fits, plain["seconds"])


def _fit(number: int, fields: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Fit:
    def stored(name: str) -> tuple[NDArray[Any], ...]:
        return tuple(arrays[key] for key in sorted(arrays) if key.startswith(f"{number}/{name}/"))

    return Fit(
        key=fields["key"],
        history=storage.from_plain(tuple[EpochRow, ...], fields["history"]),
        best_epoch=fields["best_epoch"],
        weights=stored("weights"),
        validation_logits=next(iter(stored("validation_logits")), None),
        best=storage.from_plain(Scores, fields["best"]),
        last=storage.from_plain(Scores, fields["last"]),
        backbone_weights=stored("backbone_weights"),
        penalty=fields["penalty"],
    )
