"""What the other tests ask of a page finds the faults that it is there for."""

import pytest

pytestmark = pytest.mark.browser

FAULTY = f"""<!doctype html><html lang="en"><title>Faults</title>
<body style="margin:0;background:#fff;color:#000"><main>
<div class="wide" style="width:600px">too wide</div>
<p class="words" style="width:90px">{"w" * 60}</p>
<div style="overflow-x:auto"><div class="fine" style="width:600px">scrolls</div></div>
<div class="cut" style="width:40px;overflow:hidden;white-space:nowrap">words that are cut</div>
<p style="position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap;
left:0;top:0">words for screen readers alone, of which nobody sees how far they reach out of the window</p>
<p class="faint" style="color:#999">hard to read</p>
<p style="background:#000"><span class="night" style="color:#333">hard to read in the dark</span></p>
<svg class="drawn" width="100" height="40"><text x="5" y="20">one</text><text x="8" y="20" fill="#aaa">two</text></svg>
<svg class="gone" style="display:none"></svg><img class="broken" alt="" src="data:image/jpeg;base64,AAAA">
<details><summary>more</summary><p>hidden</p></details>
</main></body></html>"""


@pytest.fixture(scope="module")
def faulty(browser, ask_of):
    page = browser.new_page(viewport={"width": 400, "height": 900})
    page.set_content(FAULTY)
    yield ask_of(page)
    page.close()


def test_what_sticks_out_is_found(faulty):
    found = faulty("widths")
    assert found["page"] >= 600 and found["window"] == 400
    assert [one.split()[0] for one in found["outside"]] == ["div.wide", "p.words"]
    assert [one.split()[0] for one in faulty("cut")] == ["div.cut"]


def test_faint_words_are_found(faulty):
    assert [one.split()[0] for one in faulty("faint")] == ["p.faint", "span.night", "text"]


def test_figures_that_are_not_shown_and_words_on_words_are_found(faulty):
    shown = {one["name"].split()[0]: one["shown"] for one in faulty("figures")}
    assert shown == {"svg.drawn": True, "svg.gone": False, "img.broken": False}
    assert faulty("overlapping") == ["one | two"]


def test_what_paper_would_lose_is_found(faulty):
    found = faulty("paper", 1000)
    assert [one.split()[0] for one in found["shut"]] == ["details"]
    assert "svg.drawn" in [one.split()[0] for one in found["parted"]]
