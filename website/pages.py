"""Which files of the checkout are pages of the site, and where what is linked stands there."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
#: Pages that are not below docs/, and those whose name says nothing on the site.
PLACES = {
    "README.md": "project/readme.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "k8s/README.md": "operations/kubernetes.md",
    "docs/README.md": "index.md",
    "docs/own-repository/README.md": "own-repository.md",
}
#: Files that a page of the site is made from: a link to the file leads to that page.
GENERATED = {
    ".env.example": "reference/settings.md",
    "tasks/settings/model.py": "reference/settings.md",
    "tasks/help.txt": "reference/commands.md",
    "tasks/telemetry/metrics.py": "reference/metrics.md",
    "compose/observability/rules.yaml": "reference/alerts.md",
    "tasks/strategy.py": "reference/python.md",
    "tasks/strategies": "reference/strategies.md",
    "docs/api/openapi.json": "reference/http-api.md",
}
#: Of the folder of copies of source files.
SOURCE = "source"
_FENCE = re.compile(r"^(```.*?^```[^\n]*\n)", re.DOTALL | re.MULTILINE)
#: Of a link in a line, and of one that is defined on a line of its own.
_TARGET = re.compile(r"(?<=\]\()([^)\s]+)(?=\))|(?<=^\[)([^]\n]+\]: )(\S+)", re.MULTILINE)


class BrokenLinkError(Exception):
    """A link leads nowhere."""


class Link(NamedTuple):
    """What a link of a page leads to: a path below the root of the checkout, and one below that of the site."""

    file: str
    place: str


def pages() -> dict[str, str]:
    """Return the place on the site of each page of the checkout, both relative to their roots."""
    below_docs = (path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))
    return {page: page.removeprefix("docs/") for page in below_docs} | PLACES


def relinked(text: str, page: str) -> tuple[str, list[Link]]:
    """Return a page's text with links that hold on the site, and what they lead to. Raises BrokenLinkError."""
    known, found = pages(), []

    def replace(matched: re.Match[str]) -> str:
        name, target = matched[2] or "", matched[1] or matched[3]
        if re.match(r"[a-z]+:|#", target):
            return matched[0]
        path, _, anchor = target.partition("#")
        link = _link(path, page, known)
        found.append(link)
        # What a page is made of has other anchors than the page.
        anchored = f"#{anchor}" if anchor and link.file in known else ""
        return f"{name}{_relative(link.place, known[page])}{anchored}"

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _TARGET.sub(replace, part) for part in parts), found


def _link(path: str, page: str, known: dict[str, str]) -> Link:
    file = os.path.normpath((PurePosixPath(page).parent / path).as_posix())
    if file.startswith("..") or not (ROOT / file).exists():
        raise BrokenLinkError(f"{page}: no such file: {path}")
    if file in known or file in GENERATED:
        return Link(file, known.get(file) or GENERATED[file])
    if file.startswith("docs/") and (ROOT / file).is_file():
        return Link(file, file.removeprefix("docs/"))
    return source_page(file)


def source_page(file: str) -> Link:
    """Return the page that shows a file of the checkout as it is."""
    return Link(file, f"{SOURCE}/{file.lstrip('.')}.md")


def _relative(place: str, page: str) -> str:
    return os.path.relpath(place, PurePosixPath(page).parent)


def listed(navigation: object) -> Iterator[str]:
    """Yield the pages that a navigation names, at any depth."""
    if isinstance(navigation, str):
        yield navigation
    elif isinstance(navigation, dict):
        for each in navigation.values():
            yield from listed(each)
    elif isinstance(navigation, list):
        for each in navigation:
            yield from listed(each)
