"""The page of what authors of strategies import, from docstrings and signatures."""

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any, Literal, get_origin

from tasks import bars, events, research, strategy
from tasks.conformance import suite
from website.reference.markdown import code

_INTRODUCTION = """\
# Python API

What a strategy, its tests and a notebook import. Everything else in the packages is internal, and may change with any
release. How to write a strategy: [the tutorial](../tutorials/own-strategy.md).
"""
#: By module, what is shown of it.
_SHOWN: dict[str, tuple[Any, ...]] = {
    "tasks.strategy": (strategy.Strategy, strategy.Params, strategy.State, strategy.Signal),
    "tasks.events": (
        events.Event, events.Depth, events.Trade, events.AggTrade, events.BookTicker, events.Kline, events.MarkPrice,
        events.Liquidation,
    ),
    "tasks.bars": (bars.Bar, bars.BarSpec, bars.builder.bars),
    "tasks.research": (research.events, research.signals, research.bars, research.frame),
    "tasks.conformance.suite": (suite.check, suite.SuiteReport, suite.CheckResult),
}  # fmt: skip


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for module, shown in _SHOWN.items():
        parts.append(f"## {module}\n")
        parts += (
            part for each in shown for part in (_class(each) if inspect.isclass(each) else _function(each, "###"))
        )
    return "\n".join(parts)


def _class(shown: type) -> Iterator[str]:
    [node] = ast.parse(inspect.cleandoc(f"\n{inspect.getsource(shown)}")).body
    lines = inspect.cleandoc(f"\n{inspect.getsource(shown)}").splitlines()
    bases = ", ".join(ast.unparse(base) for base in node.bases)  # type: ignore[attr-defined]  # it is a class
    yield f"### {shown.__name__}\n\n```python\nclass {shown.__name__}({bases})\n```\n\n{_text(shown)}\n"
    for each in node.body:  # type: ignore[attr-defined]  # the same
        match each:
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_") and name != "kind":
                said = _comment(lines, each.lineno) or _description(each.annotation)
                yield f"* `{name}: {_type(each.annotation, shown)}`{_default(each)}{said}\n"
            case ast.FunctionDef(name=name) if not name.startswith("_"):
                member = inspect.getattr_static(shown, name)
                yield from _property(name, member) if isinstance(member, property) else _function(member, "####")


def _property(name: str, member: property) -> Iterator[str]:
    yield f"#### {name}\n\n```python\n@property\ndef {name}{inspect.signature(member.fget)}\n```\n\n{_text(member)}\n"  # type: ignore[arg-type]  # each has a getter


def _function(shown: Any, heading: str) -> Iterator[str]:
    function = getattr(shown, "__func__", shown)
    signature = re.sub(r"(?:\w+\.)+(\w+)", r"\1", str(inspect.signature(function))).replace("~", "")
    yield f"{heading} {function.__name__}\n\n```python\ndef {function.__name__}{signature}\n```\n\n{_text(function)}\n"


def _type(annotation: ast.expr, of: type) -> str:
    """Return the type of a field: without its bounds, and the values of one that has few."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[plain, *_])):
            return ast.unparse(plain)
        case ast.Name(id=name) if get_origin(alias := vars(inspect.getmodule(of)).get(name)) is Literal:
            return str(alias).removeprefix("typing.")
    return ast.unparse(annotation)


def _description(annotation: ast.expr) -> str:
    """Return what a field of pydantic says of itself."""
    said = [each.value for each in ast.walk(annotation) if isinstance(each, ast.keyword) and each.arg == "description"]
    return f": {ast.literal_eval(said[0])}" if said else ""


def _default(node: ast.AnnAssign) -> str:
    return f", by default {code(ast.unparse(node.value))}" if node.value is not None else ""


def _comment(lines: list[str], number: int) -> str:
    """Return what the `#:` lines above a line say."""
    found: list[str] = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#:"):
            break
        found.insert(0, line.strip().removeprefix("#:").strip())
    return f": {' '.join(found)}" if found else ""


def _text(shown: object) -> str:
    """Return a docstring as Markdown: lists and indented code are it already."""
    return inspect.getdoc(shown) or ""
