"""What is drawn: learning curves, learning rates, accuracy against speed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.results import FoldValues
from headstart.report.axes import accuracy_range, beside, entries, look, powers_of_ten, round_ticks, write_beside
from headstart.report.figures import INK, MUTED, PAPER, SERIES, Entry, Panel
from headstart.report.numbers import decimals, epoch, milliseconds, percent, points
from headstart.runs.rows import HistoryRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

TRAIN, VALIDATION, FINAL, TURNED = SERIES[1], SERIES[0], MUTED, SERIES[3]
PHASE_ROOM = 0.16
"""Share of the width that the words at a phase border need; where there is less, the number stands alone."""

HEIGHTS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.12, 0.88)
"""Where words may stand beside a line, as shares of the panel's height, the best first."""

MOST_FOLDS = 10
"""With more trainings, only their mean and range are drawn."""

HELD_BACK = "Accuracy on images held back"
AXES = {
    "loss": "Loss, cross-entropy in nats",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "top_k": "Top k",
}

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
        best_epochs: of the folds; their mean is marked. Empty where folds are scored at their end.
        final_epochs: of the final training on all training images, None if there was none.
        turned: the epoch where the validation loss turned, None where it did not.
        gap: mark how far training ran ahead of validation.
        planned: epochs of a training that nothing stops early, None where none can be stopped.
    """

    best_epochs: Sequence[int]
    final_epochs: int | None
    turned: float | None = None
    gap: bool = False
    planned: int | None = None

    @property
    def best(self) -> float | None:
        """Mean of the folds' best epochs; None where folds are scored at their end."""
        return float(np.mean(self.best_epochs)) if self.best_epochs else None


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A measure over the epochs: arrays ``(trainings, epochs)`` with NaN where a training had stopped.

    ``borders`` are phases with the last epoch before them, ``stops`` the last epochs of folds that stopped early.
    """

    measure: str
    train: Values
    validation: Values
    final: Values
    borders: tuple[tuple[int, int], ...]
    stops: tuple[int, ...]

    @property
    def folds_end(self) -> float:
        """The last epoch of the folds' mean curves."""
        return float(max(1, self.train.shape[1], self.validation.shape[1]))

    @property
    def last(self) -> int:
        """The last epoch of any training."""
        return max(1, *(int(values.shape[1]) for values in (self.train, self.validation, self.final)))


def reach(values: FoldValues) -> tuple[float, float]:
    """Return the ends of a mean's bar: its interval, else one standard deviation to both sides."""
    if values.ci95:
        return values.ci95
    spread = values.std or 0.0
    return max(0.0, values.mean - spread), min(1.0, values.mean + spread)


