"""What the server allows: how much one request may bring and how long it may take, and who may ask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import urlsplit

from headstart.data.decode import PIXEL_LIMIT
from headstart.errors import UsageError

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
ANY_ORIGIN = "*"


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes and times; what goes beyond them is refused with an error in JSON.

    Attributes:
        body_bytes: of one request; more: 413.
        pixels: of one image; more: an error in its row.
        parts: of one form, files and fields together; more: 413.
        seconds: an image may wait and be computed in a request (503), a body may take to arrive (408), and a client may
            take no byte of its answer, which ends the connection.
        queue: images that may wait, of all requests; more: 429.
        held_bytes: bodies that may be in memory at once, of all requests; more: 429.
        connections: open at once; more: 503.
        header_seconds: a client may take to send a request's headers, or be silent between two requests.
    """

    body_bytes: int = 32_000_000
    pixels: int = PIXEL_LIMIT
    parts: int = 100
    seconds: float = 30.0
    queue: int = 512
    held_bytes: int = 512_000_000
    connections: int = 512
    header_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise UsageError(f"{name.replace('_', ' ')} must be above 0. Received: {getattr(self, name)}.")
        if self.held_bytes < self.body_bytes:
            raise UsageError(
                f"held bytes must be at least one body, {self.body_bytes:,} bytes. Received: {self.held_bytes:,}."
            )


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: names in the ``Host`` header that are answered, without port, so that no page of the web reaches a
            server on this machine under a name of its own (DNS rebinding); empty: any.
        origins: of pages elsewhere whose scripts may ask, such as ``https://example.org``; ``*``: any.
    """

    hosts: tuple[str, ...] = LOOPBACK
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for origin in self.origins:
            if origin != ANY_ORIGIN and not _is_origin(origin):
                raise UsageError(
                    f"An origin is the start of an address, such as https://example.org, or '*'. Received: {origin!r}."
                )


def from_options(
    *, max_megabytes: float, max_megapixels: float, max_images: int, max_queue: int, max_seconds: float
) -> Limits:
    """Return the limits that the options of ``headstart serve`` say.

    Raises:
        UsageError: one of them makes no sense; the message names the option.
    """
    _check_option("--max-megabytes", max_megabytes)
    _check_option("--max-megapixels", max_megapixels)
    _check_option("--max-images", max_images)
    _check_option("--max-queue", max_queue)
    _check_option("--max-seconds", max_seconds)
    if max_megapixels * 1e6 > PIXEL_LIMIT:
        raise UsageError(
            f"--max-megapixels can be at most {PIXEL_LIMIT / 1e6:g}: headstart reads no larger image. "
            f"Received: {max_megapixels:g}."
        )
    body_bytes = max(1, round(max_megabytes * 1e6))
    return Limits(
        body_bytes=body_bytes,
        pixels=max(1, round(max_megapixels * 1e6)),
        parts=max_images,
        seconds=max_seconds,
        queue=max_queue,
        held_bytes=max(Limits().held_bytes, 2 * body_bytes),
        header_seconds=min(Limits().header_seconds, max_seconds),
    )


def _check_option(flag: str, value: float) -> None:
    if not math.isfinite(value):
        raise UsageError(f"{flag} must be a finite number. Received: {value}.")
    if value <= 0:
        raise UsageError(f"{flag} must be above 0. Received: {value:g}.")


def access_for(host: str, *, origins: tuple[str, ...] = ()) -> Access:
    """Return who may ask a server that listens on ``host``: on loopback only under the names of this machine."""
    if not is_loopback(host):
        return Access((), origins)
    given = f"[{host}]" if ":" in host else host.lower()
    return Access(tuple(dict.fromkeys((*LOOPBACK, given))), origins)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a server on ``host``."""
    return host.lower() in ("localhost", "::1") or host.startswith("127.")


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and text == f"{parts.scheme}://{parts.netloc}"
