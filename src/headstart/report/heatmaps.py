"""Confusion matrices as figures: counts, shares of the true class, or shares of what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.report.figures import BOTTOM, INK, LEFT, PAPER, RIGHT, RIGHT_ANSWER, RULE, TOP, WRONG_ANSWER, Panel
from headstart.report.matrices import Part

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST_CELL, SMALLEST_CELL = 46.0, 9.0
SIDE = 640.0
"""What many classes share, in units; few classes take less, very many take more."""

LETTERS = 30
"""Longer class names lose their middle on an axis."""

LEAST_WRITTEN = 13.0
"""Numbers are written in cells that have so many units or more."""

COUNTS, OF_TRUE, OF_SAID = "counts", "shares", "shares-of-said"
KINDS = {COUNTS: "images", OF_TRUE: "percent of the true class", OF_SAID: "percent of what was said"}
"""What is written into the cells, and what that is called."""

FAINTEST, DEEPEST = 0.12, 0.72


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """What is drawn: shares of the rows, or of the columns, in 0..1 and the text of every cell that holds something."""

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    texts: tuple[tuple[str, ...], ...]
    cell: float


def matrix_panel(part: Part, classes: Sequence[str], kind: str) -> Panel:
    """Return a confusion matrix: rows are true classes, columns what the classifier said.

    Args:
        part: what was counted.
        classes: names in the order of rows and columns.
        kind: one of ``KINDS``.
    """
    totals = part.counts.sum(axis=0 if kind == OF_SAID else 1, keepdims=True)
    shares = np.divide(part.counts, totals, out=np.zeros(part.counts.shape), where=totals > 0)
    cell = min(LARGEST_CELL, max(SMALLEST_CELL, SIDE / len(classes)))
    written = (
        part.counts.tolist()
        if kind == COUNTS
        else [[_percent(share, cell) for share in row] for row in shares.tolist()]
    )
    texts = tuple(
        tuple(str(text) if count else "" for text, count in zip(row, counts, strict=True))
        for row, counts in zip(written, part.counts.tolist(), strict=True)
    )
    grid = Grid(tuple(map(shortened, classes)), shares, texts, cell)
    right, images = int(np.trace(part.counts)), int(part.counts.sum())
    side = round(cell * len(classes))
    return Panel(
        name=f"confusion-matrix-{part.name.replace('_', '-')}-{kind}",
        title=f"Confusion matrix, {part.title.lower()}, {KINDS[kind]}",
        words=f"{right} of {images} images are on the diagonal: rightly named.",
        axis="true class",
        draw=lambda axes: _draw(axes, grid, f"said ({KINDS[kind]})"),
        size=(LEFT + RIGHT + side, TOP + BOTTOM + side),
    )


def shortened(name: str) -> str:
    """Return a class name that an axis has room for."""
    end = LETTERS // 3
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1 - end].rstrip()}\u2026{name[-end:].lstrip()}"


def _percent(share: float, cell: float) -> str:
    """Return a share in percent; 100 only for exactly all."""
    places = 1 if cell >= 36 else 0
    text, least = f"{100 * share:.{places}f}", 10.0**-places
    if float(text) == 100:
        return "100" if share == 1 else f"{100 - least:.{places}f}"
    return f"<{least:g}" if float(text) == 0 else text


def _draw(axes: Axes, grid: Grid, name: str) -> None:
    from matplotlib.collections import PolyCollection

    count = len(grid.names)
    rows, columns = np.nonzero(grid.shares)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - 0.5
    squares = np.column_stack([columns, rows])[:, None] + corners
    colours = _colours(grid.shares[rows, columns], rows == columns)
    axes.add_collection(PolyCollection(list(squares), facecolors=colours, edgecolors=PAPER, linewidths=grid.cell / 24))
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(RULE)
    letters = min(10.0, max(5.0, 0.62 * grid.cell))
    turned = max(map(len, grid.names)) * 0.6 * letters > grid.cell
    axes.set_xticks(range(count), grid.names, rotation=90 if turned else 0, fontsize=letters)
    axes.set_yticks(range(count), grid.names, fontsize=letters)
    axes.tick_params(length=0)
    axes.set_xlabel(name)
    if grid.cell >= LEAST_WRITTEN:
        _write(axes, grid)


def _colours(shares: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return RGBA: green right, orange wrong; deeper with the root of the share, so that few mistakes are seen."""
    from matplotlib.colors import to_rgb

    colours = np.where(right[:, None], to_rgb(RIGHT_ANSWER), to_rgb(WRONG_ANSWER))
    strength = FAINTEST + (DEEPEST - FAINTEST) * np.sqrt(shares)
    white = np.ones(3)
    mixed: NDArray[np.float64] = white + strength[:, None] * (colours - white)
    return mixed


def _write(axes: Axes, grid: Grid) -> None:
    longest = max(len(text) for row in grid.texts for text in row)
    letters = min(10.0, grid.cell / (0.68 * max(2, longest)))
    for row, texts in enumerate(grid.texts):
        for column, text in enumerate(texts):
            if text:
                axes.text(column, row, text, ha="center", va="center_baseline", fontsize=letters, color=INK)
