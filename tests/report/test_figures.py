import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest

from headstart.report.figures import SERIES, panel


def draw(axes):
    axes.fill_between([1, 2, 3], [0, 1, 1], [1, 2, 3], color=SERIES[0], alpha=0.2)
    axes.plot([1, 2, 3], [0.1, 0.25, 1.123456], color=SERIES[1], marker="o")
    axes.set_xlabel("epoch <1> & $x$")


def test_a_panel_is_well_formed_and_says_its_numbers():
    root = ElementTree.fromstring(panel("a", draw, title="Loss & more", description="0.5 after epoch 1"))
    assert root.attrib["role"] == "img"
    words = [root.find(f".//*[@id='{name}']").text for name in root.attrib["aria-labelledby"].split()]
    assert words == ["Loss & more", "0.5 after epoch 1"]
    assert "epoch <1> & $x$" in [element.text for element in root.iter("text")]


def test_colours_are_left_to_the_style_sheet():
    svg = panel("a", draw, title="t", description="d")
    assert "var(--series-1)" in svg and "var(--series-2)" in svg and "var(--muted)" in svg
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)
    assert "font-family" not in svg and "<style" not in svg and "http" not in svg


def test_ids_of_two_panels_never_meet_and_every_reference_is_there():
    first, second = (panel(name, draw, title="t", description="d") for name in "ab")
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    for svg, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= known


def test_equal_panels_are_equal_bytes_whatever_the_user_has_set():
    plain = panel("a", draw, title="t", description="d")
    with matplotlib.rc_context({"axes.grid": False, "font.size": 30, "svg.fonttype": "path"}):
        assert panel("a", draw, title="t", description="d") == plain
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize("size", [(380, 250), (380, 320)])
def test_one_unit_is_one_pixel(size):
    root = ElementTree.fromstring(panel("a", draw, title="t", description="d", size=size))
    assert root.attrib["viewBox"] == f"0 0 {size[0]} {size[1]}"