def learning_panel(name: str, rows: Sequence[HistoryRow], measure: str, *, title: str, marks: Marks) -> Panel:
    """Return one measure of one candidate over its epochs: mean over the folds, each fold, and the range of the folds.

    Where a phase of training ends, a thin line stands with the number of the next one; a cross stands where a fold
    stopped before its planned epochs.

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
    borders, stops = phase_borders(rows), early_stops(folds, marks.planned)
    course = Course(measure, train, validation, final, borders, tuple(stops.values()))
    say = decimals if measure == "loss" else percent
    words = [_course("Validation", validation, say), _course("Training", train, say), _in_words(marks, course)]
    return Panel(
        name=name,
        title=title,
        words=" ".join(words),
        axis=AXES[measure],
        draw=lambda axes: _draw_course(axes, course, marks),
        legend=tuple(_legend(marks, course)),
    )


def _draw_course(axes: Axes, course: Course, marks: Marks) -> None:
    from matplotlib.ticker import MaxNLocator

    for values, colour in ((course.train, TRAIN), (course.validation, VALIDATION)):
        _mean_and_band(axes, values, colour)
    if course.final.size:
        axes.plot(_epochs(course.final), _mean(course.final), color=FINAL, linewidth=1.4, linestyle=(0, (1.5, 2)))
    if course.stops:
        _mark_stops(axes, course)
    if course.measure == "accuracy" and marks.gap:
        _mark_gap(axes, marks.best or course.folds_end, (course.train, course.validation))
    axes.set_xlabel("epoch")
    axes.set_xlim(*_ends(course.last))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    if course.measure != "loss":
        accuracy_range(axes)
    _write_marks(axes, course, marks)


def _ends(last: int) -> tuple[float, float]:
    """Return the ends of the horizontal axis: a little room beside the first and the last epoch."""
    room = max(0.5 if last == 1 else 0.1, 0.02 * (last - 1))
    return 1 - min(room, 0.9), last + room


def _write_marks(axes: Axes, course: Course, marks: Marks) -> None:
    """Draw the lines at phases, best epoch and turn, with words that hide neither one another nor the curves."""
    axes.set_ylim(axes.get_ylim())
    taken: list[Bbox] = []
    low = course.measure != "loss"
    for place, (phase, last) in enumerate(course.borders):
        axes.axvline(last + 0.5, color=MUTED, linewidth=0.8, alpha=0.6)
        room = ([*(end for _, end in course.borders), course.last][place + 1] - last) / max(1, course.last - 1)
        words = f"phase {phase}" if room > PHASE_ROOM else str(phase)
        height = (0.03,) if low else (0.97,)
        write_beside(axes, last + 0.5, words, colour=MUTED, heights=height, taken=taken, size=9.5)
    lines = [] if marks.best is None else [(marks.best, f"best epoch {epoch(marks.best)}", INK)]
    if course.measure == "loss" and marks.turned is not None:
        lines.append((marks.turned, f"turned {epoch(marks.turned)}", TURNED))
    points = _points(course, axes, [at for at, _, _ in lines] + [last + 0.5 for _, last in course.borders])
    for at, words, colour in lines:
        axes.axvline(at, color=colour, linewidth=1.0, linestyle=(0, (3, 3)))
        write_beside(axes, at, words, colour=colour, heights=HEIGHTS, taken=taken, curves=points)


def _points(course: Course, axes: Axes, lines: Sequence[float]) -> Values:
    """Return points close together on all mean curves and upright lines, ``(points, 2)``."""
    heights = np.linspace(*axes.get_ylim(), 60)
    parts = [np.column_stack([np.full(60, at), heights]) for at in lines]
    for values in (course.train, course.validation, course.final):
        if values.size:
            x, y = _epochs(values), _mean(values)
            dense = np.linspace(1, x[-1], 200)
            parts.append(np.column_stack([dense, np.interp(dense, x[~np.isnan(y)], y[~np.isnan(y)])]))
    return np.concatenate(parts)


def _mark_stops(axes: Axes, course: Course) -> None:
    """Draw a cross at the end of every fold that stopped early, on the validation curve if there is one."""
    values, colour = (course.validation, VALIDATION) if course.validation.size else (course.train, TRAIN)
    for row in values:
        there = np.flatnonzero(~np.isnan(row))
        if there.size and there[-1] + 1 in course.stops:
            axes.plot(there[-1] + 1, row[there[-1]], "X", color=colour, markersize=7.5, markeredgecolor=PAPER, mew=0.6)


def _legend(marks: Marks, course: Course) -> Iterator[Entry]:
    one = len(course.validation) <= 1
    yield Entry("validation" if one else "validation, mean of the folds", VALIDATION, "line")
    yield Entry("training" if one else "training, mean of the folds", TRAIN, "line")
    if course.final.size:
        yield Entry("final training on all training images", FINAL, "dotted")
    if marks.best is not None:
        yield Entry("best epoch" if one else "best epoch, mean of the folds", INK, "upright")
    if course.measure == "loss" and marks.turned is not None:
        yield Entry("validation loss turned", TURNED, "upright")
    if course.measure == "accuracy" and marks.gap:
        where = "at the end" if marks.best is None else "at the best epoch"
        yield Entry(f"gap of training and validation {where}", TRAIN, "gap")
    if course.stops:
        yield Entry("stopped early: no better epoch came", VALIDATION, "✖")
    if course.borders:
        yield Entry("a phase ends, the next begins", MUTED, "thin")


def early_stops(rows: Sequence[HistoryRow], planned: int | None) -> dict[tuple[int, int], int]:
    """Return the last epoch of every training that stopped before its planned epochs, by repeat and fold."""
    last: dict[tuple[int, int], int] = {}
    for row in rows:
        key = (row.repeat or 0, row.fold or 0)
        last[key] = max(row.epoch, last.get(key, 0))
    return {key: ended for key, ended in last.items() if planned is not None and ended < planned}


def _in_words(marks: Marks, course: Course) -> str:
    words = "Folds are scored at their end."
    if marks.best is not None:
        words = f"The folds' best epoch is {epoch(marks.best)} in the mean."
    if marks.turned is not None:
        words += f" Validation loss turned at epoch {epoch(marks.turned)}."
    if marks.final_epochs is not None:
        words += f" The final training ran {marks.final_epochs} epochs."
    if course.stops:
        first, last = min(course.stops), max(course.stops)
        when = f"epoch {first}" if first == last else f"epochs {first} to {last}"
        words += f" {len(course.stops)} of {len(course.validation) or len(course.train)} trainings stopped early, "
        words += f"at {when} of {marks.planned} planned."
    return words + "".join(f" Phase {phase} begins after epoch {last}." for phase, last in course.borders)


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
    from matplotlib.collections import LineCollection

    if not values.size:
        return
    x = _epochs(values)
    if len(values) > 1:
        low = np.where(np.isnan(values), np.inf, values).min(axis=0)
        high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
        there = high >= low
        axes.fill_between(x[there], low[there], high[there], color=colour, alpha=0.16, linewidth=0)
    if 1 < len(values) <= MOST_FOLDS:
        lines = [np.column_stack([x, fold])[~np.isnan(fold)] for fold in values]
        axes.add_collection(LineCollection(lines, color=colour, linewidth=0.7, alpha=0.4))
    marker = "o" if values.shape[1] == 1 else ""
    axes.plot(x, _mean(values), color=colour, marker=marker, markersize=5)


def _course(part: str, values: Values, say: Callable[[float], str]) -> str:
    mean = _mean(values)
    there = np.flatnonzero(~np.isnan(mean))
    if not there.size:
        return f"{part}: no values."
    first, last = there[0], there[-1]
    return f"{part}: {say(mean[first])} after epoch {first + 1}, {say(mean[last])} after epoch {last + 1}."


def rates_panel(points_: Sequence[Point], networks: Sequence[str]) -> Panel:
    """Return accuracy over the learning rate, one line per network, or per way in which a network was tried."""
    decades = float(np.ptp(np.log10([point.x for point in points_])))

    def draw(axes: Axes) -> None:
        for number, network in enumerate(networks):
            mine = sorted((point for point in points_ if point.network == network), key=lambda point: point.x)
            colour, marker = look(number)
            x = beside([point.x for point in mine], number, len(networks), decades=decades)
            axes.plot(x, [point.accuracy.mean for point in mine], color=colour, alpha=0.6)
            for place, point in zip(x, mine, strict=True):
                _dot(axes, dataclasses.replace(point, x=place), colour, marker)
        axes.set_xscale("log")
        powers_of_ten(axes)
        axes.set_xlabel("learning rate")
        accuracy_range(axes)

    words = [f"{point.network} at {point.x:g}: {_spread(point.accuracy)}" for point in points_]
    return Panel(
        name="learning-rates",
        title="Accuracy at every learning rate",
        words="; ".join(words) + ".",
        axis=HELD_BACK,
        draw=draw,
        legend=entries(networks),
    )


def speed_panel(points_: Sequence[Point], networks: Sequence[str]) -> Panel:
    """Return accuracy over the time for predicting one image, one mark per candidate.

    Candidates come best first; all but the first of each network are faint.
    """

    def draw(axes: Axes) -> None:
        first = {point.network: point for point in reversed(points_)}
        for point in reversed(points_):
            _dot(axes, point, *look(networks.index(point.network)), faint=point is not first[point.network])
        axes.set_xscale("log")
        round_ticks(axes, [point.x for point in points_])
        axes.set_xlabel("milliseconds per image")
        accuracy_range(axes)

    words = [f"{point.network}: {_spread(point.accuracy)} in {milliseconds(point.x)}" for point in points_]
    return Panel(
        name="accuracy-against-speed",
        title="Accuracy against time per image",
        words="; ".join(words) + ".",
        axis=HELD_BACK,
        draw=draw,
        legend=entries(networks),
    )


def _dot(axes: Axes, point: Point, colour: str, marker: str, *, faint: bool = False) -> None:
    strength = 0.3 if faint else 1.0
    low, high = reach(point.accuracy)
    axes.plot([point.x, point.x], [low, high], color=colour, linewidth=1.4, alpha=0.7 * strength)
    if point.best:
        axes.plot(point.x, point.accuracy.mean, marker="o", markersize=15, color="none", markeredgecolor=INK)
    axes.plot(
        point.x, point.accuracy.mean, marker=marker, markersize=7.5, color=colour, markeredgecolor=PAPER, alpha=strength
    )


def _spread(accuracy: FoldValues) -> str:
    if accuracy.ci95:
        low, high = accuracy.ci95
        return f"{percent(accuracy.mean)} ({points(low)} to {points(high)})"
    return percent(accuracy.mean) + ("" if accuracy.std is None else f" plus or minus {points(accuracy.std)}")


def top_k_panel(series: Mapping[str, Mapping[int, float]]) -> Panel:
    """Return how often the true class is among the first answers, one line per finalist.

    ``series`` maps a finalist's name to its share of right answers by how many answers count.
    """

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import FixedLocator

        for number, shares in enumerate(series.values()):
            colour, marker = look(number)
            axes.plot(*zip(*shares.items(), strict=True), color=colour, alpha=0.5)
            axes.plot(
                *zip(*shares.items(), strict=True),
                color=colour,
                marker=marker,
                linestyle="",
                markersize=7,
                markeredgecolor=PAPER,
            )
        axes.xaxis.set_major_locator(FixedLocator(sorted({k for shares in series.values() for k in shares})))
        axes.margins(x=0.06)
        axes.set_xlabel("answers that count, the most probable first")
        accuracy_range(axes)

    words = [
        f"{name}: " + ", ".join(f"{percent(share)} among the first {k}" for k, share in shares.items())
        for name, shares in series.items()
    ]
    return Panel(
        name="top-k",
        title="True class among the first answers",
        words="; ".join(words) + ".",
        axis="Test images whose class is among them",
        draw=draw,
        legend=entries(list(series)),
    )
