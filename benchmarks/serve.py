"""Throughput and latency of ``headstart serve`` on this machine, beside the floor of decoding and computing alone.

python benchmarks/serve.py CLASSIFIER [--photos FOLDER] [--connections 32] [--minutes 5] [--json FILE]

Server and load generator are processes of their own on the same cores. The floor is 1 / (1/d + 1/i) images a second: d
decoding alone, i the network alone, each on all cores; it is measured between the rounds of load, because other work on
the machine changes it. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from headstart.classifier.predict import Classifier, load
from headstart.data import decode
from headstart.features import graph
from headstart.features.trunk import OpenVinoTrunk
from headstart.machine import core_count

FLOOR_SECONDS = 3.0
ROUND_SECONDS = 30.0
MOST_PHOTOS = 512


@dataclass(frozen=True, slots=True)
class Load:
    """One round of requests: seconds it took, of the clock and of a processor, and what came back.

    ``milliseconds`` are those of every answer; ``errors`` are answers that were no 200.
    """

    seconds: float
    processor_seconds: float
    milliseconds: list[float]
    errors: int


class Connection:
    """One client that sends a request as soon as it has the answer to the last."""

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes], first: int, step: int) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._requests, self._place, self._step = requests, first, step
        self._answer = b""
        self._unsent = memoryview(b"")
        self._started = 0.0

    def begin(self) -> None:
        """Take the next request and send what fits."""
        self._unsent = memoryview(self._requests[self._place % len(self._requests)])
        self._place += self._step
        self._started = time.perf_counter()
        self.send()

    def send(self) -> bool:
        """Send what fits; tell whether all is sent."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            return False
        return True

    def receive(self) -> tuple[float, bool] | None:
        """Read what is there; when the answer is whole, return its seconds and whether it is a 200."""
        self._answer += self.socket.recv(65536)
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return None
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return None
        good = head.startswith(b"HTTP/1.1 200")
        self._answer = b""
        return time.perf_counter() - self._started, good


