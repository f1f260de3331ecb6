"""The map of the images: near means alike to the network."""

from __future__ import annotations

from headstart.report.content import Findings
from headstart.runs.folder import RunFolder


def gather(folder: RunFolder, findings: Findings) -> object | None:
    """Return the map; None when the run has none."""
    return None
