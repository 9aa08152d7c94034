"""Hints in errors and findings name commands whole, so that they can be run as printed."""

import ast
import re
from collections.abc import Iterator

from compose.local.processes import ROOT

_BARE = re.compile(r"`(strategies|deadletters|state|signals|config|doctor|backtest) ")


def spoken(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module but docstrings, comments and the help of options, which is printed beside its program."""
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left_out.add(node.value)
        if isinstance(node, ast.keyword) and node.arg == "help":
            left_out |= set(ast.walk(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out:
            yield node.value


def test_every_hint_can_be_run_as_printed():
    files = [file for top in ("tasks", "ingest", "compose") for file in (ROOT / top).rglob("*.py")]
    texts = {(file.name, text) for file in files for text in spoken(ast.parse(file.read_text(encoding="utf-8")))}
    assert [each for each in sorted(texts) if _BARE.search(each[1])] == []


def test_a_bare_command_in_a_hint_is_found():
    assert [
        text for text in spoken(ast.parse('"""`state show`"""\ndo = "`state show` lists them"')) if _BARE.search(text)
    ]
