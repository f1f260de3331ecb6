"""The pages of the server in the browser: pictures in, answers out; and a review that ends in a corrected list."""

import base64
import csv
import io
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from PIL import Image

from headstart.backbones.catalog import ZERO_TO_ONE
from headstart.classifier import bundle
from headstart.classifier.answering import Answering
from headstart.classifier.bundle import BackboneInfo
from headstart.classifier.predict import load
from headstart.data.decode import Resize
from headstart.evaluation.metrics import evaluate
from headstart.features import graph
from headstart.recipe import Head
from headstart.recipe.lists import read_corrections
from headstart.runs.folder import RunFolder
from headstart.serve.app import create_app
from headstart.serve.limits import Limits
from headstart.serve.pages import page_routes
from headstart.serve.runs_app import create_runs_app

from ..classifier.conftest import PROVENANCE, facts
from ..serve.conftest import running
from ..serve.run_folders import CONFLICT, DOUBTS, NEAR, build_reviewable
from .conftest import await_keys
from .test_page import AXE_RULES, RUN_AXE

pytestmark = pytest.mark.browser

COLOURS = ("red", "green", "blue")
SIZE = Resize(16, 16)
LIMITS = Limits(body_bytes=1_000_000, held_bytes=50_000_000)
LOOKS = ((1440, "light"), (400, "dark"))

DROP = """async ([files, event]) => {
  const data = new DataTransfer();
  for (const [name, kind, text] of files) {
    const bytes = Uint8Array.from(atob(text), one => one.charCodeAt(0));
    data.items.add(new File([bytes], name, {type: kind}));
  }
  const target = document.getElementById("drop");
  target.dispatchEvent(event === "paste"
    ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
    : new DragEvent(event, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""

CAMERA = """
    const canvas = document.createElement("canvas");
    canvas.width = 64; canvas.height = 48;
    const ink = canvas.getContext("2d");
    const paint = () => { ink.fillStyle = "rgb(0, 0, 255)"; ink.fillRect(0, 0, 64, 48); };
    window.asked = [];
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        window.asked.push(wanted); setInterval(paint, 40); paint();
        window.lent = canvas.captureStream(25); return window.lent;
    };
