"""Running an application: the listening socket, uvicorn, and connections that must not be held open for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from headstart.errors import UsageError
from headstart.serve.limits import Limits
from headstart.serve.problems import RETRY_SECONDS, problem

ENDING_SECONDS = 3
"""How long a server that ends waits for the answers it is at."""

BACKLOG = 256

# A client must not be able to fill the log with what it sends.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        UsageError: the port is in use or may not be used, or the host is none of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise UsageError(
            f"There is no address {host}. Give --host 127.0.0.1, 0.0.0.0 or a name of this machine."
        ) from None
    family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    try:
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(_why_not(error, host, port)) from None


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Choose another with --port, or 0 for any that is free."
    if error.errno == errno.EACCES:
        return f"Port {port} is kept for the system. Choose one of at least 1024 with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine. Give --host 127.0.0.1 or 0.0.0.0."
    return f"Cannot listen on port {port} of {host}: {error.strerror or error}."


def address_of(listener: socket.socket, host: str) -> str:
    """Return the address to open in a browser."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def run(app: ASGIApp, listener: socket.socket, limits: Limits, *, announce: Callable[[], None]) -> None:
    """Serve until Ctrl-C, which ends it after the answers it is at; closes the socket.

    ``announce`` is called once requests are answered.
    """
    # uvicorn raises the signal again once it has ended well
    with contextlib.suppress(KeyboardInterrupt), listener:
        make_server(app, limits, announce=announce).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()


def make_server(app: ASGIApp, limits: Limits, *, announce: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """Return the server of an application, not yet running."""
    config = uvicorn.Config(
        app,
        http=_protocol(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=max(1, round(limits.header_seconds)),
        timeout_graceful_shutdown=ENDING_SECONDS,
    )
    return _Server(config, announce)


def _protocol(limits: Limits) -> type[H11Protocol]:
    """Return uvicorn's protocol for HTTP with these limits."""
    return type("LimitedProtocol", (PatientProtocol,), {"limits": limits})


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose patience ends: with too many connections, slow headers, and bodies that nobody reads.

    While a request is at work the application watches the time; otherwise a connection has ``header_seconds``.
    """

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._watch()
        if len(self.connections) > 2 * self.limits.connections:
            transport.abort()
        elif len(self.connections) > self.limits.connections:
            headers = {"Connection": "close", "Retry-After": RETRY_SECONDS}
            self.app = cast(Any, problem(503, "Too many connections. Try again later.", headers=headers))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; uvicorn parses it."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on with the next request of the connection."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else is answered: in JSON."""
        self._refuse(400, msg)

    @property
    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """Start the clock where nothing is at work, and stop it where something is."""
        if self._is_at_work or self.transport.is_closing():
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.header_seconds, self._end)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        self._deadline = None
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, f"The headers did not arrive within {self.limits.header_seconds:g} seconds.")
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        body = json.dumps({"error": {"status": status, "message": message}}).encode()
        with contextlib.suppress(h11.LocalProtocolError):
            headers: list[tuple[bytes, bytes]] = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            parts: list[Any] = [
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ]
            for part in parts:
                self.transport.write(self.conn.send(part) or b"")
        self.transport.close()
