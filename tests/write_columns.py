"""Writes the tables of the exported columns into docs/research/tables.md: python -m tests.write_columns.

A test holds them current.
"""

import re
from collections.abc import Sequence

from compose.local.processes import ROOT
from tasks.export import bar_columns, columns, event_columns, signal_columns

PAGE = ROOT / "docs" / "research" / "tables.md"
_TABLE = re.compile(r"(<!-- columns of (\w+) -->\n)(?:\n(?:\|.*\n)+)?")
_TYPES = {"time_us": "timestamp[us, tz=UTC]", "time_ns": "timestamp[ns, tz=UTC]"}


def _columns(name: str) -> Sequence[columns.Column]:
    by_kind = {str(kind): own for kind, own in event_columns.by_kind(levels=1).items()}
    return {
        "events": event_columns.EVENT,
        "signals": signal_columns.TABLE.columns,
        "bars": bar_columns.TABLE.columns,
        **by_kind,
    }[name]


def table(name: str) -> str:
    """Return the columns of a group as a table in Markdown."""
    rows = [f"| `{each.name}` | {_TYPES.get(each.type, each.type)} | {each.what} |" for each in _columns(name)]
    return "\n".join(["", "| column | type | what it holds |", "|---|---|---|", *rows, ""])


def page(text: str) -> str:
    """Return the page with its tables made again."""
    return _TABLE.sub(lambda found: found[1] + table(found[2]), text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
