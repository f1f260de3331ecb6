"""The OpenAPI 3.1 document: what the server takes and what it answers, in a form that other programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.serve.limits import Limits
from headstart.version import __version__

Json = dict[str, Any]

_FILES = {"type": "string", "contentMediaType": "application/octet-stream"}
_STATUS = {
    400: "The form, the query or the Host header cannot be read.",
    403: "A page of another site asks, and may not.",
    408: "The body did not arrive in time.",
    413: "The body has too many bytes or too many parts.",
    415: "The body is neither an image nor a form.",
    422: "The only image cannot be used, or there is none.",
    429: "Too many images wait or are on their way; Retry-After says when to try again.",
    500: "A fault in headstart.",
    501: "This classifier's network cannot be explained.",
    503: "There was no answer in time, there are too many connections, or the server is ending.",
}


def document(classes: Sequence[str], limits: Limits, *, page: bool = False) -> Json:
    """Return the document of a server with these classes and limits, as plain JSON values.

    ``page``: the server has its page too, and what that asks for.
    """
    of_page = {
        "/explain": {"post": _explain()},
        "/about": {"get": _get("about", "What the page says of the classifier.", "About")},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "headstart classifier",
            "version": __version__,
            "description": f"Says to which of {len(classes)} classes images belong, with calibrated probabilities.",
        },
        "paths": {
            "/predict": {"post": _predict(limits)},
            "/classes": {"get": _get("classes", "The class names, in the order of training.", "Classes")},
            **(of_page if page else {}),
            "/health": {"get": _health()},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _get("describe", "This document.", "Document")},
        },
        "components": {"schemas": _schemas(classes, page=page), "responses": _problems(page=page)},
    }


def _predict(limits: Limits) -> Json:
    form = {"type": "object", "additionalProperties": {"oneOf": [_FILES, {"type": "array", "items": _FILES}]}}
    return {
        "operationId": "predict",
        "summary": "Classify one image, or all files of a form in their order.",
        "description": f"A body may have {limits.body_bytes:,} bytes, a form {limits.parts:,} parts, an image "
        f"{limits.pixels:,} pixels. One bad image among several has its error in its row.",
        "parameters": [
            {
                "name": "top",
                "in": "query",
                "description": "How many of the most probable classes to name; all without it.",
                "schema": {"type": "integer", "minimum": 1},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": {}},
                "application/octet-stream": {"schema": {}},
                "multipart/form-data": {"schema": form},
            },
        },
        "responses": {
            "200": _json("An answer for each image.", "Predictions"),
            **_problem_references(501),
        },
    }


def _explain() -> Json:
    return {
        "operationId": "explain",
        "summary": "Show where the classifier looks (Grad-CAM) in one image.",
        "parameters": [
            {
                "name": "class",
                "in": "query",
                "description": "The class to explain; the answer without it.",
                "schema": {"type": "string"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"image/*": {"schema": {}}, "application/octet-stream": {"schema": {}}},
        },
        "responses": {"200": _json("Where it looked.", "Explanation"), **_problem_references()},
    }


def _problem_references(*without: int) -> Json:
    return {str(status): _reference("responses", f"Problem{status}") for status in _STATUS if status not in without}


def _health() -> Json:
    found = _get("health", "Whether images are taken.", "Health")
    found["responses"]["503"] = _json("The server is ending.", "Health")
    return found


def _metrics() -> Json:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "metrics",
        "summary": "What was counted, in Prometheus' text format.",
        "responses": {"200": {"description": "Counters and histograms.", "content": text}},
    }


def _get(operation: str, summary: str, schema: str) -> Json:
    return {"operationId": operation, "summary": summary, "responses": {"200": _json(summary, schema)}}


def _json(description: str, schema: str) -> Json:
    return {
        "description": description,
        "content": {"application/json": {"schema": _reference("schemas", schema)}},
    }


def _problems(*, page: bool) -> Json:
    return {f"Problem{status}": _json(text, "Problem") for status, text in _STATUS.items() if page or status != 501}


def _reference(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _schemas(classes: Sequence[str], *, page: bool) -> Json:
    text, number, maybe_text = {"type": "string"}, {"type": "number"}, {"type": ["string", "null"]}
    class_name = {"enum": list(classes)}
    probability = _object({"class": class_name, "probability": {"type": "number", "minimum": 0, "maximum": 1}})
    row = {
        "name": text,
        "answer": {**maybe_text, "description": "A class or 'unknown'; null where the image cannot be used."},
        "probabilities": {**_list(probability), "description": "Calibrated, from the most to the least probable."},
        "unknown_score": {"type": ["number", "null"], "description": "How unknown the image looks."},
        "error": {**maybe_text, "description": "Why the image cannot be used."},
    }
    identity = _object({"candidate": text, "fingerprint": text})
    error = _object({"status": {"type": "integer"}, "message": text})
    health = {"ready": {"type": "boolean"}, "version": text, "fingerprint": text, "uptime_seconds": number}
    look = {"class": class_name, "probability": number, "method": text, "where": text, "picture": text}
    of_page = {"About": {"type": "object"}, "Explanation": _object(look)}
    return {
        "Predictions": _object({"predictions": _list(_object(row)), "classifier": identity}),
        "Classes": _object({"classes": _list(class_name)}),
        "Health": _object(health),
        "Problem": _object({"error": error}),
        "Document": {"type": "object"},
        **(of_page if page else {}),
    }


def _object(properties: Mapping[str, Any]) -> Json:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}
