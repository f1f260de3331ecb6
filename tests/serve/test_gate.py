"""Who may ask, what every answer carries, and what is counted."""

import pytest

from headstart.serve.app import create_app, guarded
from headstart.serve.gate import SECURITY_HEADERS
from headstart.serve.limits import Access, access_for
from headstart.serve.metrics import Metrics

from .conftest import picture, running

HOSTS = [
    ("localhost", 200),
    ("localhost:8000", 200),
    ("LOCALHOST", 200),
    ("127.0.0.1:1", 200),
    ("[::1]:8000", 200),
    ("[::1]", 200),
    ("evil.example", 400),
    ("evil.example:8000", 400),
    ("localhost.evil.example", 400),
    ("127.0.0.1.evil.example", 400),
    ("[::2]", 400),
    ("", 400),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_a_server_on_loopback_answers_only_to_names_of_this_machine(live, host, status):
    answer = live.ask("GET", "/classes", Host=host)
    assert answer.status == status
    if status == 400:
        assert "localhost, 127.0.0.1, [::1]" in answer.message


def test_a_server_on_the_network_answers_to_any_name(serve):
    live = serve(access=access_for("0.0.0.0"))
    assert live.ask("GET", "/classes", Host="evil.example").status == 200


ORIGINS = [
    ({}, 200),
    ({"Origin": "http://localhost:8000", "Host": "localhost:8000"}, 200),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "http://localhost:8000", "Host": "localhost:9000"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Sec-Fetch-Site": "none"}, 200),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), ORIGINS)
def test_a_page_of_another_site_cannot_send_images(live, headers, status):
    answer = live.ask("POST", "/predict", picture(), "image/png", **headers)
    assert answer.status == status
    assert "access-control-allow-origin" not in answer.headers
    if status == 403:
        assert "--allow-origin" in answer.message


@pytest.mark.parametrize(("allowed", "said"), [("https://example.org", "https://example.org"), ("*", "*")])
def test_an_allowed_origin_may_ask_and_read(serve, allowed, said):
    live = serve(access=Access(origins=(allowed,)))
    origin = "https://example.org"
    answer = live.predict(picture(), Origin=origin)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, said)
    wrong = live.predict(b"text", Origin=origin)
    assert (wrong.status, wrong.headers["access-control-allow-origin"]) == (422, said)
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    before = live.ask("OPTIONS", "/predict", **asked)
    assert before.status == 200
    assert before.headers["access-control-allow-origin"] == said
    assert "POST" in before.headers["access-control-allow-methods"]


def test_another_origin_than_the_allowed_is_refused(serve):
    live = serve(access=Access(origins=("https://example.org",)))
    assert live.predict(picture(), Origin="https://example.com").status == 403
    answer = live.ask("GET", "/classes", Origin="https://example.com")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/metrics", "/nothing", "/"])
def test_every_answer_carries_the_security_headers(live, path):
    headers = live.ask("GET", path).headers
    assert {name: headers[name.lower()] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_a_page_may_bring_its_own_policy(serve):
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def page(request):
        return PlainTextResponse("page", headers={"Content-Security-Policy": "default-src 'self'"})

    headers = serve(pages=[Route("/", page)]).ask("GET", "/").headers
    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["x-content-type-options"] == "nosniff"


def test_requests_are_counted_by_address_and_status(serve):
    live = serve()
    for _ in range(3):
        live.predict(picture())
    live.predict(b"text")
    live.ask("GET", "/a")
    live.ask("GET", "/b" * 100)
    live.ask("GET", "/classes", Host="evil.example")
    assert live.metric('headstart_requests_total{path="/predict",status="200"}') == 3
    assert live.metric('headstart_requests_total{path="/predict",status="422"}') == 1
    assert live.metric('headstart_requests_total{path="other",status="404"}') == 2
    assert live.metric('headstart_requests_total{path="/classes",status="400"}') == 1
    assert live.metric("headstart_images_total") == 4
    assert live.metric("headstart_image_errors_total") == 1
    assert live.metric("headstart_predict_seconds_count") == 4
    assert live.metric("headstart_batch_images_count") == 3
    live.await_metric("headstart_queue_images", 0)


def test_a_mounted_application_counts_its_own_addresses(classifier):
    from starlette.routing import Mount

    inner = create_app(classifier)
    with running(guarded([Mount("/birds/{id}", app=inner)], Access(), Metrics())) as live:
        assert live.ask("POST", "/birds/7/predict", picture(), "image/png").status == 200
    metrics = inner.state.metrics
    assert metrics.requests.value("/predict", "200") == 1
    assert metrics.seconds.count == 1


def test_a_fault_is_500_in_json_and_stands_in_the_log(serve, classifier, caplog):
    live = serve()
    classifier.fault = RuntimeError("a bug")
    answer = live.predict(picture())
    assert (answer.status, answer.message) == (500, "A fault in headstart; the server's log says more.")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "a bug" in caplog.text
    classifier.fault = None
    assert live.predict(picture()).status == 200
    assert live.metric("headstart_faults_total") == 1
