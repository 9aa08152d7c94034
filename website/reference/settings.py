"""The page of all settings, from their model."""

from typing import Any

from tasks.settings.model import SECRETS, Settings
from website.pages import ROOT
from website.reference.json_schema import bounds
from website.reference.markdown import code, prose

_INTRODUCTION = """\
# Settings

Every process of the pipeline reads its settings from environment variables. A value that can't be used stops the start
with one message that names each fault. `./run tasks config show` prints what is in force, with passwords masked. Compose
reads a few more, which [.env.example](../source/env.example.md) lists at its end; the `OTEL_*` variables are those of
OpenTelemetry ([traces](../operations/tracing.md)).
"""
#: Ends of names that tell the unit.
_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_mib": "MiB"}


def page() -> str:
    """Return the page."""
    described = Settings.model_json_schema()["properties"]
    return "\n".join([_INTRODUCTION, *(_section(name, described[name]) for name in Settings.model_fields)])


def _section(name: str, schema: dict[str, Any]) -> str:
    facts = [f"Default: {code(_default(name)) or 'empty'}", *_bounds(schema)]
    if unit := next((unit for end, unit in _UNITS.items() if name.endswith(end)), ""):
        facts.append(f"in {unit}")
    if name in SECRETS:
        facts.append(f"or in a file that `{name.upper()}_FILE` names")
    text = schema["description"]
    return f"## {name.upper()}\n\n{prose(text[0].upper() + text[1:])}.\n\n{' · '.join(facts)}\n"


def _default(name: str) -> str:
    default = Settings.model_fields[name].default
    return str(default).replace(f"{ROOT}/", "").removesuffix(".0")


def _bounds(schema: dict[str, Any]) -> list[str]:
    found = bounds(schema)
    if "enum" in schema:
        found.append("one of " + ", ".join(code(each) for each in schema["enum"] if each != ""))
    return found
