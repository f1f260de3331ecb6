"""Several runs side by side, as a browser shows them."""

import pytest

from headstart.report import several

pytestmark = pytest.mark.browser

SERIOUS = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.filter(one => ["serious", "critical"].includes(one.impact)).map(one => one.help);
}"""


LONG_NAMES = {
    "flowers-of-a-very-long-afternoon-in-the-garden-1a2b3c": {
        "evidence": True,
        "named": ("mobilenet-lr0.01-adam-random-last4-image256-dense1024", "x" * 70),
    },
    "y" * 60: {"seed": 1, "backbones": ("resnet50",)},
    "other images": {"seed": 2, "per_class": 40},
    "d": {"seed": 3, "evidence": True},
    "e": {"seed": 4},
}


@pytest.fixture(scope="module")
def page(browser, made_up, tmp_path_factory):
    place = tmp_path_factory.mktemp("several")
    folders = [made_up.Builder(place / name, made_up.Sample(**one)).build() for name, one in LONG_NAMES.items()]
    path = place / "several.html"
    path.write_text(several.render([folder.path for folder in folders]), encoding="utf-8")
    # the page's own policy would keep the checker of accessibility out
    page = browser.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    page.heard = []
    page.on("console", lambda message: page.heard.append(message.text))
    page.on("pageerror", lambda error: page.heard.append(str(error)))
    page.on("request", lambda one: page.heard.append(one.url) if one.url.startswith("http") else None)
    page.goto(path.as_uri())
    yield page
    page.close()


def test_several_runs_stand_inside_the_window_and_can_be_read(page, ask_of):
    ask = ask_of(page)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.locator("ul.stated li").first.is_visible()
    for width, scheme in ((400, "dark"), (800, "light"), (1440, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        found = ask("widths")
        assert found["page"] <= width and found["outside"] == [] and ask("cut") == [] and ask("faint") == []
    assert page.heard == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, axe, scheme):
    page.emulate_media(color_scheme=scheme)
    page.evaluate(axe)
    assert page.evaluate(SERIOUS) == []
