"""What the server counted, as Prometheus reads it (text exposition format 0.0.4)."""

from __future__ import annotations

import bisect
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence

Labels = tuple[str, ...]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Counter:
    """A number per combination of labels that only grows; safe in threads."""

    kind = "counter"

    def __init__(self, name: str, description: str, labels: Sequence[str] = ()) -> None:
        self.name, self.description, self._names = name, description, tuple(labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}
        self._lock = threading.Lock()

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count ``amount`` more for these values of the labels."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount

    def value(self, *labels: str) -> float:
        """Return what was counted for these values of the labels."""
        with self._lock:
            return self._values.get(labels, 0)

    def lines(self) -> Iterator[str]:
        """Give one line per combination of labels."""
        with self._lock:
            values = sorted(self._values.items())
        for labels, value in values:
            yield f"{self.name}{_braces(zip(self._names, labels, strict=True))} {_number(value)}"


class Gauge:
    """A number that is asked for when it is wanted."""

    kind = "gauge"

    def __init__(self, name: str, description: str, value: Callable[[], float]) -> None:
        self.name, self.description, self._value = name, description, value

    def lines(self) -> Iterator[str]:
        """Give the one line."""
        yield f"{self.name} {_number(self._value())}"


class Histogram:
    """How many values lie at or below each bound, their number and their sum; safe in threads."""

    kind = "histogram"

    def __init__(self, name: str, description: str, bounds: Sequence[float]) -> None:
        self.name, self.description, self._bounds = name, description, (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many values there were."""
        with self._lock:
            return sum(self._counts)

    def observe(self, value: float) -> None:
        """Count one value."""
        place = bisect.bisect_left(self._bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def lines(self) -> Iterator[str]:
        """Give a line per bound, and number and sum."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        below = 0
        for bound, count in zip(self._bounds, counts, strict=True):
            below += count
            yield f'{self.name}_bucket{{le="{_number(bound)}"}} {below}'
        yield f"{self.name}_sum {_number(total)}"
        yield f"{self.name}_count {below}"


class Metrics:
    """Everything that is counted."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.waiting: Callable[[], int] = lambda: 0
        self.requests = Counter("headstart_requests_total", "Requests answered.", ("path", "status"))
        self.images = Counter("headstart_images_total", "Images received for prediction.")
        self.image_errors = Counter("headstart_image_errors_total", "Images that could not be read.")
        self.faults = Counter("headstart_faults_total", "Requests that failed by a fault of the server.")
        self.batches = Histogram("headstart_batch_images", "Images per run of the network.", BATCH_SIZES)
        self.seconds = Histogram(
            "headstart_predict_seconds", "Seconds from a predict request's headers to its answer.", SECONDS
        )
        self._gauges = (
            Gauge("headstart_queue_images", "Images that wait or are being computed.", lambda: self.waiting()),
            Gauge("headstart_uptime_seconds", "Seconds since the server started.", lambda: self.uptime),
        )

    @property
    def uptime(self) -> float:
        """Seconds since the server started."""
        return time.monotonic() - self.started

    def text(self) -> str:
        """Return all of it in Prometheus' text format."""
        counted = (self.requests, self.images, self.image_errors, self.faults, self.batches, self.seconds)
        lines: list[str] = []
        for one in (*counted, *self._gauges):
            lines += [f"# HELP {one.name} {one.description}", f"# TYPE {one.name} {one.kind}", *one.lines()]
        return "\n".join(lines) + "\n"


def _braces(labels: Iterator[tuple[str, str]]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return "+Inf" if value == math.inf else f"{value:.12g}"
