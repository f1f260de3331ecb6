"""A panel as it stands in a paper: with its axis name and legend, in the colours of the light page, on white."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.report.figures import (
    DOTS_PER_UNIT,
    INK,
    LEFT,
    LIGHT,
    MARKERS,
    MUTED,
    PAPER,
    SYMBOLS,
    Entry,
    Panel,
    drawing,
    figure_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Bbox

DOTS_PER_INCH = 300
MARGIN = 0.06
"""Inches of white around everything."""

AXIS_NAME = 0.15
"""Inches for the name of the vertical axis, left of the panel."""

MOST_COLUMNS = 4

LETTERS = 50
"""A name in a legend that has more letters goes on in the next line."""

MOST_ENTRIES = 16
"""Longer legends name the classes that have a colour, and count the others."""

LINES: dict[str, dict[str, Any]] = {
    "line": {"linewidth": 1.8},
    "dotted": {"linewidth": 1.4, "linestyle": (0, (1.5, 2))},
    "dashed": {"linewidth": 1.0, "linestyle": (0, (3, 3))},
    "gap": {"linewidth": 6.0, "alpha": 0.45},
    "upright": {"linewidth": 1.0, "linestyle": (0, (3, 3))},
    "thin": {"linewidth": 0.8, "alpha": 0.6},
}

RING = "○"

FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Arabic", "Arial Unicode MS")
"""Fonts that a class name may need; those that are installed are used, the first for what it has."""

FALLBACK = "'DejaVu Sans', Verdana, Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Plate:
    """A panel as two files: SVG with text that stays text, and PNG with 300 dots per inch."""

    svg: bytes
    png: bytes


def plate(panel: Panel) -> Plate:
    """Return a panel as it stands in a paper; equal panels make equal bytes."""
    from matplotlib import rc_context

    with drawing(LIGHT), rc_context({"font.family": _fonts()}), warnings.catch_warnings():
        # A letter that no font has becomes a box in the PNG, and stays a letter in the SVG.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = figure_of(panel)
        figure.set_facecolor(PAPER)
        figure.axes[0].set_ylabel(panel.axis)
        if panel.legend:
            _put_legend(figure, shortened(panel.legend))
        box = _inches(figure)
        svg, png = io.BytesIO(), io.BytesIO()
        about = {"Title": panel.title, "Description": panel.words}
        figure.savefig(svg, format="svg", bbox_inches=box, metadata={**about, "Date": None})
        figure.savefig(
            png, format="png", bbox_inches=box, dpi=DOTS_PER_INCH, metadata={**about, "Software": "headstart"}
        )
    return Plate(_with_fallback(svg.getvalue()), png.getvalue())


def _fonts() -> list[str]:
    from matplotlib import font_manager

    known = set(font_manager.get_font_names())
    return [name for name in FONTS if name in known]


def _with_fallback(svg: bytes) -> bytes:
    """Name fonts that every reader has beside the one that the text was measured with."""
    named = ", ".join(f"'{name}'" for name in _fonts())
    return svg.replace(named.encode(), FALLBACK.encode())


def _inches(figure: Figure) -> Bbox:
    """Return what holds everything that is drawn, at least as wide as the panel, so that panels keep one scale."""
    from matplotlib.transforms import Bbox

    width, height = figure.get_size_inches()
    drawn = figure.get_tightbbox()
    usual = Bbox.from_bounds(-AXIS_NAME, drawn.y0, width + AXIS_NAME, min(height, drawn.height))
    box = Bbox.union([drawn, usual])
    return box.padded(MARGIN)


def shortened(legend: Sequence[Entry]) -> list[Entry]:
    """Return a legend that is not too long: of many classes those with a colour of their own, and how many others."""
    grey = [entry for entry in legend if (entry.colour, entry.shape) == (MUTED, "line")]
    if len(legend) <= MOST_ENTRIES or not grey:
        return list(legend)
    return [*(entry for entry in legend if entry not in grey), Entry(f"{len(grey)} others", MUTED, "line")]


def _put_legend(figure: Figure, legend: Sequence[Entry]) -> None:
    """Put a legend below everything else, in as many columns as fit."""
    width, height = figure.get_size_inches()
    top = figure.get_tightbbox().y0 / height
    names = [_name(entry) for entry in legend]
    for columns in range(min(MOST_COLUMNS, len(legend)), 0, -1):
        made = figure.legend(
            [_handle(entry) for entry in legend],
            names,
            loc="upper left",
            bbox_to_anchor=(LEFT / DOTS_PER_UNIT / width - 0.02, top - 0.01),
            ncols=columns,
            frameon=False,
            fontsize=9.5,
            labelcolor=INK,
            handlelength=1.8,
            columnspacing=1.6,
            borderpad=0,
            borderaxespad=0,
        )
        if columns == 1 or made.get_window_extent().x1 <= width * DOTS_PER_UNIT:
            return
        made.remove()


def _name(entry: Entry) -> str:
    words = f"{entry.name}, {entry.value}" if entry.value else entry.name
    return textwrap.fill(words, LETTERS)


def _handle(entry: Entry) -> Line2D:
    from matplotlib.lines import Line2D

    if entry.shape in LINES:
        return Line2D([], [], color=entry.colour, **LINES[entry.shape])
    if entry.shape == RING:
        return Line2D([], [], color="none", marker="o", linestyle="", markersize=7, markeredgecolor=entry.colour)
    marker = MARKERS[SYMBOLS.index(entry.shape)]
    return Line2D([], [], color=entry.colour, marker=marker, linestyle="", markersize=7, markeredgecolor=PAPER)
