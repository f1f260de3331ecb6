"""What is drawn of the evidence: reliability, coverage against accuracy, accuracy against the number of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.evaluation.evidence import CalibrationScores, CoveragePoint, LearningCurve, ReliabilityBin
from headstart.evaluation.results import FoldValues
from headstart.report.axes import accuracy_range, percent_axis, round_ticks
from headstart.report.figures import MUTED, PAPER, SERIES, panel
from headstart.report.numbers import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE, AFTER = SERIES[1], SERIES[0]
MEASURED, EXPECTED = SERIES[0], SERIES[1]
SIZE = (380, 320)


def reliability_panel(before: CalibrationScores, after: CalibrationScores) -> str:
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
    return panel("reliability", draw, title="Reliability diagram", description=words, size=SIZE)


def _bins(bins: Sequence[ReliabilityBin]) -> str:
    return ", ".join(f"{percent(one.confidence)} sure and {percent(one.accuracy)} right" for one in bins)


def coverage_panel(points: Sequence[CoveragePoint]) -> str:
    """Return the accuracy among the surest images against how many of all images those are."""

    def draw(axes: Axes) -> None:
        x, y = [point.coverage for point in points], [point.accuracy for point in points]
        axes.plot(x, y, color=SERIES[0], marker="o" if len(points) == 1 else "", markersize=5)
        axes.set_xlim(-0.01, 1.01)
        axes.set_xlabel("share of the test images that are answered")
        accuracy_range(axes)
        percent_axis(axes, horizontal=True)

    return panel("coverage", draw, title="Accuracy against coverage", description=_coverage(points), size=SIZE)


def _coverage(points: Sequence[CoveragePoint]) -> str:
    """Say some of the points: those nearest to whole tenths."""
    told = [min(points, key=lambda point: abs(point.coverage - tenth / 10)) for tenth in (1, 3, 5, 7, 8, 9, 10)]
    parts = [f"{percent(point.coverage)} answered, {percent(point.accuracy)} of them right" for point in told]
    return "; ".join(dict.fromkeys(parts)) + "."


def images_panel(curve: LearningCurve) -> str:
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
    return panel("images", draw, title="Accuracy against training images", description="; ".join(parts) + ".")


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
