"""The OpenAPI 3.1 document, from the routes that are served and their models: docs/api/openapi.json holds it."""

import inspect
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ingest.api.models import Metadata
from ingest.api.route import PREFIX, Route
from ingest.api.routes import ROUTES

#: Of the API: 1 as long as what a client relies on stays.
VERSION = "1"
_REF = "#/components/schemas/"
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"internalToken": []}, {"proxy": []}]
#: Any operation may fail so.
_ALWAYS = (400, 401, 403, 422, 429, 500, 503)
_ETAG = {"description": "version of the configuration", "schema": {"type": "string"}}
_PROBLEM = {
    "type": "object",
    "description": "a failure, as RFC 9457 describes it",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["parameter", "message"],
                "properties": {"parameter": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


@cache
def text() -> bytes:
    """Return the document as JSON."""
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Realtime Strategies", "version": VERSION, "summary": "Operators' API of ingest"},
        "paths": dict(sorted(paths.items())),
        "security": _SECURITY,
        "components": {
            "schemas": _schemas() | {"Problem": _PROBLEM},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "API_TOKEN"},
                "internalToken": {"type": "apiKey", "in": "header", "name": "X-Petrosa-Internal-Token"},
                "proxy": {"type": "apiKey", "in": "header", "name": "API_IDENTITY_HEADER"},
            },
        },
    }


def _schemas() -> dict[str, Any]:
    bodies = {route.body for route in ROUTES if route.body}
    answers = {route.answer for route in ROUTES if route.answer}
    models: list[tuple[type[BaseModel], Any]] = [(body, "validation") for body in bodies]
    models += [(answer, "serialization") for answer in answers if issubclass(answer, BaseModel)]
    models.append((Metadata, "serialization"))
    models.sort(key=lambda each: each[0].__name__)
    _, found = models_json_schema(models, ref_template=_REF + "{model}")
    structs = sorted((each for each in answers if issubclass(each, msgspec.Struct)), key=lambda each: each.__name__)
    _, more = msgspec.json.schema_components(structs, ref_template=_REF + "{name}")
    return dict(sorted((found["$defs"] | more).items()))


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "description": inspect.getdoc(route.run) or "",
        "parameters": [*map(_path_parameter, route.fields), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route),
    }
    if route.body:
        schema = {"$ref": _REF + route.body.__name__}
        needed = any(field.is_required() for field in route.body.model_fields.values())
        operation["requestBody"] = {"required": needed, "content": {"application/json": {"schema": schema}}}
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = route.query.model_json_schema()
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": of}
        for name, of in schema.get("properties", {}).items()
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    names = ["Idempotency-Key", "X-Changed-By"] * route.changes
    if route.has_etag:
        names.append("If-Match" if route.changes else "If-None-Match")
    return [{"name": name, "in": "header", "required": False, "schema": {"type": "string"}} for name in names]


def _responses(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Success", "content": {"application/json": {"schema": _answer(route)}}}
    found: dict[str, Any] = {"200": success}
    if route.has_etag:
        success["headers"] = {"ETag": _ETAG}
        if not route.changes:
            found["304"] = {"description": "Not Modified"}
    problem = {"application/problem+json": {"schema": {"$ref": f"{_REF}Problem"}}}
    failures = {*_ALWAYS, *route.fails, *((409, 412, 413, 415) if route.changes else ())}
    return found | {
        str(status): {"description": HTTPStatus(status).phrase, "content": problem} for status in sorted(failures)
    }


def _answer(route: Route) -> dict[str, Any]:
    data: dict[str, Any] = {"$ref": _REF + route.answer.__name__} if route.answer else {"type": "object"}
    if route.many:
        data = {"type": "array", "items": data}
    if route.body and "validate_only" in route.body.model_fields and not route.many:
        data = {"anyOf": [data, {"type": "null"}]}
    return {
        "type": "object",
        "required": ["success", "data", "metadata"],
        "properties": {"success": {"const": True}, "data": data, "metadata": {"$ref": f"{_REF}Metadata"}},
    }
