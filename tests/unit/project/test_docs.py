"""The drawings and words of the docs are those of the code."""

import re

from compose.local.processes import ROOT
from tests import draw_packages

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def test_the_drawings_of_the_packages_are_current():
    text = draw_packages.PAGE.read_text(encoding="utf-8")
    assert text.count("```mermaid") == 2
    assert draw_packages.page(text) == text, "python -m tests.draw_packages"


def test_every_file_that_the_architecture_names_is_there():
    text = draw_packages.PAGE.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tasks|ingest|compose|tests)/[\w/]+\.(?:py|lua|toml))`", text)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_glossary_is_sorted_and_says_each_word_once():
    words = re.findall(r"^\| ([^|]+) \| (?!meaning)", GLOSSARY, re.MULTILINE)
    assert words == sorted(set(words))
    assert {"lane", "batch", "record", "ledger", "epoch", "frontier", "pool", "shard", "notice", "once"} <= set(words)


def test_words_that_make_a_reader_stop_are_gone():
    """The worst of them, in code, messages and docs."""
    gone = re.compile(
        r"\b(Rarely|Outbox|Letterbox|Vitals|Beside|InForce|StateRun|_Sturdy|take_back|on_their_way|a fault of ours"
        r"|trying for ever|begins? anew|machine's fault|on (its|their) way|Who gets in|Lose nothing|Honest limits)\b"
    )
    found = []
    for top in ("tasks", "ingest", "compose", "docs", "k8s", "README.md"):
        root = ROOT / top
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.suffix in {".py", ".md", ".lua", ".yaml", ".js", ".html", ".toml"}:
                found += [
                    f"{path.relative_to(ROOT)}: {hit[0]}" for hit in gone.finditer(path.read_text(encoding="utf-8"))
                ]
    assert found == []
