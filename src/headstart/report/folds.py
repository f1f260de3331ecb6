"""Every candidate fold by fold, and at every learning rate."""

from __future__ import annotations

from headstart.report.content import Findings
from headstart.runs.folder import RunFolder


def gather(folder: RunFolder, findings: Findings) -> object | None:
    """Return the tables of the folds and learning rates."""
    return None
