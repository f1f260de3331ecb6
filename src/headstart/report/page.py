"""Run folder -> one self-contained HTML page."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import MissingExtraError
from headstart.evaluation.metrics import roc_curve
from headstart.report import content, curves, published
from headstart.report.content import Findings, Ranked
from headstart.report.curves import Point
from headstart.report.figures import SYMBOLS
from headstart.report.names import series_names
from headstart.report.numbers import escaped, look_up, written
from headstart.runs import folder as run_files
from headstart.runs.folder import ORIGINAL, PictureRow, RunFolder

OTHERS = {"precision": "Precision", "recall": "Recall", "top_k": "Top k"}
ZOOM_FROM_AREA = 0.95
LISTED = 12


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


@dataclass(frozen=True, slots=True)
class Picture:
    """A small picture as a data address, with what is known of it."""

    row: PictureRow
    address: str


def write_report(folder: RunFolder) -> Path:
    """Write the page of a finished study into its run folder and return its path.

    Needs the run folder alone: neither photographs nor cache nor Keras. Equal folders make equal bytes.

    Raises:
        RunError: the study is not finished, or a file is missing or damaged.
        MissingExtraError: Jinja2 or matplotlib is not installed.
    """
    return folder.write_report(render(folder))


def render(folder: RunFolder) -> str:
    """Return the page as HTML text."""
    findings = content.gather(folder)
    try:
        page: str = _environment(findings).get_template("page.html").render(_context(folder, findings))
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "study") from error
    return page


def _environment(findings: Findings) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    documents = {"summary": findings.summary, "timings": findings.timings}

    def number(pointer: str, kind: str) -> Markup:
        """Return the number at a pointer as an element that holds its exact value beside the rounded text."""
        value = look_up(documents, pointer)
        exact = "" if value is None or not math.isfinite(value) else repr(value)
        return Markup('<data value="{}" data-from="{}">{}</data>').format(exact, pointer, written(value, kind))

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["number"] = number
    environment.filters.update(written=written, svg=Markup, step=escaped)
    return environment


def _context(folder: RunFolder, findings: Findings) -> Mapping[str, Any]:
    summary = findings.summary
    ranked = content.ranking(summary)
    return {
        "findings": findings,
        "summary": summary,
        "timings": findings.timings,
        "audit": findings.audit,
        "environment": findings.environment,
        "files": run_files,
        "run": folder.path.resolve().name,
        "ranked": ranked,
        "best": ranked[0],
        "recommended": next(row for row in ranked if row.result.id == summary.recommended),
        "scale": content.ranking_scale(summary),
        "tests": content.tested(summary),
        "comparisons": {one.b: place for place, one in enumerate(summary.comparison)},
        "tests_scale": content.tests_scale(summary),
        "commonest": content.commonest_share(summary),
        "matrices": content.matrices(findings),
        "pairs": content.confused_pairs(summary),
        "curves": _learning_curves(findings, ranked),
        "phases": any(row.phase > 1 for rows in findings.history.values() for row in rows),
        "rates": _rates(findings, ranked),
        "speed": _speed(findings, ranked),
        "roc": _roc(findings),
        "samples": _pictures(folder, "sample"),
        "mistakes": _pictures(folder, "mistake"),
        "top_k_size": max(map(int, summary.test.top_k), default=None),
        "augmentations": _augmentations(folder),
        "published": published.published_section(summary, findings.study, findings.timings),
        "listed": LISTED,
    }


def _learning_curves(findings: Findings, ranked: Sequence[Ranked]) -> tuple[Curves, ...]:
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
    return curves.learning_panel(
        f"{name} {measure}",
        findings.history[name],
        measure,
        title=f"{measure.replace('_', ' ').capitalize()} of {name}",
        best_epochs=cv.best_epochs,
        final_epochs=next((final.epochs for final in findings.summary.finals if final.candidate == name), None),
    )


def _rates(findings: Findings, ranked: Sequence[Ranked]) -> Chart | None:
    """Return accuracy over the learning rate, where something was tried with more than one."""
    series = series_names([row.result for row in ranked])
    points = [point for row in ranked for point in _point(findings, row, row.rate, series[row.result.id])]
    names = list(dict.fromkeys(point.network for point in points))
    if len({(point.network, point.x) for point in points}) == len(names):
        return None
    return Chart((curves.rates_panel(points, names),), _legend(names))


def _speed(findings: Findings, ranked: Sequence[Ranked]) -> Chart | None:
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


def _roc(findings: Findings) -> Chart | None:
    """Return the ROC curves of the best candidate on the test images, and their upper left corner when they hug it."""
    test, classes = findings.summary.test, findings.summary.dataset.classes
    drawn, pointers = [], []
    for index, name in enumerate(classes):
        curve = roc_curve(findings.test.labels, findings.test.probabilities, index)
        if curve is not None:
            drawn.append((name, curve, test.per_class[index].auc))
            pointers.append(f"summary/test/per_class/{index}/auc")
    if not drawn:
        return None
    coloured = curves.coloured_curves([area for _, _, area in drawn])
    zoom = min(area for _, _, area in drawn if area is not None) >= ZOOM_FROM_AREA
    panels = tuple(curves.roc_panel(drawn, coloured, zoomed=zoomed) for zoomed in ((False, True) if zoom else (False,)))
    legend = [
        Entry(name, coloured.index(place) + 1 if place in coloured else 0, "", pointers[place])
        for place, (name, _, _) in enumerate(drawn)
    ]
    return Chart(panels, tuple(legend))


def _pictures(folder: RunFolder, kind: str) -> tuple[Picture, ...]:
    return tuple(
        Picture(row, "data:image/jpeg;base64," + base64.b64encode(folder.picture_bytes(row)).decode())
        for row in folder.pictures()
        if row.kind == kind
    )


def _augmentations(folder: RunFolder) -> tuple[tuple[Picture, ...], ...]:
    """Return the contact sheet of augmentation row by row: an original, then its changed copies."""
    rows: list[list[Picture]] = []
    for picture in sorted(_pictures(folder, "augmentation"), key=lambda picture: picture.row.number):
        if picture.row.operation == ORIGINAL or not rows:
            rows.append([])
        rows[-1].append(picture)
    return tuple(tuple(row) for row in rows)
