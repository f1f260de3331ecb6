"""Which part (test or rest, or which fold) the images of one class go to: stratified, seeded, and staying put.

Every unit (a group, or an image alone) has a position in 0..1, a hash of the seed, the purpose and its own content. The
parts are intervals of that line. So where a unit goes depends on nothing but itself, and stays when images are added.
The price: shares are right on average only, since a function of each image alone cannot count the others. A part may
therefore differ from its share by the larger of one image and 30 % of the share. Beyond that, or where a part would be
empty, the fewest units that mend it move from the fullest part to the emptiest, those nearest to a boundary first. In a
class of several hundred images nothing has to move; in a small one a few do.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

TOLERANCE = 0.3
"""How far the images of a part may be from its share, as a fraction of the share; one image is always allowed."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Images that stay together: their row numbers, the label of most of them, and the identity that places them."""

    key: str
    label: str
    rows: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of images."""
        return len(self.rows)


def position(key: str, *, seed: int, purpose: str) -> float:
    """Return a number in [0, 1) that depends on nothing else: 53 bits of a SHA-256."""
    digest = hashlib.sha256(f"{seed}\n{purpose}\n{key}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def assign(
    units: Sequence[Unit], fractions: Sequence[float], *, minimum: Sequence[int], seed: int, purpose: str
) -> list[int]:
    """Return the part of every unit of one class.

    ``fractions`` are the parts' shares of the images, with sum 1; ``minimum`` is the least number of units in each part
    where there are enough. The result does not depend on the order of the units.
    """
    order = sorted(range(len(units)), key=lambda index: units[index].key)
    edges = list(accumulate(fractions))[:-1]
    line = [position(units[index].key, seed=seed, purpose=purpose) for index in order]
    stratum = _Stratum(
        sizes=[units[index].size for index in order],
        line=line,
        edges=edges,
        parts=[bisect_right(edges, place) for place in line],
        shares=[fraction * sum(unit.size for unit in units) for fraction in fractions],
        minimum=list(minimum),
    )
    while stratum.mend():
        pass
    parts = [0] * len(units)
    for index, part in zip(order, stratum.parts, strict=True):
        parts[index] = part
    return parts


@dataclass(slots=True)
class _Stratum:
    """The units of one class on their way to their parts."""

    sizes: list[int]
    line: list[float]
    edges: list[float]
    parts: list[int]
    shares: list[float]
    minimum: list[int]

    def mend(self) -> bool:
        """Move one unit if a part lacks units or is out of tolerance; False when nothing is left to do.

        It ends: a move first fills a part that lacks units, and otherwise lowers the sum of squared deviations.
        """
        members = [0] * len(self.shares)
        excess = [-share for share in self.shares]
        for part, size in zip(self.parts, self.sizes, strict=True):
            members[part] += 1
            excess[part] += size
        short = [part for part, least in enumerate(self.minimum) if members[part] < least]
        if not short and all(abs(e) <= max(1.0, TOLERANCE * s) for e, s in zip(excess, self.shares, strict=True)):
            return False
        receiver = min(short or range(len(excess)), key=lambda part: excess[part])
        for donor in sorted(range(len(excess)), key=lambda part: -excess[part]):
            if donor != receiver and members[donor] > self.minimum[donor]:
                limit = float("inf") if short else excess[donor] - excess[receiver]
                if self._move(donor, receiver, limit):
                    return True
        return False

    def _move(self, donor: int, receiver: int, limit: float) -> bool:
        """Move the unit nearest to a boundary whose size is below ``limit``."""
        movable = [i for i, part in enumerate(self.parts) if part == donor and self.sizes[i] < limit]
        if not movable:
            return False
        nearest = min(movable, key=lambda i: min(abs(self.line[i] - edge) for edge in self.edges))
        self.parts[nearest] = receiver
        return True
