"""Puts everything that the generator reads into one folder: pages, what they link to, and generated reference pages."""

import itertools
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

from website import reference
from website.pages import ROOT, SOURCE, Link, listed, pages, relinked, source_page

CONFIGURATION = Path(__file__).with_name("zensical.toml")
ASSETS = Path(__file__).with_name("assets")
_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
_LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".json": "json", ".conf": "nginx"}


class NavigationError(Exception):
    """The navigation and the pages are not the same."""


def stage(folder: Path, draw: Callable[[str], str]) -> None:
    """Write the generator's input into a folder; `draw` makes an SVG of a diagram in Mermaid's language.

    Raises BrokenLinkError, NavigationError.
    """
    content = folder / "content"
    shutil.copytree(ASSETS, content / "assets")
    places, links = pages(), dict[str, str]()
    for page, place in places.items():
        text, found = relinked((ROOT / page).read_text(encoding="utf-8"), page)
        _write(content / place, _drawn(text, place, content, draw))
        links |= {link.file: link.place for link in found if link.file not in places}
    for link in {*map(source_page, reference.SOURCES), *(Link(*each) for each in links.items())}:
        _copy(link, content)
    for place, make in reference.PAGES.items():
        _write(content / place, make())
    shutil.copy(CONFIGURATION, folder)
    check_navigation({*places.values(), *reference.PAGES})


def navigation() -> list[object]:
    """Return the navigation, as the configuration has it."""
    found: list[object] = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["project"]["nav"]
    return found


def check_navigation(written: set[str]) -> None:
    """Compare the navigation with the pages. Raises NavigationError."""
    named = [*listed(navigation())]
    wrong = [
        *(f"{page} is in no navigation: add it in website/zensical.toml" for page in sorted(written - {*named})),
        *(f"the navigation of website/zensical.toml names {page}: there is no such page" for page in named
          if page not in written),
        *(f"the navigation of website/zensical.toml names {page} twice" for page in {*named} if named.count(page) > 1),
    ]  # fmt: skip
    if wrong:
        raise NavigationError("\n".join(wrong))


def _copy(link: Link, content: Path) -> None:
    """Put what a page links to beside the pages: a file of docs/ as it is, source as a page that shows it."""
    if link.place in reference.PAGES:
        return
    file = ROOT / link.file
    if not link.place.startswith(f"{SOURCE}/"):
        _write(content / link.place, file.read_bytes())
    elif file.is_dir():
        names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in file.iterdir())
        shown = "\n".join(f"* `{name}`" for name in names if not name.startswith("__"))
        _write(content / link.place, f"{_HIDDEN}# {link.file}\n\n{shown}\n")
    else:
        language = _LANGUAGES.get(file.suffix, "text")
        text = file.read_text(encoding="utf-8")
        _write(content / link.place, f"{_HIDDEN}# {link.file}\n\n````{language}\n{text}````\n")


def _drawn(text: str, place: str, content: Path, draw: Callable[[str], str]) -> str:
    """Return a page with pictures for its diagrams: the site has them without a script of others that draws."""
    numbers = itertools.count(1)

    def replace(diagram: re.Match[str]) -> str:
        name = f"{Path(place).stem}-{next(numbers)}.svg"
        _write((content / place).parent / "diagrams" / name, draw(diagram[1]))
        return f"![Diagram](diagrams/{name}){{ .diagram }}\n"

    return _DIAGRAM.sub(replace, text)


#: Source is found from the pages that link to it, and is not what a search is for.
_HIDDEN = "---\nsearch:\n  exclude: true\n---\n\n"


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
