"""The earlier run whose list corrects this study: it must be of the same images."""

from __future__ import annotations

import hashlib
from pathlib import Path

from headstart.data.images import ImageRow, ImageTable
from headstart.data.listing import shown
from headstart.errors import ImageError, RunError, UsageError
from headstart.recipe import DataRules
from headstart.runs.folder import RunFolder


def check_same_images(rules: DataRules, table: ImageTable) -> None:
    """Raise UsageError if the run that a corrected list lies in has other images under the paths of the list.

    Paths alone do not tell: in array files every image of every data set has the same. A run that can no longer be
    read says nothing here.
    """
    listed = {*rules.remove, *rules.relabel, *rules.keep} if rules.corrected_from else set()
    before = _contents(Path(rules.corrected_from)) if listed else {}
    rows = [row for row in table.rows if row.path in listed and before.get(row.path)]
    if other := [row.path for row in rows if _content(row, table) not in ("", before[row.path])]:
        raise UsageError(
            f"The corrected list in {rules.corrected_from} is of other images than {table.location}: of the "
            f"{len(rows):,} that both have, {len(other):,} differ in content ({shown(other)}). Give the images that "
            "the list was made from, or take what has changed out of the list."
        )


def _contents(run: Path) -> dict[str, str]:
    """Return path -> sha256 of the images of a run; empty where the run cannot be read."""
    try:
        return {row.path: row.sha256 for row in RunFolder(run).images()}
    except (RunError, OSError, ValueError):
        return {}


def _content(row: ImageRow, table: ImageTable) -> str:
    """Return the sha256 of an image, also of one that was left out unread; empty where it cannot be read."""
    if row.sha256:
        return row.sha256
    try:
        encoded = table.encoded(row)
    except ImageError:
        return ""
    return hashlib.sha256(encoded if isinstance(encoded, bytes) else encoded.tobytes()).hexdigest()
