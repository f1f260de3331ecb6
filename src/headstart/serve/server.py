"""Running an application: the listening socket, uvicorn, and connections that must not be held open for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from headstart.errors import UsageError
from headstart.serve import memory
from headstart.serve.gate import OTHER, SECURITY_HEADERS
from headstart.serve.limits import Limits
from headstart.serve.metrics import Metrics
from headstart.serve.problems import RETRY_SECONDS, problem

ENDING_SECONDS = 3
"""How long a server that ends waits for the answers it is at."""

CUT_SECONDS = 2
"""How long the answers may take that say so to those who are still waiting then."""

BACKLOG = 256

# A client must not be able to fill the log with what it sends: so neither this nor warnings of uvicorn are shown.
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


def run(app: Starlette, listener: socket.socket, limits: Limits, *, announce: Callable[[], None]) -> None:
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        impatience = asyncio.get_running_loop().call_later(ENDING_SECONDS, self._cut)
        try:
            await super().shutdown(sockets)
        finally:
            impatience.cancel()
            self._cut()

    def _cut(self) -> None:
        """End what is at work, with the answer that the gate has for it, and who does not read it at once."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, PatientProtocol):
                connection.drop_unread()
        for task in list(self.server_state.tasks):
            task.cancel()


def make_server(app: Starlette, limits: Limits, *, announce: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """Return the server of an application of ``serve.app.guarded``, not yet running."""
    config = uvicorn.Config(
        app,
        http=_protocol(limits, app.state.metrics),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        callback_notify=memory.give_back,
        timeout_notify=memory.EVERY_SECONDS,
        timeout_keep_alive=max(1, round(limits.header_seconds)),
        # the server's own impatience comes first, and says nothing
        timeout_graceful_shutdown=ENDING_SECONDS + CUT_SECONDS,
    )
    return _Server(config, announce)


def _protocol(limits: Limits, metrics: Metrics) -> type[H11Protocol]:
    """Return uvicorn's protocol for HTTP with these limits."""
    return type("LimitedProtocol", (PatientProtocol,), {"limits": limits, "metrics": metrics})


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose patience ends: with too many connections, slow headers, and answers that nobody reads.

    While a request is at work the application watches the time; otherwise a connection has ``header_seconds``. An
    answer of which nothing was taken for ``seconds`` ends its connection.
    """

    limits = Limits()
    metrics = Metrics()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        # so that whatever is left unsent pauses writing, and its clock runs
        transport.set_write_buffer_limits(high=0)
        self._deadline: asyncio.TimerHandle | None = None
        self._reader_deadline: asyncio.TimerHandle | None = None
        self._watch()
        if len(self.connections) > 2 * self.limits.connections:
            transport.abort()
        elif len(self.connections) > self.limits.connections:
            self.app = cast(Any, self._turn_away)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._rest()
        self._forget_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the clock of a client that does not take its answer."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Stop the clock: all was taken."""
        super().resume_writing()
        self._forget_reader()

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

    def drop_unread(self) -> None:
        """End the connection if its client has not taken all that was written."""
        if self.flow.write_paused:
            self.transport.abort()

    def _await_reader(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._reader_deadline = self.loop.call_later(self.limits.seconds, self._check_reader, unsent)

    def _check_reader(self, unsent: int) -> None:
        """End a connection that has taken nothing since; closing it would wait for ever for the rest to be taken."""
        if self.transport.get_write_buffer_size() < unsent:
            self._await_reader()
        else:
            self.transport.abort()

    def _forget_reader(self) -> None:
        if self._reader_deadline is not None:
            self._reader_deadline.cancel()
            self._reader_deadline = None

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

    async def _turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an application that has no room."""
        self.metrics.requests.add(OTHER, "503")
        headers = {**SECURITY_HEADERS, "Connection": "close", "Retry-After": RETRY_SECONDS}
        await problem(503, "Too many connections. Try again later.", headers=headers)(scope, receive, send)

    def _refuse(self, status: int, message: str) -> None:
        """Answer what never becomes a request of the application."""
        self.metrics.requests.add(OTHER, str(status))
        answer = problem(status, message, headers={**SECURITY_HEADERS, "Connection": "close"})
        with contextlib.suppress(h11.LocalProtocolError):
            parts: list[Any] = [
                h11.Response(status_code=status, headers=answer.raw_headers, reason=http.HTTPStatus(status).phrase),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ]
            for part in parts:
                self.transport.write(self.conn.send(part) or b"")
        self.transport.close()
