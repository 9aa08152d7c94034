"""The page of the tables of a strategies file, from the schema by which editors complete it."""

from tasks.configuration import file_schema
from website.reference.json_schema import fields
from website.reference.markdown import prose

_INTRODUCTION = """\
# Strategies file

`STRATEGIES_FILE` is in TOML. [The one that comes with the project](../source/tasks/strategies.toml.md) shows most of it;
[configuration at run time](../configuration.md) changes it while everything runs, and says how an editor completes it.
Parameters of strategies: [built-in strategies](strategies.md).
"""
#: By the table as a file writes it: its definition in the schema.
_TABLES = {
    "[pools.NAME]": "PoolConfiguration",
    "[gate], and gate of a strategy": "Gate",
    "[paper], and paper of a strategy": "PaperTable",
    "fees_bps.VENUE of paper": "FeesTable",
}


def page() -> str:
    """Return the page."""
    schema = file_schema.build({})
    parts = [_INTRODUCTION, "## The file\n", _named(fields(schema))]
    for title, name in _TABLES.items():
        found = schema["$defs"][name]
        parts += [f"## {title}\n", f"{prose(found['description'])}\n", _named(fields(found))]
    return "\n".join(parts)


def _named(text: str) -> str:
    """Have links to definitions lead to their sections; a strategy's table has its parameters, and these."""
    for title, name in _TABLES.items():
        anchor = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " _-").replace(" ", "-")
        text = text.replace(f"(#{name.lower()})", f"(#{anchor})")
    return text
