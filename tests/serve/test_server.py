"""Listening, connections that are held open for nothing, and the command in a process of its own."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from headstart.errors import UsageError
from headstart.serve import server
from headstart.serve.app import create_app
from headstart.serve.gate import SECURITY_HEADERS
from headstart.serve.limits import Limits

from .conftest import picture, running

QUICK = Limits(header_seconds=0.3)


def test_port_0_takes_a_free_one_and_the_address_names_it():
    with server.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert server.address_of(listener, "127.0.0.1") == f"http://127.0.0.1:{port}"
        assert server.address_of(listener, "0.0.0.0") == f"http://127.0.0.1:{port}"
        assert server.address_of(listener, "::1") == f"http://[::1]:{port}"


def test_a_port_in_use_says_so():
    with server.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UsageError, match=rf"Port {port} of 127\.0\.0\.1 is in use\. Choose another with --port"):
            server.listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
def test_a_host_of_another_machine_says_so(host):
    with pytest.raises(UsageError, match=host):
        server.listen(host, 0)


def ended(client, seconds):
    """Tell whether the server closes a connection within so many seconds."""
    client.settimeout(seconds)
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True


@pytest.mark.parametrize("begun", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: b"])
def test_headers_that_do_not_arrive_end_the_connection(serve, begun):
    live = serve(QUICK)
    with socket.create_connection(("127.0.0.1", live.port)) as client:
        client.sendall(begun)
        assert ended(client, 3)


def test_headers_that_trickle_end_the_connection_with_408(serve):
    live = serve(QUICK)
    answer = live.raw(b"GET /health HTTP/1.1\r\n", b"Host: localhost\r\n", b"X-A: b", pause=0.15)
    assert answer.status == 408
    assert "headers did not arrive within 0.3 seconds" in answer.message


def test_a_connection_serves_several_requests_and_ends_when_idle(serve):
    live = serve(QUICK)
    connection = http.client.HTTPConnection("127.0.0.1", live.port)
    for _ in range(3):
        time.sleep(0.15)
        connection.request("POST", "/predict", picture(), {"Content-Type": "image/png"})
        assert json.loads(connection.getresponse().read())["predictions"][0]["answer"] == "red"
    assert ended(connection.sock, 3)
    connection.close()


def test_a_slow_answer_is_no_reason_to_end_a_connection(serve, classifier):
    live = serve(QUICK)
    classifier.gate.clear()
    with socket.create_connection(("127.0.0.1", live.port)) as client:
        body = picture()
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n")
        client.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        time.sleep(0.6)
        classifier.gate.set()
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 200


def test_a_refused_body_is_not_read_for_ever(serve):
    live = serve(Limits(body_bytes=1000, header_seconds=0.3))
    with socket.create_connection(("127.0.0.1", live.port)) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n")
        client.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        start = time.perf_counter()
        with pytest.raises(OSError, match=r".*"):
            while time.perf_counter() - start < 5:
                client.sendall(b"400\r\n" + bytes(1024) + b"\r\n")
                time.sleep(0.02)
    assert live.ask("GET", "/health").status == 200


def test_too_many_connections_are_503(serve):
    live = serve(Limits(connections=3))
    idle = [socket.create_connection(("127.0.0.1", live.port)) for _ in range(3)]
    time.sleep(0.1)
    answer = live.ask("GET", "/health")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "Too many connections" in answer.message
    assert {name: answer.headers[name.lower()] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    for client in idle:
        client.close()
    time.sleep(0.1)
    assert live.ask("GET", "/health").status == 200
    assert live.metric('headstart_requests_total{path="other",status="503"}') == 1


def reader(port, size=1024):
    """Return a connection with little room for what it does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    client.settimeout(3)
    client.connect(("127.0.0.1", port))
    return client


def large_answer(size=20_000_000):
    async def send(request):
        return PlainTextResponse(b"x" * size)

    return [Route("/large", send)]


def test_a_connection_that_does_not_read_its_answers_is_ended(serve):
    limits = Limits(seconds=0.5, header_seconds=0.5, connections=2)
    live = serve(limits, pages=large_answer())
    idle = [reader(live.port) for _ in range(3)]
    for client in idle[:2]:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
    idle.pop().close()
    time.sleep(0.2)
    assert live.ask("GET", "/health").status == 503
    time.sleep(1.5)
    assert live.ask("GET", "/health").status == 200
    for client in idle:
        client.close()


