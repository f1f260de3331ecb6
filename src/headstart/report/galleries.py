"""Pictures of the page: what the best classifier says of single test images."""

from __future__ import annotations

from headstart.report.content import Findings
from headstart.runs.folder import RunFolder


def gather(folder: RunFolder, findings: Findings) -> tuple[()]:
    """Return the galleries of the page."""
    return ()
