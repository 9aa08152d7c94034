"""Markdown, as the reference pages write it."""

import re
from collections.abc import Iterable, Sequence

#: Names of commands and settings, files and addresses, as texts of the code write them.
_NAMES = re.compile(r"(?<![`\w])(?:\.?/?\b[\w./-]*_[\w./-]+\b|--[a-z][\w-]+)(?![`\w])")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell is text in Markdown."""
    lines = [" | ".join(heads), "|".join(["---"] * len(heads)), *(" | ".join(map(_cell, row)) for row in rows)]
    return "".join(f"| {line} |\n" for line in lines)


def code(text: object) -> str:
    """Return a text as code within a line; nothing for an empty one."""
    return f"`{text}`" if str(text) else ""


def prose(text: str) -> str:
    """Return a text of the code as Markdown: what looks like a name is code, and nothing else is markup."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _NAMES.sub(r"`\g<0>`", _escape(part)) for part in parts)


def _escape(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", r"\*")


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))
