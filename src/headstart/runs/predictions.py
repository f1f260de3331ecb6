"""Predictions of all candidates as one compressed CSV: every image of every part, with probabilities and logits."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from headstart import storage
from headstart.errors import RunError
from headstart.runs.rows import PredictionBlock

COLUMNS = ("candidate", "part", "repeat", "fold", "path", "label", "predicted")
LEVEL = 3
SLICE_ROWS = 4096
# Nine significant digits bring back every float32 exactly, and keep the sum of a row within 1e-6 of 1.
NUMBER = "%.9g"


def write_predictions(path: Path, blocks: Iterable[PredictionBlock], classes: Sequence[str]) -> None:
    """Write blocks in their order; equal blocks make equal bytes."""
    header = [*COLUMNS, *(f"p:{name}" for name in classes), *(f"z:{name}" for name in classes)]
    with (
        storage.atomic_file(path) as stream,
        gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=stream, mtime=0) as packed,
    ):
        packed.write(f"{_line(header)}\n".encode())
        for block in blocks:
            for text in _texts(block, classes):
                packed.write(text.encode())


def _texts(block: PredictionBlock, classes: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a block, some thousand at a time."""
    start = _line([block.candidate, block.part, *("" if n is None else str(n) for n in (block.repeat, block.fold))])
    names = [_line([name]) for name in classes]
    template = ",".join([start.replace("%", "%%"), "%s", "%s", "%s", *[NUMBER] * (2 * len(classes))]) + "\n"
    for first in range(0, len(block.paths), SLICE_ROWS):
        part = slice(first, first + SLICE_ROWS)
        values = np.concatenate([block.probabilities[part], block.logits[part]], axis=1).tolist()
        predicted = block.probabilities[part].argmax(axis=1).tolist()
        rows = zip(block.paths[part], block.labels[part].tolist(), predicted, values, strict=True)
        yield "".join(template % (_line([path]), names[label], names[said], *row) for path, label, said, row in rows)


def _line(cells: Sequence[str]) -> str:
    """Return cells as one line of CSV, quoted where needed."""
    if not any(mark in cell for cell in cells for mark in ',"\r\n'):
        return ",".join(cells)
    stream = io.StringIO()
    csv.writer(stream, lineterminator="").writerow(cells)
    return stream.getvalue()


def read_predictions(
    path: Path, *, candidates: Collection[str] | None = None, parts: Collection[str] | None = None
) -> Iterator[PredictionBlock]:
    """Yield the blocks of the given candidates and parts (None: all), in the order in which they were written.

    Raises:
        RunError: the file is damaged.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream)
            classes = _classes(next(lines))
            wanted = (
                (row, line)
                for row, line in enumerate(lines)
                if (candidates is None or line[0] in candidates) and (parts is None or line[1] in parts)
            )
            for key, group in itertools.groupby(wanted, key=lambda numbered: tuple(numbered[1][:4])):
                numbered = list(group)
                yield _block(key, numbered[0][0], [line for _, line in numbered], classes)
    except (EOFError, OSError, ValueError, StopIteration, LookupError, csv.Error, zlib.error) as error:
        raise RunError(f"{path} is damaged ({error}). Run the study again with --fresh.") from None


def _classes(header: Sequence[str]) -> list[str]:
    names = header[len(COLUMNS) :]
    half = len(names) // 2
    if tuple(header[: len(COLUMNS)]) != COLUMNS or not half:
        raise ValueError("unknown columns")
    return [name.removeprefix("p:") for name in names[:half]]


def _block(key: tuple[str, ...], first: int, lines: list[list[str]], classes: Sequence[str]) -> PredictionBlock:
    candidate, part, repeat, fold = key
    index = {name: place for place, name in enumerate(classes)}
    values = np.array([line[len(COLUMNS) :] for line in lines], dtype=np.float64)
    return PredictionBlock(
        candidate=candidate,
        part=part,
        repeat=int(repeat) if repeat else None,
        fold=int(fold) if fold else None,
        paths=tuple(line[4] for line in lines),
        labels=np.array([index[line[5]] for line in lines], dtype=np.int64),
        probabilities=values[:, : len(classes)],
        logits=values[:, len(classes) :],
        first_row=first,
    )