def generate(port: int, photos: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Keep ``connections`` requests under way for so many seconds."""
    requests = [
        b"POST /predict?top=3 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s"
        % (len(photo), photo)
        for photo in photos
    ]
    selector = selectors.DefaultSelector()
    both = selectors.EVENT_READ | selectors.EVENT_WRITE
    for number in range(connections):
        connection = Connection(("127.0.0.1", port), requests, number, connections)
        connection.begin()
        selector.register(connection.socket, both, connection)
    milliseconds, errors, start = [], 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for key, events in selector.select(1.0):
            connection = key.data
            if events & selectors.EVENT_WRITE and connection.send():
                selector.modify(connection.socket, selectors.EVENT_READ, connection)
            if events & selectors.EVENT_READ and (answer := connection.receive()):
                milliseconds.append(answer[0] * 1000)
                errors += not answer[1]
                connection.begin()
                selector.modify(connection.socket, both, connection)
    return Load(time.perf_counter() - start, time.process_time(), milliseconds, errors)


def per_second(work: Callable[[], int], seconds: float = FLOOR_SECONDS) -> float:
    """Return how much ``work`` does a second with one thread per core; it returns how much it did in one call."""
    end = time.perf_counter() + seconds

    def repeat() -> int:
        done = 0
        while time.perf_counter() < end:
            done += work()
        return done

    start = time.perf_counter()
    with ThreadPoolExecutor(core_count()) as pool:
        total = sum(pool.map(lambda _: repeat(), range(core_count())))
    return total / (time.perf_counter() - start)


def measure_floor(classifier: Classifier, photos: Sequence[bytes]) -> tuple[float, float, float]:
    """Return images a second of decoding alone and of the network alone, and processor milliseconds of one of each."""
    places = iter(range(10**9))
    size = classifier.info.input
    trunk = OpenVinoTrunk(classifier.read_graph(), precision=classifier.info.precision, output=graph.LOGITS)
    pixels = np.random.default_rng(0).integers(0, 256, (8, size.height, size.width, 3), np.uint8)

    def decode_one() -> int:
        decode.load(photos[next(places) % len(photos)], classifier.info.size)
        return 1

    def compute_batch() -> int:
        return len(trunk.run(pixels))

    compute_batch()
    rates, milliseconds = [], 0.0
    for work in (decode_one, compute_batch):
        start = time.process_time()
        rate = per_second(work)
        rates.append(rate)
        milliseconds += (time.process_time() - start) * 1000 / (rate * FLOOR_SECONDS)
    return rates[0], rates[1], milliseconds


def processor_seconds(process: int) -> float:
    """Return user and system time of a process so far: unlike its clock, other work hardly changes it."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Memory:
    """Resident megabytes of a process, noted every second."""

    def __init__(self, process: int) -> None:
        self.megabytes: list[float] = []
        self._statm = Path(f"/proc/{process}/statm")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(1.0):
            pages = int(self._statm.read_text().split()[1])
            self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def end(self) -> None:
        self._done.set()
        self._thread.join()


def read_photos(folder: Path | None) -> list[bytes]:
    """Return the bytes of JPEG files below a folder, or of generated ones: smooth shapes of 500 x 375 pixels."""
    if folder:
        files = sorted(folder.rglob("*.jpg"))
        return [path.read_bytes() for path in files[:: max(1, len(files) // MOST_PHOTOS)]][:MOST_PHOTOS]
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (64, 15, 20, 3)).astype(np.uint8)
    return [decode.jpeg(np.kron(one, np.ones((25, 25, 1), np.uint8)), quality=90) for one in small]


def start_server(classifier: Path) -> tuple[subprocess.Popen[str], int]:
    """Start ``headstart serve`` on a free port; return the process and the port."""
    command = [sys.executable, "-m", "headstart.cli", "serve", str(classifier), "--port", "0", "--quiet"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, int(server.stdout.readline().rpartition(":")[2])


def run_load(port: int, given: argparse.Namespace, seconds: float) -> Load:
    """Run one round in a process of its own."""
    photos = ["--photos", str(given.photos)] if given.photos else []
    command = [sys.executable, __file__, str(given.classifier), *photos, "--connections", str(given.connections)]
    load = [*command, "--load-port", str(port), "--load-seconds", str(seconds)]
    return Load(**json.loads(subprocess.run(load, stdout=subprocess.PIPE, check=True).stdout))


def mean_batch(port: int) -> float:
    """Return how many images the server had in a batch, by its own count."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        lines = dict(line.split(" ") for line in response.read().decode().splitlines() if not line.startswith("#"))
    return float(lines["headstart_batch_images_sum"]) / float(lines["headstart_batch_images_count"])


def measure(given: argparse.Namespace) -> dict[str, object]:
    """Run floor and load in turns for the time asked for; return the figures."""
    photos, classifier = read_photos(given.photos), load(given.classifier)
    server, port = start_server(given.classifier)
    memory, loads, floors, load_averages = Memory(server.pid), [], [measure_floor(classifier, photos)], []
    worked = -processor_seconds(server.pid)
    try:
        while sum(one.seconds for one in loads) < given.minutes * 60 - 1:
            loads.append(run_load(port, given, min(ROUND_SECONDS, given.minutes * 60)))
            load_averages.append(os.getloadavg()[0])
            floors.append(measure_floor(classifier, photos))
        worked += processor_seconds(server.pid)
        batch = mean_batch(port)
    finally:
        memory.end()
        server.send_signal(signal.SIGINT)
        status = server.wait(10)
    decoding, computing, floor_milliseconds = (statistics.mean(column) for column in zip(*floors, strict=True))
    floor = 1 / (1 / decoding + 1 / computing)
    times = sorted(one for load_ in loads for one in load_.milliseconds)
    rate = len(times) / sum(load_.seconds for load_ in loads)
    fifth = max(1, len(memory.megabytes) // 5)
    return {
        "images": len(times),
        "errors": sum(load_.errors for load_ in loads),
        "images_per_second": rate,
        "decoding_per_second": decoding,
        "network_per_second": computing,
        "floor_per_second": floor,
        "ratio": rate / floor,
        "processor_ms_floor": floor_milliseconds,
        "processor_ms_server": worked * 1000 / len(times),
        "processor_ms_load": sum(load_.processor_seconds for load_ in loads) * 1000 / len(times),
        "mean_batch": batch,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[len(times) * 99 // 100],
        "megabytes_second_fifth": statistics.mean(memory.megabytes[fifth : 2 * fifth] or memory.megabytes),
        "megabytes_last_fifth": statistics.mean(memory.megabytes[-fifth:]),
        "megabytes_most": max(memory.megabytes),
        "load_average": statistics.mean(load_averages),
        "server_exit_status": status,
    }


def main() -> None:
    """Measure, print the figures and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/serve.json"))
    parser.add_argument("--load-port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--load-seconds", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load_port:
        found = generate(given.load_port, read_photos(given.photos), given.connections, given.load_seconds)
        print(json.dumps(asdict(found)))
        return
    figures = measure(given)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<26}{value:>12,.2f}")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
