"""Heat on photographs: bringing a map to where it belongs, drawing it, and saying in words where it lies.

NumPy and Pillow alone. A heat map has values of at least 0; on the network's input it covers the whole input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.backbones.backbone import BRIGHTNESS
from headstart.data.decode import Geometry, Resize, geometry

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]

# Colours from no heat to most heat: each lighter than the one before, so that they are told apart without hue.
COLOURS = np.array([(28, 12, 66), (96, 22, 110), (168, 38, 92), (226, 84, 48), (252, 158, 36), (253, 236, 128)], float)
# How much of the hottest place is colour; the rest is photograph.
STRONGEST = 0.75
# The photograph below the heat is grey and a little darker, or the colours of a flower would pass for heat.
BRIGHTNESS_BELOW = 0.8
GAP_PIXELS = 12
# Keyword and text of the chunk by which a PNG of headstart is known; Pillow writes it before the pixels.
MARK, MARKED_WITHIN = ("Software", "headstart explain"), 200

_NINTHS = (
    ("in the upper left", "at the top", "in the upper right"),
    ("at the left", "in the middle", "at the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)
_QUARTERS = (("in the upper left quarter", "in the upper right quarter"),
             ("in the lower left quarter", "in the lower right quarter"))  # fmt: skip
_ROWS = (("in the upper third",), ("in the band across the middle",), ("in the lower third",))
_COLUMNS = (("in the left third", "in the band down the middle", "in the right third"),)


def normalised(heat: Floats) -> NDArray[np.float32]:
    """Return a map ``(height, width)`` or maps ``(n, height, width)`` in 0..1: negative values 0, then each one divided
    by its maximum. What has nothing above 0 stays 0 everywhere.
    """
    positive = np.maximum(heat, 0).astype(np.float64)
    largest = positive.max(axis=(-2, -1), keepdims=True)
    share: NDArray[np.float64] = np.divide(positive, largest, out=np.zeros_like(positive), where=largest > 0)
    return share.astype(np.float32)


def smooth(heat: Floats, height: int, width: int) -> NDArray[np.float32]:
    """Return a map resized to ``height x width`` with a bicubic filter, kept within the map's own range."""
    return _smooth(heat, height, width, (0.0, 0.0, float(heat.shape[1]), float(heat.shape[0])))


