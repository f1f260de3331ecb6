"""Figures in one style: matplotlib draws a panel, the page's style sheet colours it.

Every colour is drawn as a stand-in and replaced by a variable of the style sheet, so that one SVG suits light, dark and
paper. Panels are small (one unit is one CSS pixel), so that their text stays readable on a telephone.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from headstart import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 40

INK, MUTED, RULE, PAPER = "#010101", "#020202", "#030303", "#040404"
SERIES = tuple(f"#0000{number:02x}" for number in range(1, 9))
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)},
}

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


def panel(
    name: str, draw: Callable[[Axes], None], *, title: str, description: str, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> str:
    """Return one panel as an SVG element for the page.

    Args:
        name: what no other panel of the page is called; its ids start with it.
        draw: puts data on the axes; colours are the constants of this module.
        title: the short name that a screen reader says.
        description: the numbers in words, for those who do not see the picture.
        size: width and height in CSS pixels.
    """
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    width, height = size
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(width / 72, height / 72))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((LEFT / width, BOTTOM / height, 1 - (LEFT + RIGHT) / width, 1 - (TOP + BOTTOM) / height))
        draw(axes)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(stream.getvalue(), storage.digest_of(name)[:8], title, description, size)


def _for_page(svg: str, prefix: str, title: str, description: str, size: tuple[int, int]) -> str:
    """Keep the drawing of a stand-alone SVG; make ids unique, colours variable and numbers short."""
    body = svg[svg.index("<svg") : svg.rindex("</svg>")].partition(">")[2]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda match: f' id="{prefix}-{match[1]}"' if match[1] in used else "", body)
    body = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", body).replace("xlink:href", "href")
    body = re.sub(r' (?:d|x|y|points|transform)="[^"]*"', lambda match: _short(match[0]), body)
    body = re.sub(r'(style="[^"]*")', lambda match: _variable(match[0]), body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    width, height = size
    return (
        f'<svg class="panel" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-labelledby="{prefix}-title {prefix}-words"><title id="{prefix}-title">{html.escape(title)}</title>'
        f'<desc id="{prefix}-words">{html.escape(description)}</desc>{body}</svg>'
    )


def _short(attribute: str) -> str:
    return " " + re.sub(r"(\.\d\d)\d+", r"\1", " ".join(attribute.split()))


def _variable(style: str) -> str:
    style = re.sub(r" ?font-family: [^;\"]*;?", "", style)
    return re.sub(r"#[0-9a-f]{6}", lambda match: VARIABLES.get(match[0], match[0]), style)
