"""The page of a classifier, what it says of it, and where the classifier looked."""

import base64
import io
import json
import re
import time

import numpy as np
import pytest
from PIL import Image

from headstart.classifier.predict import load
from headstart.errors import ImageError
from headstart.serve import explaining
from headstart.serve.app import create_app
from headstart.serve.limits import Limits
from headstart.serve.pages import page_routes
from headstart.serve.static_files import PLACES, POLICY, STATIC

from .conftest import FORM as FORM_TYPE
from .conftest import ColourClassifier, form, picture, running


def client_of(classifier, limits=Limits()):  # noqa: B008
    return running(create_app(classifier, limits, pages=page_routes(classifier, limits)))


@pytest.fixture(scope="module")
def birds(bird_folder):
    with client_of(load(bird_folder)) as client:
        yield client


@pytest.fixture(scope="module")
def colours():
    with client_of(ColourClassifier()) as client:
        yield client


def noisy(size=(50, 30), seed=3):
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def shown(answer):
    """Return the picture of an explanation."""
    kind, _, text = answer.json["picture"].partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_the_page_may_load_from_this_server_only(birds):
    answer = birds.ask("GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY and "http" not in POLICY
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.body.decode())
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.body.decode())
    assert "sent to this server only" in answer.body.decode()


def test_what_the_page_needs_is_there(birds):
    needed = re.findall(r"(?:src|href)=\"(static/[^\"]+)\"", birds.ask("GET", "/").body.decode())
    assert len(needed) == 3
    for name in needed:
        answer = birds.ask("GET", f"/{name}")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(("text/css", "text/javascript"))
    assert PLACES["report.css"].read_text("utf-8") == birds.ask("GET", "/static/report.css").body.decode()


@pytest.mark.parametrize("name", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_no_file_of_the_pages_runs_text_or_asks_elsewhere(name):
    text = name.read_text("utf-8")
    assert not re.search(r"https?://(?!127\.0\.0\.1)", text)
    assert not re.search(r"\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)


@pytest.mark.parametrize("name", ["classifier.html", "nothing.js", "..%2fpages.py", "%2e%2e/pages.py", "PAGE.JS"])
def test_other_files_are_not_served(birds, name):
    assert birds.ask("GET", f"/static/{name}").status == 404


def test_about(birds, bird_folder):
    info = json.loads((bird_folder / "classifier.json").read_text())
    found = birds.ask("GET", "/about").json
    assert found["classes"] == info["classes"]
    assert found["provenance"] == info["provenance"]
    assert found["calibrated"] is True and found["unknown"] is False
    assert found["input"] == {"height": 16, "width": 20}
    assert found["limits"] == {"body_bytes": Limits().body_bytes, "pixels": Limits().pixels}


def test_about_names_the_network_as_people_do(colours):
    assert colours.ask("GET", "/about").json["network"] == "tiny"
    assert colours.ask("GET", "/about").json["calibrated"] is False


def test_explain_answers_with_a_picture_and_words(birds):
    answer = birds.ask("POST", "/explain", noisy(), "image/png")
    assert answer.status == 200
    found = answer.json
    predicted = birds.ask("POST", "/predict", noisy(), "image/png").json["predictions"][0]
    best = predicted["probabilities"][0]
    assert found["class"] == predicted["answer"] == best["class"]
    assert found["probability"] == pytest.approx(best["probability"], abs=1e-6)
    assert found["method"] == "grad-cam"
    assert "evidence" in found["where"] or "No place" in found["where"]
    assert shown(answer).size == (50, 30)


def test_explain_is_what_the_explainer_says(birds, bird_folder):
    from headstart.classifier.explain import Explainer, overlay, placed

    classifier = load(bird_folder)
    pixels = np.asarray(Image.open(io.BytesIO(noisy())))
    [heat] = Explainer(classifier).grad_cam([pixels], [2])
    expected = overlay(pixels, placed(heat, 30, 50, classifier.info.size)).astype(int)
    answer = birds.ask("POST", "/explain?class=no", noisy(), "image/png")
    drawn = np.asarray(shown(answer).convert("RGB")).astype(int)
    # noise suffers most from JPEG: the mean must agree, not every pixel
    assert np.abs(drawn - expected).mean() < 12
    assert np.corrcoef(drawn.ravel(), expected.ravel())[0, 1] > 0.9


def test_a_large_photograph_is_shown_smaller(birds):
    answer = birds.ask("POST", "/explain", picture(size=(1700, 850)), "image/png")
    assert shown(answer).size == (explaining.LARGEST, explaining.LARGEST // 2)


def test_a_form_with_one_file_can_be_explained(birds):
    body = form(("a.png", noisy()))
    assert birds.ask("POST", "/explain", body, FORM_TYPE).status == 200
    body = form(("a.png", noisy()), ("b.png", noisy()))
    answer = birds.ask("POST", "/explain", body, FORM_TYPE)
    assert answer.status == 422
    assert "Send one image. Received: 2" in answer.message


def test_what_cannot_be_explained_says_why(colours):
    answer = colours.ask("POST", "/explain", picture(), "image/png")
    assert answer.status == 501
    assert "cannot show where it looked" in answer.message


@pytest.mark.parametrize(
    ("query", "body", "kind", "status", "words"),
    [
        ("", b"no image at all", "image/png", 422, "text, not an image"),
        ("", noisy()[:2000], "image/png", 422, "truncated PNG"),
        ("", picture(), "text/plain", 415, "Content-Type"),
        ("?class=crowe", picture(), "image/png", 400, "Did you mean 'crow'"),
        ("?klass=crow", picture(), "image/png", 400, "Did you mean 'class'"),
    ],
    ids=["text", "truncated", "kind", "class", "option"],
)
def test_bad_requests_to_explain(birds, query, body, kind, status, words):
    answer = birds.ask("POST", f"/explain{query}", body, kind)
    assert answer.status == status
    assert words in answer.message


def test_explain_has_the_limits_of_predict(bird_folder):
    with client_of(load(bird_folder), Limits(body_bytes=2_000, held_bytes=2_000, pixels=400)) as client:
        large = client.ask("POST", "/explain", b"x" * 2_001, "image/png")
        assert large.status == 413
        pixels = client.ask("POST", "/explain", picture(size=(21, 20)), "image/png")
        assert pixels.status == 422
        assert "too large" in pixels.message
        fits = client.ask("POST", "/explain", picture(size=(20, 20)), "image/png")
        assert fits.status == 200


def test_too_many_that_wait_are_sent_away(birds, monkeypatch):
    monkeypatch.setattr(explaining, "WAITING", 0)
    answer = birds.ask("POST", "/explain", picture(), "image/png")
    assert answer.status == 429
    assert answer.headers["retry-after"]


def test_an_image_that_nobody_waits_for_any_more_keeps_its_turn(bird_folder, monkeypatch):
    at_work, most = [], []

    def look(self, content, class_):
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.6)
        at_work.pop()
        raise ImageError("none")

    monkeypatch.setattr(explaining.Explaining, "_look", look)
    with client_of(load(bird_folder), Limits(seconds=0.4)) as client:
        for _ in range(2):
            answer = client.ask("POST", "/explain", picture(), "image/png")
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        time.sleep(0.8)
    assert most == [1, 1]


def test_explain_is_not_for_other_sites(birds):
    answer = birds.ask("POST", "/explain", picture(), "image/png", Origin="https://elsewhere.example")
    assert answer.status == 403
    assert birds.ask("GET", "/explain").status == 405
