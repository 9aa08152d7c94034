"""Each finding of ingest says what to do with a command, between backticks: the page shows that as code, to be copied."""

import ast
from collections.abc import Iterable, Iterator, Sequence

from compose.local.processes import ROOT

_FILES = [file for top in ("tasks", "ingest") for file in (ROOT / top).rglob("*.py")]


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that are given a value, and the value; of several names at once, the last one."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.Assign(targets=[ast.Tuple(elts=[*_, ast.Name(id=name)])], value=ast.Subscript(value=value))
            ):
                yield name, value


def _texts(value: ast.AST, scopes: Sequence[ast.AST]) -> list[str]:
    """Return the texts that an expression may be; a name is looked up in the innermost scope that gives it a value."""
    parts: Iterable[ast.AST] = ()
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return ["".join(text for each in values for text in _texts(each, scopes))]
        case ast.FormattedValue(value=inner):
            parts = [inner]
        case ast.IfExp(body=one, orelse=other):
            parts = [one, other]
        case ast.Dict(values=values):
            parts = values
        case ast.Tuple(elts=[*_, last]):
            parts = [last]
        case ast.Name(id=name):
            given = [[found for known, found in _assigned(scope) if known == name] for scope in scopes]
            parts = next(filter(None, given), [])
    return [text for part in parts for text in _texts(part, scopes)]


def _bare(module: ast.Module) -> Iterator[str]:
    """Yield what to do about findings that have a name, where that names no command."""
    makers = {"Finding": 3, "_waiting": 2, "_lossy": 2}
    for function in (
        node for node in ast.walk(module) if isinstance(node, ast.FunctionDef) and node.name not in makers
    ):
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            called = call.func.id if isinstance(call.func, ast.Name) else ""
            at = makers.get(called)
            if at is None or len(call.args) < at + 1 + (called == "Finding"):
                continue
            texts = _texts(call.args[at], (function, module))
            yield from (text for text in texts or ["what the test can't read"] if "`" not in text)


def bare(sources: Iterable[str]) -> list[str]:
    """Return the same of the sources of modules."""
    return [text for source in sources for text in _bare(ast.parse(source))]


def test_each_finding_of_ingest_names_a_command_as_code():
    assert bare(file.read_text(encoding="utf-8") for file in _FILES) == []


def test_a_finding_without_a_command_is_found():
    direct = 'def f():\n yield Finding("fault", "x", "y", "restart it", "nats_away")'
    table = '_T = {"a": ("x", "see it")}\ndef f():\n what, do = _T["a"]\n yield Finding("fault", what, "y", do, "b")'
    well = 'def f():\n do = "see"\n yield Finding("fault", "x", "y", "`nats stream ls`", "b")'
    assert bare([direct, table, well]) == ["restart it", "see it"]
