"""The page of the parameters of the built-in strategies, from their classes."""

from collections.abc import Iterator

from tasks import configuration
from tasks.configuration import catalog, registry
from tasks.strategy import kinds_of
from website.pages import ROOT
from website.reference.markdown import code, prose, table

_INTRODUCTION = """\
# Built-in strategies

What the strategies file, `./run tasks strategies set` and a sweep may set, with defaults and bounds. How each one decides,
and what it did on two recordings: [definitions and results](../strategies.md). `./run tasks strategies describe NAME` prints
the same, also of a strategy of your own.
"""
_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def page() -> str:
    """Return the page."""
    shipped = configuration.read(ROOT / "tasks" / "strategies.toml")
    parts = [_INTRODUCTION]
    for each in catalog.listed(shipped):
        found = registry.find(each.name)
        takes = ", ".join(map(code, kinds_of(found)))
        pools = ", ".join(map(code, each.pools)) or "none"
        parts += [f"## {each.name}\n\n{prose(each.summary)}\n", f"Takes {takes} · runs in the pool {pools}\n"]
        parts.append(table(["parameter", "default", "bounds", "what it is"], _rows(each.name)))
    return "\n".join(parts)


def _rows(name: str) -> Iterator[tuple[str, str, str, str]]:
    for each in catalog.parameters_of(name):
        bounds = ", ".join(f"{_SIGNS[word]} {bound:,.12g}" for word, bound in each.bounds.items())
        allowed = "one of " + ", ".join(map(code, each.allowed)) if each.allowed else bounds
        yield code(each.name), code(each.default), allowed, prose(each.description)
