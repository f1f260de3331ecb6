"""What is drawn: learning curves, learning rates, accuracy against speed, ROC curves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.metrics import RocCurve
from headstart.evaluation.results import FoldValues
from headstart.report.figures import INK, MARKERS, MUTED, PAPER, RULE, SERIES, panel
from headstart.report.numbers import decimals, epoch, milliseconds, percent, points, ratio
from headstart.runs.rows import HistoryRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAIN, VALIDATION, FINAL = SERIES[1], SERIES[0], MUTED
MOST_COLOURED = 5
ZOOM = 0.2
PHASE_ROOM = 0.16
"""Share of the width that the words at a phase border need; where there is less, the number stands alone."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """One candidate in a chart: its network (which decides colour and shape), accuracy over the folds, and place."""

    network: str
    x: float
    accuracy: FoldValues
    best: bool = False


def learning_panel(
    name: str,
    rows: Sequence[HistoryRow],
    measure: str,
    *,
    title: str,
    best_epochs: Sequence[int],
    final_epochs: int | None,
) -> str:
    """Return one measure of one candidate over its epochs: mean over the folds, and from lowest to highest fold.

    Where a phase of training ends, a thin line stands with the number of the next one.

    Args:
        rows: the candidate's history.
        measure: ``loss``, ``accuracy``, ``precision``, ``recall`` or ``top_k``.
        best_epochs: of the folds; their mean is marked.
        final_epochs: of the final training on all training images, None if there was none.
    """
    folds = [row for row in rows if row.fold is not None]
    train, validation = _by_epoch(folds, measure), _by_epoch(folds, f"val_{measure}")
    final = _by_epoch([row for row in rows if row.fold is None], measure)
    borders = phase_borders(rows)

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        for values, colour in ((train, TRAIN), (validation, VALIDATION)):
            _mean_and_band(axes, values, colour)
        if final.size:
            axes.plot(_epochs(final), _mean(final), color=FINAL, linewidth=1.4, linestyle=(0, (1.5, 2)))
        _mark_epoch(axes, float(np.mean(best_epochs)))
        axes.set_xlabel("epoch")
        axes.margins(x=0.02)
        _mark_phases(axes, borders, low=measure != "loss")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if measure != "loss":
            _accuracy_range(axes)

    say = decimals if measure == "loss" else percent
    words = f"{_course('Validation', validation, say)} {_course('Training', train, say)} "
    words += f"The folds' best epoch is {epoch(float(np.mean(best_epochs)))} in the mean."
    if final_epochs is not None:
        words += f" The final training ran {final_epochs} epochs."
    words += "".join(f" Phase {phase} begins after epoch {last}." for phase, last in borders)
    return panel(name, draw, title=title, description=words)


def phase_borders(rows: Iterable[HistoryRow]) -> tuple[tuple[int, int], ...]:
    """Return every phase but the first that was reached, with the last epoch before it."""
    first: dict[int, int] = {}
    for row in rows:
        first[row.phase] = min(row.epoch, first.get(row.phase, row.epoch))
    return tuple((phase, first[phase] - 1) for phase in sorted(first) if first[phase] > 1)


def _mark_phases(axes: Axes, borders: Sequence[tuple[int, int]], *, low: bool) -> None:
    """Draw a line between two phases; its label stands where the curve is not: low for what rises, else high."""
    left, right = axes.get_xlim()
    ends = [last + 0.5 for _, last in borders]
    for place, (phase, _) in enumerate(borders):
        room = ([*ends, right][place + 1] - ends[place]) / (right - left)
        axes.axvline(ends[place], color=MUTED, linewidth=0.8, alpha=0.6)
        axes.annotate(
            f"phase {phase}" if room > PHASE_ROOM else str(phase),
            (ends[place], 0.02 if low else 0.98),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            va="bottom" if low else "top",
            fontsize=9.5,
            color=MUTED,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
        )


def _by_epoch(rows: Sequence[HistoryRow], measure: str) -> Values:
    """Return the values as (trainings, epochs); NaN where a training had stopped or has no value."""
    trainings = sorted({(row.repeat or 0, row.fold or 0) for row in rows})
    place = {key: number for number, key in enumerate(trainings)}
    values = np.full((len(trainings), max((row.epoch for row in rows), default=0)), np.nan)
    for row in rows:
        value = getattr(row, measure)
        if value is not None and np.isfinite(value):
            values[place[row.repeat or 0, row.fold or 0], row.epoch - 1] = value
    return values[:, : int(np.flatnonzero(~np.isnan(values).all(axis=0)).max(initial=-1)) + 1]


def _epochs(values: Values) -> Values:
    return np.arange(1, values.shape[1] + 1, dtype=np.float64)


def _mean(values: Values) -> Values:
    """Return the mean over trainings, NaN at epochs without any value."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0.0).sum(axis=0)
    mean: Values = np.divide(total, there.sum(axis=0), out=np.full(values.shape[1], np.nan), where=there.any(axis=0))
    return mean


def _mean_and_band(axes: Axes, values: Values, colour: str) -> None:
    if not values.size:
        return
    x = _epochs(values)
    if len(values) > 1:
        low = np.where(np.isnan(values), np.inf, values).min(axis=0)
        high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
        there = high >= low
        axes.fill_between(x[there], low[there], high[there], color=colour, alpha=0.18, linewidth=0)
    marker = "o" if values.shape[1] == 1 else ""
    axes.plot(x, _mean(values), color=colour, marker=marker, markersize=5)


