"""Which part (test or rest, or which fold) the images of one class go to: stratified, seeded, and staying put.

Every unit (a group, or an image alone) has a position in 0..1, a hash of the seed, the purpose and its own content. The
parts are intervals of that line. So where a unit goes depends on nothing but itself, and stays when images are added.
The price: shares are right on average only, since a function of each image alone cannot count the others. A part may
therefore differ from its share by the larger of one image and a tolerance. Beyond that, or where a part would be empty,
the fewest units that mend it move from the fullest part to the emptiest, those nearest to a boundary first. In a class
of several hundred images nothing has to move; in a small one, or without a tolerance, a few do.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

TOLERANCE = 0.3
"""How far the images of a part may be from its share, as a fraction of the share; one image is always allowed."""

SMALL_SET = 1000
"""Below so many images in all the tolerance is 0: the share counts more than that images stay put."""

ROUNDING = 1e-9
"""So that a share of 3.0000000000000004 images is one of 3."""


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
    units: Sequence[Unit],
    fractions: Sequence[float],
    *,
    minimum: Sequence[int],
    seed: int,
    purpose: str,
    tolerance: float = TOLERANCE,
) -> list[int]:
    """Return the part of every unit of one class.

    ``fractions`` are the parts' shares of the images, with sum 1; ``minimum`` is the least number of units in each part
    where there are enough. Units of several images may break the ``tolerance``, as little as one move or one exchange
    at a time can make it. The result does not depend on the order of the units.
    """
    order = sorted(range(len(units)), key=lambda index: units[index].key)
    edges = list(accumulate(fractions))[:-1]
    line = [position(units[index].key, seed=seed, purpose=purpose) for index in order]
    shares = [fraction * sum(unit.size for unit in units) for fraction in fractions]
    stratum = _Stratum(
        sizes=[units[index].size for index in order],
        distances=[min(abs(place - edge) for edge in edges) for place in line],
        allowed=[max(1.0, tolerance * share) + ROUNDING for share in shares],
        minimum=list(minimum),
        excess=[-share for share in shares],
        members=[0] * len(shares),
        parts=[-1] * len(units),
    )
    for unit, place in enumerate(line):
        stratum.put(unit, bisect_right(edges, place))
    while stratum.mend():
        pass
    parts = [0] * len(units)
    for index, part in zip(order, stratum.parts, strict=True):
        parts[index] = part
    return parts


@dataclass(slots=True)
class _Stratum:
    """The units of one class on their way to their parts.

    Of units: ``sizes``, ``distances`` to the nearest boundary, ``parts``. Of parts: how far they may be from their
    share (``allowed``), how far they are (``excess``), and how many units they must and do have.
    """

    sizes: list[int]
    distances: list[float]
    allowed: list[float]
    minimum: list[int]
    excess: list[float]
    members: list[int]
    parts: list[int]

    def put(self, unit: int, part: int) -> None:
        """Move a unit to a part, from where it is, if anywhere."""
        if self.parts[unit] >= 0:
            self.excess[self.parts[unit]] -= self.sizes[unit]
            self.members[self.parts[unit]] -= 1
        self.parts[unit] = part
        self.excess[part] += self.sizes[unit]
        self.members[part] += 1

    def mend(self) -> bool:
        """Change one thing if a part lacks units or is out of tolerance; False when nothing is left to do.

        It ends: a change first fills a part that lacks units, and otherwise lowers the sum of squared deviations.
        """
        every = range(len(self.excess))
        short = [part for part in every if self.members[part] < self.minimum[part]]
        if not short and all(abs(self.excess[part]) <= self.allowed[part] for part in every):
            return False
        receiver = min(short or every, key=lambda part: self.excess[part])
        for donor in sorted(every, key=lambda part: -self.excess[part]):
            limit = float("inf") if short else self.excess[donor] - self.excess[receiver]
            if donor != receiver and (change := self._best(donor, receiver, limit)):
                for unit, part in zip(change, (receiver, donor), strict=False):
                    self.put(unit, part)
                return True
        return False

    def _best(self, donor: int, receiver: int, limit: float) -> tuple[int, ...]:
        """Return the unit to move, or the two to exchange, for the least excess beyond what is allowed; empty: none.

        The change in images is below ``limit``; an exchange fills no part that lacks units.
        """
        given, taken = self._nearest(donor), self._nearest(receiver)
        changes: list[tuple[int, ...]] = [
            (unit,) for unit in given.values() if self.members[donor] > self.minimum[donor]
        ]
        if limit < float("inf"):
            changes += [(one, other) for one in given.values() for other in taken.values()]

        def moved(change: tuple[int, ...]) -> int:
            return self.sizes[change[0]] - sum(self.sizes[unit] for unit in change[1:])

        def cost(change: tuple[int, ...]) -> tuple[float, int, float]:
            images = moved(change)
            over = abs(self.excess[donor] - images) - self.allowed[donor]
            under = abs(self.excess[receiver] + images) - self.allowed[receiver]
            return max(over, 0.0) + max(under, 0.0), len(change), sum(self.distances[unit] for unit in change)

        return min((change for change in changes if 0 < moved(change) < limit), key=cost, default=())

    def _nearest(self, part: int) -> dict[int, int]:
        """Return size -> the unit of that size nearest to a boundary, among those of a part."""
        found: dict[int, int] = {}
        for unit, where in enumerate(self.parts):
            size = self.sizes[unit]
            if where == part and (size not in found or self.distances[unit] < self.distances[found[size]]):
                found[size] = unit
        return found
