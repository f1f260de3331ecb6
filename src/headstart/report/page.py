"""Run folder -> one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data import decode
from headstart.errors import MissingExtraError
from headstart.evaluation import headline
from headstart.evaluation.summary import Summary
from headstart.report import (
    charts,
    commands,
    content,
    curves,
    folds,
    frequencies,
    galleries,
    image_map,
    layer_tables,
    matrices,
    published,
    sure,
)
from headstart.report.content import Findings
from headstart.report.figures import page_svg
from headstart.report.names import printable
from headstart.report.numbers import escaped, look_up, written
from headstart.runs import folder as run_files
from headstart.runs.folder import ORIGINAL, PictureRow, RunFolder
from headstart.study.verdict import MEASURE_WORDS

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("map.js", "copy.js")
"""What the page can do beyond being read; without it everything can still be read."""

LISTED = 12
SELECTION = "summary/optimism/selection"
"""Where it stands by how much accuracies on images held back are shown lower."""

LINE_SHAPES = {
    "line": "line",
    "dotted": "line dotted",
    "dashed": "line",
    "gap": "line gap",
    "upright": "upright-line",
    "thin": "upright-line thin",
}
"""Shape of a legend's entry -> classes of the style sheet."""

ESTIMANDS = {
    "cv": "Validation",
    "test": "Accuracy and shares of single classes, test images",
    "bootstrap": "Other measures, test images",
    "difference": "Differences between two candidates",
}
COLOUR_MODES = {
    "RGB": "colour",
    "RGBA": "colour with transparency",
    "L": "grey",
    "LA": "grey with transparency",
    "P": "palette",
    "1": "black and white",
    "CMYK": "CMYK",
    "I;16": "grey, 16 bits",
}
UNKNOWN_METHODS = {
    "energy": "the energy of the outputs, which is high when every class answers weakly",
    "energy_and_neighbours": "how weakly every class answers, and how far the most similar images it learned from are",
    "nearest_neighbours": "the distance to the most similar images it learned from",
    "mahalanobis": "the distance to the middle of every class, measured by how the images of the classes spread",
}


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
    documents = {"summary": findings.summary, "timings": findings.timings, "audit": findings.audit}
    try:
        page: str = environment(documents).get_template("page.html").render(_context(folder, findings))
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "study") from error
    return page


def script(names: Sequence[str]) -> Mapping[str, str]:
    """Return for a page its ``script``, made of these templates, and the ``script_hash`` that its policy lets run."""
    text = "\n".join((TEMPLATES / name).read_text("utf-8") for name in names)
    return {"script": text, "script_hash": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}


