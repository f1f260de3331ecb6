"""The images that take part, as positions 0..n-1: labels, and who trains, validates and is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.data.images import ImageRow
from headstart.data.split import Round, Splits

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Positions among the images that take part (rows of the table that are not excluded).

    ``labels`` are class indices ``(images,)``; ``train``, ``validation``, ``test`` and the parts of every round are
    positions.
    """

    rows: tuple[ImageRow, ...]
    labels: Rows
    train: Rows
    validation: Rows
    test: Rows
    rounds: tuple[Round, ...]

    @property
    def learned(self) -> tuple[str, ...]:
        """``ImageRow.sha256`` of the images that train the final classifier, and of those whose labels choose it."""
        return tuple(self.rows[position].sha256 for position in (*self.train, *self.validation))

    def paths(self, positions: Rows) -> tuple[str, ...]:
        """Return the paths of the images at the given positions."""
        return tuple(self.rows[position].path for position in positions)


def make_parts(splits: Splits, classes: Sequence[str]) -> Parts:
    """Return the parts of a study from its splits, whose indices count excluded images too."""
    taking_part = [index for index, row in enumerate(splits.rows) if row.split != "excluded"]
    position = np.full(len(splits.rows), -1, np.int64)
    position[taking_part] = np.arange(len(taking_part))
    number = {name: index for index, name in enumerate(classes)}
    rows = [splits.rows[index] for index in taking_part]
    return Parts(
        rows=tuple(rows),
        labels=np.array([number[row.label] for row in rows], np.int64),
        train=position[splits.train],
        validation=position[splits.validation],
        test=position[splits.test],
        rounds=tuple(
            Round(one.repeat, one.fold, position[one.train], position[one.validation]) for one in splits.rounds
        ),
    )
