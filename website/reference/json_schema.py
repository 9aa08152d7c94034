"""Tables of what a JSON Schema describes."""

import json
from collections.abc import Mapping
from typing import Any

from website.reference.markdown import code, prose, table

_SIGNS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}


def fields(schema: Mapping[str, Any]) -> str:
    """Return the fields of an object: name, type, bounds, default and meaning; nothing for what has none."""
    needed = schema.get("required", ())
    rows = [
        (
            code(name),
            type_of(of),
            ", ".join(bounds(of)),
            _default(name in needed, of),
            prose(of.get("description", "")),
        )
        for name, of in schema.get("properties", {}).items()
    ]
    return table(["field", "type", "bounds", "default", "what it is"], rows) if rows else ""


def bounds(schema: Mapping[str, Any]) -> list[str]:
    """Return the bounds of a number, each in words."""
    return [f"{word} {schema[key]:,.12g}" for key, word in _SIGNS.items() if key in schema]


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in a few words, with links to objects."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema or "enum" in schema:
        return ", ".join(code(json.dumps(each)) for each in schema.get("enum", [schema.get("const")]))
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(map(type_of, schema[word]))
    named = schema.get("type", "any value")
    if named == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return " or ".join(named) if isinstance(named, list) else str(named)


def _default(needed: bool, schema: Mapping[str, Any]) -> str:  # noqa: FBT001 the only thing that it is told
    if "default" in schema:
        return code(json.dumps(schema["default"]))
    return "required" if needed else ""
