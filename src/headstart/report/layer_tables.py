"""What the candidates are made of, layer by layer."""

from __future__ import annotations

from headstart.report.content import Findings
from headstart.runs.folder import RunFolder


def gather(folder: RunFolder, findings: Findings) -> tuple[()]:
    """Return the layer tables; empty when the run has none."""
    return ()
