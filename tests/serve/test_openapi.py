"""The OpenAPI document: whole, by the rules of OpenAPI 3.1, and true of what the server answers."""

import math
import re

import pytest

from headstart.serve import openapi
from headstart.serve.limits import Limits

from .conftest import CLASSES, FORM, form, picture

METHODS = {"get", "post", "put", "delete", "options", "head", "patch", "trace"}
KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
KEYWORDS = {
    *("type", "properties", "required", "items", "enum", "minimum", "maximum", "description", "oneOf", "$ref"),
    *("additionalProperties", "contentMediaType"),
}


@pytest.fixture(scope="module")
def document(live):
    return live.ask("GET", "/openapi.json").json


def resolve(document, value):
    """Return what a reference points to."""
    while "$ref" in value:
        place = value["$ref"].removeprefix("#/").split("/")
        value = document
        for key in place:
            value = value[key]
    return value


def problems(document, schema, value, place="$"):
    """Yield where a value breaks a schema, for the keywords in ``KEYWORDS``."""
    schema = resolve(document, schema)
    assert set(schema) <= KEYWORDS, f"this check does not know {set(schema) - KEYWORDS}"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    wrong_bool = isinstance(value, bool) and "boolean" not in kinds
    if kinds and (wrong_bool or not isinstance(value, tuple(KINDS[kind] for kind in kinds))):
        yield f"{place} is no {kinds}: {value!r}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place} is none of {schema['enum']}"
    if isinstance(value, int | float) and not schema.get("minimum", -math.inf) <= value <= schema.get(
        "maximum", math.inf
    ):
        yield f"{place} is out of range: {value}"
    if isinstance(value, dict):
        yield from (f"{place} lacks {key}" for key in schema.get("required", []) if key not in value)
        for key, part in value.items():
            if "properties" in schema:
                assert key in schema["properties"], f"{place}.{key} is not described"
                yield from problems(document, schema["properties"][key], part, f"{place}.{key}")
    if isinstance(value, list) and "items" in schema:
        for number, part in enumerate(value):
            yield from problems(document, schema["items"], part, f"{place}[{number}]")


def check(document, path, answer, method="get"):
    """Assert that an answer is one that the document describes."""
    responses = document["paths"][path][method]["responses"]
    described = resolve(document, responses[str(answer.status)])
    schema = described["content"]["application/json"]["schema"]
    assert not list(problems(document, schema, answer.json))


def references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def test_the_document_has_the_form_of_openapi_3_1(document):
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert set(document) <= {"openapi", "info", "paths", "components", "servers", "tags"}
    assert {"title", "version"} <= set(document["info"])
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    names = [operation["operationId"] for *_, operation in operations]
    assert len(set(names)) == len(names) == 5
    for path, method, operation in operations:
        assert path.startswith("/")
        assert method in METHODS
        assert set(operation) <= {"operationId", "summary", "description", "parameters", "requestBody", "responses"}
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status)
            assert {"description"} <= set(resolve(document, response)) <= {"description", "headers", "content"}
        for parameter in operation.get("parameters", []):
            assert {"name", "in", "schema"} <= set(parameter)


def test_every_reference_leads_somewhere_and_everything_is_referred_to(document):
    found = set(references(document))
    kinds = document["components"].items()
    assert found == {f"#/components/{kind}/{name}" for kind, named in kinds for name in named}


def test_the_document_names_every_address_of_the_api(document, live):
    routes = {route.path for route in live.app.routes}
    assert set(document["paths"]) == routes


@pytest.mark.parametrize("path", ["/classes", "/health", "/openapi.json"])
def test_answers_are_as_described(document, live, path):
    check(document, path, live.ask("GET", path))


@pytest.mark.parametrize(
    ("body", "kind", "query", "status"),
    [
        (picture(), "image/png", "", 200),
        (form(("a", picture()), ("b", b"text")), FORM, "?top=1", 200),
        (picture(), "image/png", "?top=0", 400),
        (b"", "text/plain", "", 415),
        (b"", "image/png", "", 422),
        (form(*[("x", b"y")] * 101), FORM, "", 413),
    ],
)
def test_predictions_and_problems_are_as_described(document, live, body, kind, query, status):
    answer = live.predict(body, kind, query)
    assert answer.status == status
    check(document, "/predict", answer, "post")


def test_the_check_itself_finds_what_is_wrong(document):
    schema = document["components"]["schemas"]["Health"]
    good = {"ready": True, "version": "1", "fingerprint": "f", "uptime_seconds": 1.5}
    assert not list(problems(document, schema, good))
    for wrong in ({"ready": 1}, {"version": None}, {"uptime_seconds": "1"}, {"uptime_seconds": True}):
        assert len(list(problems(document, schema, {**good, **wrong}))) == 1
    assert list(problems(document, schema, {"ready": True}))


def test_the_limits_and_classes_are_those_of_the_server():
    document = openapi.document(CLASSES, Limits(body_bytes=1234567, parts=7))
    assert "1,234,567 bytes" in document["paths"]["/predict"]["post"]["description"]
    assert "7 parts" in document["paths"]["/predict"]["post"]["description"]
    assert document["components"]["schemas"]["Classes"]["properties"]["classes"]["items"] == {"enum": list(CLASSES)}


def test_a_server_with_its_page_describes_what_the_page_asks_for():
    document = openapi.document(CLASSES, Limits(), page=True)
    assert set(document["paths"]) - set(openapi.document(CLASSES, Limits())["paths"]) == {"/explain", "/about"}
    found, kinds = set(references(document)), document["components"].items()
    assert found == {f"#/components/{kind}/{name}" for kind, named in kinds for name in named}
    assert "501" in document["paths"]["/explain"]["post"]["responses"]
    assert "501" not in document["paths"]["/predict"]["post"]["responses"]
