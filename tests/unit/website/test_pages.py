from pathlib import Path

import pytest

from website import staging
from website.link_check import broken_links
from website.pages import BrokenLinkError, listed, relinked
from website.staging import NavigationError, check_navigation


@pytest.mark.parametrize(
    ("page", "target", "there"),
    [
        ("docs/feeds.md", "files.md#speed", "files.md#speed"),
        ("docs/feeds.md", "../README.md#run-it", "project/readme.md#run-it"),
        ("docs/feeds.md", "../tasks/events.py", "source/tasks/events.py.md"),
        ("docs/research/sweeps.md", "../../k8s/README.md#contents", "../operations/kubernetes.md#contents"),
        ("docs/research/sweeps.md", "../own-repository/README.md", "../own-repository.md"),
        ("docs/docker.md", "../.env.example", "reference/settings.md"),
        ("docs/README.md", "pictures/flow.svg", "pictures/flow.svg"),
        ("README.md", "docs/feeds.md", "../feeds.md"),
        ("README.md", "docs/pictures/page.png", "../pictures/page.png"),
        ("README.md", "tasks/strategies", "../reference/strategies.md"),
        ("README.md", "#run-it", "#run-it"),
        ("README.md", "https://example.com/x.md", "https://example.com/x.md"),
    ],
)
def test_a_link_leads_to_the_same_on_the_site(page: str, target: str, there: str):
    assert relinked(f"See [this]({target}).\n", page)[0] == f"See [this]({there}).\n"


def test_a_link_that_is_defined_on_a_line_of_its_own_leads_there_too():
    assert relinked('[x]: ../tasks/events.py "x"\n', "docs/feeds.md")[0] == '[x]: source/tasks/events.py.md "x"\n'


def test_a_link_within_code_stays_as_it_is():
    code = "```python\nseen[i](gone)\n```\n"
    assert relinked(code, "docs/feeds.md") == (code, [])


@pytest.mark.parametrize("target", ["gone.md", "../../outside.md"])
def test_a_link_to_a_file_that_is_not_there_is_refused(target: str):
    with pytest.raises(BrokenLinkError, match=r"docs/feeds\.md: no such file: "):
        relinked(f"[x]({target})", "docs/feeds.md")


def test_the_input_of_the_generator_is_whole(tmp_path: Path):
    staging.stage(tmp_path, lambda diagram: f"<svg>{diagram}</svg>")
    assert {"index.md", "reference", "source", "pictures"} <= {path.name for path in (tmp_path / "content").iterdir()}
    assert (tmp_path / "content" / "source" / "tasks" / "events.py.md").read_text().count("class Depth(") == 1
    assert "__main__ --> cli" in (tmp_path / "content" / "diagrams" / "architecture-1.svg").read_text()


def test_a_page_in_no_navigation_and_one_that_is_not_there_are_refused():
    written = {page for page in listed(staging.navigation()) if page != "feeds.md"} | {"new.md"}
    with pytest.raises(NavigationError) as refused:
        check_navigation(written)
    assert str(refused.value).splitlines() == [
        "new.md is in no navigation: add it in website/zensical.toml",
        "the navigation of website/zensical.toml names feeds.md: there is no such page",
    ]


def test_each_kind_of_broken_link_of_the_built_site_is_found(tmp_path: Path):
    (tmp_path / "there.html").write_text('<h2 id="anchor">x</h2>')
    (tmp_path / "page.html").write_text(
        '<a href="there.html#anchor"></a><a href="#"></a><a href="https://example.com/"></a><a href="/there.html"></a>'
        '<a href="gone.html"></a><a href="there.html#gone"></a><img src="gone.png"><script src="https://cdn.example/x.js">'
    )
    assert [*broken_links(tmp_path)] == [
        "page.html: gone.html: there is no such file",
        "page.html: there.html#gone: there is no such anchor",
        "page.html: gone.png: there is no such file",
        "page.html: https://cdn.example/x.js: is loaded from another server",
    ]
