"""The pages of a classifier in the browser."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from headstart.serve.batching import Answerer


def page_routes(classifier: Answerer) -> list[BaseRoute]:
    """Return the routes of the pages, to be served beside the API."""

    async def show(request: Request) -> Response:
        addresses = "POST /predict, GET /classes, /health, /metrics, /openapi.json"
        return PlainTextResponse(f"A headstart classifier of {len(classifier.classes)} classes.\n{addresses}\n")

    return [Route("/", show)]
