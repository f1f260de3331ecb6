"""Errors as the server says them: ``{"error": {"status", "message"}}``."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

RETRY_SECONDS = "1"
DOCUMENT = "/openapi.json"


def problem(status: int, message: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that cannot be served."""
    return JSONResponse({"error": {"status": status, "message": message}}, status, headers=headers)


def busy(status: int, message: str) -> HTTPException:
    """Return an error that may be gone at the next try, and says when that makes sense."""
    return HTTPException(status, message, headers={"Retry-After": RETRY_SECONDS})


def late(seconds: float) -> HTTPException:
    """Return the error for an answer that was not there in time."""
    return busy(503, f"There was no answer within {seconds:g} seconds. Try again later.")


def answer_problem(request: Request, error: Exception) -> Response:
    """Turn Starlette's errors into ours; a question for the methods of an address is no error."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    allowed = headers.get("Allow", "")
    if error.status_code == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    if error.status_code == 405:
        return problem(405, f"{request.url.path} takes {allowed}. Received: {request.method}.", headers=headers)
    if error.status_code == 404 and error.detail == "Not Found":
        return problem(404, f"There is nothing at this address. {_way_on(request)}", headers=headers)
    return problem(error.status_code, error.detail, headers=headers)


def _way_on(request: Request) -> str:
    """Say where to read what there is: in the document of a classifier, or in the list of runs."""
    root = request.scope.get("root_path", "")
    if any(isinstance(route, Route) and route.path == DOCUMENT for route in request.app.routes):
        return f"GET {root}{DOCUMENT} says what there is."
    return "The list of runs at / leads to everything there is."