"""


def colour_bundle(folder):
    """Save a classifier whose answer is the primary colour that a picture has most of."""
    ops = ov.opset13
    pixels = ops.parameter([-1, SIZE.height, SIZE.width, 3], np.float32)
    values = ops.relu(ops.matmul(pixels, np.eye(3, dtype=np.float32), False, False))
    head, weights = Head(), [10 * np.eye(3, dtype=np.float32), np.zeros(3, np.float32)]
    backbone = graph.backbone_graph(ov.Model([values], [pixels]), ZERO_TO_ONE, SIZE, any_size=True)
    labels = np.arange(30) % 3
    bundle.save(
        folder,
        graph.add_head(backbone, head, weights),
        {"head/dense_0/kernel": weights[0], "head/dense_0/bias": weights[1]},
        classes=COLOURS,
        size=SIZE,
        answering=Answering(1.25),
        head=head,
        backbone=BackboneInfo("small_cnn", 16, ZERO_TO_ONE, "backbone frozen"),
        facts=facts(test=evaluate(labels, np.eye(3)[labels] * 0.7 + 0.1, COLOURS)),
        provenance=PROVENANCE,
        precision="f32",
    )
    return folder


@dataclass
class Tab:
    """A page of the server in the browser, with all that it said and asked for."""

    page: object
    address: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def go(self, path="/"):
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(self.address + path, wait_until="networkidle")
        await_keys(self.page)
        return self

    def quiet(self, *allowed):
        """Tell whether nothing was said but what may be, and no other server was asked."""
        elsewhere = [url for url in self.asked if not url.startswith((self.address, "blob:", "data:"))]
        return elsewhere == [] and [one for one in self.said if not any(word in one for word in allowed)] == []

    def bring(self, *files, event="drop"):
        coded = [(name, kind, base64.b64encode(content).decode()) for name, kind, content in files]
        self.page.evaluate(DROP, [coded, event])

    def answers(self, count):
        """Wait for so many answers and return their words, the newest first."""
        cards = self.page.locator(".answer")
        for place in range(count):
            cards.nth(place).locator(".bars, .body .notice").first.wait_for()
        assert cards.count() == count
        return [cards.nth(place).locator(".word").inner_text() for place in range(count)]


@pytest.fixture
def tab_of(browser):
    """Return a function that opens an address in a tab of its own."""
    contexts = []

    def open_tab(address, path="/", script=None, **options):
        context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce", **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        return Tab(context.new_page(), address).go(path)

    yield open_tab
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def colour_folder(tmp_path_factory):
    return colour_bundle(tmp_path_factory.mktemp("colours") / "classifier")


@pytest.fixture(scope="module")
def server(colour_folder):
    classifier = load(colour_folder)
    with running(create_app(classifier, LIMITS, pages=page_routes(classifier, LIMITS)), LIMITS) as live:
        yield f"http://127.0.0.1:{live.port}"


@pytest.fixture
def tab(tab_of, server):
    opened = tab_of(server)
    # quiet on the line does not say that the page's script has begun
    opened.page.get_by_text("It knows 3 classes").wait_for()
    return opened


@pytest.fixture(scope="module")
def built(tmp_path_factory, colour_folder):
    place = tmp_path_factory.mktemp("built")
    return build_reviewable(place / "flowers", place / "photographs", colour_folder).path


@pytest.fixture
def review(tab_of, tmp_path, built):
    """The review of a run in a tab, and its folder."""
    folder = RunFolder(Path(shutil.copytree(built, tmp_path / "flowers")))
    with running(create_runs_app(tmp_path)) as live:
        address = f"http://127.0.0.1:{live.port}"
        [run] = live.ask("GET", "/runs.json").json["runs"]
        opened = tab_of(address, f"/runs/{run['id']}/review", accept_downloads=True)
        opened.page.locator("#work").wait_for()
        yield opened, folder


def square(colour, kind="PNG", size=(40, 30)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def spot(colour, ground, size=(90, 90)):
    """A coloured spot in the upper left of a picture."""
    image = Image.new("RGB", size, ground)
    image.paste(colour, (8, 8, 30, 30))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def sound(page, ask_of, axe, tab):
    """Judge a page by axe, by its words' contrast and by its width, large and light, small and dark."""
    ask = ask_of(page)
    page.evaluate(axe)
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(RUN_AXE, AXE_RULES) == [], (width, scheme)
        assert ask("faint") == [], (width, scheme)
        found = ask("widths")
        assert found["page"] <= found["window"] == width
        assert found["outside"] == []
        assert (ask("brightness")["ground"] < 0.02) == (scheme == "dark")
    assert tab.quiet("422")


def test_a_picture_that_is_dropped_gets_its_class(tab):
    tab.bring(("rose.png", "image/png", square("red")), ("sea.jpg", "image/jpeg", square("blue", "JPEG")))
    words = tab.answers(2)
    assert [one.partition(",")[0] for one in words] == ["blue", "red"]
    card = tab.page.locator(".answer").last
    assert card.locator(".name").inner_text() == "rose.png"
    assert card.locator(".view img").evaluate("one => one.decode().then(() => one.naturalWidth)") == 40
    bars = card.locator(".bars li")
    assert bars.first.locator(".label").inner_text() == "red"
    shares = [float(bars.nth(place).locator("data").get_attribute("value")) for place in range(3)]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert shares[0] == pytest.approx(1 / (1 + 2 * np.exp(-10 / 1.25)), abs=1e-4)
    lengths = [
        bars.nth(place).locator(".length i").evaluate("one => one.getBoundingClientRect().width") for place in (0, 1)
    ]
    assert lengths[0] > 100 * lengths[1]
    assert tab.page.get_by_role("status").first.inner_text().startswith(("sea.jpg: blue", "rose.png: red"))
    assert tab.quiet()


