"""The page of a classifier in the browser, and what it asks for beside the API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from headstart import storage
from headstart.backbones.catalog import CATALOG
from headstart.serve.batching import Answerer
from headstart.serve.explaining import Explaining
from headstart.serve.limits import Limits
from headstart.serve.static_files import page, static_route
from headstart.version import __version__


def page_routes(classifier: Answerer, limits: Limits = Limits()) -> list[BaseRoute]:  # noqa: B008 - frozen
    """Return the routes of the page, to be served beside the API: ``/``, ``/about``, ``/explain`` and its files."""
    explaining = Explaining(classifier, limits)

    async def show(request: Request) -> Response:
        return page("classifier")

    async def about(request: Request) -> Response:
        return JSONResponse(_about(classifier, limits))

    return [
        Route("/", show),
        Route("/about", about),
        Route("/explain", explaining.answer, methods=["POST"]),
        static_route(),
    ]


def _about(classifier: Answerer, limits: Limits) -> dict[str, object]:
    """Return what the page says of the classifier, as plain values."""
    info = classifier.info
    name = info.provenance.backbone
    return {
        "version": __version__,
        "network": CATALOG[name].title if name in CATALOG else name,
        "classes": list(info.classes),
        "input": {"height": info.input.height, "width": info.input.width},
        "provenance": storage.to_plain(info.provenance),
        "unknown": info.unknown is not None,
        # a bundle without calibration has exactly this temperature
        "calibrated": info.temperature != 1.0,
        "limits": {"body_bytes": limits.body_bytes, "pixels": limits.pixels},
    }
