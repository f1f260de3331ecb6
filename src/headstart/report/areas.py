"""What is drawn of every class: ROC curves and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.report.axes import look, percent_axis
from headstart.report.figures import MUTED, RULE, Entry, Panel
from headstart.report.numbers import ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLOURED = 5
MOST_TOLD = 12
ZOOM = 0.2
SIZE = (380, 320)
MOST_POINTS = 300
TOLERANCE = 2e-4
"""How far a thinned curve may lie from the full one: a quarter of a pixel, also where only the corner is shown."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassCurve:
    """The curve of one class in the unit square, and the area below it."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    area: float | None


def roc_panel(
    curves: Sequence[ClassCurve], coloured: Sequence[int], legend: tuple[Entry, ...], *, zoomed: bool
) -> Panel:
    """Return the ROC curves of all classes, each against the rest.

    Args:
        curves: those of every class that has one.
        coloured: positions of those that get a colour of their own; the rest is grey.
        legend: a line per class.
        zoomed: show the upper left corner only.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.0)
        _draw(axes, curves, coloured)
        if zoomed:
            axes.set_xlim(-0.01 * ZOOM, ZOOM)
            axes.set_ylim(1 - ZOOM, 1 + 0.03 * ZOOM)
        axes.set_xlabel("false positive rate: of the others, taken for it")

    name, title = ("roc-corner", "ROC curves, upper left corner") if zoomed else ("roc", "ROC curves")
    words = f"Area under the curve of each class: {_areas(curves)}."
    return Panel(name, title, words, "True positive rate: found, of the class", draw, legend, SIZE)


def precision_recall_panel(curves: Sequence[ClassCurve], coloured: Sequence[int], legend: tuple[Entry, ...]) -> Panel:
    """Return the precision-recall curves of all classes; arguments as those of ``roc_panel``."""

    def draw(axes: Axes) -> None:
        _draw(axes, curves, coloured)
        axes.set_xlabel("recall: found, of the class")

    words = f"Average precision of each class: {_areas(curves)}."
    axis = "Precision: rightly given, of those given"
    return Panel("precision-recall", "Precision-recall curves", words, axis, draw, legend, SIZE)


def _draw(axes: Axes, curves: Sequence[ClassCurve], coloured: Sequence[int]) -> None:
    for number, curve in enumerate(curves):
        if number not in coloured:
            axes.plot(curve.x, curve.y, color=MUTED, linewidth=0.8, alpha=0.6)
    for place, number in enumerate(coloured):
        axes.plot(curves[number].x, curves[number].y, color=look(place)[0])
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    percent_axis(axes)
    percent_axis(axes, horizontal=True)


def _areas(curves: Sequence[ClassCurve]) -> str:
    """Say every area, or of many classes the smallest ones and how many others there are."""
    known = [(curve.area, curve.name) for curve in curves if curve.area is not None]
    told = known if len(known) <= MOST_TOLD else sorted(known)[:MOST_TOLD]
    words = ", ".join(f"{name} {ratio(area)}" for area, name in told)
    others = len(known) - len(told)
    return f"{words}; {others} others have larger ones, up to {ratio(max(known)[0])}" if others else words


def coloured_curves(areas: Sequence[float | None]) -> list[int]:
    """Return the positions of the curves worth a colour: all of a few, else those with the smallest areas."""
    order = sorted(range(len(areas)), key=lambda number: (areas[number] is None, areas[number]))
    return sorted(order if len(areas) <= MOST_COLOURED + 1 else order[:MOST_COLOURED])


def thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the positions of the points that a drawing needs: fewer than 300, both ends among them.

    The line through them leaves no other point farther away than a tolerance, which grows only where the points would
    be too many (Ramer, Computer Graphics and Image Processing 1972; Douglas and Peucker, Cartographica 1973).
    """
    points, tolerance = np.column_stack([x, y]), TOLERANCE
    kept = _needed(points, tolerance)
    while len(kept) >= MOST_POINTS:
        tolerance *= 1.5
        kept = _needed(points, tolerance)
    return kept


def _needed(points: NDArray[np.float64], tolerance: float) -> NDArray[np.intp]:
    kept = np.zeros(len(points), dtype=bool)
    kept[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(points[first + 1 : last], points[first], points[last])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    return np.flatnonzero(kept)


def _distances(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far points lie from the straight line between two others."""
    along, away = end - start, points - start
    length = float(np.hypot(*along))
    if length == 0:
        return np.hypot(away[:, 0], away[:, 1])
    distances: NDArray[np.float64] = np.abs(away[:, 0] * along[1] - away[:, 1] * along[0]) / length
    return distances
