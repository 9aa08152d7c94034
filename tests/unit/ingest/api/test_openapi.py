"""The OpenAPI document: valid, complete, and the one in the docs."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs here
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from compose.local.processes import ROOT
from ingest.api import openapi
from ingest.api.routes import ROUTES
from tests import write_openapi

DOCUMENT: dict[str, Any] = json.loads(openapi.text())


def walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(each)


def test_the_document_in_the_docs_is_current():
    assert (ROOT / "docs" / "api" / "openapi.json").read_text(encoding="utf-8") == write_openapi.text()


def test_the_document_is_one_of_openapi_3_1():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_reference_leads_to_a_schema():
    named = {node["$ref"] for node in walk(DOCUMENT) if "$ref" in node}
    assert named <= {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}


@pytest.mark.parametrize("name", list(DOCUMENT["components"]["schemas"]))
def test_each_schema_is_one(name: str):
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_each_operation_is_served_named_and_described():
    operations = {
        (method.upper(), path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert operations.keys() == {(route.method, f"/api/v1{route.path}") for route in ROUTES}
    assert len({each["operationId"] for each in operations.values()}) == len(ROUTES)
    assert all(each["summary"] and each["description"] for each in operations.values())


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_the_names_in_a_path_are_its_parameters(route: Any):
    operation = DOCUMENT["paths"][f"/api/v1{route.path}"][route.method.lower()]
    named = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
    assert named == re.findall(r"\{(\w+)\}", route.path)
    assert {"401", "403", "429", "503"} <= operation["responses"].keys()
