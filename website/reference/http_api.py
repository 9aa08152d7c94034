"""The page of the HTTP API's operations, from its OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from ingest.api import openapi
from website.reference.json_schema import fields, type_of
from website.reference.markdown import code, prose, table

_INTRODUCTION = """\
# The HTTP API, operation by operation

Every operation of the [HTTP API](../api.md), which says how a caller logs in, and what holds for each request. A running
ingest serves the whole document, in OpenAPI 3.1, at `/api/v1/openapi.json`.
"""


def page() -> str:
    """Return the page."""
    document = openapi.document()
    parts = [_INTRODUCTION, "## Operations\n"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(f"{method.upper()} {path}", operation)
    parts.append("## Objects\n")
    parts += (part for name, schema in document["components"]["schemas"].items() for part in _schema(name, schema))
    return "\n".join(parts)


def _operation(name: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n{operation['summary']}. {prose(operation['description'])}\n"
    if given := operation["parameters"]:
        yield table(
            ["parameter", "in", "type"], ((code(each["name"]), each["in"], type_of(each["schema"])) for each in given)
        )
    if body := operation.get("requestBody"):
        yield f"Body: {type_of(body['content']['application/json']['schema'])}\n"
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["data"]
    failures = ", ".join(status for status in operation["responses"] if int(status) >= 300)
    yield f"`data` of the answer: {type_of(answer)} · other statuses: {failures}\n"


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n{prose(schema.get('description', ''))}\n"
    yield fields(schema)
