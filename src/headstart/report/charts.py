"""Run folder's numbers -> figures with their legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.evaluation.metrics import precision_recall_curve, roc_curve
from headstart.report import areas, content, curves, diagrams
from headstart.report.areas import ClassCurve
from headstart.report.content import Findings, Ranked
from headstart.report.curves import Marks, Point
from headstart.report.figures import SYMBOLS
from headstart.report.names import series_names

OTHERS = {"precision": "Precision", "recall": "Recall", "top_k": "Top k"}
ZOOM_FROM_AREA = 0.95


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend: the name, the number of its colour, its symbol and, for ROC curves, where its AUC is."""

    name: str
    colour: int
    symbol: str
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Curves:
    """The learning curves of one candidate as SVG; ``others`` are further measures with their names."""

    row: Ranked
    accuracy: str
    loss: str
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """One or two panels of SVG with the legend they share."""

    panels: tuple[str, ...]
    legend: tuple[Entry, ...]


def learning_curves(findings: Findings, ranked: Sequence[Ranked]) -> tuple[Curves, ...]:
    """Return loss and accuracy of the candidates worth showing, and of the best one every other measure too."""
    shown = []
    for row in content.curve_order(ranked, findings.summary):
        history = findings.history.get(row.result.id, ())
        if not history:
            continue
        best = row.result.id == findings.summary.best
        present = [name for name in OTHERS if best and any(getattr(one, name) is not None for one in history)]
        others = tuple((OTHERS[name], _learning_panel(findings, row, name)) for name in present)
        accuracy, loss = (_learning_panel(findings, row, measure) for measure in ("accuracy", "loss"))
        shown.append(Curves(row, accuracy, loss, others))
    return tuple(shown)


def _learning_panel(findings: Findings, row: Ranked, measure: str) -> str:
    name, cv = row.result.id, row.result.cv
    assert cv is not None, "curves are shown of candidates that finished"
    fitted = next((one for one in findings.summary.overfitting if one.candidate == name), None)
    marks = Marks(
        best_epochs=cv.best_epochs,
        final_epochs=next((final.epochs for final in findings.summary.finals if final.candidate == name), None),
        turned=fitted.turned if fitted else None,
        gap=fitted is not None,
    )
    title = f"{measure.replace('_', ' ').capitalize()} of {name}"
    return curves.learning_panel(f"{name} {measure}", findings.history[name], measure, title=title, marks=marks)


def rates(findings: Findings, ranked: Sequence[Ranked]) -> Chart | None:
    """Return accuracy over the learning rate, where something was tried with more than one."""
    series = series_names([row.result for row in ranked])
    points = [point for row in ranked for point in _point(findings, row, row.rate, series[row.result.id])]
    names = list(dict.fromkeys(point.network for point in points))
    if len({(point.network, point.x) for point in points}) == len(names):
        return None
    return Chart((curves.rates_panel(points, names),), _legend(names))


def speed(findings: Findings, ranked: Sequence[Ranked]) -> Chart | None:
    """Return accuracy over the time per image, where it was measured for more than one candidate."""
    times = {name: timing.milliseconds_per_image for name, timing in findings.timings.candidates.items()}
    points = [point for row in ranked for point in _point(findings, row, times.get(row.result.id), row.title)]
    if len({point.x for point in points}) < 2:
        return None
    networks = list(dict.fromkeys(point.network for point in points))
    return Chart((curves.speed_panel(points, networks),), _legend(networks))


def _point(findings: Findings, row: Ranked, x: float | None, name: str) -> list[Point]:
    if row.result.cv is None or not x:
        return []
    return [Point(name, x, row.result.cv.accuracy, row.result.id == findings.summary.best)]


def _legend(names: Sequence[str]) -> tuple[Entry, ...]:
    return tuple(Entry(name, place % 8 + 1, SYMBOLS[place % len(SYMBOLS)]) for place, name in enumerate(names))


def roc(findings: Findings) -> Chart | None:
    """Return the ROC curves of the best candidate on the test images, and their upper left corner when they hug it."""
    found = {}
    for index, name in enumerate(findings.summary.dataset.classes):
        curve = roc_curve(findings.test.labels, findings.test.probabilities, index)
        if curve is not None:
            area = findings.summary.test.per_class[index].auc
            found[index] = ClassCurve(name, curve.false_positive_rate, curve.true_positive_rate, area)
    if not found:
        return None
    drawn = list(found.values())
    coloured = areas.coloured_curves([curve.area for curve in drawn])
    zoom = min(curve.area for curve in drawn if curve.area is not None) >= ZOOM_FROM_AREA
    panels = tuple(areas.roc_panel(drawn, coloured, zoomed=zoomed) for zoomed in ((False, True) if zoom else (False,)))
    return Chart(panels, _class_legend(found, coloured, "auc"))


def precision_recall(findings: Findings) -> Chart | None:
    """Return the precision-recall curves of the best candidate on the test images."""
    found = {}
    for index, name in enumerate(findings.summary.dataset.classes):
        curve = precision_recall_curve(findings.test.labels, findings.test.probabilities, index)
        if curve is not None:
            area = findings.summary.test.per_class[index].average_precision
            found[index] = ClassCurve(name, curve.recall, curve.precision, area)
    if not found:
        return None
    coloured = areas.coloured_curves([curve.area for curve in found.values()])
    panel = areas.precision_recall_panel(list(found.values()), coloured)
    return Chart((panel,), _class_legend(found, coloured, "average_precision"))


def _class_legend(found: Mapping[int, ClassCurve], coloured: Sequence[int], measure: str) -> tuple[Entry, ...]:
    """Return a line per class that has a curve; ``found`` maps its index to the curve."""
    return tuple(
        Entry(
            curve.name,
            coloured.index(place) + 1 if place in coloured else 0,
            "",
            f"summary/test/per_class/{index}/{measure}",
        )
        for place, (index, curve) in enumerate(found.items())
    )


def reliability(findings: Findings) -> str | None:
    """Return the reliability diagram, where calibration was measured."""
    found = findings.summary.calibration
    if found is None or not (found.before.bins and found.after.bins):
        return None
    return diagrams.reliability_panel(found.before, found.after)


def coverage(findings: Findings) -> str | None:
    """Return accuracy against coverage, where it was measured."""
    found = findings.summary.unknown
    return diagrams.coverage_panel(found.coverage) if found and found.coverage else None


def images(findings: Findings) -> str | None:
    """Return accuracy against the number of training images, where it was measured."""
    found = findings.summary.learning_curve
    return diagrams.images_panel(found) if found and found.points else None
