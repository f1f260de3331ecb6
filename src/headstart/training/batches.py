"""Images in batches: the next one is made ready while Keras works on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from headstart.features.arrays import new_array
from headstart.training.heads import Floats, Rows

if TYPE_CHECKING:
    import keras

Inputs = NDArray[np.uint8] | NDArray[np.floating[Any]]
Prepared = TypeVar("Prepared")

JUDGED_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Images (pixels or features), the class index of each, and the rows that train, validate, and watch over epochs.

    ``watch`` is ``validation`` itself, or rows that are neither there nor in ``train``.
    """

    images: Inputs
    labels: NDArray[np.integer[Any]]
    train: Rows
    validation: Rows | None
    watch: Rows | None = None

    @property
    def rows(self) -> Rows:
        """All rows that are used: training, then validation, then those that watch alone."""
        alone = None if self.watch is self.validation else self.watch
        return np.concatenate([rows for rows in (self.train, self.validation, alone) if rows is not None])

    def with_features(self, features: Floats) -> Examples:
        """Return the same examples with features ``(rows, values)`` of ``rows``, and nothing else, as images."""
        places = np.arange(len(features))
        trained, validated = len(self.train), 0 if self.validation is None else len(self.validation)
        validation = None if self.validation is None else places[trained : trained + validated]
        watch = validation if self.watch is self.validation else places[trained + validated :]
        return Examples(features, self.labels[self.rows], places[:trained], validation, watch)


def run(model: keras.Model, images: Inputs, rows: Rows) -> Floats:
    """Return what a model gives ``(rows, values)`` for some images under its present weights."""
    outputs, done = new_array((len(rows), model.output_shape[-1]), np.float32), 0
    for values in ahead(in_batches(rows, JUDGED_AT_ONCE), lambda batch: take(images, batch)):
        outputs[done : done + len(values)] = model.predict_on_batch(values)
        done += len(values)
    return outputs


def ahead(batches: Sequence[Rows], prepare: Callable[[Rows], Prepared]) -> Iterator[Prepared]:
    """Yield every batch prepared; the next one is made ready in a thread while the caller works on this one."""
    with ThreadPoolExecutor(1) as thread:
        coming = [thread.submit(prepare, batch) for batch in batches[:1]]
        for batch in batches[1:]:
            ready = coming.pop().result()
            coming.append(thread.submit(prepare, batch))
            yield ready
        for last in coming:
            yield last.result()


def in_batches(rows: Rows, size: int) -> list[Rows]:
    """Cut rows into runs of ``size``; the last may be shorter."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def take(values: NDArray[Any], rows: Rows) -> NDArray[Any]:
    """Return some images' pixels (uint8) or features (float32, whatever precision they are kept in)."""
    found = np.asarray(values[rows])
    return found if found.dtype == np.uint8 else found.astype(np.float32, copy=False)
