"""The map of the images: near means alike to the network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.data import decode
from headstart.report import map_marks
from headstart.report.content import Findings
from headstart.report.downloads import Download, rows_of
from headstart.report.figures import SYMBOLS
from headstart.report.map_marks import Marks
from headstart.report.names import network_name
from headstart.report.numbers import count, percent
from headstart.runs import folder as files
from headstart.runs.folder import MapRow, RunFolder
from headstart.runs.rows import MAP_COLUMNS

EVENT = "image map"
"""What the log calls the drawing of the map."""

NEIGHBOURS = 10
ROWS_AT_A_TIME = 512
WIDTH, MARGIN = 560.0, 14.0
LOWEST, HIGHEST = 240.0, 620.0
RADII = ((150, 5.0), (600, 4.0), (2000, 3.0))
"""Up to so many images a mark has this radius in CSS pixels."""
SMALLEST_RADIUS = 2.4

MOST_NAMED = 16
LONGEST_NAME = 22
LETTER, LINE = 7.4, 17.0
GRID = 8
TOLD = 12
"""The alt text tells every class up to so many, else the ends of the list."""


@dataclass(frozen=True, slots=True)
class Area:
    """One class on the map.

    ``index`` is its place among the classes, ``colour`` counts from 1. ``alike`` is the mean share, in 0..1, of an
    image's ten nearest on the map that bear the same label; ``other`` is the class most often met among the rest.
    """

    name: str
    index: int
    colour: int
    symbol: str
    images: int
    alike: float
    other: str | None
    marks: tuple[Marks, ...]
    rings: tuple[Marks, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A class name written on the map, in CSS pixels of the drawing."""

    text: str
    index: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Map:
    """What the page shows of the map.

    ``judged`` images have an answer by a model that did not learn from them, ``wrong`` of these are wrong. ``of`` is
    what the map was drawn from (``features`` or ``answers``), ``network`` whose; None where the log does not say.
    ``scale`` is how many CSS pixels a unit of map.csv takes. ``sheet`` is a data address of ``tiles`` small pictures,
    ``columns`` side by side.
    """

    width: float
    height: float
    scale: float
    radius: float
    areas: tuple[Area, ...]
    names: tuple[Name, ...]
    images: int
    tested: int
    judged: int
    wrong: int
    alike: float
    of: str | None
    network: str | None
    words: str
    sheet: str | None
    tiles: int
    columns: int
    download: Download

    @property
    def lines(self) -> int:
        """How many rows of pictures the sheet has."""
        return -(-self.tiles // self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The images of the map as arrays ``(images,)``.

    ``places`` ``(images, 2)`` are in CSS pixels of a drawing ``height`` high; ``labels`` are class indices.
    """

    places: NDArray[np.float64]
    labels: NDArray[np.int64]
    tested: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    height: float


def gather(folder: RunFolder, findings: Findings) -> Map | None:
    """Return the map; None when the run has none."""
    classes = findings.summary.dataset.classes
    rows = drawable(folder.map(), classes)
    if not rows:
        return None
    points = _points(rows, classes)
    areas = tuple(_areas(points, classes))
    sheet = folder.map_sheet()
    alike = float(np.average([area.alike for area in areas], weights=[area.images for area in areas]))
    of, network = _source(folder, findings)
    return Map(
        width=WIDTH,
        height=points.height,
        scale=_scale(),
        radius=_radius(len(rows)),
        areas=areas,
        names=tuple(_names(areas, points)),
        images=len(rows),
        tested=int(points.tested.sum()),
        judged=sum(row.predicted is not None for row in rows),
        wrong=int(points.wrong.sum()),
        alike=alike,
        of=of,
        network=network,
        words=_words(areas, points, alike),
        sheet=None if sheet is None else decode.jpeg_address(sheet),
        tiles=0 if sheet is None else 1 + max((row.tile for row in rows if row.tile is not None), default=-1),
        columns=MAP_COLUMNS,
        download=rows_of(files.MAP, rows),
    )


def drawable(rows: Sequence[MapRow], classes: Sequence[str]) -> tuple[MapRow, ...]:
    """Return the rows that have a place on the map and a label that is a class; a damaged file may hold others."""
    return tuple(row for row in rows if row.label in classes and math.isfinite(row.x) and math.isfinite(row.y))


def _source(folder: RunFolder, findings: Findings) -> tuple[str | None, str | None]:
    """Return what the map was drawn from, and what a reader calls that network: as the log has it last."""
    drawn = [entry.details for entry in folder.log_entries() if entry.event == EVENT and entry.details.get("images")]
    called = {one.id: network_name(one) for one in findings.summary.candidates}
    name = called.get(str(drawn[-1].get("candidate"))) if drawn else None
    return (str(drawn[-1].get("of")), name) if name else (None, None)


def _scale() -> float:
    return WIDTH / 2 - MARGIN


def _radius(images: int) -> float:
    return next((radius for most, radius in RADII if images <= most), SMALLEST_RADIUS)


def _points(rows: Sequence[MapRow], classes: Sequence[str]) -> Points:
    number = {name: index for index, name in enumerate(classes)}
    places = np.array([(row.x, -row.y) for row in rows]) * _scale()
    height = float(np.clip(2 * np.abs(places[:, 1]).max() + 2 * MARGIN, LOWEST, HIGHEST))
    return Points(
        places=places + np.array([WIDTH / 2, height / 2]),
        labels=np.array([number[row.label] for row in rows], np.int64),
        tested=np.array([row.part == "test" for row in rows]),
        wrong=np.array([row.predicted not in (None, row.label) for row in rows]),
        height=round(height, 1),
    )


def _areas(points: Points, classes: Sequence[str]) -> Iterator[Area]:
    met = neighbour_counts(points.places, points.labels, len(classes))
    for index, name in enumerate(classes):
        mine = points.labels == index
        if not mine.any():
            continue
        style = map_marks.style_of(index)
        among = met[index] / max(1, met[index].sum())
        others = np.delete(met[index], index)
        places, radius = points.places[mine], _radius(len(points.labels))
        flags = {"tested": points.tested[mine], "wrong": points.wrong[mine]}
        yield Area(
            name=name,
            index=index,
            colour=style.colour,
            symbol=SYMBOLS[style.shape],
            images=int(mine.sum()),
            alike=float(among[index]),
            other=np.delete(np.array(classes, object), index)[others.argmax()] if others.any() else None,
            marks=tuple(map_marks.split_marks(places, style, radius, **flags)),
            rings=tuple(map_marks.rings(places, radius, **flags)),
        )


def neighbour_counts(places: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return how many of the ten nearest of each class's images bear which label ``(classes, classes)``.

    Args:
        places: on the map ``(images, 2)``.
        labels: class indices ``(images,)``.
    """
    wanted = min(NEIGHBOURS, len(places) - 1)
    met = np.zeros((classes, classes), np.int64)
    for first in range(0, len(places), ROWS_AT_A_TIME) if wanted else ():
        mine = np.arange(first, min(first + ROWS_AT_A_TIME, len(places)))
        apart = (places[mine, None, 0] - places[None, :, 0]) ** 2 + (places[mine, None, 1] - places[None, :, 1]) ** 2
        apart[np.arange(len(mine)), mine] = np.inf
        near = np.argpartition(apart, wanted - 1, axis=1)[:, :wanted]
        np.add.at(met, (labels[mine, None], labels[near]), 1)
    return met


def _names(areas: Sequence[Area], points: Points) -> Iterator[Name]:
    """Yield the names of a few classes, each where its images stand closest; none on top of another."""
    taken: list[tuple[float, float, float]] = []
    for area in sorted(areas, key=lambda area: -area.images) if len(areas) <= MOST_NAMED else ():
        text = area.name if len(area.name) <= LONGEST_NAME else area.name[: LONGEST_NAME - 1] + "…"
        half = LETTER * len(text) / 2
        x, y = _middle(points.places[points.labels == area.index])
        x = min(max(x, half), WIDTH - half)
        if all(abs(y - other_y) > LINE or abs(x - other_x) > half + reach for other_x, other_y, reach in taken):
            taken.append((x, y, half))
            yield Name(text, area.index, round(x, 1), round(y, 1))


def _middle(places: NDArray[np.float64]) -> tuple[float, float]:
    """Return the middle of the images in the fullest square of a grid."""
    squares = (places // (WIDTH / GRID)).astype(np.int64) @ (1000, 1)
    values, counts = np.unique(squares, return_counts=True)
    x, y = places[squares == values[counts.argmax()]].mean(axis=0)
    return float(x), float(y)


def _words(areas: Sequence[Area], points: Points, alike: float) -> str:
    """Say the map in numbers."""
    ranked = sorted(areas, key=lambda area: -area.alike)
    told = ranked if len(ranked) <= TOLD else [*ranked[:3], *ranked[-3:]]
    shares = ", ".join(f"{area.name} {percent(area.alike)}" for area in told)
    which = "" if len(told) == len(ranked) else "; the three that keep apart best and the three that do least:"
    return (
        f"{count(len(points.labels))} images of {count(len(areas))} classes in two dimensions. Of the ten nearest of "
        f"an image, {percent(alike)} bear the same label on average{which or ':'} {shares}. "
        f"{count(int(points.wrong.sum()))} images with a wrong answer are ringed."
    )