def test_a_connection_that_reads_slowly_gets_its_answer(serve):
    live = serve(Limits(seconds=0.4, header_seconds=0.4), pages=large_answer())
    with reader(live.port, 1_000_000) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        start, got = time.perf_counter(), 0
        while got < 20_000_000 and (piece := client.recv(500_000, socket.MSG_WAITALL)):
            got += len(piece)
            time.sleep(0.03)
    assert got >= 20_000_000
    assert time.perf_counter() - start > 1


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"]
)
def test_what_is_no_http_is_400_in_json(serve, noise):
    live = serve()
    answer = live.raw(noise + b"\r\n\r\n")
    assert answer.status == 400
    assert "Invalid HTTP request" in answer.message


def test_what_is_no_http_is_answered_like_the_rest_and_fills_no_log(serve, caplog):
    live = serve()
    with socket.create_connection(("127.0.0.1", live.port)) as client:
        client.sendall(b"GET\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    headers = live.raw(b"GET\r\n\r\n").headers
    assert {name: headers[name.lower()] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert live.metric('headstart_requests_total{path="other",status="400"}') == 2
    assert live.ask("GET", "/health", Upgrade="websocket", Connection="Upgrade").status == 200
    assert caplog.records == []


def test_headers_that_are_too_large_are_400(serve):
    live = serve()
    answer = live.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"b" * 100_000)
    assert answer.status == 400


def start(*arguments):
    command = [sys.executable, "-m", "headstart.cli", "serve", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_serves_until_it_is_interrupted(bird_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with start(bird_folder, "--port", 0) as process:
        address = process.stdout.readline().strip()
        request = urllib.request.Request(f"{address}/predict", picture(), {"Content-Type": "image/png"})
        with urllib.request.urlopen(request, timeout=20) as response:
            assert len(json.load(response)["predictions"][0]["probabilities"]) == 3
        with urllib.request.urlopen(address, timeout=20) as response:
            assert response.status == 200
        # a client that holds its connection must not hold up the end
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))):
            time.sleep(0.5)
            begin = time.perf_counter()
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=10)
            assert time.perf_counter() - begin < 5
    assert process.returncode == 0
    assert out == ""
    assert error.splitlines() == ["Serving tiny for 3 classes: crow, jay | magpie, no. Ctrl-C ends it."]
    assert not list(tmp_path.iterdir())


def test_an_answer_that_takes_too_long_at_the_end_is_503_and_no_fault(classifier, monkeypatch, caplog):
    monkeypatch.setattr(server, "ENDING_SECONDS", 0.3)
    app = create_app(classifier, pages=large_answer())
    with running(app) as live, ThreadPoolExecutor(2) as pool, reader(live.port) as unread:
        classifier.gate.clear()
        unread.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
        answers = [pool.submit(live.predict, picture()) for _ in range(2)]
        time.sleep(0.3)
        live.end()
        begin = time.perf_counter()
        for answer in answers:
            assert (answer.result().status, answer.result().message) == (503, "The server is ending.")
            assert answer.result().headers["x-content-type-options"] == "nosniff"
        assert time.perf_counter() - begin < 2
        classifier.gate.set()
    assert caplog.records == []
    assert app.state.metrics.requests.value("/predict", "503") == 2


def run(*arguments):
    with start(*arguments) as process:
        out, error = process.communicate(timeout=30)
    assert out == ""
    return process.returncode, error


def test_the_command_says_in_one_line_why_it_cannot_serve(bird_folder, tmp_path):
    with server.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        status, error = run(bird_folder, "--port", port)
    assert (status, error) == (
        2,
        f"Error: Port {port} of 127.0.0.1 is in use. Choose another with --port, or 0 for any that is free.\n",
    )


def test_quiet_says_nothing_but_the_address(bird_folder):
    with start(bird_folder, "--port", 0, "--host", "127.0.0.1", "--quiet") as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0


def test_serving_imports_no_keras():
    code = (
        "import sys, headstart.serve.subject, headstart.serve.app, headstart.serve.server, headstart.serve.pages; "
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
