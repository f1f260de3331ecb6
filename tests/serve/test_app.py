"""The API: what each address answers, many requests at once, and the limits on time and queue."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from headstart.classifier.predict import load
from headstart.data import decode
from headstart.serve.app import create_app
from headstart.serve.limits import Limits
from headstart.version import __version__

from .conftest import CLASSES, FORM, form, picture, running


def test_predictions_have_every_class_ranked(live):
    (row,) = live.predict(picture("blue")).json["predictions"]
    assert set(row) == {"name", "answer", "probabilities", "unknown_score", "error"}
    assert row["answer"] == row["probabilities"][0]["class"] == "blue"
    assert {one["class"] for one in row["probabilities"]} == set(CLASSES)
    values = [one["probability"] for one in row["probabilities"]]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)


def test_the_answer_says_which_classifier_gave_it(live):
    assert live.predict(picture()).json["classifier"] == {"candidate": "tiny-lr0.1", "fingerprint": "print"}


@pytest.mark.parametrize(("top", "count"), [("1", 1), ("2", 2), ("99", 3), ("9" * 30, 3), ("0000000000002", 2)])
def test_top_says_how_many_classes(live, top, count):
    answer = live.predict(picture(), query=f"?top={top}")
    assert len(answer.json["predictions"][0]["probabilities"]) == count


@pytest.mark.parametrize("top", ["0", "000", "-1", "1.5", "many", "", "%C2%B2"])
def test_a_wrong_top_is_400(live, top):
    answer = live.predict(picture(), query=f"?top={top}")
    assert answer.status == 400
    assert "whole number of at least 1" in answer.message


def test_an_unknown_question_is_400_with_a_hint(live):
    answer = live.predict(picture(), query="?topp=1")
    assert answer.status == 400
    assert "Did you mean 'top'?" in answer.message


def test_classes_and_health(live):
    assert live.ask("GET", "/classes").json == {"classes": list(CLASSES)}
    health = live.ask("GET", "/health").json
    assert (health["ready"], health["version"], health["fingerprint"]) == (True, __version__, "print")
    assert health["uptime_seconds"] > 0


def test_metrics_are_prometheus_text(live):
    answer = live.ask("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "headstart_requests_total" in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/predict", {"POST"}), ("PUT", "/predict", {"POST"}), ("POST", "/classes", {"GET", "HEAD"})],
)
def test_a_wrong_method_is_405(live, method, path, allowed):
    answer = live.ask(method, path)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert f"Received: {method}" in answer.message


@pytest.mark.parametrize("path", ["/nothing", "/predict/", "/../etc/passwd", "/%2e%2e/etc/passwd", "//", "/docs"])
def test_an_unknown_address_is_404(live, path):
    answer = live.ask("GET", path)
    assert answer.status == 404
    assert "/openapi.json" in answer.message


def test_head_and_options(live):
    head = live.ask("HEAD", "/classes")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(live.ask("GET", "/classes").body)
    options = live.ask("OPTIONS", "/predict")
    assert (options.status, options.headers["allow"], options.body) == (204, "POST", b"")


def test_many_requests_at_once_have_the_same_answers_as_python(bird_folder):
    classifier = load(bird_folder)
    random = np.random.default_rng(0)
    images = [decode.jpeg(random.integers(0, 256, (20 + n, 30, 3), np.uint8)) for n in range(40)]
    expected = classifier.predict(images)
    app = create_app(classifier)
    with running(app) as live, ThreadPoolExecutor(16) as pool:
        app.state.batcher._batch_size = 4
        answers = list(pool.map(live.predict, images * 2))
        several = live.predict(form(*[(f"{n}.jpg", image) for n, image in enumerate(images)]), FORM)
        runs = live.metric("headstart_batch_images_count")
        images_run = live.metric("headstart_batch_images_sum")
    rows = [answer.json["predictions"][0] for answer in answers] + several.json["predictions"]
    for row, prediction in zip(rows, expected * 3, strict=True):
        assert row["answer"] == prediction.answer
        assert row["unknown_score"] == pytest.approx(prediction.unknown_score, abs=1e-6)
        assert [one["class"] for one in row["probabilities"]] == [one.class_ for one in prediction.ranked]
        found = [one["probability"] for one in row["probabilities"]]
        assert found == pytest.approx([one.probability for one in prediction.ranked], abs=1e-6)
    assert images_run == 120
    assert runs < 115, "requests at once share batches"


def test_no_answer_in_time_is_503_and_the_queue_is_left(serve, classifier):
    live = serve(Limits(seconds=0.3))
    classifier.gate.clear()
    answer = live.predict(picture())
    assert answer.status == 503
    assert "within 0.3 seconds" in answer.message
    assert answer.headers["retry-after"] == "1"
    classifier.gate.set()
    assert live.predict(picture()).status == 200
    live.await_metric("headstart_queue_images", 0)


def test_a_full_queue_is_429_while_it_is_full(serve, classifier):
    live = serve(Limits(queue=4))
    classifier.gate.clear()
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(live.predict(picture()).status)) for _ in range(4)]
    for thread in waiting:
        thread.start()
    live.await_metric("headstart_queue_images", 4)
    refused = live.predict(picture())
    assert refused.status == 429
    assert "More than 4 images" in refused.message
    assert refused.headers["retry-after"] == "1"
    classifier.gate.set()
    for thread in waiting:
        thread.join()
    assert answers == [200] * 4
    assert live.predict(picture()).status == 200


def test_health_answers_while_the_network_is_busy(serve, classifier):
    live = serve()
    classifier.gate.clear()
    thread = threading.Thread(target=live.predict, args=(picture(),))
    thread.start()
    assert live.ask("GET", "/health").status == 200
    classifier.gate.set()
    thread.join()
