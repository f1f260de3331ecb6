"""A classifier as a web application: predictions, classes, health, metrics, and the document that describes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from headstart.classifier.prediction import Prediction
from headstart.serve import metrics as counting
from headstart.serve import openapi
from headstart.serve.batching import Answerer, Batcher, QueueFullError, Upload
from headstart.serve.bodies import Ledger, clean_name, parameter, read_images
from headstart.serve.gate import PREDICT, Gate
from headstart.serve.limits import Access, Limits
from headstart.serve.metrics import Metrics
from headstart.serve.problems import answer_problem, busy, late
from headstart.version import __version__

CORS: dict[str, Any] = {"allow_methods": ("GET", "POST"), "allow_headers": ("Content-Type",)}


def create_app(
    classifier: Answerer,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    access: Access = Access(),  # noqa: B008 - frozen
    *,
    pages: Sequence[BaseRoute] = (),
) -> Starlette:
    """Return the application that serves a classifier.

    Its ``state`` has ``classifier``, ``limits``, ``metrics`` and ``batcher``.

    Args:
        pages: further routes, served with the same checks and headers; those of ``serve.pages.page_routes``.
    """
    service = Service(classifier, limits, page=bool(pages))
    routes = [*service.routes(), *pages]
    app = guarded(routes, access, service.metrics, lifespan=service.lifespan)
    app.state.classifier, app.state.limits, app.state.batcher = classifier, limits, service.batcher
    return app


def guarded(routes: Sequence[BaseRoute], access: Access, metrics: Metrics, *, lifespan: Any = None) -> Starlette:
    """Return an application of these routes, behind the checks and with the errors that all of headstart's have.

    Its ``state`` has the ``metrics``.
    """
    paths = [route.path for route in routes if isinstance(route, Route)]
    middleware = [Middleware(Gate, access, metrics, paths)]
    if access.origins:
        middleware.append(Middleware(CORSMiddleware, **CORS, allow_origins=access.origins))
    app = Starlette(
        routes=list(routes),
        middleware=middleware,
        exception_handlers={HTTPException: answer_problem},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.metrics = metrics
    return app


class Service:
    """The addresses of the API and what they share."""

    def __init__(self, classifier: Answerer, limits: Limits, *, page: bool = False) -> None:
        self.classifier, self.limits = classifier, limits
        self.metrics = Metrics()
        self.batcher = Batcher(classifier, limits, self.metrics)
        self.ledger = Ledger(limits)
        self._document = json.dumps(openapi.document(classifier.classes, limits, page=page)).encode()

    def routes(self) -> list[BaseRoute]:
        """Return what the API answers to."""
        return [
            Route(PREDICT, self.predict, methods=["POST"]),
            Route("/classes", self.classes),
            Route("/health", self.health),
            Route("/metrics", self.show_metrics),
            Route("/openapi.json", self.describe),
        ]

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Run the network once before the first request, and end the threads after the last."""
        size = self.classifier.info.input
        blank = np.zeros((1, size.height, size.width, 3), np.uint8)
        await run_in_threadpool(self.classifier.answer_pixels, blank, ["blank"])
        try:
            yield
        finally:
            await run_in_threadpool(self.batcher.close)

    async def predict(self, request: Request) -> Response:
        """Answer for every image of the request."""
        top = _top(request)
        with self.ledger.account() as account:
            uploads = await read_images(request, self.limits, account)
            self.metrics.images.add(amount=len(uploads))
            predictions = await self._answer(uploads)
        if len(predictions) == 1 and predictions[0].error is not None:
            raise HTTPException(422, f"The image cannot be used: {predictions[0].error}.")
        rows = [_row(prediction, top) for prediction in predictions]
        return JSONResponse({"predictions": rows, "classifier": self._identity()})

    async def _answer(self, uploads: Sequence[Upload]) -> list[Prediction]:
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self.batcher.answer(uploads)
        except QueueFullError:
            raise busy(429, f"More than {self.limits.queue} images wait for an answer. Try again later.") from None
        except TimeoutError:
            raise late(self.limits.seconds) from None

    async def classes(self, request: Request) -> Response:
        """Say the class names in the order of the probabilities."""
        return JSONResponse({"classes": list(self.classifier.classes)})

    async def health(self, request: Request) -> Response:
        """Say whether images are taken."""
        ready = self.batcher.ready
        state = {
            "ready": ready,
            "version": __version__,
            "fingerprint": self.classifier.info.provenance.fingerprint,
            "uptime_seconds": round(self.metrics.uptime, 3),
        }
        return JSONResponse(state, 200 if ready else 503)

    async def show_metrics(self, request: Request) -> Response:
        """Give what was counted, for Prometheus."""
        return Response(self.metrics.text(), media_type=counting.CONTENT_TYPE)

    async def describe(self, request: Request) -> Response:
        """Give the OpenAPI document."""
        return Response(self._document, media_type="application/json")

    def _identity(self) -> dict[str, str]:
        provenance = self.classifier.info.provenance
        return {"candidate": provenance.candidate, "fingerprint": provenance.fingerprint}


def _top(request: Request) -> int | None:
    """Return how many classes are asked for; None: all."""
    text = parameter(request, "top")
    if text is None:
        return None
    digits = text.lstrip("0")
    if not (digits.isascii() and digits.isdecimal()):
        raise HTTPException(400, f"top must be a whole number of at least 1. Received: {clean_name(text)!r}.")
    # there are never so many classes, and Python reads no number of thousands of digits
    return int(digits[:9])


def _row(prediction: Prediction, top: int | None) -> dict[str, Any]:
    ranked = prediction.ranked[:top]
    return {
        "name": prediction.path,
        "answer": prediction.answer,
        "probabilities": [{"class": one.class_, "probability": one.probability} for one in ranked],
        "unknown_score": prediction.unknown_score,
        "error": prediction.error,
    }
