"""Errors as the server says them: ``{"error": {"status", "message"}}``."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

RETRY_SECONDS = "1"


def problem(status: int, message: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that cannot be served."""
    return JSONResponse({"error": {"status": status, "message": message}}, status, headers=headers)


def busy(status: int, message: str) -> HTTPException:
    """Return an error that may be gone at the next try, and says when that makes sense."""
    return HTTPException(status, message, headers={"Retry-After": RETRY_SECONDS})


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
        text = "There is nothing at this address. GET /openapi.json says what there is."
        return problem(404, text, headers=headers)
    return problem(error.status_code, error.detail, headers=headers)
