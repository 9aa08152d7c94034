"""Draws the packages and which of them imports which into docs/architecture.md: python -m tests.draw_packages.

An arrow is left out where others lead there too. A test holds the drawing current.
"""

import argparse
import re
from collections.abc import Mapping

import grimp

from compose.local.processes import ROOT

PAGE = ROOT / "docs" / "architecture.md"
_DRAWING = re.compile(r"(<!-- packages of (\w+) -->\n)```mermaid\n.*?```\n", re.DOTALL)

Imports = Mapping[str, set[str]]


def imports(top: str) -> Imports:
    """Return which packages and modules directly below `top` import which others."""
    graph = grimp.build_graph(top, cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {top}:
        importer = _below(module)
        others = {_below(other) for other in graph.find_modules_directly_imported_by(module)}
        found.setdefault(importer, set()).update(others - {importer, ""})
    return found


def _below(module: str) -> str:
    return ".".join(module.split(".")[1:2])


def reduced(found: Imports) -> Imports:
    """Return the imports without those that a longer way implies. There must be no circle."""
    reached: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        if name not in reached:
            reached[name] = set(found[name]).union(*map(reach, found[name]))
        return reached[name]

    return {name: others - set().union(*map(reach, others)) for name, others in found.items()}


def drawing(top: str) -> str:
    """Return the packages below `top` as Mermaid draws them."""
    lines = (
        f"    {name} --> {other}" for name, others in sorted(reduced(imports(top)).items()) for other in sorted(others)
    )
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```", ""])


def page(text: str) -> str:
    """Return the page with its drawings made again."""
    return _DRAWING.sub(lambda found: found[1] + drawing(found[2]), text)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.draw_packages", description=__doc__).parse_args()
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
