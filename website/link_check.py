"""Whether every link of the built site leads somewhere: to a file of it, and to an anchor in that."""

from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

#: What loads or opens something, by element.
_ATTRIBUTES = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "source": "src"}
#: Elements that a browser loads at once, without being asked.
_LOADED = {"link", "img", "script", "iframe", "source"}


class Target(NamedTuple):
    """What an element of a page leads to or loads."""

    element: str
    url: str


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors, self.targets = set[str](), list[Target]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each element: keep its anchor and what it leads to."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        is_advice = given.get("rel") in {"canonical", "prev", "next", "alternate"}
        if tag in _ATTRIBUTES and _ATTRIBUTES[tag] in given and not is_advice:
            self.targets.append(Target(tag, given[_ATTRIBUTES[tag]]))


@cache
def _read(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


def broken_links(site: Path) -> Iterator[str]:
    """Yield a line for each link without its target, and for whatever is loaded from another server."""
    site = site.resolve()
    for path in sorted(site.rglob("*.html")):
        for target in dict.fromkeys(_read(path).targets):
            if why := _fault(target, path, site):
                yield f"{path.relative_to(site)}: {target.url}: {why}"


def _fault(target: Target, path: Path, site: Path) -> str:
    """Return what is wrong with a link, or nothing."""
    url = urlsplit(target.url)
    if url.scheme or url.netloc:
        return "is loaded from another server" if target.element in _LOADED and url.scheme != "data" else ""
    # The page for what is not found is served anywhere, so its links begin at the site's root.
    there = site / unquote(url.path).lstrip("/") if url.path.startswith("/") else path.parent / unquote(url.path)
    there = path if not url.path else there.resolve()
    if there.is_dir():
        there /= "index.html"
    if not there.is_file():
        return "there is no such file"
    if url.fragment and there.suffix == ".html" and unquote(url.fragment) not in _read(there).anchors:
        return "there is no such anchor"
    return ""
