"""How a classifier does on labelled images -> one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart import storage
from headstart.classifier.assessment import Assessment, Learned
from headstart.errors import DataError, MissingExtraError
from headstart.report import matrices
from headstart.report.content import confused_pairs
from headstart.report.matrices import Matrix, Part
from headstart.report.page import LISTED, environment, script
from headstart.report.several import check_place
from headstart.version import __version__

SCRIPTS = ("copy.js",)

MEASURES = (
    ("accuracy", "Accuracy", "accuracy", "percent"),
    ("balanced_accuracy", "Balanced accuracy", "balanced_accuracy", "percent"),
    ("f1", "F1, mean of the classes", "averages/macro/f1", "ratio"),
    ("auc", "AUC, mean of the classes", "averages/macro/auc", "ratio"),
    ("loss", "Loss, cross-entropy in nats", "loss", "decimals"),
)
"""Name of the interval, title, where the value stands below ``test``, and how it is written."""


def write_page(found: Assessment, path: Path) -> Path:
    """Write the page of an assessment and return its path.

    Raises:
        DataError: no image could be judged.
        ReportError: at ``path`` lies something that headstart did not write.
        MissingExtraError: Jinja2 is not installed.
    """
    check_place(path)
    storage.write_text(path, render(found))
    return path


def render(found: Assessment) -> str:
    """Return the page as HTML text."""
    if found.test is None:
        raise DataError(f"No image of the classifier's classes in {found.data} could be read, so there is no page.")
    try:
        filled = environment({"found": found}).get_template("assessment.html")
        page: str = filled.render(_context(found, found.without_learned or found))
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "study") from error
    return page


def _context(found: Assessment, shown: Assessment | Learned) -> Mapping[str, Any]:
    """Return what the template names; ``shown`` are the figures that hold for new images, where they can be told."""
    assert shown.test is not None, "there are images"
    return {
        "found": found,
        "shown": shown,
        "where": "found" if shown is found else "found/learned",
        "others": found.images - found.learned.images if found.learned else 0,
        "test": shown.test,
        "measures": MEASURES,
        "matrix": _matrix(found, shown),
        "pairs": confused_pairs(shown.test.confusion_matrix, found.classes),
        "version": __version__,
        "listed": LISTED,
        **script(SCRIPTS),
    }


def _matrix(found: Assessment, shown: Assessment | Learned) -> Matrix:
    assert shown.test is not None, "there are images"
    counts = np.array(shown.test.confusion_matrix, np.int64)
    part = Part("test", "All images" if shown is found else "New images", "By the most probable class.", counts)
    return matrices.drawn(part, found.classes)
