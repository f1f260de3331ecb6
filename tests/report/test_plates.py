import io
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from headstart.report.figures import LIGHT, MUTED, SERIES, SYMBOLS, Entry, Panel
from headstart.report.plates import AXIS_NAME, MARGIN, MOST_ENTRIES, plate, shortened

SVG = "{http://www.w3.org/2000/svg}"


def draw(axes):
    axes.plot([1, 2], [0.25, 0.5], color=SERIES[1])
    axes.set_xlabel("epoch")


def panel(*entries, **settings):
    return Panel(
        **{"name": "a", "title": "A & b", "words": "d", "axis": "loss", "draw": draw, "legend": entries, **settings}
    )


def opened(made):
    return ElementTree.fromstring(made.svg), Image.open(io.BytesIO(made.png))


def test_a_plate_has_its_axis_name_and_its_legend_as_text():
    entries = (Entry("first", SERIES[1], "line", value="0.987"), Entry("second $x_1$", SERIES[0], "■"))
    root, picture = opened(plate(panel(*entries)))
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert {"loss", "epoch", "first, 0.987", "second $x_1$"} <= set(texts)
    text = ElementTree.tostring(root, encoding="unicode")
    assert LIGHT[SERIES[1]] in text and "var(" not in text and "headstart:" not in text
    assert "'DejaVu Sans', Verdana, Arial, sans-serif" in text
    assert picture.getpixel((0, 0))[:3] == (255, 255, 255)
    assert round(picture.info["dpi"][0]) == 300


def test_panels_of_one_width_have_one_scale():
    widths = set()
    for entries in ((), (Entry("x" * 300, MUTED, "dotted"),), (Entry("a", MUTED, "upright"),)):
        root, picture = opened(plate(panel(*entries)))
        assert picture.width == pytest.approx((380 / 72 + AXIS_NAME + 2 * MARGIN) * 300, abs=12)
        assert float(root.attrib["width"].removesuffix("pt")) * 300 / 72 == pytest.approx(picture.width, abs=2)
        widths.add(picture.width)
    assert max(widths) - min(widths) <= 6


@pytest.mark.parametrize("shape", [*SYMBOLS, "○", "line", "dotted", "dashed", "gap", "upright", "thin"])
def test_every_shape_of_a_legend_can_be_drawn(shape):
    plain, drawn = (plate(panel(*entries)).png for entries in ((), (Entry("name", SERIES[0], shape),)))
    heights = [Image.open(io.BytesIO(png)).height for png in (plain, drawn)]
    assert 20 < heights[1] - heights[0] < 100


def test_a_long_legend_stays_inside():
    entries = [Entry(f"network {number}: a rather long setting of it", SERIES[number % 8], "●") for number in range(12)]
    _, picture = opened(plate(panel(*entries)))
    assert picture.width == pytest.approx((380 / 72 + AXIS_NAME + 2 * MARGIN) * 300, abs=12)
    edge = [picture.getpixel((picture.width - 1, y))[:3] for y in range(0, picture.height, 7)]
    assert set(edge) == {(255, 255, 255)}


def test_equal_panels_make_equal_bytes():
    entry = Entry("first", SERIES[1], "line")
    assert plate(panel(entry)) == plate(panel(entry))


def test_letters_without_a_font_are_kept_in_the_svg():
    root, _ = opened(plate(panel(Entry("日本 \U0001f33c", SERIES[1], "line"), axis="<b> & 日")))
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert "日本 \U0001f33c" in texts and "<b> & 日" in texts


def test_of_many_classes_the_grey_ones_are_counted():
    grey = [Entry(str(number), MUTED, "line") for number in range(MOST_ENTRIES)]
    red = Entry("worst", SERIES[1], "line")
    assert shortened([*grey[:3], red]) == [*grey[:3], red]
    assert [entry.name for entry in shortened([grey[0], red, *grey[1:]])] == ["worst", "16 others"]
    symbols = [Entry(str(number), SERIES[0], "●") for number in range(30)]
    assert shortened(symbols) == symbols
