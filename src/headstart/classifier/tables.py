"""Predictions as JSON, CSV and Parquet, written as they come."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import storage
from headstart.classifier.prediction import Prediction
from headstart.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    import pyarrow

COLUMNS = ("path", "predicted", "probability", "answer", "unknown_score", "error")
"""Before ``p:<class>`` in the classifier's order. ``predicted`` is the most probable class."""

ROW_GROUP = 8192
"""Rows that are in memory together while a Parquet file is written."""

PARQUET_START = b"PAR1"
"""The first bytes of every Parquet file."""

Row = tuple[str | float | None, ...]


def json_pieces(predictions: Iterable[Prediction], *, top: int | None = None) -> Iterator[str]:
    """Yield one JSON list, prediction by prediction, with the ``top`` (None: all) classes, the most probable first."""
    before = "["
    for prediction in predictions:
        text = storage.json_text(_plain(prediction, top)).replace("\n", "\n ")
        yield f"{before}\n {text}"
        before = ","
    yield "[]" if before == "[" else "\n]"


def json_lines(predictions: Iterable[Prediction], *, top: int | None = None) -> Iterator[str]:
    """Yield every prediction as a JSON object in a line of its own."""
    for prediction in predictions:
        yield json.dumps(storage.to_plain(_plain(prediction, top)), ensure_ascii=False, allow_nan=False) + "\n"


def csv_lines(predictions: Iterable[Prediction], classes: Sequence[str]) -> Iterator[str]:
    """Yield CSV line by line with ``COLUMNS`` and ``p:<class>``, their names first; what is not there is empty."""
    yield _csv_line(column_names(classes))
    for prediction in predictions:
        yield _csv_line(_cell(value) for value in _row(prediction, classes))


def column_names(classes: Sequence[str]) -> list[str]:
    """Return the names of all columns."""
    return [*COLUMNS, *(f"p:{name}" for name in classes)]


def check_parquet(path: Path) -> Any:
    """Return the package that writes Parquet, once ``path`` is free or an earlier Parquet file.

    Raises:
        UsageError: something else is there, such as one of the images.
        MissingExtraError: the package is not installed.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder. Name a file after --parquet.")
    if path.exists() and not _is_parquet(path):
        raise UsageError(f"{path} is there already and is no Parquet file. Name another file after --parquet.")
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error
    return pyarrow


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(PARQUET_START)) == PARQUET_START


def write_parquet(path: Path, predictions: Iterable[Prediction], classes: Sequence[str]) -> None:
    """Write predictions as a Parquet file, which appears once it is whole, with the columns of ``csv_lines``.

    Text is ``string``, numbers are ``double``; what is not there is null.

    Raises:
        UsageError: at ``path`` lies something that is no Parquet file.
        MissingExtraError: pyarrow is not installed.
    """
    arrow, rows = check_parquet(path), iter(predictions)
    schema = _schema(arrow, classes)
    with storage.atomic_file(path) as stream, arrow.parquet.ParquetWriter(stream, schema) as writer:
        while group := [_row(prediction, classes) for prediction in islice(rows, ROW_GROUP)]:
            columns = zip(*group, strict=True)
            arrays = [arrow.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _schema(arrow: Any, classes: Sequence[str]) -> pyarrow.Schema:
    texts = ("path", "predicted", "answer", "error")
    return arrow.schema([(n, arrow.string() if n in texts else arrow.float64()) for n in column_names(classes)])


def _row(prediction: Prediction, classes: Sequence[str]) -> Row:
    """Return the values of all columns."""
    of_class = {one.class_: one.probability for one in prediction.ranked}
    best = prediction.ranked[0] if prediction.ranked else None
    return (
        printable(prediction.path),
        best.class_ if best else None,
        best.probability if best else None,
        prediction.answer,
        prediction.unknown_score,
        prediction.error,
        *(of_class.get(name) for name in classes),
    )


def printable(path: str) -> str:
    """Return a path with what is no Unicode as ``\\udc..``: every output can take it."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(prediction: Prediction, top: int | None) -> Prediction:
    return dataclasses.replace(prediction, path=printable(prediction.path), ranked=prediction.ranked[:top])


def _cell(value: str | float | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.7g}"


def _csv_line(values: Iterable[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(values)
    return stream.getvalue()
