"""The marks of the map as SVG paths: one shape and colour per class, short enough for thousands of images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.float64]
Outline = tuple[tuple[float, float], ...]

RING = 2.0
"""How much wider than the mark the ring around a wrong answer is, in CSS pixels."""


def _polygon(corners: int, radius: float, turn: float) -> Outline:
    angles = [2 * math.pi * number / corners + turn for number in range(corners)]
    return tuple((radius * math.cos(angle), radius * math.sin(angle)) for angle in angles)


def _cross(turn: float) -> Outline:
    arm, long = 0.36, 1.12
    quarter = ((arm, -arm), (long, -arm), (long, arm))
    return tuple(
        (x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle))
        for angle in (turn + side * math.pi / 2 for side in range(4))
        for x, y in quarter
    )


def _star() -> Outline:
    outer, inner = _polygon(5, 1.4, -math.pi / 2), _polygon(5, 0.6, -0.3 * math.pi)
    return tuple(point for pair in zip(outer, inner, strict=True) for point in pair)


UP, DOWN = -math.pi / 2, math.pi / 2
SHAPES: tuple[Outline, ...] = (
    (),
    _polygon(4, 1.25, math.pi / 4),
    _polygon(3, 1.4, UP),
    _polygon(4, 1.25, UP),
    _polygon(3, 1.4, DOWN),
    _cross(0),
    _cross(math.pi / 4),
    _star(),
)
"""Corners of every shape around its middle, in radii of the circle (which has none); in the order of SYMBOLS."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a class is marked: ``colour`` counts from 1 to 8, ``shape`` is a place in SHAPES."""

    colour: int
    shape: int


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks that belong together: ``kind`` are classes of the style sheet, ``path`` the outline of all of them."""

    kind: str
    path: str


def style_of(index: int) -> Style:
    """Return the style of a class by its number: up to 64 classes have one that no other has."""
    return Style(1 + index % len(SHAPES), (index + index // len(SHAPES)) % len(SHAPES))


def marks(places: Places, shape: int, radius: float) -> str:
    """Return an SVG path with a mark at every place ``(images, 2)``, in CSS pixels with one decimal."""
    outline = _outline(SHAPES[shape], radius)
    return "".join(f"M{_short(x)} {_short(y)}{outline}" for x, y in places)


def _outline(corners: Outline, radius: float) -> str:
    """Return the way around a mark, from its middle."""
    if not corners:
        r, d = _short(radius), _short(2 * radius)
        return f"m-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0-{d} 0"
    points = [(round(radius * x, 1), round(radius * y, 1)) for x, y in corners]
    steps = [(x - before_x, y - before_y) for (before_x, before_y), (x, y) in itertools.pairwise(points)]
    first = f"m{_pair(*points[0])}"
    return f"{first}l{' '.join(_pair(*step) for step in steps)}z"


def _pair(x: float, y: float) -> str:
    return f"{_short(x)} {_short(y)}"


def _short(value: float) -> str:
    """Return a number with one decimal at most."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def split_marks(
    places: Places, style: Style, radius: float, *, tested: NDArray[np.bool_], wrong: NDArray[np.bool_]
) -> Iterator[Marks]:
    """Yield the marks of one class: apart by whether the image was tested, and whether its answer is wrong."""
    for is_wrong in (False, True):
        for is_tested in (False, True):
            mine = (tested == is_tested) & (wrong == is_wrong)
            if mine.any():
                yield Marks(_kind(is_tested, is_wrong), marks(places[mine], style.shape, radius))


def rings(places: Places, radius: float, *, tested: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> Iterator[Marks]:
    """Yield the rings around the wrong answers of one class."""
    for is_tested in (False, True):
        mine = wrong & (tested == is_tested)
        if mine.any():
            yield Marks(_kind(is_tested, True), marks(places[mine], 0, radius + RING))


def _kind(tested: bool, wrong: bool) -> str:
    return f"{'tested' if tested else 'other'} {'wrong' if wrong else 'right'}"
