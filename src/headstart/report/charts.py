"""Run folder's numbers -> figures with their legends and the data behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.evaluation.metrics import precision_recall_curve, roc_curve
from headstart.evaluation.results import FoldValues
from headstart.report import areas, content, curves, diagrams, downloads
from headstart.report.areas import ClassCurve
from headstart.report.axes import look
from headstart.report.content import Findings, Ranked
from headstart.report.curves import Marks, Point
from headstart.report.downloads import Download
from headstart.report.figures import MUTED, Chart, Entry, Panel, file_stem
from headstart.report.image_map import drawable
from headstart.report.names import labels, series_names
from headstart.report.numbers import ratio
from headstart.runs.rows import MapRow

OTHERS = {"precision": "Precision", "recall": "Recall", "top_k": "Top k"}
ZOOM_FROM_AREA = 0.95

Shown = tuple[Ranked, float | None, str]
"""A candidate, its place on the horizontal axis, and the name of its series."""

Line = tuple[NDArray[np.float64], NDArray[np.float64]]

SPREAD = ("accuracy", "accuracy_std", "accuracy_ci95_low", "accuracy_ci95_high")


@dataclass(frozen=True, slots=True)
class Curves:
    """The learning curves of one candidate: accuracy and loss, and in ``others`` further measures of the same data."""

    row: Ranked
    chart: Chart
    others: Chart | None = None


@dataclass(frozen=True, slots=True)
class Charts:
    """Every figure that matplotlib draws; None where there is nothing to draw."""

    curves: tuple[Curves, ...]
    speed: Chart | None
    rates: Chart | None
    images: Chart | None
    roc: Chart | None
    precision_recall: Chart | None
    top_k: Chart | None
    reliability: Chart | None
    coverage: Chart | None

    @property
    def learning_legend(self) -> tuple[Entry, ...]:
        """What is drawn in any of the learning curves, in the order of the fullest."""
        legends = sorted((one.chart.legend for one in self.curves), key=len, reverse=True)
        return tuple(dict.fromkeys(entry for legend in legends for entry in legend))

    def all(self) -> Iterator[Chart]:
        """Yield every figure in the order of the page."""
        first = (self.speed, self.rates, self.roc, self.precision_recall, self.top_k, self.reliability, self.coverage)
        yield from filter(None, first)
        for one in self.curves:
            yield from filter(None, (one.chart, one.others))
        yield from filter(None, (self.images,))


def gather(findings: Findings, ranked: Sequence[Ranked]) -> Charts:
    """Return every figure of a run."""
    return Charts(
        curves=learning_curves(findings, ranked),
        speed=speed(findings, ranked),
        rates=rates(findings, ranked),
        images=images(findings),
        roc=roc(findings),
        precision_recall=precision_recall(findings),
        top_k=top_k(findings),
        reliability=reliability(findings),
        coverage=coverage(findings),
    )


def learning_curves(findings: Findings, ranked: Sequence[Ranked]) -> tuple[Curves, ...]:
    """Return loss and accuracy of the candidates worth showing, and of the best one every other measure too."""
    shown = []
    for row in content.curve_order(ranked, findings.summary):
        history = findings.history.get(row.result.id, ())
        if not history:
            continue
        best = row.result.id == findings.summary.best
        others = [name for name in OTHERS if best and any(getattr(one, name) is not None for one in history)]
        chart = _learning_chart(findings, row, ("accuracy", "loss"))
        shown.append(Curves(row, chart, _learning_chart(findings, row, others) if others else None))
    return tuple(shown)


def _learning_chart(findings: Findings, row: Ranked, measures: Sequence[str]) -> Chart:
    name, marks = row.result.id, _marks(findings, row)
    stem = file_stem(f"learning-curves-{name}")
    panels = tuple(
        curves.learning_panel(
            f"{stem}-{measure.replace('_', '-')}",
            findings.history[name],
            measure,
            title=f"{OTHERS.get(measure, measure.capitalize())} of {name}",
            marks=marks,
        )
        for measure in measures
    )
    return Chart(panels, downloads.rows_of(f"{stem}.csv", findings.history[name]))


def _marks(findings: Findings, row: Ranked) -> Marks:
    name, cv = row.result.id, row.result.cv
    assert cv is not None, "curves are shown of candidates that finished"
    fitted = next((one for one in findings.summary.overfitting if one.candidate == name), None)
    return Marks(
        best_epochs=cv.best_epochs if findings.summary.protocol.score_epoch == "best" else (),
        final_epochs=next((final.epochs for final in findings.summary.finals if final.candidate == name), None),
        turned=fitted.turned if fitted else None,
        gap=fitted is not None,
        planned=_planned(row),
    )


def _planned(row: Ranked) -> int | None:
    """Return how many epochs a training has if nothing stops it, None where the recipe lets nothing stop it."""
    train, head = row.result.settings.get("train", {}), row.result.settings.get("head", {})
    # a logistic head is solved, not trained epoch by epoch
    if not train.get("patience") or head.get("output") == "logistic":
        return None
    return int(train["epochs"]) + sum(int(phase["epochs"]) for phase in train.get("phases", ()))


def rates(findings: Findings, ranked: Sequence[Ranked]) -> Chart | None:
    """Return accuracy over the learning rate, where something was tried with more than one."""
    series = series_names([row.result for row in ranked])
    shown = [(row, row.rate, series[row.result.id]) for row in ranked if row.result.cv and row.rate]
    points = _points(findings, shown)
    names = list(dict.fromkeys(point.network for point in points))
    if len({(point.network, point.x) for point in points}) == len(names):
        return None
    return _results_chart(curves.rates_panel(points, names), "learning_rate", shown)


def speed(findings: Findings, ranked: Sequence[Ranked]) -> Chart | None:
    """Return accuracy over the time per image, where it was measured for more than one candidate."""
    times = {name: timing.milliseconds_per_image for name, timing in findings.timings.candidates.items()}
    timed = [(row, times.get(row.result.id), row.title) for row in ranked if row.result.cv]
    shown = [(row, x, name) for row, x, name in timed if x]
    points = _points(findings, shown)
    if len({point.x for point in points}) < 2:
        return None
    networks = list(dict.fromkeys(point.network for point in points))
    return _results_chart(curves.speed_panel(points, networks), "milliseconds_per_image", shown)


def _points(findings: Findings, shown: Sequence[Shown]) -> list[Point]:
    best = findings.summary.best
    return [Point(name, x, row.accuracy, row.result.id == best) for row, x, name in shown if row.accuracy and x]


def _results_chart(panel: Panel, measure: str, shown: Sequence[Shown]) -> Chart:
    rows = ([row.result.id, name, x, *_spread(row.accuracy)] for row, x, name in shown if row.accuracy)
    return Chart((panel,), downloads.table(f"{panel.name}.csv", ("candidate", "series", measure, *SPREAD), rows))


def _spread(values: FoldValues) -> list[float | None]:
    return [values.mean, values.std, *(values.ci95 or (None, None))]


def ranking(ranked: Sequence[Ranked]) -> Chart:
    """Return the accuracy of every candidate that finished, best first; on the page it is a column of the table."""
    shown = [(row.label.text, row.accuracy) for row in ranked if row.accuracy]
    rows = ([row.result.id, *_spread(row.accuracy)] for row in ranked if row.accuracy)
    panel = diagrams.ranking_panel(shown, best=shown[0][0])
    return Chart((panel,), downloads.table("ranking.csv", ("candidate", *SPREAD), rows))


def image_map(rows: Sequence[MapRow], classes: Sequence[str]) -> Chart | None:
    """Return the map of the images, where one was made; on the page it can be looked into."""
    known = drawable(rows, classes)
    return Chart((diagrams.map_panel(known, classes),), downloads.rows_of("map.csv", rows)) if known else None


def roc(findings: Findings) -> Chart | None:
    """Return the ROC curves of the best candidate on the test images, and their upper left corner when they hug it."""

    def curve(index: int) -> Line | None:
        found = roc_curve(findings.test.labels, findings.test.probabilities, index)
        return None if found is None else (found.false_positive_rate, found.true_positive_rate)

    found = _class_curves(findings, curve, "auc")
    if not found:
        return None
    drawn = list(found.values())
    coloured = areas.coloured_curves([one.area for one in drawn])
    legend = _class_legend(found, coloured, "auc")
    zoom = min(one.area for one in drawn if one.area is not None) >= ZOOM_FROM_AREA
    panels = tuple(
        areas.roc_panel(drawn, coloured, legend, zoomed=zoomed) for zoomed in ((False, True) if zoom else (False,))
    )
    return Chart(panels, _class_download("roc.csv", ("false_positive_rate", "true_positive_rate"), drawn))


def precision_recall(findings: Findings) -> Chart | None:
    """Return the precision-recall curves of the best candidate on the test images."""

    def curve(index: int) -> Line | None:
        found = precision_recall_curve(findings.test.labels, findings.test.probabilities, index)
        return None if found is None else (found.recall, found.precision)

    found = _class_curves(findings, curve, "average_precision")
    if not found:
        return None
    drawn = list(found.values())
    coloured = areas.coloured_curves([one.area for one in drawn])
    panel = areas.precision_recall_panel(drawn, coloured, _class_legend(found, coloured, "average_precision"))
    return Chart((panel,), _class_download("precision-recall.csv", ("recall", "precision"), drawn))


def _class_curves(findings: Findings, curve: Callable[[int], Line | None], area: str) -> dict[int, ClassCurve]:
    """Return the curve of every class that has one, thinned to what can be seen, by the index of the class."""
    found = {}
    for index, result in enumerate(findings.summary.test.per_class):
        line = curve(index)
        if line is not None:
            kept = areas.thinned(*line)
            found[index] = ClassCurve(result.class_, line[0][kept], line[1][kept], getattr(result, area))
    return found


def _class_legend(found: Mapping[int, ClassCurve], coloured: Sequence[int], measure: str) -> tuple[Entry, ...]:
    """Return a line per class that has a curve; ``found`` maps its index to the curve."""
    return tuple(
        Entry(
            name=curve.name,
            colour=look(coloured.index(place))[0] if place in coloured else MUTED,
            shape="line",
            pointer=f"summary/test/per_class/{index}/{measure}",
            value="" if curve.area is None else ratio(curve.area),
        )
        for place, (index, curve) in enumerate(found.items())
    )


def _class_download(name: str, axes: tuple[str, str], drawn: Sequence[ClassCurve]) -> Download:
    rows = ([one.name, *place] for one in drawn for place in zip(one.x.tolist(), one.y.tolist(), strict=True))
    return downloads.table(name, ("class", *axes), rows)


def top_k(findings: Findings) -> Chart | None:
    """Return how often the true class is among the first answers of each finalist, where that was counted."""
    if len(findings.summary.test.top_k) < 2:
        return None
    called = labels(findings.summary.candidates)
    tests = {final.candidate: final.test for final in findings.summary.finals}
    shares = {
        name: {1: test.accuracy, **{int(k): share for k, share in test.top_k.items()}} for name, test in tests.items()
    }
    panel = curves.top_k_panel({called[name].text: one for name, one in shares.items()})
    rows = ([name, k, share] for name, one in shares.items() for k, share in one.items())
    return Chart((panel,), downloads.table("top-k.csv", ("candidate", "k", "share"), rows))


def reliability(findings: Findings) -> Chart | None:
    """Return the reliability diagram, where calibration was measured."""
    found = findings.summary.calibration
    if found is None or not (found.before.bins and found.after.bins):
        return None
    times = (("before", found.before), ("after", found.after))
    rows = ([when, one.images, one.confidence, one.accuracy] for when, scores in times for one in scores.bins)
    download = downloads.table("reliability.csv", ("calibration", "images", "confidence", "accuracy"), rows)
    return Chart((diagrams.reliability_panel(found.before, found.after),), download)


def coverage(findings: Findings) -> Chart | None:
    """Return accuracy against coverage, where it was measured."""
    found = findings.summary.unknown
    if found is None or not found.coverage:
        return None
    panel = diagrams.coverage_panel(found.coverage, found.kept)
    return Chart((panel,), downloads.rows_of("coverage.csv", found.coverage))


def images(findings: Findings) -> Chart | None:
    """Return accuracy against the number of training images, where it was measured."""
    found = findings.summary.learning_curve
    if found is None or not found.points:
        return None
    rows = [
        *(["measured", point.images, *_spread(point.accuracy)] for point in found.points),
        *(["expected", one.images, one.accuracy, None, *one.ci95] for one in found.expected),
    ]
    panel = diagrams.images_panel(found)
    return Chart((panel,), downloads.table(f"{panel.name}.csv", ("kind", "images", *SPREAD), rows))