def test_a_picture_that_is_pasted_and_one_that_is_chosen(tab):
    tab.bring(("image.png", "image/png", square("green")), event="paste")
    assert tab.answers(1)[0].startswith("green")
    tab.page.get_by_label("Drop pictures here, or choose files").set_input_files(
        {"name": "fire.webp", "mimeType": "image/webp", "buffer": square("red", "WEBP")}
    )
    assert tab.answers(2)[0].startswith("red")
    tab.page.get_by_role("button", name="Remove fire.webp").click()
    assert tab.answers(1)[0].startswith("green")
    tab.page.get_by_role("button", name="Remove all pictures").click()
    assert tab.page.locator(".answer").count() == 0
    assert tab.quiet()


def test_the_camera(tab_of, server):
    tab = tab_of(server, script=CAMERA)
    tab.page.get_by_role("button", name="Use the camera").click()
    tab.page.locator("#camera-take:focus").wait_for()
    assert tab.page.evaluate("window.asked[0].audio") is False
    tab.page.keyboard.press("Enter")
    assert tab.answers(1)[0].startswith("blue")
    tab.page.get_by_role("button", name="Close the camera").click()
    assert tab.page.evaluate("window.lent.getTracks().every(one => one.readyState === 'ended')")
    assert not tab.page.locator("#camera").is_visible()
    assert tab.quiet()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (("notes.jpg", "image/jpeg", b"no picture at all"), "text, not an image"),
        (("empty.png", "image/png", b""), "empty file"),
        (("half.png", "image/png", square("red", size=(400, 400))[:300]), "PNG"),
        (("page.svg", "image/svg+xml", b"<svg xmlns='x'/>"), "SVG"),
        (("huge.png", "image/png", b"x" * 1_000_001), "too large: 1.0 MB; this server takes 1 MB"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_bad_file_says_so_and_the_others_are_answered(tab, file, words):
    tab.bring(file, ("rose.png", "image/png", square("red")))
    said = tab.answers(2)
    assert said[0].startswith("red") and said[1] == "No answer"
    assert words in tab.page.locator(".answer .body .notice").inner_text()
    assert tab.quiet("422 (Unprocessable Entity)")


def test_a_name_is_text_and_nothing_else(tab):
    name = "<img src=x onerror=alert(1)>.png"
    tab.bring((name, "image/png", square("red")))
    tab.answers(1)
    assert tab.page.locator(".answer .name").inner_text() == name
    assert tab.quiet()


def test_the_unknown_answer_is_explained(tab):
    row = {
        "name": "body",
        "answer": "unknown",
        "unknown_score": 9.0,
        "error": None,
        "probabilities": [{"class": "red", "probability": 0.7}, {"class": "blue", "probability": 0.3}],
    }
    tab.page.route("**/predict", lambda route: route.fulfill(json={"predictions": [row], "classifier": {}}))
    tab.bring(("odd.png", "image/png", square("red")))
    assert tab.answers(1) == ["Unknown"]
    text = tab.page.locator(".answer .body").inner_text()
    assert "unlike those that the classifier learned from" in text
    assert "red would fit best (70.0 %)" in text


def test_a_busy_server_is_asked_again(tab):
    calls = []

    def answer(route):
        calls.append(route.request.url)
        if len(calls) == 1:
            body = {"error": {"status": 429, "message": "Too many."}}
            route.fulfill(status=429, headers={"Retry-After": "1"}, json=body)
        else:
            route.continue_()

    tab.page.route("**/predict", answer)
    tab.bring(("rose.png", "image/png", square("red")))
    assert tab.answers(1)[0].startswith("red")
    assert len(calls) == 2


def test_where_it_looked(tab):
    tab.bring(("spot.png", "image/png", spot("red", "black")))
    tab.answers(1)
    button = tab.page.get_by_role("button", name="Where it looked")
    button.focus()
    tab.page.keyboard.press("Enter")
    heat = tab.page.locator(".heat")
    heat.wait_for()
    assert heat.get_attribute("src").startswith("data:image/jpeg")
    assert heat.evaluate("one => one.decode().then(() => one.naturalWidth)") == 90
    assert "upper left" in tab.page.locator(".looking p").inner_text()
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert not heat.is_visible()
    assert button.get_attribute("aria-pressed") == "false"
    assert tab.quiet()


def test_what_cannot_be_explained_says_why(tab):
    body = {"error": {"status": 501, "message": "Grad-CAM cannot look into this network."}}
    tab.page.route("**/explain*", lambda route: route.fulfill(status=501, json=body))
    tab.bring(("rose.png", "image/png", square("red")))
    tab.answers(1)
    tab.page.get_by_role("button", name="Where it looked").click()
    tab.page.get_by_text("Grad-CAM cannot look into this network.").wait_for()
    assert tab.page.locator(".heat").count() == 0


def test_the_page_says_what_the_classifier_is(tab):
    text = tab.page.locator("main").inner_text()
    assert "It knows 3 classes: red, green, blue." in text
    assert "Of 30 test images that it had never seen it named 27 rightly: 90.0 %." in text
    assert "Apache-2.0" in text and "80 images" in text
    assert "Pictures are sent to this server only" in text
    assert f"{tab.address}/predict?top=3" in text


def test_the_page_of_a_classifier_is_sound(tab, ask_of, axe):
    tab.bring(("notes.jpg", "image/jpeg", b"text"), ("spot.png", "image/png", spot("red", "black")))
    tab.answers(2)
    tab.page.get_by_role("button", name="Where it looked").click()
    tab.page.locator(".heat").wait_for()
    sound(tab.page, ask_of, axe, tab)


def test_the_keyboard_reaches_every_control(tab):
    tab.bring(("rose.png", "image/png", square("red")))
    tab.answers(1)
    reached = set()
    for _ in range(40):
        tab.page.keyboard.press("Tab")
        reached.add(tab.page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"files", "camera-open", "clear", "Where it looked", "Remove"} <= reached


def rows_of(folder):
    with folder.doubts_file.open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row for row in csv.DictReader(stream)}