def _smooth(heat: Floats, height: int, width: int, box: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """Return a window of a map, ``box`` (left, top, right, bottom in cells of the map), resized."""
    from PIL import Image

    plain = Image.fromarray(np.ascontiguousarray(heat, np.float32))
    found = np.asarray(plain.resize((width, height), Image.Resampling.BICUBIC, box=box))
    within: NDArray[np.float32] = np.clip(found, heat.min(), heat.max())
    return within


def placed(heat: Floats, height: int, width: int, size: Resize) -> NDArray[np.float32]:
    """Return a map of the network's input on the photograph that the input was made of.

    Args:
        heat: any number of rows and columns, over the whole input.
        height: of the photograph, or of a picture of it at another scale.
        width: likewise.
        size: the rule that made the input. What ``crop`` cuts away has no heat, for the network never saw it; what
            ``pad`` adds is left out.

    Returns:
        ``(height, width)``.
    """
    plan = geometry(height, width, size)
    if size.rule != "crop":
        return _smooth(heat, height, width, _photograph_in(heat, plan, size))
    canvas = np.zeros((height, width), np.float32)
    top, bottom = _window(plan.top, size.height, plan.height, height)
    left, right = _window(plan.left, size.width, plan.width, width)
    canvas[top:bottom, left:right] = smooth(heat, bottom - top, right - left)
    return canvas


def _photograph_in(heat: Floats, plan: Geometry, size: Resize) -> tuple[float, float, float, float]:
    """Return where the photograph lies in a map: left, top, right and bottom in cells of the map."""
    down, across = heat.shape[0] / size.height, heat.shape[1] / size.width
    right, bottom = (plan.left + plan.width) * across, (plan.top + plan.height) * down
    return plan.left * across, plan.top * down, min(right, heat.shape[1]), min(bottom, heat.shape[0])


def _window(start: int, length: int, scaled: int, side: int) -> tuple[int, int]:
    """Return from and up to which pixel of a side the network saw the photograph; at least one pixel."""
    first = min(round(start * side / scaled), side - 1)
    return first, max(round((start + length) * side / scaled), first + 1)


def overlay(pixels: Pixels, heat: Floats) -> Pixels:
    """Return ``pixels`` ``(height, width, 3)`` in grey with heat in 0..1 on it: the hotter, the lighter and the denser.

    A map of another size is resized smoothly; it covers the whole picture (see ``placed`` for photographs that were
    cropped or padded).
    """
    height, width = pixels.shape[:2]
    level = np.clip(smooth(heat, height, width), 0, 1)
    anchors = np.linspace(0, 1, len(COLOURS))
    colours = np.stack([np.interp(level, anchors, channel) for channel in COLOURS.T], axis=-1)
    share = (STRONGEST * level)[..., np.newaxis]
    grey = (pixels @ np.array(BRIGHTNESS) * BRIGHTNESS_BELOW)[..., np.newaxis]
    mixed: Pixels = np.round(grey * (1 - share) + colours * share).astype(np.uint8)
    return mixed


def side_by_side(pictures: Sequence[Pixels]) -> Pixels:
    """Return pictures of one height ``(height, width, 3)`` in a row, with white gaps."""
    gap = np.full((pictures[0].shape[0], GAP_PIXELS, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(row[1:], axis=1)


def png(pixels: Pixels) -> bytes:
    """Return pixels ``(height, width, 3)`` as the bytes of a PNG file, which names headstart as its software."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    stream, about = BytesIO(), PngInfo()
    about.add_text(*MARK)
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=about)
    return stream.getvalue()


def is_ours(path: Path) -> bool:
    """Tell whether a file is a PNG that ``png`` made."""
    with path.open("rb") as stream:
        start = stream.read(MARKED_WITHIN)
    return start.startswith(b"\x89PNG") and b"tEXt" + "\0".join(MARK).encode() in start


def where(heat: Floats) -> str:
    """Say in one sentence in which part of a photograph most of its heat lies.

    Of the ninths, quarters and thirds that hold at least half of it, the one where it is densest.
    """
    total = float(heat.sum())
    if total <= 0:
        return "No place speaks for it: the map is empty."
    regions = [part for names in (_NINTHS, _QUARTERS, _ROWS, _COLUMNS) for part in _regions(heat, names)]
    most = [one for one in regions if one.heat >= total / 2]
    if most:
        best = max(most, key=lambda one: one.heat / one.pixels)
        return f"Most of the evidence ({best.heat / total:.0%}) lies {best.words} of the photograph."
    best = max(_regions(heat, _NINTHS), key=lambda one: one.heat)
    return f"The evidence is spread over the photograph; the largest part ({best.heat / total:.0%}) lies {best.words}."


@dataclass(frozen=True, slots=True)
class _Region:
    """A part of a picture with the sum of its heat."""

    words: str
    heat: float
    pixels: int


def _regions(heat: Floats, names: Sequence[Sequence[str]]) -> list[_Region]:
    return [
        _Region(words, float(part.sum()), max(part.size, 1))
        for band, row in zip(np.array_split(heat, len(names)), names, strict=True)
        for part, words in zip(np.array_split(band, len(row), axis=1), row, strict=True)
    ]


def agreement(first: Floats, second: Floats) -> float | None:
    """Return Spearman's rank correlation (The American Journal of Psychology, 1904) of two maps in -1..1.

    The first is brought to the grid of the second. Equal values share their mean rank. 1: the same order of places from
    cold to hot; 0: no relation. None where a map is the same everywhere.
    """
    ranks = [_ranks(one) for one in (smooth(first, *second.shape), np.asarray(second))]
    centred = [one - one.mean() for one in ranks]
    spread = float(np.sqrt(np.prod([np.square(one).sum() for one in centred])))
    return float((centred[0] * centred[1]).sum() / spread) if spread > 0 else None


def _ranks(values: Floats) -> NDArray[np.float64]:
    _, places, counts = np.unique(values.reshape(-1), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2)[places.reshape(-1)]
    return ranks
