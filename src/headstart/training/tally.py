"""Keras' epoch metrics of many heads, added up batch by batch.

The loss is ``evaluation.metrics.cross_entropy``: as Keras' from probabilities, which one image cannot raise beyond all
others, so that candidates stand in the same order in validation and on the test images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.metrics import LEAST_LOSS, MOST_LOSS
from headstart.training.heads import EpochMetrics, Floats, top_k_size


class Tally:
    """Counts of one pass over one set of images, for ``heads`` heads side by side."""

    def __init__(self, heads: int, classes: int) -> None:
        self._k = top_k_size(classes)
        self._rows = 0
        self._loss = np.zeros(heads)
        self._right, self._confident, self._confident_right, self._among_first = np.zeros((4, heads), np.int64)

    def add(self, logits: Floats, labels: NDArray[np.integer[Any]]) -> None:
        """Count one batch: logits ``(images, heads, classes)``, labels ``(images,)``."""
        images, heads, classes = logits.shape
        # Classes first: reductions then run over long contiguous rows.
        columns = np.ascontiguousarray(logits.reshape(-1, classes).T)
        labels = np.repeat(labels, heads)
        own = columns[labels, np.arange(labels.size)]
        highest = columns.max(axis=0)
        total = np.exp(columns - highest).sum(axis=0)
        right = logits.reshape(-1, classes).argmax(axis=1) == labels
        confident = total < 2  # the highest probability is 1 / total: above one half

        def per_head(values: NDArray[Any]) -> NDArray[Any]:
            sums: NDArray[Any] = values.reshape(images, heads).sum(axis=0, dtype=self._loss.dtype)
            return sums

        self._rows += images
        self._loss += per_head(np.clip(np.log(total) + highest - own, LEAST_LOSS, MOST_LOSS))
        self._right += per_head(right).astype(np.int64)
        self._confident += per_head(confident).astype(np.int64)
        self._confident_right += per_head(confident & right).astype(np.int64)
        if self._k is not None:
            first = ((columns > own).sum(axis=0) < self._k) & np.isfinite(highest)
            self._among_first += per_head(first).astype(np.int64)

    def add_penalty(self, penalties: NDArray[Any], images: int) -> None:
        """Add each head's L2 penalty ``(heads,)`` to the loss of a batch of ``images`` images."""
        self._loss += images * penalties

    def metrics(self) -> list[EpochMetrics]:
        """Return one result per head."""
        return [
            EpochMetrics(
                # divided and not multiplied by 1 / rows, which makes 49 right of 49 less than 1
                loss=float(self._loss[head] / self._rows),
                accuracy=float(self._right[head] / self._rows),
                precision=float(self._confident_right[head] / max(1, self._confident[head])),
                recall=float(self._confident_right[head] / self._rows),
                top_k=None if self._k is None else float(self._among_first[head] / self._rows),
            )
            for head in range(len(self._loss))
        ]


def measure(logits: Floats, labels: NDArray[np.integer[Any]], *, penalty: float = 0.0) -> EpochMetrics:
    """Return the metrics of one head: logits ``(images, classes)``, labels ``(images,)``."""
    tally = Tally(1, logits.shape[1])
    tally.add(logits[:, None], labels)
    tally.add_penalty(np.array([penalty]), len(labels))
    return tally.metrics()[0]