def next_one(tab, words):
    tab.page.get_by_role("heading", name=words).wait_for()


def saved(tab, folder, path, action):
    """Wait until a decision stands in the file."""
    for _ in range(200):
        if rows_of(folder).get(path, {}).get("action") == action:
            return
        tab.page.wait_for_timeout(25)
    raise AssertionError((path, action, rows_of(folder).get(path)))


def test_three_doubts_are_reviewed_and_stand_in_the_list(review):
    tab, folder = review
    page = tab.page
    page.get_by_role("button", name="Doubted labels (15)").click()
    next_one(tab, "Labelled daisy. Is it dandelion?")
    picture = page.locator("#shown img")
    assert picture.evaluate("one => one.decode().then(() => one.naturalWidth)") == 60
    page.keyboard.press("r")
    page.get_by_role("button", name="Drop").click()
    page.get_by_label("Another class").select_option("tulips")
    for path, action in zip(DOUBTS, ("relabel", "drop", "relabel"), strict=False):
        saved(tab, folder, path, action)
    assert "4 of 15 images decided" in page.locator("#done").inner_text()
    with page.expect_download() as waited:
        page.get_by_role("link", name="Download the list").click()
    text = waited.value.path().read_text("utf-8")
    assert waited.value.suggested_filename == "doubts.csv"
    lines = text.splitlines()
    assert lines[0] == "path,label,suggested,confidence,action,first_suggested"
    assert lines[1:4] == [
        f"{DOUBTS[0]},daisy,dandelion,0.99,relabel,dandelion",
        f"{DOUBTS[1]},daisy,dandelion,0.96,drop,",
        f"{DOUBTS[2]},daisy,tulips,0.9299999999999999,relabel,dandelion",
    ]
    found = read_corrections(folder.doubts_file)
    assert found.remove == (DOUBTS[1],)
    assert found.relabel == {DOUBTS[0]: "dandelion", DOUBTS[2]: "tulips", "dandelion/00001.jpg": "dandelion"}
    assert f"--drop {folder.doubts_file} " in page.locator("#command").inner_text()
    assert tab.quiet()