def _mark_epoch(axes: Axes, at: float) -> None:
    axes.axvline(at, color=INK, linewidth=1.0, linestyle=(0, (3, 3)))
    right = at < sum(axes.get_xlim()) / 2
    axes.annotate(
        f"best epoch {epoch(at)}",
        (at, 0.5),
        xycoords=("data", "axes fraction"),
        xytext=(6 if right else -6, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        color=INK,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
    )


def _course(part: str, values: Values, say: Callable[[float], str]) -> str:
    mean = _mean(values)
    there = np.flatnonzero(~np.isnan(mean))
    if not there.size:
        return f"{part}: no values."
    first, last = there[0], there[-1]
    return f"{part}: {say(mean[first])} after epoch {first + 1}, {say(mean[last])} after epoch {last + 1}."


def rates_panel(points_: Sequence[Point], networks: Sequence[str]) -> str:
    """Return accuracy over the learning rate, one line per network, or per way in which a network was tried."""

    def draw(axes: Axes) -> None:
        for number, network in enumerate(networks):
            mine = sorted((point for point in points_ if point.network == network), key=lambda point: point.x)
            colour, marker = _look(number)
            axes.plot([point.x for point in mine], [point.accuracy.mean for point in mine], color=colour, alpha=0.6)
            for point in mine:
                _dot(axes, point, colour, marker)
        axes.set_xscale("log")
        _powers_of_ten(axes)
        axes.set_xlabel("learning rate")
        _accuracy_range(axes)

    words = [f"{point.network} at {point.x:g}: {_spread(point.accuracy)}" for point in points_]
    return panel("rates", draw, title="Accuracy at every learning rate", description="; ".join(words) + ".")


def speed_panel(points_: Sequence[Point], networks: Sequence[str]) -> str:
    """Return accuracy over the time for predicting one image, one mark per candidate.

    Candidates come best first; all but the first of each network are faint.
    """

    def draw(axes: Axes) -> None:
        first = {point.network: point for point in reversed(points_)}
        for point in points_:
            _dot(axes, point, *_look(networks.index(point.network)), faint=point is not first[point.network])
        axes.set_xscale("log")
        _round_ticks(axes, [point.x for point in points_])
        axes.set_xlabel("milliseconds per image")
        _accuracy_range(axes)

    words = [f"{point.network}: {_spread(point.accuracy)} in {milliseconds(point.x)}" for point in points_]
    return panel("speed", draw, title="Accuracy against time per image", description="; ".join(words) + ".")


def _look(number: int) -> tuple[str, str]:
    return SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]


def _dot(axes: Axes, point: Point, colour: str, marker: str, *, faint: bool = False) -> None:
    strength = 0.3 if faint else 1.0
    if point.accuracy.std is not None:
        low, high = point.accuracy.mean - point.accuracy.std, point.accuracy.mean + point.accuracy.std
        axes.plot([point.x, point.x], [low, min(1.0, high)], color=colour, linewidth=1.4, alpha=0.7 * strength)
    if point.best:
        axes.plot(point.x, point.accuracy.mean, marker="o", markersize=15, color="none", markeredgecolor=INK)
    axes.plot(
        point.x, point.accuracy.mean, marker=marker, markersize=7.5, color=colour, markeredgecolor=PAPER, alpha=strength
    )


def _spread(accuracy: FoldValues) -> str:
    spread = "" if accuracy.std is None else f" plus or minus {points(accuracy.std)}"
    return percent(accuracy.mean) + spread


def roc_panel(curves: Sequence[tuple[str, RocCurve, float | None]], coloured: Sequence[int], *, zoomed: bool) -> str:
    """Return the curves of all classes, each against the rest.

    Args:
        curves: name, curve and area of every class that has a curve.
        coloured: positions of those that get a colour of their own; the rest is grey.
        zoomed: show the upper left corner only.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.0)
        for number, (_, curve, _) in enumerate(curves):
            if number not in coloured:
                axes.plot(curve.false_positive_rate, curve.true_positive_rate, color=MUTED, linewidth=0.8, alpha=0.6)
        for place, number in enumerate(coloured):
            curve = curves[number][1]
            axes.plot(curve.false_positive_rate, curve.true_positive_rate, color=_look(place)[0])
        axes.set_xlim(-0.01 * ZOOM if zoomed else -0.01, ZOOM if zoomed else 1.01)
        axes.set_ylim(1 - ZOOM if zoomed else -0.01, 1 + 0.03 * ZOOM if zoomed else 1.01)
        axes.set_xlabel("false positive rate: of the others, taken for it")
        _percent_axis(axes)
        _percent_axis(axes, horizontal=True)

    areas = ", ".join(f"{name} {ratio(area)}" for name, _, area in curves if area is not None)
    title = "ROC curves, upper left corner" if zoomed else "ROC curves"
    return panel(
        f"roc-{zoomed}", draw, title=title, description=f"Area under the curve of each class: {areas}.", size=(380, 320)
    )


def coloured_curves(areas: Sequence[float | None]) -> list[int]:
    """Return the positions of the curves worth a colour: all of a few, else those with the smallest areas."""
    order = sorted(range(len(areas)), key=lambda number: (areas[number] is None, areas[number]))
    return sorted(order if len(areas) <= MOST_COLOURED + 1 else order[:MOST_COLOURED])


def _accuracy_range(axes: Axes) -> None:
    """Write the vertical axis in percent and end it at 100 %, with room for a line that runs there."""
    low, high = axes.get_ylim()
    low = min(low, 0.97)
    axes.set_ylim(max(low, -0.02), min(high, 1 + 0.04 * (1 - low)))
    _percent_axis(axes)


def _percent_axis(axes: Axes, *, horizontal: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if horizontal else axes.yaxis
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 6):g} %"))


def _powers_of_ten(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _round_ticks(axes: Axes, values: Sequence[float]) -> None:
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
