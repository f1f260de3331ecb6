"""The map of the images in Chromium: pointing, touching and arrow keys show an image; classes and parts stand out."""

import pytest

from .conftest import await_keys

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 1000, 900


@pytest.fixture(scope="module")
def mapped(made_up, tmp_path_factory):
    """Return a run folder with a map; one of its images has a name that could do harm."""
    folder = made_up.Builder(tmp_path_factory.mktemp("map") / "run", made_up.Sample(mapped=True)).build()
    rows = list(folder.map())
    evil = '</script><img src=x onerror="document.title=1">, "odd"\n.jpg'
    rows[0] = made_up.dataclasses.replace(rows[0], path=evil, x=-1.0, y=1.0)
    folder.write_map(rows, folder.map_sheet())
    folder.write_report(made_up.render(folder))
    return folder


@pytest.fixture(params=["mouse", "touch"])
def way(request):
    return request.param


@pytest.fixture
def page(browser, mapped, way):
    """Return the page with its map in view; whatever the console said fails the test."""
    touch = way == "touch"
    context = browser.new_context(
        viewport={"width": 400 if touch else WIDTH, "height": HEIGHT}, has_touch=touch, reduced_motion="reduce"
    )
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(mapped.report.as_uri(), wait_until="load")
    await_keys(page)
    page.evaluate("document.querySelector('.map').scrollIntoView()")
    yield page
    assert said == []
    context.close()


def place_of(page, row):
    """Return where an image stands on the screen."""
    box = page.locator(".map-drawing").bounding_box()
    ratio = box["width"] / float(page.get_attribute(".map-drawing", "viewBox").split()[2])
    scale = ratio * float(page.get_attribute(".map-drawing", "data-scale"))
    return box["x"] + box["width"] / 2 + scale * row.x, box["y"] + box["height"] / 2 - scale * row.y


def alone(rows):
    """Return the image that stands farthest from every other one that has a picture, and has one itself."""
    tiles = [row for row in rows[1:] if row.tile is not None]
    return max(tiles, key=lambda row: min((row.x - o.x) ** 2 + (row.y - o.y) ** 2 for o in rows if o is not row))


def point(page, way, place):
    if way == "touch":
        page.touchscreen.tap(*place)
    else:
        page.mouse.move(*place)


def test_an_image_that_is_pointed_at_is_shown(page, mapped, way):
    row = alone(mapped.map())
    assert page.locator(".map-card").is_hidden()
    point(page, way, place_of(page, row))
    assert page.locator(".map-path").text_content() == row.path
    assert page.locator(".map-label").text_content() == row.label
    wanted = "recognised" if row.predicted == row.label else f"taken for {row.predicted}"
    assert wanted in page.locator(".map-answer").text_content()
    across, down = page.eval_on_selector(".map-picture", "one => one.style.backgroundPosition").split()
    assert float(across.rstrip("%")) == pytest.approx(100 * (row.tile % 24) / 23, abs=0.01)
    assert float(down.rstrip("%")) == 100 * (row.tile // 24)
    card, field = page.locator(".map-card").bounding_box(), page.locator(".map-field").bounding_box()
    assert card["x"] >= field["x"] - 1
    assert card["x"] + card["width"] <= field["x"] + field["width"] + 1


def test_names_are_text(page, mapped, way):
    row = mapped.map()[0]
    point(page, way, place_of(page, row))
    assert page.locator(".map-path").text_content() == row.path
    assert page.title() != "1"


def test_nothing_is_shown_where_nothing_stands(page, mapped, way):
    row = alone(mapped.map())
    point(page, way, place_of(page, row))
    box = page.locator(".map-drawing").bounding_box()
    point(page, way, (box["x"] + box["width"] - 4, box["y"] + box["height"] - 4))
    assert page.locator(".map-card").is_hidden()


@pytest.mark.parametrize("way", ["mouse"], indirect=True)
def test_arrow_keys_walk_over_the_map(page, mapped):
    by_path = {row.path: row for row in mapped.map()}
    page.locator(".map-drawing").focus()
    page.keyboard.press("ArrowRight")
    here = by_path[page.locator(".map-path").text_content()]
    moves = {"ArrowRight": (1, 0), "ArrowUp": (0, 1), "ArrowLeft": (-1, 0), "ArrowDown": (0, -1)}
    for key, (x, y) in moves.items():
        page.keyboard.press(key)
        there = by_path[page.locator(".map-path").text_content()]
        assert (there.x - here.x) * x + (there.y - here.y) * y > 0, key
        assert page.locator(".map-spoken").text_content().startswith(f"{there.path}, {there.label}, ")
        here = there
    page.keyboard.press("Escape")
    assert page.locator(".map-card").is_hidden()


@pytest.mark.parametrize("way", ["mouse"], indirect=True)
def test_a_part_can_be_shown_alone(page, mapped):
    page.locator("label[for=map-test]").click()
    row = alone([one for one in mapped.map() if one.part != "test"])
    point(page, "mouse", place_of(page, row))
    found = page.locator(".map-path").text_content() if page.locator(".map-card").is_visible() else None
    assert found is None or {one.path: one.part for one in mapped.map()}[found] == "test"
    assert float(page.eval_on_selector(".map-drawing .other", "one => getComputedStyle(one).opacity")) < 0.3
    assert float(page.eval_on_selector(".map-drawing .tested", "one => getComputedStyle(one).opacity")) == 1


@pytest.mark.parametrize("way", ["mouse"], indirect=True)
def test_a_class_can_be_shown_alone(page):
    opacity = "all => all.map(one => Number(getComputedStyle(one).opacity))"
    button = page.locator(".map-legend button").nth(1)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert set(page.eval_on_selector_all('.of-class[data-class="1"] path', opacity)) == {1}
    assert max(page.eval_on_selector_all('.of-class:not([data-class="1"]) path', opacity)) < 0.3
    button.click()
    page.mouse.move(5, 5)
    assert set(page.eval_on_selector_all(".of-class path", opacity)) == {1}


def test_without_scripts_the_map_can_be_read(browser, mapped):
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, java_script_enabled=False)
    page = context.new_page()
    page.goto(mapped.report.as_uri(), wait_until="load")
    assert page.locator(".map-drawing").is_visible()
    assert page.locator(".map-legend li").all_text_contents()[0].split()[-1] == "daisy"
    assert page.locator(".map-card").is_hidden()
    assert page.locator(".map-hint").is_hidden()
    context.close()