def test_a_conflict_and_copies(review):
    tab, folder = review
    page = tab.page
    next_one(tab, "Labelled roses (picture 1 of 2)")
    assert page.locator("#shown img").count() == 2
    page.get_by_role("button", name="Relabel to tulips").click()
    saved(tab, folder, CONFLICT[0], "relabel")
    next_one(tab, "Labelled tulips (picture 2 of 2)")
    page.get_by_role("button", name="Near copies (1)").click()
    page.get_by_role("button", name=f"Picture {NEAR[1]}").click()
    page.keyboard.press("o")
    for path, action in zip(NEAR, ("drop", "keep", "drop"), strict=True):
        saved(tab, folder, path, action)
    assert "Everything here is decided" in page.locator("#saved").inner_text()
    assert rows_of(folder)[CONFLICT[0]]["suggested"] == "tulips"
    page.keyboard.press("u")
    page.get_by_text("Taken back.").wait_for()
    for _ in range(200):
        if not set(NEAR) & set(rows_of(folder)):
            break
        page.wait_for_timeout(25)
    assert not set(NEAR) & set(rows_of(folder))
    assert tab.quiet()


def test_skip_and_back_decide_nothing(review):
    tab, folder = review
    before = folder.doubts_file.read_bytes()
    page = tab.page
    page.get_by_role("button", name="Doubted labels (15)").click()
    place = page.locator("#done")
    assert "Case 1 of 15" in place.inner_text()
    page.keyboard.press("s")
    page.keyboard.press("ArrowRight")
    assert "Case 3 of 15" in place.inner_text()
    page.keyboard.press("ArrowLeft")
    assert "Case 2 of 15" in place.inner_text()
    page.keyboard.press("Control+d")
    assert folder.doubts_file.read_bytes() == before


def test_a_decision_that_cannot_be_saved_is_said_and_taken_back(review):
    tab, _folder = review
    body = {"error": {"status": 409, "message": "A study is at work."}}
    tab.page.route("**/decisions", lambda route: route.fulfill(status=409, json=body))
    tab.page.keyboard.press("d")
    tab.page.get_by_text("Not saved: A study is at work.").wait_for()
    tab.page.keyboard.press("ArrowLeft")
    assert tab.page.locator("#shown .done").count() == 0


def test_another_tab_sees_what_was_decided(review, tab_of):
    tab, folder = review
    other = tab_of(tab.address, tab.page.url.removeprefix(tab.address))
    other.page.locator("#work").wait_for()
    tab.page.keyboard.press("d")
    saved(tab, folder, CONFLICT[0], "drop")
    other.page.evaluate("window.dispatchEvent(new Event('focus'))")
    other.page.locator("#shown .drop-it").wait_for()
    other.page.keyboard.press("k")
    saved(other, folder, CONFLICT[0], "keep")


def test_a_page_of_before_the_server_was_started_again_says_so(review):
    tab, _folder = review
    tab.page.route(
        "**/decisions",
        lambda route: route.continue_(headers={**route.request.headers, "x-headstart-token": "of another server"}),
    )
    tab.page.keyboard.press("d")
    tab.page.get_by_text("Load the page again").wait_for()


SEEN = """() => {
  const bar = document.getElementById("deciding").getBoundingClientRect();
  const views = [...document.querySelectorAll("#shown .view")].map(one => one.getBoundingClientRect());
  const below = views.every(view => view.right <= bar.left) ? innerHeight : Math.min(innerHeight, bar.top);
  const top = Math.min(...views.map(view => view.top));
  return (Math.min(below, Math.max(...views.map(view => view.bottom))) - Math.max(0, top)) / innerHeight;
}"""


@pytest.mark.parametrize(
    ("width", "height", "least"), [(400, 720, 0.4), (1280, 720, 0.5), (1440, 900, 0.5), (720, 400, 0.4)]
)
@pytest.mark.parametrize("kind", ["conflict", "doubt", "near"])
def test_pictures_and_buttons_are_on_one_screen(review, width, height, least, kind):
    page = review[0].page
    page.set_viewport_size({"width": width, "height": height})
    page.locator("#kind").evaluate("(one, kind) => { one.value = kind; one.dispatchEvent(new Event('change')); }", kind)
    assert page.evaluate("scrollY") == 0
    assert page.evaluate(SEEN) >= least
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("Keep", "Drop") if height > 400 else ():
        box = page.get_by_role("button", name=name, exact=False).first.bounding_box()
        assert box["y"] + box["height"] <= height


