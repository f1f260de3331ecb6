"""How axes read: percentages, learning rates, round numbers, words where there is room; the look of the n-th series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.report.figures import LEFT, MARKERS, PAPER, RIGHT, SERIES, SYMBOLS, WIDTH, Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

NEXT, BESIDE = 5.0, 32.0
"""Pixels from one series to the next at the same place, and what all of them take at most."""

GAP = 5.0
"""Pixels between a line and the words beside it."""


def look(number: int) -> tuple[str, str]:
    """Return colour and marker of the n-th series, from 0; no two of 64 are alike."""
    return SERIES[number % len(SERIES)], MARKERS[_shape(number)]


def _shape(number: int) -> int:
    return (number + number // len(SERIES)) % len(MARKERS)


def entries(names: Sequence[str]) -> tuple[Entry, ...]:
    """Return the legend of series in their order."""
    return tuple(Entry(name, look(place)[0], SYMBOLS[_shape(place)]) for place, name in enumerate(names))


def accuracy_range(axes: Axes) -> None:
    """Write the vertical axis in percent and end it at 100 %, with room for a line that runs there."""
    low, high = axes.get_ylim()
    low = min(low, 0.97)
    axes.set_ylim(max(low, -0.02), min(high, 1 + 0.04 * (1 - low)))
    percent_axis(axes)


def beside(x: Sequence[float], number: int, series: int, *, decades: float) -> list[float]:
    """Return where the n-th of some series stands on a logarithmic axis: a few pixels aside, to be told apart.

    ``decades`` is how many powers of ten the axis spans.
    """
    pixels = (number - (series - 1) / 2) * min(NEXT, BESIDE / series)
    factor = 10.0 ** (pixels * max(decades, 0.1) / (WIDTH - LEFT - RIGHT))
    return [place * factor for place in x]


def percent_axis(axes: Axes, *, horizontal: bool = False) -> None:
    """Write an axis in percent, with few round ticks."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if horizontal else axes.yaxis
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 6):g} %"))


def powers_of_ten(axes: Axes) -> None:
    """Put ticks of a logarithmic horizontal axis at powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def round_ticks(axes: Axes, values: Sequence[float]) -> None:
    """Put ticks at 1, 2 and 5 times powers of ten around the values, or at more steps where those are few."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min(values) / 1.6, max(values) * 1.6
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) > 2:
            break
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def write_beside(
    axes: Axes,
    at: float,
    words: str,
    *,
    colour: str,
    heights: Sequence[float],
    taken: list[Bbox],
    curves: NDArray[np.float64] | None = None,
    size: float = 11.0,
) -> bool:
    """Write words beside a vertical line where they hide least, inside the axes; tell whether there was room.

    Call it when the limits of the axes are final.

    Args:
        axes: where to write.
        at: where the line stands.
        words: what to write.
        colour: of the words.
        heights: of their middle, as shares of the axes' height, the best first.
        taken: boxes that must not be covered; that of the words is added.
        curves: points ``(points, 2)`` in data coordinates that should not be covered.
        size: of the letters.
    """
    text = axes.text(
        0,
        0,
        words,
        color=colour,
        fontsize=size,
        va="center",
        transform=None,
        bbox={"facecolor": PAPER, "lw": 0, "pad": 1},
    )
    room, box = axes.bbox, text.get_window_extent()
    line = float(axes.transData.transform((at, 0))[0])
    pixels = np.empty((0, 2)) if curves is None else axes.transData.transform(curves)
    lefts = (line + GAP, line - GAP - box.width)
    inner = [left for left in lefts if room.x0 <= left and left + box.width <= room.x1]
    clamped = min(max(lefts[0], room.x0), room.x1 - box.width)
    found = [
        (_hidden(pixels, place), order, place)
        for order, height in enumerate(heights)
        for place in (_box(left, room, height, box) for left in inner or [clamped])
        if not any(place.overlaps(other) for other in taken)
    ]
    if not found:
        text.remove()
        return False
    _, _, place = min(found, key=lambda one: one[:2])
    text.set_transform(axes.transAxes)
    x, y = axes.transAxes.inverted().transform((place.x0, (place.y0 + place.y1) / 2))
    text.set_position((float(x), float(y)))
    taken.append(place)
    return True


def _box(left: float, room: Bbox, height: float, words: Bbox) -> Bbox:
    """Return where words would stand, kept inside the room."""
    from matplotlib.transforms import Bbox

    low = room.y0 + height * room.height - words.height / 2
    low = min(max(low, room.y0 + 2), room.y1 - words.height - 2)
    return Bbox.from_bounds(left, low, words.width, words.height)


def _hidden(points: NDArray[np.float64], box: Bbox) -> int:
    near = box.padded(3)
    inside = (points > near.min).all(axis=1) & (points < near.max).all(axis=1)
    return int(inside.sum())
