"""The run folder: every file of a study, written and read in types. Nothing else knows the files' names."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from headstart import storage
from headstart.data.audit import Audit
from headstart.data.table import ImageRow
from headstart.errors import RunError
from headstart.evaluation.summary import SCHEMA_VERSION, Summary
from headstart.runs.doubts import read_doubts, with_actions
from headstart.runs.predictions import read_predictions, write_predictions
from headstart.runs.rows import (
    ORIGINAL,
    PHOTOGRAPH,
    CandidateTiming,
    DoubtRow,
    Environment,
    FeatureTiming,
    FoldRow,
    HistoryRow,
    LayerRow,
    LogEntry,
    MapRow,
    PictureRow,
    PredictionBlock,
    ResultRow,
    Timings,
)
from headstart.runs.tables import read_table, write_table

__all__ = [
    "ORIGINAL",
    "CandidateTiming",
    "DoubtRow",
    "Environment",
    "FeatureTiming",
    "FoldRow",
    "HistoryRow",
    "LayerRow",
    "LogEntry",
    "MapRow",
    "PictureRow",
    "PredictionBlock",
    "ResultRow",
    "RunFolder",
    "Timings",
]

STUDY = "study.toml"
ENVIRONMENT = "environment.json"
IMAGES = "images.csv"
FOLDS = "folds.csv"
AUDIT = "audit.json"
RESULTS = "results.csv"
HISTORY = "history.csv"
PREDICTIONS = "predictions.csv.gz"
SUMMARY = "summary.json"
TIMINGS = "timings.json"
DOUBTS = "doubts.csv"
MEDIA = "media"
PICTURES = "media/pictures.csv"
MAP = "map.csv"
MAP_PICTURES = "media/map.jpg"
LAYERS = "layers.csv"
JOBS = "jobs"
REPORT = "report.html"
CLASSIFIER = "classifier"
COMBINATION = "combination"
LOG = "log.jsonl"
IDENTITY = storage.RUN_MARKER
LOCK = ".lock"

FINAL = {"fold": "final"}

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one study below ``path``. Everything is written under a temporary name and renamed.

    Reading raises RunError when the folder is no run, the study is not finished, or a file is damaged or too new.
    """

    path: Path

    @property
    def jobs(self) -> Path:
        """Where finished units of work and checkpoints lie."""
        return self.path / JOBS

    @property
    def classifier(self) -> Path:
        """Where the classifier lies."""
        return self.path / CLASSIFIER

    @property
    def combination(self) -> Path:
        """Where earlier versions put the classifier of a recommended combination."""
        return self.path / COMBINATION

    @property
    def report(self) -> Path:
        """Where the page lies."""
        return self.path / REPORT

    @property
    def complete(self) -> bool:
        """Whether the study is finished: summary, report and classifier are there."""
        return all((self.path / name).exists() for name in (SUMMARY, REPORT, CLASSIFIER))

    @contextlib.contextmanager
    def claim(self, study_id: str, *, fresh: bool = False) -> Iterator[bool]:
        """Take the folder for a study while the block runs; yield whether that study is already finished here.

        ``fresh`` first removes what an earlier start of the same study has finished; the log stays.

        Raises:
            RunError: the folder holds something else, or another process works in it.
        """
        self._check_identity(study_id)
        with storage.exclusive_lock(self.path / LOCK) as free:
            if not free:
                raise RunError(f"Another headstart is working in {self.path}. Wait for it, or choose another --out.")
            if fresh:
                self._forget()
            storage.write_text(self.path / IDENTITY, study_id + "\n")
            yield self.complete

    def _check_identity(self, study_id: str) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file. --out needs a folder: choose another name.")
        if not self.path.is_dir() or all(entry.name == LOCK for entry in self.path.iterdir()):
            return
        identity = self.path / IDENTITY
        if not identity.exists():
            raise RunError(f"{self.path} is not empty and holds no run of headstart. Choose another --out.")
        if identity.read_text(encoding="utf-8").strip() != study_id:
            raise RunError(
                f"{self.path} holds another study (other images, settings, weights or version). "
                "Choose another --out, or remove that folder."
            )

    def _forget(self) -> None:
        for name in (SUMMARY, REPORT, MAP, LAYERS):
            (self.path / name).unlink(missing_ok=True)
        for name in (JOBS, CLASSIFIER, COMBINATION, MEDIA):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def write_study(self, text: str) -> None:
        """Write the recipe with every setting resolved, as TOML text."""
        storage.write_text(self.path / STUDY, text)

    def study(self) -> str:
        """Return the TOML text of the recipe."""
        return self._need(STUDY).read_text(encoding="utf-8")

    def write_environment(self, environment: Environment) -> None:
        """Write where the study runs."""
        storage.write_json(self.path / ENVIRONMENT, environment)

    def environment(self) -> Environment:
        """Return where the study ran."""
        return self._read_json(ENVIRONMENT, Environment)

    def write_images(self, rows: Iterable[ImageRow]) -> None:
        """Write the image table."""
        write_table(self.path / IMAGES, ImageRow, rows)

    def images(self) -> tuple[ImageRow, ...]:
        """Return the image table."""
        return read_table(self._need(IMAGES), ImageRow)

    def write_folds(self, rows: Iterable[FoldRow]) -> None:
        """Write which image validates in which fold."""
        write_table(self.path / FOLDS, FoldRow, rows)

    def folds(self) -> tuple[FoldRow, ...]:
        """Return which image validates in which fold."""
        return read_table(self._need(FOLDS), FoldRow)

    def write_audit(self, audit: Audit) -> None:
        """Write what should be known of the images."""
        storage.write_json(self.path / AUDIT, audit)

    def audit(self) -> Audit:
        """Return what should be known of the images."""
        return self._read_json(AUDIT, Audit)

    def write_results(self, rows: Iterable[ResultRow]) -> None:
        """Write one row per candidate, repeat and fold."""
        write_table(self.path / RESULTS, ResultRow, rows)

    def results(self) -> tuple[ResultRow, ...]:
        """Return one row per candidate, repeat and fold."""
        return read_table(self._need(RESULTS), ResultRow)

    def write_history(self, rows: Iterable[HistoryRow]) -> None:
        """Write one row per candidate, repeat, fold or final training, phase and epoch."""
        write_table(self.path / HISTORY, HistoryRow, rows, FINAL)

    def history(self) -> tuple[HistoryRow, ...]:
        """Return one row per candidate, repeat, fold or final training, phase and epoch."""
        return read_table(self._need(HISTORY), HistoryRow, FINAL)

    def write_predictions(self, blocks: Iterable[PredictionBlock], classes: Sequence[str]) -> None:
        """Write what candidates say of images; ``classes`` in the order of the columns."""
        write_predictions(self.path / PREDICTIONS, blocks, classes)

    def predictions(
        self, *, candidates: Collection[str] | None = None, parts: Collection[str] | None = None
    ) -> Iterator[PredictionBlock]:
        """Yield the blocks of the given candidates and parts (None: all), in the order in which they were written."""
        return read_predictions(self._need(PREDICTIONS), candidates=candidates, parts=parts)

    def write_summary(self, summary: Summary) -> None:
        """Write the summary."""
        storage.write_json(self.path / SUMMARY, summary)

    def summary(self) -> Summary:
        """Return the summary."""
        return self._read_json(SUMMARY, Summary)

    def write_timings(self, timings: Timings) -> None:
        """Write how long everything took."""
        storage.write_json(self.path / TIMINGS, timings)

    def timings(self) -> Timings:
        """Return how long everything took."""
        return self._read_json(TIMINGS, Timings)

    @property
    def doubts_file(self) -> Path:
        """Where the list of doubted labels lies, for people to edit."""
        return self.path / DOUBTS

    def write_doubts(self, rows: Iterable[DoubtRow]) -> None:
        """Write the images whose labels are doubted, most doubtful first; actions that people have written stay."""
        write_table(self.doubts_file, DoubtRow, with_actions(rows, self.doubts_file))

    def doubts(self) -> tuple[DoubtRow, ...]:
        """Return the images whose labels are doubted, as people have left the list; empty when there is none."""
        return self.doubts_and_suggestions()[0]

    def doubts_and_suggestions(self) -> tuple[tuple[DoubtRow, ...], dict[str, str]]:
        """Return ``doubts``, and path -> what the study suggested, whatever label people have written in its place."""
        return read_doubts(self.doubts_file)

    def write_pictures(self, pictures: Iterable[tuple[PictureRow, bytes | None]]) -> None:
        """Write small JPEG pictures and, last, their index; a row without one shows a photograph of another row."""
        rows = []
        for row, jpeg in pictures:
            if jpeg is not None:
                storage.write_bytes(self._picture(row), jpeg)
            rows.append(row)
        write_table(self.path / PICTURES, PictureRow, rows)

    def pictures(self) -> tuple[PictureRow, ...]:
        """Return the index of the small pictures; empty when none were written."""
        return read_table(self.path / PICTURES, PictureRow) if (self.path / PICTURES).exists() else ()

    def picture_bytes(self, row: PictureRow) -> bytes:
        """Return one small picture as JPEG."""
        return self._need(self._picture(row).relative_to(self.path).as_posix()).read_bytes()

    def write_map(self, rows: Iterable[MapRow], sheet: bytes | None = None) -> None:
        """Write where every image stands on the map, after the sheet of its pictures as JPEG."""
        if sheet is not None:
            storage.write_bytes(self.path / MAP_PICTURES, sheet)
        write_table(self.path / MAP, MapRow, rows)

    def map(self) -> tuple[MapRow, ...]:
        """Return where every image stands on the map; empty when none was made."""
        return read_table(self.path / MAP, MapRow) if (self.path / MAP).exists() else ()

    def map_sheet(self) -> bytes | None:
        """Return the sheet of map pictures as JPEG; None when there is none."""
        return (self.path / MAP_PICTURES).read_bytes() if (self.path / MAP_PICTURES).exists() else None

    def write_layers(self, rows: Iterable[LayerRow]) -> None:
        """Write the layers of the candidates."""
        write_table(self.path / LAYERS, LayerRow, rows)

    def layers(self) -> tuple[LayerRow, ...]:
        """Return the layers of the candidates; empty when an older headstart wrote the run."""
        return read_table(self.path / LAYERS, LayerRow) if (self.path / LAYERS).exists() else ()

    def _picture(self, row: PictureRow) -> Path:
        kind, number = (row.kind, row.number) if row.photograph is None else (PHOTOGRAPH, row.photograph)
        return self.path / MEDIA / f"{kind}-{number:05d}.jpg"

    def write_report(self, html: str) -> Path:
        """Write the page and return its path."""
        storage.write_text(self.report, html)
        return self.report

    def log(self, event: str, **details: Any) -> None:
        """Append what happened, with the time, as one line of JSON."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps(storage.to_plain({"time": now, "event": event, **details}))
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOG).open("a+b") as stream:
            torn = stream.tell() and stream.seek(stream.tell() - 1) >= 0 and stream.read() != b"\n"
            stream.write((b"\n" if torn else b"") + line.encode() + b"\n")

    def log_entries(self) -> tuple[LogEntry, ...]:
        """Return what happened so far; a line that a kill cut short, or that is damaged, is left out."""
        if not (self.path / LOG).exists():
            return ()
        entries = []
        for line in (self.path / LOG).read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                details = json.loads(line)
                entries.append(LogEntry(details.pop("time"), details.pop("event"), details))
        return tuple(entries)

    def _need(self, name: str) -> Path:
        path = self.path / name
        if path.exists():
            return path
        if not self.path.is_dir():
            raise RunError(f"There is no folder {self.path}. Give the folder that `headstart compare` wrote.")
        if not (self.path / STUDY).exists():
            raise RunError(f"{self.path} is no run of headstart. Give the folder that `headstart compare` wrote.")
        if not (self.path / SUMMARY).exists():
            raise RunError(f"The study in {self.path} is not finished. Give the same command again to go on.")
        raise RunError(f"{path} is missing. Copy the whole run folder, or run the study again with --fresh.")

    def _read_json(self, name: str, kind: type[Kind]) -> Kind:
        path = self._need(name)
        try:
            plain = json.loads(path.read_bytes())
            version = plain.get("schema_version", SCHEMA_VERSION)
            if version > SCHEMA_VERSION:
                raise RunError(
                    f"{path} has schema version {version}; this headstart reads up to {SCHEMA_VERSION}. "
                    "Install a newer headstart."
                )
            read: Kind = storage.from_plain(kind, plain)
        except (ValueError, TypeError, AttributeError) as error:
            raise RunError(f"{path} is damaged ({error}). Run the study again with --fresh.") from None
        return read
