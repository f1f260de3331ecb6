"""Changed copies of training images: where they stand behind the originals, and how they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.data import augment
from headstart.features.arrays import new_array
from headstart.study.parts import Parts, Rows

Pixels = NDArray[np.uint8]

# Images whose copies are made together.
AT_ONCE = 256


class Copies:
    """The rows of an array that holds all images first, then every training image once more per view.

    Args:
        views: the operations of each view; may be empty.
    """

    def __init__(self, parts: Parts, views: Sequence[str], seed: int) -> None:
        self.views, self.source = tuple(views), parts.train
        self._parts, self._seed = parts, seed
        self._place = np.full(len(parts.rows), -1, np.int64)
        self._place[parts.train] = np.arange(len(parts.train))

    def expanded(self, rows: Rows) -> Rows:
        """Return rows of training images, followed by those of all their copies."""
        return np.concatenate([rows, *(self._first(view) + self._place[rows] for view in range(len(self.views)))])

    def groups(self, rows: Rows) -> Rows | None:
        """Return the number of each image's group ``(rows,)``; None where every image is alone."""
        names = [self._parts.rows[row].group or self._parts.rows[row].sha256 for row in rows]
        return None if len(set(names)) == len(names) else np.unique(names, return_inverse=True)[1]

    def held_back(self, rows: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
        """Return rows of training images without, and only, about a share of every class; groups stay together.

        A class of which nothing would be left gives nothing.
        """
        images = [self._parts.rows[row] for row in rows]
        groups = np.unique([image.group or image.sha256 for image in images], return_inverse=True)[1]
        order = np.random.default_rng(seed).permutation(groups.max() + 1)[groups]
        labels = self._parts.labels[rows]
        chosen = np.zeros(len(order), bool)
        for label in np.unique(labels):
            mine = np.flatnonzero(labels == label)
            groups_of_class = np.unique(order[mine])
            count = min(max(1, round(share * len(groups_of_class))), len(groups_of_class) - 1)
            chosen |= np.isin(order, groups_of_class[:count])
        emptied = chosen & ~np.isin(labels, labels[~chosen])
        chosen &= ~np.isin(order, order[emptied])
        return rows[~chosen], rows[chosen]

    @property
    def labels(self) -> Rows:
        """The class index of every row, copies included."""
        labels = self._parts.labels
        return np.concatenate([labels, *(labels[self.source] for _ in self.views)])

    def with_pixels(self, pixels: Pixels) -> Pixels:
        """Return pixels ``(images, height, width, 3)`` followed by those of all copies, as the rows say."""
        if not self.views:
            return pixels
        whole: Pixels = new_array((len(self.labels), *pixels.shape[1:]), np.uint8)
        whole[: len(pixels)] = pixels
        for number, view in enumerate(self.views):
            change, first = self.change(view), self._first(number)
            for start in range(0, len(self.source), AT_ONCE):
                positions = self.source[start : start + AT_ONCE]
                place = first + start
                whole[place : place + len(positions)] = change(pixels[positions], positions.tolist())
        return whole

    def _first(self, view: int) -> int:
        return len(self._parts.rows) + view * len(self.source)

    def change(self, view: str) -> Callable[[Pixels, Sequence[int]], Pixels]:
        """Return what turns pixels ``(n, height, width, 3)`` of images at given positions into their copies."""

        def changed(pixels: Pixels, positions: Sequence[int]) -> Pixels:
            keys = [self._parts.rows[position].sha256 for position in positions]
            return np.stack(
                [augment.fixed_view(one, view, key, self._seed) for one, key in zip(pixels, keys, strict=True)]
            )

        return changed
