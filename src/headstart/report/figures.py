"""Figures in one style: a panel is described once, and drawn by matplotlib for the page or for a paper.

Colours have names of their own while something is drawn. For the page they are stand-ins that become variables of the
style sheet, so that one SVG suits light, dark and print; for a paper they are those of the light page. On the page one
unit is one CSS pixel, so that text stays readable on a telephone.
"""

from __future__ import annotations

import contextlib
import html
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headstart.report.downloads import Download

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 40
DOTS_PER_UNIT = 72

INK, MUTED, RULE, PAPER, RIGHT_ANSWER, WRONG_ANSWER = (
    f"headstart:{name}" for name in ("ink", "muted", "rule", "paper", "right", "wrong")
)
SERIES = tuple(f"headstart:series-{number}" for number in range(1, 9))
LIGHT: Mapping[str, str] = {
    INK: "#1b2220",
    MUTED: "#59635f",
    RULE: "#e2dfd6",
    PAPER: "#ffffff",
    RIGHT_ANSWER: "#1c9c80",
    WRONG_ANSWER: "#d9662b",
    SERIES[0]: "#0b6b57",
    SERIES[1]: "#c2570c",
    SERIES[2]: "#3d5bb5",
    SERIES[3]: "#9b2f7f",
    SERIES[4]: "#806600",
    SERIES[5]: "#0e7490",
    SERIES[6]: "#6b4fa0",
    SERIES[7]: "#5f6b2d",
}
"""The colours of the style sheet on white; there ``series-1`` is a variable ``--series-1``."""

STAND_INS = {name: f"#0000{number:02x}" for number, name in enumerate(LIGHT, 1)}
VARIABLES = {stand_in: f"var(--{name.partition(':')[2]})" for name, stand_in in STAND_INS.items()}

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SYMBOLS = ("●", "■", "▲", "◆", "▼", "✚", "✖", "★")

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "headstart",
    "font.family": ["DejaVu Sans"],
    "font.size": 11.0,
    "text.parse_math": False,
    "text.color": MUTED,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.labelsize": 11.0,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "axes.formatter.useoffset": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend.

    Attributes:
        name: what is explained.
        colour: one of the colours of this module.
        shape: one of SYMBOLS, or ``○``, ``line``, ``dotted``, ``dashed``, ``gap`` (a short thick bar), or of upright
            lines ``upright`` (dashed) and ``thin``.
        pointer: where the number of the entry stands in the summary, if it has one.
        value: that number in words.
    """

    name: str
    colour: str
    shape: str
    pointer: str = ""
    value: str = ""

    @property
    def variable(self) -> str:
        """The colour as the style sheet says it."""
        return VARIABLES[STAND_INS[self.colour]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        name: what no other panel is called; ids and file names are made of it.
        title: the short name that a screen reader says.
        words: the numbers in words, for those who do not see the picture.
        axis: the name of the vertical axis.
        draw: puts data on the axes; colours are those of this module.
        legend: what the shapes and colours mean.
        size: width and height in CSS pixels, without the axis name and the legend.
    """

    name: str
    title: str
    words: str
    axis: str
    draw: Callable[[Axes], None]
    legend: tuple[Entry, ...] = ()
    size: tuple[int, int] = (WIDTH, HEIGHT)


@dataclass(frozen=True, slots=True)
class Chart:
    """Panels that stand together, and the data that they show."""

    panels: tuple[Panel, ...]
    download: Download

    @property
    def legend(self) -> tuple[Entry, ...]:
        """The entries of all panels, each once."""
        return tuple(dict.fromkeys(entry for panel in self.panels for entry in panel.legend))


def file_stem(words: str) -> str:
    """Return words as the beginning of a file name; words that cannot stand there as they are get a digest."""
    plain = re.sub(r"[^\w.+=-]+", "-", words).strip("-.")[:80]
    return plain if plain == words else f"{plain}-{storage.digest_of(words)[:6]}".lstrip("-")


def page_svg(panel: Panel) -> str:
    """Return a panel as an SVG element for the page; axis name and legend stand in the page's own text."""
    with drawing(STAND_INS):
        figure = figure_of(panel)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(stream.getvalue(), panel)


@contextlib.contextmanager
def drawing(colours: Mapping[str, str]) -> Iterator[None]:
    """Give the colours these values, and matplotlib the style of the house, while the block runs."""
    from matplotlib import colors, style

    known = colors.get_named_colors_mapping()
    for name, value in colours.items():
        known[name] = value
    try:
        with style.context(["default", STYLE]):
            yield
    finally:
        for name in colours:
            del known[name]


def figure_of(panel: Panel) -> Figure:
    """Return the panel on a figure whose canvas can measure text; one pixel of it is one unit."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = panel.size
    figure = Figure(figsize=(width / DOTS_PER_UNIT, height / DOTS_PER_UNIT), dpi=DOTS_PER_UNIT)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((LEFT / width, BOTTOM / height, 1 - (LEFT + RIGHT) / width, 1 - (TOP + BOTTOM) / height))
    panel.draw(axes)
    return figure


def _for_page(svg: str, panel: Panel) -> str:
    """Keep the drawing of a stand-alone SVG; make ids unique, colours variable and numbers short."""
    prefix = storage.digest_of(panel.name)[:8]
    body = svg[svg.index("<svg") : svg.rindex("</svg>")].partition(">")[2]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda match: f' id="{prefix}-{match[1]}"' if match[1] in used else "", body)
    body = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", body).replace("xlink:href", "href")
    body = re.sub(r' (?:d|x|y|points|transform)="[^"]*"', lambda match: _short(match[0]), body)
    body = re.sub(r'(style="[^"]*")', lambda match: _variable(match[0]), body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    width, height = panel.size
    return (
        f'<svg class="panel" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-labelledby="{prefix}-title {prefix}-words"><title id="{prefix}-title">{html.escape(panel.title)}</title>'
        f'<desc id="{prefix}-words">{html.escape(panel.words)}</desc>{body}</svg>'
    )


def _short(attribute: str) -> str:
    return " " + re.sub(r"(\.\d\d)\d+", r"\1", " ".join(attribute.split()))


def _variable(style: str) -> str:
    style = re.sub(r" ?font-family: [^;\"]*;?", "", style)
    return re.sub(r"#[0-9a-f]{6}", lambda match: VARIABLES.get(match[0], match[0]), style)