@pytest.mark.parametrize("size", [(400, 720), (1280, 720)])
def test_long_names_of_classes_have_room(review, size):
    page = review[0].page
    long = "of the northern and the western meadows, in full bloom"

    def lengthen(route):
        told = json.loads(route.fetch().text())
        told["classes"] = [f"{name} {long}" for name in told["classes"]]
        for image in told["images"]:
            image.update(
                label=f"{image['label']} {long}", suggested=image["suggested"] and f"{image['suggested']} {long}"
            )
        route.fulfill(json=told)

    page.route("**/review.json", lengthen)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.reload()
    next_one(review[0], long)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_on_a_narrow_screen_a_select_chooses_what_to_go_through(review):
    page = review[0].page
    page.set_viewport_size({"width": 400, "height": 720})
    assert not page.get_by_role("button", name="Doubted labels (15)").is_visible()
    page.get_by_role("combobox", name="What to go through").select_option("doubt")
    next_one(review[0], "Labelled daisy. Is it dandelion?")
    assert "Case 1 of 15" in page.locator("#done").inner_text()


def test_after_another_class_was_chosen_letters_are_keys_again(review):
    tab, folder = review
    tab.page.get_by_role("button", name="Doubted labels (15)").click()
    next_one(tab, "Labelled daisy. Is it dandelion?")
    tab.page.get_by_label("Another class").select_option("tulips")
    saved(tab, folder, DOUBTS[0], "relabel")
    tab.page.keyboard.press("d")
    saved(tab, folder, DOUBTS[1], "drop")


def test_without_a_list_nothing_is_offered_for_download(review):
    tab, folder = review
    folder.doubts_file.unlink()
    tab.page.reload()
    await_keys(tab.page)
    next_one(tab, "Labelled roses (picture 1 of 2)")
    download = tab.page.get_by_role("link", name="Download the list")
    assert not download.is_visible() and not tab.page.locator("#command").is_visible()
    assert "your first decision begins it" in tab.page.locator("#finish").inner_text()
    tab.page.keyboard.press("d")
    download.wait_for()
    assert tab.page.locator("#command").is_visible()


def test_the_review_is_sound(review, ask_of, axe):
    tab, _folder = review
    sound(tab.page, ask_of, axe, tab)


def test_the_list_of_runs_leads_everywhere(review, tab_of, ask_of, axe, made_up):
    tab, folder = review
    folder.write_report(made_up.render(folder))
    runs = tab_of(tab.address)
    assert "flowers" in runs.page.locator("#rows").inner_text()
    sound(runs.page, ask_of, axe, runs)
    runs.page.set_viewport_size({"width": 1440, "height": 900})
    runs.page.get_by_role("link", name="Report: flowers").click()
    runs.page.wait_for_load_state("networkidle")
    assert runs.page.evaluate("window.origin") == "null"
    assert runs.page.locator("h1").inner_text()
    refused = "fetch('/runs.json').then(() => 'read', () => 'refused')"
    assert runs.page.evaluate(refused) == "refused"
    runs.said.clear()
    runs.page.go_back()
    runs.page.get_by_role("link", name="Try it: flowers").click()
    runs.page.get_by_text("It knows 3 classes").wait_for()
    runs.bring(("rose.png", "image/png", square("red")))
    assert runs.answers(1)[0].startswith("red")
    assert runs.quiet()


def test_a_run_says_its_words_as_text(review, tab_of):
    tab, _folder = review
    page = tab_of(tab.address).page
    row = {
        "id": "0" * 12, "name": "<b>x</b>", "title": "<img src=x onerror=alert(1)>", "state": "damaged",
        "reason": "<i>", "finished": None, "images": None, "classes": None, "candidates": None, "failed": None,
        "best": None, "recommended": None, "validation": None, "test": None, "seconds": None,
        "report": False, "review": False, "classifier": False,
    }  # fmt: skip
    body = json.dumps({"version": "0", "runs": [row]})
    page.route("**/runs.json", lambda route: route.fulfill(body=body, content_type="application/json"))
    page.reload()
    page.locator("#rows tr").wait_for()
    assert row["title"] in page.locator("#rows").inner_text()
    assert page.locator("#rows img, #rows b, #rows i").count() == 0
