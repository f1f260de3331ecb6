"""The files of the pages: HTML, CSS and JavaScript that come with headstart, and the headers they are sent with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).with_name("static")
# The pages begin and look as the report does.
REPORT = Path(__file__).parents[1] / "report" / "templates"
TOP = REPORT / "top.html"

PLACES = {
    "report.css": REPORT / "style.css",
    **{name: STATIC / name for name in ("pages.css", "page.js", "classifier.js", "runs.js", "review.js")},
}
"""Name in the address -> file. Nothing else is ever opened."""

KINDS = {".css": "text/css", ".js": "text/javascript", ".html": "text/html"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


def page(name: str) -> Response:
    """Return a page that comes with headstart, ``classifier``, ``runs`` or ``review``."""
    whole = _content(TOP) + _content(STATIC / f"{name}.html")
    return Response(whole, media_type=KINDS[".html"], headers=PAGE_HEADERS)


def static_route() -> Route:
    """Return the route of scripts and styles."""
    return Route("/static/{name}", _send)


async def _send(request: Request) -> Response:
    place = PLACES.get(request.path_params["name"])
    if place is None:
        raise HTTPException(404)
    return Response(_content(place), media_type=KINDS[place.suffix])


@cache
def _content(place: Path) -> bytes:
    return place.read_bytes()
