"""The images to learn from, cut to a limit: stratified, and so that a larger limit contains the smaller.

Every class of every given split has an order of its images that depends on their content alone: units (a group, or an
image alone) by the hash of their identity. How many are taken from the top of each order is Sainte-Lague's method: the
image at rank ``r``, counted from 0, of ``n`` has the quotient ``(r + 0.5) / n``, and the smallest quotients win. Shares
are right to about one image. Largest remainders would be as near, but a larger limit may take a place from a class
there (the Alabama paradox). Before that, the first training image of every class is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from headstart.data.assignment import position
from headstart.data.groups import content_group
from headstart.data.table import ImageRow
from headstart.errors import UsageError


def limited(rows: Sequence[ImageRow], limit: int) -> tuple[ImageRow, ...]:
    """Return the rows without the images to learn from that are beyond ``limit``; 0: all rows.

    Images of a given test split, and rows that are set aside, stay. Of each class at most one group is cut apart.

    Raises:
        UsageError: ``limit`` is below the number of classes.
    """
    learn = [row for row in rows if row.ok and row.split != "test"]
    if not limit or limit >= len(learn):
        return tuple(rows)
    classes = {row.label for row in learn}
    if limit < len(classes):
        raise UsageError(f"limit must be at least {len(classes)}, one image per class. Received: {limit}.")
    left_out = {row.path for row in _order(learn)[limit:]}
    return tuple(row for row in rows if row.path not in left_out)


def _order(rows: Sequence[ImageRow]) -> list[ImageRow]:
    """Return the rows in the order in which limits take them."""
    strata: dict[tuple[str, str], list[tuple[float, str, str, ImageRow]]] = defaultdict(list)
    for row in rows:
        place = position(row.group or content_group(row.sha256), seed=0, purpose="limit")
        strata[row.label, row.split].append((place, row.sha256, row.path, row))
    ranked = []
    for (_, split), stratum in strata.items():
        for rank, (place, sha256, path, row) in enumerate(sorted(stratum, key=lambda item: item[:3])):
            first = rank == 0 and split != "validation"
            ranked.append((not first, (rank + 0.5) / len(stratum), place, sha256, path, row))
    return [row for *_, row in sorted(ranked, key=lambda item: item[:5])]
