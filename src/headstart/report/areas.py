"""What is drawn of every class: ROC curves and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.report.axes import look, percent_axis
from headstart.report.figures import MUTED, RULE, panel
from headstart.report.numbers import ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLOURED = 5
ZOOM = 0.2
SIZE = (380, 320)


@dataclass(frozen=True, slots=True, eq=False)
class ClassCurve:
    """The curve of one class in the unit square, and the area below it."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    area: float | None


def roc_panel(curves: Sequence[ClassCurve], coloured: Sequence[int], *, zoomed: bool) -> str:
    """Return the ROC curves of all classes, each against the rest.

    Args:
        curves: those of every class that has one.
        coloured: positions of those that get a colour of their own; the rest is grey.
        zoomed: show the upper left corner only.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.0)
        _draw(axes, curves, coloured)
        if zoomed:
            axes.set_xlim(-0.01 * ZOOM, ZOOM)
            axes.set_ylim(1 - ZOOM, 1 + 0.03 * ZOOM)
        axes.set_xlabel("false positive rate: of the others, taken for it")

    title = "ROC curves, upper left corner" if zoomed else "ROC curves"
    words = f"Area under the curve of each class: {_areas(curves)}."
    return panel(f"roc-{zoomed}", draw, title=title, description=words, size=SIZE)


def precision_recall_panel(curves: Sequence[ClassCurve], coloured: Sequence[int]) -> str:
    """Return the precision-recall curves of all classes; arguments as those of ``roc_panel``."""

    def draw(axes: Axes) -> None:
        _draw(axes, curves, coloured)
        axes.set_xlabel("recall: found, of the class")

    words = f"Average precision of each class: {_areas(curves)}."
    return panel("precision-recall", draw, title="Precision-recall curves", description=words, size=SIZE)


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
    return ", ".join(f"{curve.name} {ratio(curve.area)}" for curve in curves if curve.area is not None)


def coloured_curves(areas: Sequence[float | None]) -> list[int]:
    """Return the positions of the curves worth a colour: all of a few, else those with the smallest areas."""
    order = sorted(range(len(areas)), key=lambda number: (areas[number] is None, areas[number]))
    return sorted(order if len(areas) <= MOST_COLOURED + 1 else order[:MOST_COLOURED])