def environment(documents: Mapping[str, Any]) -> Any:
    """Return what fills the templates; ``documents`` are what the numbers of a page are looked up in, by name."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def number(pointer: str, kind: str, less: str = "") -> Markup:
        """Return the number at a pointer as an element that holds its exact value beside the rounded text.

        ``less`` points to a share by which an accuracy is shown lower; the element says so.
        """
        value = look_up(documents, pointer)
        if not less or value is None:
            found = Markup('<data value="{}" data-from="{}">{}</data>')
            return found.format(_exact(value), pointer, written(value, kind))
        shown = headline.lowered(value, look_up(documents, less))
        found = Markup('<data value="{}" data-from="{}" data-less="{}">{}</data>')
        return found.format(_exact(shown), pointer, less, written(shown, kind))

    def cell(value: float | None, kind: str, source: str) -> Markup:
        """Return a number of a CSV file of the run folder as such an element.

        ``source`` says where it stands: ``<file>/<row from 0, header not counted>/<column>``.
        """
        return Markup('<data value="{}" data-from="{}">{}</data>').format(_exact(value), source, written(value, kind))

    filled = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filled.globals.update(number=number, cell=cell)
    filled.filters.update(written=written, svg=Markup, step=escaped, drawn=lambda one: Markup(page_svg(one)))
    return filled


def _exact(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return repr(int(value) if isinstance(value, numbers.Integral) else float(value))


def _context(folder: RunFolder, findings: Findings) -> Mapping[str, Any]:
    summary = findings.summary
    ranked = content.ranking(summary)
    called = sure.names(summary)
    run = printable(folder.path.resolve().name)
    typed = commands.typed_folder(findings.environment.command, run)
    return {
        "findings": findings,
        "summary": summary,
        "timings": findings.timings,
        "audit": findings.audit,
        "environment": findings.environment,
        "files": run_files,
        "run": run,
        "typed": typed,
        "classifier": commands.quoted(typed or run, run_files.CLASSIFIER),
        "combination": commands.quoted(typed or run, run_files.COMBINATION) if folder.combination.is_dir() else "",
        "correcting": commands.correcting_command(findings.environment.command, typed or run, run_files.DOUBTS),
        "ranked": ranked,
        "best": ranked[0],
        **_leading(summary, called),
        "scale": content.ranking_scale(summary),
        "tests": content.tested(summary),
        "sure": sure.gather(summary),
        "called": called,
        "margin": content.equivalence(findings),
        "together": headline.kept_combination(summary),
        "modes": COLOUR_MODES,
        "estimands": ESTIMANDS,
        "unknown_methods": UNKNOWN_METHODS,
        "measures": content.measures(summary),
        "openings": findings.openings,
        "answers": any((summary.calibration, summary.unknown, summary.operating)),
        "tests_scale": content.tests_scale(summary),
        "commonest": content.commonest_share(summary),
        "matrices": matrices.gather(findings),
        "pairs": content.confused_pairs(summary.test.confusion_matrix, summary.dataset.classes),
        "charts": charts.gather(findings, ranked),
        "line_shapes": LINE_SHAPES,
        "most_folds": curves.MOST_FOLDS,
        "samples": _pictures(folder, "sample"),
        "top_k_size": max(map(int, summary.test.top_k), default=None),
        "augmentations": _augmentations(folder),
        "galleries": galleries.gather(folder, findings),
        "map": image_map.gather(folder, findings),
        "folds": folds.gather(folder, findings),
        "frequencies": frequencies.gather(summary),
        "layers": layer_tables.gather(folder, findings),
        **script(SCRIPTS),
        "published": published.published_section(summary, findings.study, findings.timings),
        "listed": LISTED,
    }


def _leading(summary: Summary, called: Mapping[str, str]) -> Mapping[str, Any]:
    """Return which figures lead: which test images count, and how folds are scored and shown."""
    return {
        "before": not summary.protocol.choose_by,
        "at_end": summary.protocol.score_epoch == "last",
        "less": SELECTION if headline.shift(summary) else "",
        "scored": headline.scored_in_words(summary),
        "headline": headline.headline(summary),
        "pointers": content.figure_pointers(summary, summary.best, "summary/test"),
        "clean": headline.clean_of(summary, summary.best),
        "sealed": headline.is_sealed(summary),
        "chosen_by": MEASURE_WORDS[summary.protocol.measure],
        "repeated": [headline.repeated_in_words(one, called[one.candidate]) for one in summary.finals],
    }


def _pictures(folder: RunFolder, kind: str) -> tuple[Picture, ...]:
    return tuple(
        Picture(row, decode.jpeg_address(folder.picture_bytes(row))) for row in folder.pictures() if row.kind == kind
    )


def _augmentations(folder: RunFolder) -> tuple[tuple[Picture, ...], ...]:
    """Return the contact sheet of augmentation row by row: an original, then its changed copies."""
    rows: list[list[Picture]] = []
    for picture in sorted(_pictures(folder, "augmentation"), key=lambda picture: picture.row.number):
        if picture.row.operation == ORIGINAL or not rows:
            rows.append([])
        rows[-1].append(picture)
    return tuple(tuple(row) for row in rows)
