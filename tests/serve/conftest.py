"""A server on a port of this machine, with a classifier of no network, and a client of the standard library."""

import asyncio
import contextlib
import http.client
import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import uvicorn
from PIL import Image

from headstart.classifier.info import ClassifierInfo, InputInfo, Provenance
from headstart.classifier.prediction import ClassProbability, Prediction
from headstart.data import decode
from headstart.serve import server
from headstart.serve.app import create_app
from headstart.serve.limits import Limits

CLASSES = ("red", "green", "blue")
INFO = ClassifierInfo(
    1,
    "0.1.0",
    CLASSES,
    InputInfo(8, 8, "stretch", 1),
    "f32",
    Provenance("study", "print", "tiny-lr0.1", "tiny", "random:0", "Apache-2.0", 80, 30, 0.9),
    {},
)


class ColourClassifier:
    """Says which primary colour an image has most of; ``gate`` may hold it up, ``fault`` make it fail."""

    info = INFO
    classes = CLASSES

    def __init__(self):
        self.batches = []
        self.fault = None
        self.gate = threading.Event()
        self.gate.set()

    def decode(self, image, *, pixel_limit):
        assert isinstance(image, bytes), "a str would be a path"
        return decode.load(image, self.info.size, pixel_limit=pixel_limit)

    def answer_pixels(self, pixels, names):
        self.gate.wait(20)
        if self.fault:
            raise self.fault
        self.batches.append(len(names))
        shares = pixels.reshape(len(names), -1, 3).mean(axis=1) + 1
        return [self._prediction(name, share / share.sum()) for name, share in zip(names, shares, strict=True)]

    def _prediction(self, name, shares):
        order = np.argsort(-shares, kind="stable")
        ranked = tuple(ClassProbability(CLASSES[place], float(shares[place])) for place in order)
        return Prediction(name, ranked[0].class_, ranked, None, None)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        error = self.json["error"]
        assert error["status"] == self.status
        assert set(self.json) == {"error"}
        return error["message"]


@dataclass
class Live:
    """A running server."""

    port: int
    app: object
    server: uvicorn.Server

    def end(self):
        """Do what Ctrl-C does."""
        self.server.should_exit = True

    def ask(self, method, path, body=None, kind=None, **headers):
        """Send one request on a connection of its own; ``body`` bytes, or an iterator for a chunked body."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind:
            sent["Content-Type"] = kind
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent, encode_chunked=not isinstance(body, bytes | None))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def predict(self, body, kind="image/png", query="", **headers):
        return self.ask("POST", f"/predict{query}", body, kind, **headers)

    def raw(self, *pieces, pause=0.0):
        """Send bytes as they are, with a pause after each piece, and return the answer, whatever was left unsent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(pause)
            response = http.client.HTTPResponse(client)
            response.begin()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def metric(self, line):
        """Return the value of one line of the metrics."""
        text = self.ask("GET", "/metrics").body.decode()
        found = [float(one.rpartition(" ")[2]) for one in text.splitlines() if one.rpartition(" ")[0] == line]
        return found[0] if found else 0.0

    def await_metric(self, line, value, seconds=20):
        """Wait until a line of the metrics has a value: threads count after the answer has left."""
        end = time.monotonic() + seconds
        while self.metric(line) != value:
            assert time.monotonic() < end, f"{line} is {self.metric(line)}, not {value}"
            time.sleep(0.01)


def in_own_loop(coroutine):
    """Return what a coroutine returns, run in a thread: a browser may keep a loop running in the tests' own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@contextlib.contextmanager
def running(app, limits=Limits()):  # noqa: B008
    listener = server.listen("127.0.0.1", 0)
    running_server = server.make_server(app, limits)
    thread = threading.Thread(target=running_server.run, kwargs={"sockets": [listener]})
    port = listener.getsockname()[1]
    thread.start()
    try:
        while not running_server.started:
            time.sleep(0.005)
        yield Live(port, app, running_server)
    finally:
        running_server.should_exit = True
        thread.join()


@pytest.fixture
def classifier():
    return ColourClassifier()


@pytest.fixture
def serve(classifier):
    """Start servers of the classifier: ``serve(limits, access)``."""
    with contextlib.ExitStack() as stack:

        def start(limits=Limits(), *access, **options):  # noqa: B008
            return stack.enter_context(running(create_app(classifier, limits, *access, **options), limits))

        yield start


@pytest.fixture(scope="module")
def live():
    """A server with the limits that come with it, for all tests of a module."""
    with running(create_app(ColourClassifier())) as one:
        yield one


def picture(colour="red", kind="PNG", size=(12, 10)):
    """Return the bytes of a picture of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


BOUNDARY = "limit-of-parts"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(*parts):
    """Return a form of ``(file name, content)`` parts; None for a name makes a plain field."""
    body = b""
    for name, content in parts:
        file_name = "" if name is None else f'; filename="{name}"'
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="x"{file_name}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


@pytest.fixture(scope="session")
def bird_folder(tmp_path_factory):
    """The folder of a whole small bundle, made as the tests of the classifier make theirs."""
    from ..classifier.conftest import save_birds

    return save_birds(tmp_path_factory.mktemp("birds") / "classifier")
