"""The page as a browser shows it: quiet, complete, inside its window at three widths, in light, in dark, on paper."""

import pytest

pytestmark = pytest.mark.browser

WIDTHS = (400, 800, 1440)
PAPER = (688, 1001)
"""Width and height in pixels of A4 inside the margins of the page's print style, at 96 pixels to the inch."""

LOOKS = ((1440, "light"), (400, "dark"))
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"], elementRef: false});
  return found.violations.map(one => ({
    rule: one.id, impact: one.impact, nodes: one.nodes.map(node => node.html.slice(0, 160) + " " + node.failureSummary)
  }));
}"""


def test_the_page_says_nothing_and_asks_nothing(opened):
    opened.show()
    assert opened.said == []
    assert opened.asked == [opened.address]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_sideways(opened, width):
    opened.show(width)
    found = opened.ask("widths")
    assert found["page"] <= found["window"] == width
    assert found["outside"] == []
    assert opened.ask("cut") == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_can_be_seen(opened, width):
    """Some stand behind a switch: each must be shown at one of its positions."""
    page = opened.show(width)
    shown = [opened.ask("figures")]
    for switch in opened.ask("switches"):
        page.evaluate("id => document.getElementById(id).click()", switch)
        shown.append(opened.ask("figures"))
    assert len(shown[0]) >= 4
    never = [one[0]["name"] for one in zip(*shown, strict=True) if not any(state["shown"] for state in one)]
    assert never == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_is_dark_and_all_words_can_be_read(opened, scheme):
    opened.show(scheme=scheme)
    found = opened.ask("brightness")
    assert (found["ground"] < 0.02 < 0.6 < found["text"]) == (scheme == "dark")
    assert (found["text"] < 0.03 < 0.9 < found["ground"]) == (scheme == "light")
    assert opened.ask("faint") == []


@pytest.mark.parametrize("width", WIDTHS)
def test_words_in_figures_do_not_lie_over_each_other(opened, width):
    opened.show(width)
    assert opened.ask("overlapping") == []


def test_on_paper_all_but_the_layers_is_open_and_nothing_is_cut(opened):
    opened.fold(opened=False)
    page = opened.show(PAPER[0], media="print", scheme="dark")
    found = opened.ask("paper", PAPER[1])
    ground = opened.ask("brightness")["ground"]
    document = page.pdf(prefer_css_page_size=True)
    opened.fold(opened=True)
    assert [one for one in found["shut"] if not one.startswith("details.stay ")] == []
    assert found["parted"] == found["tall"] == []
    if "forty" not in opened.name:
        assert found["hidden"] == []
    assert ground > 0.95
    assert document.startswith(b"%PDF-")


def test_the_keyboard_reaches_everything_and_one_sees_where_it_is(opened):
    page = opened.show()
    there = opened.ask("reachable")
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
    stops = []
    while len(stops) < 2000:
        page.keyboard.press("Tab")
        if (stop := opened.ask("focus")) is None or (stops and stop["id"] == "" and stop == stops[0]):
            break
        stops.append(stop)
    assert stops[0]["name"].startswith("a.skip") and stops[0]["inside"]
    assert [one["name"] for one in stops if not (one["outlined"] and one["inside"])] == []
    assert sum(one["role"] == "region" for one in stops) == there["regions"]
    assert sum(one["tag"] == "summary" for one in stops) == there["folds"]
    assert sum(one["tag"] == "a" for one in stops) >= there["links"]


def test_axe_finds_nothing(opened, axe):
    """The page that has everything is judged twice; contrast is measured above on every page in both schemes."""
    opened.page.evaluate(axe)
    for width, scheme in LOOKS if opened.name == "everything" else LOOKS[:1]:
        found = opened.show(width, scheme).evaluate(RUN_AXE, AXE_RULES)
        assert found == [], (width, scheme)
