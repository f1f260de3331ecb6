import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest
from matplotlib import colors

from headstart.report.figures import (
    LIGHT,
    SERIES,
    STAND_INS,
    SYMBOLS,
    VARIABLES,
    Chart,
    Entry,
    Panel,
    file_stem,
    page_svg,
)
from headstart.report.page import TEMPLATES


def draw(axes):
    axes.fill_between([1, 2, 3], [0, 1, 1], [1, 2, 3], color=SERIES[0], alpha=0.2)
    axes.plot([1, 2, 3], [0.1, 0.25, 1.123456], color=SERIES[1], marker="o")
    axes.set_xlabel("epoch <1> & $x$")


def panel(name="a", **settings):
    return Panel(**{"name": name, "title": "t", "words": "d", "axis": "loss", "draw": draw, **settings})


def test_a_panel_is_well_formed_and_says_its_numbers():
    root = ElementTree.fromstring(page_svg(panel(title="Loss & more", words="0.5 after epoch 1")))
    assert root.attrib["role"] == "img"
    words = [root.find(f".//*[@id='{name}']").text for name in root.attrib["aria-labelledby"].split()]
    assert words == ["Loss & more", "0.5 after epoch 1"]
    assert "epoch <1> & $x$" in [element.text for element in root.iter("text")]


def test_colours_are_left_to_the_style_sheet():
    svg = page_svg(panel())
    assert "var(--series-1)" in svg and "var(--series-2)" in svg and "var(--muted)" in svg
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)
    assert "font-family" not in svg and "<style" not in svg and "http" not in svg


def test_colours_of_papers_are_those_of_the_light_page():
    light = (TEMPLATES / "style.css").read_text(encoding="utf-8").partition("}")[0]
    known = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    for name, colour in LIGHT.items():
        word = VARIABLES[STAND_INS[name]].removeprefix("var(--").removesuffix(")")
        assert colour == ("#ffffff" if word == "paper" else known[word])
    assert len(set(STAND_INS.values())) == len(LIGHT)


def test_ids_of_two_panels_never_meet_and_every_reference_is_there():
    first, second = (page_svg(panel(name)) for name in "ab")
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    for svg, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= known


def test_equal_panels_are_equal_bytes_whatever_the_user_has_set():
    plain = page_svg(panel())
    with matplotlib.rc_context({"axes.grid": False, "font.size": 30, "svg.fonttype": "path"}):
        assert page_svg(panel()) == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_names_of_colours_are_known_only_while_something_is_drawn():
    page_svg(panel())
    assert not set(LIGHT) & set(colors.get_named_colors_mapping())

    def fail(axes):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        page_svg(panel(draw=fail))
    assert not set(LIGHT) & set(colors.get_named_colors_mapping())


@pytest.mark.parametrize("size", [(380, 250), (380, 320)])
def test_one_unit_is_one_pixel(size):
    root = ElementTree.fromstring(page_svg(panel(size=size)))
    assert root.attrib["viewBox"] == f"0 0 {size[0]} {size[1]}"


def test_a_chart_explains_everything_once():
    both, first, second = (Entry(name, SERIES[place], SYMBOLS[place]) for place, name in enumerate("abc"))
    panels = (panel("x", legend=(both, first)), panel("y", legend=(both, second)))
    assert Chart(panels, None).legend == (both, first, second)
    assert both.variable == "var(--series-1)"


def test_any_words_make_a_file_name():
    assert file_stem("learning-curves-mobilenet-lr0.001") == "learning-curves-mobilenet-lr0.001"
    stems = [file_stem(words) for words in ("a/b", "a b", "../x", "日本", "x" * 200, "x" * 201, "~")]
    assert len(set(stems)) == len(stems)
    assert all(re.fullmatch(r"[\w+=][\w.+=-]{0,99}", stem) for stem in stems)
    assert stems[0].startswith("a-b-") and stems[3] == "日本"
