"""How axes read: percentages, learning rates, round numbers; the look of the n-th series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.report.figures import MARKERS, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def look(number: int) -> tuple[str, str]:
    """Return colour and marker of the n-th series, from 0."""
    return SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]


def accuracy_range(axes: Axes) -> None:
    """Write the vertical axis in percent and end it at 100 %, with room for a line that runs there."""
    low, high = axes.get_ylim()
    low = min(low, 0.97)
    axes.set_ylim(max(low, -0.02), min(high, 1 + 0.04 * (1 - low)))
    percent_axis(axes)


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
