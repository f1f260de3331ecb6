"""What every request passes first and every answer last: who may ask, what browsers must not do, what is counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headstart.serve.limits import ANY_ORIGIN, Access
from headstart.serve.metrics import Metrics
from headstart.serve.problems import problem

LOG = logging.getLogger("headstart.serve")

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer that does not bring its own: a page brings a policy that allows what it needs."""

SAFE_METHODS = ("GET", "HEAD")
PREDICT = "/predict"
OTHER = "other"
"""What paths are counted as that are not counted by name."""
ENDING = "The server is ending."


class Gate:
    """Checks the ``Host`` and the ``Origin``, adds headers, counts requests, and turns faults and the end into answers.

    Args:
        paths: that are counted by name; all others are counted together, as ``OTHER``.
    """

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics, paths: Iterable[str]) -> None:
        self._app, self._access, self._metrics = app, access, metrics
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(send)
        start = time.perf_counter()
        try:
            await self._answer(scope, receive, passage)
        finally:
            self._count(scope, passage.status, time.perf_counter() - start)

    async def _answer(self, scope: Scope, receive: Receive, passage: _Passage) -> None:
        refusal = self._refusal(Headers(scope=scope), scope["method"])
        if refusal:
            await problem(*refusal)(scope, receive, passage.send)
            return
        try:
            await self._app(scope, receive, passage.send)
        except asyncio.CancelledError:
            # nobody but the server cancels a request, and only when it ends
            if not passage.status:
                await problem(503, ENDING)(scope, receive, passage.send)
        except Exception:
            self._metrics.faults.add()
            LOG.exception("A fault in headstart: %s %r", scope["method"], scope["path"])
            if passage.status:
                raise
            await problem(500, "A fault in headstart; the server's log says more.")(scope, receive, passage.send)

    def _refusal(self, headers: Headers, method: str) -> tuple[int, str] | None:
        host = headers.get("host", "").lower()
        if self._access.hosts and _without_port(host) not in self._access.hosts:
            allowed = ", ".join(self._access.hosts)
            return 400, f"The Host header must be one of {allowed}. Start the server with --host to give another."
        if method not in SAFE_METHODS and not self._is_welcome(headers, host):
            return 403, "A page of another site may not ask. Start the server with --allow-origin to let it."
        return None

    def _is_welcome(self, headers: Headers, host: str) -> bool:
        """Tell whether a request comes from a page of this server or of an allowed one, or from no page at all."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        allowed = self._access.origins
        return origin in allowed or ANY_ORIGIN in allowed or urlsplit(origin).netloc.lower() == host

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # of an application that is mounted in another, the path below it
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        path = path if path in self._paths else OTHER
        self._metrics.requests.add(path, str(status or 499))
        if path == PREDICT and scope["method"] == "POST":
            self._metrics.seconds.observe(seconds)


class _Passage:
    """Adds the security headers to an answer on its way out and remembers its status; 0: none yet."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
