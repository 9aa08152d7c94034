"""The page of the fields of a signal, from its contract."""

from tasks.engine.signal_message import SignalMessage
from website.reference.json_schema import fields
from website.reference.markdown import prose

_INTRODUCTION = """\
# Signals

What is published on [SIGNAL_SUBJECT](settings.md#signal_subject), as JSON, in UTF-8. `./run tasks schema` prints the whole
contract as JSON Schema. How to read signals in a program: [consume signals](../project/readme.md#consume-signals).
"""


def page() -> str:
    """Return the page."""
    schema = SignalMessage.model_json_schema()
    parts = [_INTRODUCTION, fields(schema)]
    for name, each in schema["$defs"].items():
        parts += [f"## {name}\n", f"{prose(each['description'])}\n", fields(each)]
    return "\n".join(parts)
