"""The drawings and words of the docs are those of the code."""

import re

from compose.local.processes import ROOT
from tests import draw_packages
from tests.unit.project.test_house import files

#: Files that hold words.
WORDS = {".py", ".md", ".lua", ".yaml", ".js", ".html", ".toml", ".txt", ".example", ".json", ""}
#: They name the words of before.
EXEMPT = {"CHANGELOG.md", "tests/unit/project/test_docs.py"}
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
    assert {"lane", "batch", "record", "ledger", "epoch", "frontier", "pool", "shard", "notice", "exactly once"} <= set(
        words
    )


#: Words of before that the field says otherwise, and what it says.
GONE = {
    r"rarely(?!-)": "log throttle",
    "outbox": "ledger reader",
    "letterbox": "dead letter store",
    "vitals": "health",
    "StateRun": "StrategyRun",
    "InForce": "ActiveConfiguration",
    "take_back": "release_start",
    "on_their_way": "in_flight_tasks",
    "surroundings": "server probe",
    "intake": "frame handler",
    "ServerAwayError": "ServerUnavailableError",
    "a fault of ours": "unexpected error",
    "machine's fault": "fatal error",
    "trying for ever": "retrying",
    r"beg[iau]ns? anew": "restart",
    r"in vain": "without completing",
    r"on (its|their) way": "in flight",
    r"shares? out": "partition",
    r"mended": "fixed",
    "spared": "excluded",
    r"(be)?came of": "result",
    "who gets in": "authentication and TLS",
    "lose nothing": "JetStream source",
    "honest limits": "known limitations",
}


def test_words_that_make_a_reader_stop_are_gone():
    gone = re.compile(rf"\b({'|'.join(GONE)})\b", re.IGNORECASE)
    found = []
    for path in files():
        name = str(path.relative_to(ROOT))
        if path.suffix not in WORDS or "vendor" in name or name in EXEMPT:
            continue
        found += [f"{name}: {hit[0]}" for hit in gone.finditer(path.read_text(encoding="utf-8"))]
    assert found == []
