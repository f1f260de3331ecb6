"""Which images look bad: blank, very dark or blurred, each judged beside the others of its data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from headstart.data.look import BLANK_CONTRAST, Look
from headstart.data.table import ImageTable

DARK = 50.0
"""Grey level, 0..255, that the light parts of a very dark picture do not reach; a flower on black is not dark."""

DARK_SHARE = 1 / 3
"""A very dark picture's light parts also have less than this share of the median: of night skies none stands out."""

BLURRED_SHARE = 1 / 20
"""A blurred picture has less than this share of the median sharpness."""

BLURRED_DEVIATIONS = 3.5
"""It also lies so many deviations below on a logarithmic scale (median absolute deviation times 1.4826): where
sharpness differs widely from picture to picture, a low one is not suspicious."""

LEAST = 20
"""Images that a data set must have before pictures are called blurred by comparison."""


def blank(table: ImageTable) -> tuple[str, ...]:
    """Return the paths of images of nearly one colour."""
    return tuple(path for path, look in _looks(table) if _is_blank(look))


def dark(table: ImageTable) -> tuple[str, ...]:
    """Return the paths of very dark images that are not blank."""
    looks = _looks(table)
    if not looks:
        return ()
    limit = min(DARK, DARK_SHARE * median(_light(look) for _, look in looks))
    return tuple(path for path, look in looks if _light(look) < limit and not _is_blank(look))


def blurred(table: ImageTable) -> tuple[str, ...]:
    """Return the paths of images far less sharp than the median; small and blank ones are not judged."""
    looks = [(path, look) for path, look in _looks(table) if look.hash]
    if len(looks) < LEAST:
        return ()
    limit = _blur_limit([_sharpness(look) for _, look in looks])
    return tuple(path for path, look in looks if _sharpness(look) < limit)


def _blur_limit(values: Sequence[float]) -> float:
    """Return the logarithm of sharpness below which a picture is blurred."""
    middle = median(values)
    deviation = 1.4826 * median(abs(value - middle) for value in values)
    return middle - max(-math.log(BLURRED_SHARE), BLURRED_DEVIATIONS * deviation)


def _light(look: Look) -> float:
    """Return about how light the light parts are: two standard deviations above the mean grey."""
    return look.brightness + 2 * look.contrast


def _sharpness(look: Look) -> float:
    return math.log(look.sharpness + 0.1)


def _is_blank(look: Look) -> bool:
    return look.contrast < BLANK_CONTRAST


def _looks(table: ImageTable) -> list[tuple[str, Look]]:
    return [(row.path, table.facts[row.path].look) for row in table.ok if row.path in table.facts]
