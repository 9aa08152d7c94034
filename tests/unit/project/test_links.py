"""Every relative link in a Markdown file, and every anchor, leads somewhere."""

import re
from pathlib import Path

import pytest

from compose.local.processes import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("k8s/**/*.md")])


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, formed as GitHub does."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Return the targets of a page's relative links that don't exist."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path):
    assert broken(page) == []


def test_a_missing_file_and_a_missing_anchor_are_found(tmp_path: Path):
    (tmp_path / "there.md").write_text("# What is `here`?\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md#what-is-here) [b](gone.md) [c](there.md#gone) [d](#gone) [e](https://example.com/x)\n"
    )
    assert broken(page) == ["gone.md", "there.md#gone", "#gone"]
