"""What is drawn: learning curves, learning rates, accuracy against speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.results import FoldValues
from headstart.report.axes import accuracy_range, look, powers_of_ten, round_ticks
from headstart.report.figures import INK, MUTED, PAPER, SERIES, panel
from headstart.report.numbers import decimals, epoch, milliseconds, percent, points
from headstart.runs.rows import HistoryRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAIN, VALIDATION, FINAL, TURNED = SERIES[1], SERIES[0], MUTED, SERIES[3]
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


@dataclass(frozen=True, slots=True)
class Marks:
    """What is marked in the learning curves of a candidate.

    Attributes:
        best_epochs: of the folds; their mean is marked.
        final_epochs: of the final training on all training images, None if there was none.
        turned: the epoch where the validation loss turned, None where it did not.
        gap: mark how far training ran ahead of validation.
    """

    best_epochs: Sequence[int]
    final_epochs: int | None
    turned: float | None = None
    gap: bool = False

    @property
    def best(self) -> float:
        """Mean of the folds' best epochs."""
        return float(np.mean(self.best_epochs))


def learning_panel(name: str, rows: Sequence[HistoryRow], measure: str, *, title: str, marks: Marks) -> str:
    """Return one measure of one candidate over its epochs: mean over the folds, and from lowest to highest fold.

    Where a phase of training ends, a thin line stands with the number of the next one.

    Args:
        name: what no other panel is called.
        rows: the candidate's history.
        measure: ``loss``, ``accuracy``, ``precision``, ``recall`` or ``top_k``.
        title: what a screen reader says.
        marks: what is marked.
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
        _mark(axes, measure, marks, (train, validation))
        axes.set_xlabel("epoch")
        axes.margins(x=0.02)
        _mark_phases(axes, borders, low=measure != "loss")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if measure != "loss":
            accuracy_range(axes)

    say = decimals if measure == "loss" else percent
    words = f"{_course('Validation', validation, say)} {_course('Training', train, say)} {_in_words(marks, borders)}"
    return panel(name, draw, title=title, description=words)


def _in_words(marks: Marks, borders: Sequence[tuple[int, int]]) -> str:
    words = f"The folds' best epoch is {epoch(marks.best)} in the mean."
    if marks.turned is not None:
        words += f" Validation loss turned at epoch {epoch(marks.turned)}."
    if marks.final_epochs is not None:
        words += f" The final training ran {marks.final_epochs} epochs."
    return words + "".join(f" Phase {phase} begins after epoch {last}." for phase, last in borders)


def _mark(axes: Axes, measure: str, marks: Marks, values: tuple[Values, Values]) -> None:
    """Mark the best epoch, in the loss where validation turned, and in the accuracy the gap to training."""
    if measure == "accuracy" and marks.gap:
        _mark_gap(axes, marks.best, values)
    _mark_epoch(axes, marks.best, f"best epoch {epoch(marks.best)}", INK, height=0.5)
    if measure == "loss" and marks.turned is not None:
        _mark_epoch(axes, marks.turned, f"turned {epoch(marks.turned)}", TURNED, height=0.78)


def _mark_gap(axes: Axes, at: float, values: tuple[Values, Values]) -> None:
    """Draw a bar between the two mean curves at an epoch; nothing where one of them has no value there."""
    ends = [float(np.interp(at, _epochs(one), _mean(one))) for one in values if one.size]
    if len(ends) == 2:
        axes.plot([at, at], ends, color=TRAIN, linewidth=6, alpha=0.45, solid_capstyle="butt")


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


def _mark_epoch(axes: Axes, at: float, words: str, colour: str, *, height: float) -> None:
    """Draw a dashed line at an epoch, with words beside it at a share of the panel's height."""
    axes.axvline(at, color=colour, linewidth=1.0, linestyle=(0, (3, 3)))
    right = at < sum(axes.get_xlim()) / 2
    axes.annotate(
        words,
        (at, height),
        xycoords=("data", "axes fraction"),
        xytext=(6 if right else -6, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        color=colour,
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
            colour, marker = look(number)
            axes.plot([point.x for point in mine], [point.accuracy.mean for point in mine], color=colour, alpha=0.6)
            for point in mine:
                _dot(axes, point, colour, marker)
        axes.set_xscale("log")
        powers_of_ten(axes)
        axes.set_xlabel("learning rate")
        accuracy_range(axes)

    words = [f"{point.network} at {point.x:g}: {_spread(point.accuracy)}" for point in points_]
    return panel("rates", draw, title="Accuracy at every learning rate", description="; ".join(words) + ".")


def speed_panel(points_: Sequence[Point], networks: Sequence[str]) -> str:
    """Return accuracy over the time for predicting one image, one mark per candidate.

    Candidates come best first; all but the first of each network are faint.
    """

    def draw(axes: Axes) -> None:
        first = {point.network: point for point in reversed(points_)}
        for point in points_:
            _dot(axes, point, *look(networks.index(point.network)), faint=point is not first[point.network])
        axes.set_xscale("log")
        round_ticks(axes, [point.x for point in points_])
        axes.set_xlabel("milliseconds per image")
        accuracy_range(axes)

    words = [f"{point.network}: {_spread(point.accuracy)} in {milliseconds(point.x)}" for point in points_]
    return panel("speed", draw, title="Accuracy against time per image", description="; ".join(words) + ".")


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
