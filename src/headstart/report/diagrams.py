"""What is drawn of the evidence: reliability, coverage against accuracy, accuracy against the number of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.evaluation.evidence import CalibrationScores, CoveragePoint, LearningCurve, ReliabilityBin
from headstart.evaluation.results import FoldValues
from headstart.report.axes import accuracy_range, entries, look, percent_axis, round_ticks, write_beside
from headstart.report.curves import HEIGHTS, HELD_BACK, TURNED, reach
from headstart.report.figures import BOTTOM, INK, MUTED, PAPER, SERIES, TOP, WIDTH, Entry, Panel
from headstart.report.numbers import count, percent
from headstart.runs.rows import MapRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE, AFTER = SERIES[1], SERIES[0]
MEASURED, EXPECTED = SERIES[0], SERIES[1]
SIZE = (380, 320)
ROW = 28
KEPT = "share of the known test images that the unknown threshold keeps"


def reliability_panel(before: CalibrationScores, after: CalibrationScores) -> Panel:
    """Return how often the classifier was right against how sure it was, before and after calibration."""
    bins = (*before.bins, *after.bins)
    low = min(0.9, math.floor(10 * min(min(one.confidence, one.accuracy) for one in bins)) / 10)

    def draw(axes: Axes) -> None:
        axes.plot([low, 1], [low, 1], color=MUTED, linewidth=1.0, linestyle=(0, (3, 3)))
        for scores, colour, marker in ((before, BEFORE, "s"), (after, AFTER, "o")):
            x, y = [one.confidence for one in scores.bins], [one.accuracy for one in scores.bins]
            axes.plot(x, y, color=colour, marker=marker, markersize=6.5, markeredgecolor=PAPER)
        margin = 0.02 * (1 - low)
        axes.set_xlim(low - margin, 1 + margin)
        axes.set_ylim(low - margin, 1 + margin)
        axes.set_xlabel("mean probability of the answer")
        percent_axis(axes)
        percent_axis(axes, horizontal=True)

    words = f"Before: {_bins(before.bins)}. After: {_bins(after.bins)}."
    return Panel(
        name="reliability",
        title="Reliability diagram",
        words=words,
        axis="Share of the answers that are right",
        draw=draw,
        legend=(
            Entry("before", BEFORE, "■"),
            Entry("after", AFTER, "●"),
            Entry("sure and right agree", MUTED, "dashed"),
        ),
        size=SIZE,
    )


def _bins(bins: Sequence[ReliabilityBin]) -> str:
    return ", ".join(f"{percent(one.confidence)} sure and {percent(one.accuracy)} right" for one in bins)


def coverage_panel(points: Sequence[CoveragePoint], kept: float | None = None) -> Panel:
    """Return the accuracy among the surest images against how many of all images those are.

    ``kept`` is the share of the known test images that the unknown threshold does not refuse: a line stands there.
    """

    def draw(axes: Axes) -> None:
        x, y = [point.coverage for point in points], [point.accuracy for point in points]
        axes.plot(x, y, color=SERIES[0], marker="o" if len(points) == 1 else "", markersize=5)
        axes.set_xlim(-0.01, 1.01)
        axes.set_xlabel("share of the test images that are answered")
        accuracy_range(axes)
        percent_axis(axes, horizontal=True)
        if kept is not None:
            axes.axvline(kept, color=TURNED, linewidth=1.0, linestyle=(0, (3, 3)))
            words, curve = f"threshold keeps {percent(kept)}", np.column_stack([x, y])
            write_beside(axes, kept, words, colour=TURNED, heights=HEIGHTS, taken=[], curves=curve)

    told = [_coverage(points)]
    if kept is not None:
        told.append(f"The unknown threshold keeps {percent(kept)} of the test images.")
    return Panel(
        name="coverage",
        title="Accuracy against coverage",
        words=" ".join(told),
        axis="Share of those answers that are right",
        draw=draw,
        legend=() if kept is None else (Entry(KEPT, TURNED, "upright"),),
        size=SIZE,
    )


def _coverage(points: Sequence[CoveragePoint]) -> str:
    """Say some of the points: those nearest to whole tenths."""
    told = [min(points, key=lambda point: abs(point.coverage - tenth / 10)) for tenth in (1, 3, 5, 7, 8, 9, 10)]
    parts = [f"{percent(point.coverage)} answered, {percent(point.accuracy)} of them right" for point in told]
    return "; ".join(dict.fromkeys(parts)) + "."


def images_panel(curve: LearningCurve) -> Panel:
    """Return accuracy against the number of training images, and what more images are expected to bring."""
    last = curve.points[-1]

    def draw(axes: Axes) -> None:
        x = [point.images for point in curve.points]
        _with_bars(axes, x, [point.accuracy.mean for point in curve.points], _reaches(curve), MEASURED)
        if curve.expected:
            further = [one.images for one in curve.expected]
            axes.plot([last.images, further[0]], [last.accuracy.mean, curve.expected[0].accuracy], **_dashed())
            means, intervals = [one.accuracy for one in curve.expected], [one.ci95 for one in curve.expected]
            _with_bars(axes, further, means, intervals, EXPECTED, dashed=True)
        axes.set_xscale("log")
        round_ticks(axes, [*x, *(one.images for one in curve.expected)])
        axes.set_xlabel("training images")
        accuracy_range(axes)

    parts = [f"{percent(point.accuracy.mean)} with {count(point.images)} images" for point in curve.points]
    parts += [f"{percent(one.accuracy)} expected with {count(one.images)} images" for one in curve.expected]
    expected = (Entry("expected, if more images of the same kind are added", EXPECTED, "◆"),) if curve.expected else ()
    return Panel(
        name="accuracy-against-training-images",
        title="Accuracy against training images",
        words="; ".join(parts) + ".",
        axis=HELD_BACK,
        draw=draw,
        legend=(Entry("measured", MEASURED, "●"), *expected),
    )


def ranking_panel(shown: Sequence[tuple[str, FoldValues]], *, best: str) -> Panel:
    """Return the accuracy of every candidate on images held back, best first: mean, its bar, and every fold."""
    names = [name for name, _ in shown]

    def draw(axes: Axes) -> None:
        for row, (name, values) in enumerate(shown):
            low, high = reach(values)
            colour = SERIES[0] if name == best else MUTED
            axes.plot(values.folds, [row] * len(values.folds), "o", color=MUTED, markersize=3, alpha=0.5)
            axes.plot([low, high], [row, row], color=colour, linewidth=4, alpha=0.35, solid_capstyle="butt")
            axes.plot(values.mean, row, "o", color=colour, markersize=7, markeredgecolor=PAPER)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")
        percent_axis(axes, horizontal=True)
        axes.set_xlabel("accuracy on images held back")

    words = "; ".join(f"{name} {percent(values.mean)}" for name, values in shown)
    size = (WIDTH, TOP + BOTTOM + ROW * len(shown))
    return Panel("ranking", "Ranking of the candidates", f"{words}.", "", draw, size=size)


def map_panel(rows: Sequence[MapRow], classes: Sequence[str]) -> Panel:
    """Return the map of the images: near means alike to the network; rings are images that were answered wrong."""
    legend = entries(classes)
    wrong = [row for row in rows if row.predicted is not None and row.predicted != row.label]
    size = max(1.5, min(5.0, 90 / math.sqrt(len(rows))))

    def draw(axes: Axes) -> None:
        for number, name in enumerate(classes):
            mine = [row for row in rows if row.label == name]
            colour, marker = look(number)
            x, y = [row.x for row in mine], [row.y for row in mine]
            axes.plot(x, y, marker, color=colour, markersize=size, alpha=0.7, markeredgewidth=0)
        x, y = [row.x for row in wrong], [row.y for row in wrong]
        axes.plot(x, y, "o", color="none", markersize=size + 3, markeredgecolor=INK, markeredgewidth=0.6)
        axes.set_aspect("equal")
        axes.set_axis_off()

    words = f"{len(rows)} images of {len(classes)} classes; {len(wrong)} were answered wrong."
    return Panel("map", "Map of the images", words, "", draw, (*legend, Entry("answered wrong", INK, "○")), (560, 480))


def _reaches(curve: LearningCurve) -> list[tuple[float, float]]:
    return [_reach(point.accuracy) for point in curve.points]


def _reach(values: FoldValues) -> tuple[float, float]:
    """Return the interval of a mean, else the lowest and highest fold."""
    return values.ci95 or (min(values.folds, default=values.mean), max(values.folds, default=values.mean))


def _with_bars(
    axes: Axes,
    x: Sequence[int],
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    colour: str,
    *,
    dashed: bool = False,
) -> None:
    for place, (low, high) in zip(x, intervals, strict=True):
        axes.plot([place, place], [low, high], color=colour, linewidth=1.4, alpha=0.6)
    style = _dashed() if dashed else {"color": colour}
    axes.plot(x, means, **style, marker="D" if dashed else "o", markersize=6, markeredgecolor=PAPER)


def _dashed() -> dict[str, Any]:
    return {"color": EXPECTED, "linestyle": (0, (3, 2)), "linewidth": 1.4}
