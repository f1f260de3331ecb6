"""Several runs side by side, as a browser shows them."""

import pytest

from headstart.report import several

pytestmark = pytest.mark.browser

SERIOUS = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.filter(one => ["serious", "critical"].includes(one.impact)).map(one => one.help);
}"""


@pytest.fixture(scope="module")
def page(browser, made_up, tmp_path_factory):
    place = tmp_path_factory.mktemp("several")
    settings = {"flowers with many words in their name": {}, "others": {"seed": 1, "backbones": ("resnet50",)}}
    folders = [made_up.Builder(place / name, made_up.Sample(**one)).build() for name, one in settings.items()]
    path = place / "several.html"
    path.write_text(several.render([folder.path for folder in folders]), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(path.as_uri())
    yield page
    page.close()


def test_several_runs_stand_inside_the_window_and_can_be_read(page, ask_of, axe):
    ask = ask_of(page)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for width, scheme in ((400, "dark"), (800, "light"), (1440, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        found = ask("widths")
        assert found["page"] <= width and found["outside"] == [] and ask("cut") == [] and ask("faint") == []
    page.evaluate(axe)
    assert page.evaluate(SERIOUS) == []
