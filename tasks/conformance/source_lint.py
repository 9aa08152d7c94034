"""A look at the source of a strategy's module for clocks, I/O, randomness, Celery, and what changes events. A lint, not a proof.

It reads the names that the module itself imports and uses; what the modules that it imports do is not looked at.
"""

import ast
import inspect
import sys
from collections.abc import Iterator

from tasks.strategy import AnyStrategy

_MODULES = frozenset(
    {
        "time", "random", "secrets", "uuid", "os", "io", "pathlib", "shutil", "tempfile", "sqlite3", "socket", "ssl",
        "http", "urllib", "asyncio", "threading", "multiprocessing", "concurrent", "subprocess", "signal", "requests",
        "httpx", "aiohttp", "websockets", "redis", "nats", "celery", "kombu", "billiard", "flower",
    }
)  # fmt: skip
_BUILTINS = frozenset({"open", "input", "print", "exec", "eval", "__import__", "breakpoint"})
#: What reads a clock or draws numbers, and what changes an event all the same.
_ATTRIBUTES = frozenset({"now", "utcnow", "today", "random", "force_setattr", "__set__"})
#: By its name alone.
_IMPORTED = frozenset({"force_setattr"})


def faults(strategy_type: type[AnyStrategy]) -> list[str]:
    """Return one line for each thing that a strategy must not use: line and name. Raises OSError without a source."""
    tree = ast.parse(inspect.getsource(sys.modules[strategy_type.__module__]))
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr))
    found = ((node.lineno, name) for node in nodes for name in _used(node))
    return [f"line {line}: {name}" for line, name in sorted(set(found))]


def _used(node: ast.stmt | ast.expr) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names if alias.name.partition(".")[0] in _MODULES)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield from [module] if module.partition(".")[0] in _MODULES else []
            yield from (alias.name for alias in names if alias.name in _IMPORTED)
        case ast.Name(id=name, ctx=ast.Load()) if name in _BUILTINS:
            yield name
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in _ATTRIBUTES:
            yield f".{name}"
