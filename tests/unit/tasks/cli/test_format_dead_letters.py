"""How dead letters are shown: nothing left out, nothing that a terminal would obey."""

import json
import re

import msgspec

from tasks.cli import format_dead_letters
from tasks.ledger.dead_letters import StoredLetter
from tasks.ops import dead_letter_facts
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tests.support.events import book, trade

ID = "1723161600000-0"


def shown(letter: DeadLetter) -> str:
    return "\n".join(format_dead_letters.whole(StoredLetter(ID, letter)))


def test_an_event_is_shown_with_the_names_of_its_fields_and_the_traceback():
    text = shown(DeadLetter("strategy_error", "Traceback\n  line\nValueError: why", pool="depth", event=book(id=77)))
    assert "2024-08-09 00:00:00 UTC" in text
    head, _, _ = text.partition("\n\n")
    rows = dict(line.split("  ", 1) for line in head.splitlines())
    assert {"when", "ingested_at_ns", "id", "bids"} <= {name.strip() for name in rows}
    assert len({len(line) - len(line.split("  ", 1)[1].lstrip()) for line in head.splitlines()}) == 1
    assert re.search(r"^id +77$", head, re.MULTILINE)
    assert re.search(r"^bids +\(\(1999.0, 1.0\),\)$", head, re.MULTILINE)
    assert text.endswith("Traceback\n  line\nValueError: why")


def test_a_frame_of_json_is_shown_indented_and_another_one_as_it_is():
    assert '{\n  "s": "BTC"\n}' in shown(dead_letters.refused("crossed", "why", "a.b", b'{"s":"BTC"}'))
    assert "{ no json \\xff" in shown(dead_letters.refused("not_json", "why", "a.b", b"{ no json \xff"))


def test_a_frame_that_was_cut_says_so():
    assert "raw, 65,536 bytes, the first of more:" in shown(dead_letters.refused("too_large", "", "s", b"x" * 70_000))


def test_no_text_of_a_dead_letter_reaches_the_terminal_as_a_command():
    """This goes for bytes of a frame and for words of a strategy."""
    letter = DeadLetter("refused", "\x1b[2J\x9b", subject="a\x07", raw=b"\x1b]0;title\x07\r")
    for text in (shown(letter), format_dead_letters.line(StoredLetter(ID, letter))):
        assert all(c.isprintable() or c == "\n" for c in text)
    assert "\\x1b]0;title" in shown(letter)


def test_the_line_of_a_list_says_when_which_why_and_what():
    letter = DeadLetter("strategy_error", "Traceback\nValueError: [/x]", pool="depth", strategy="echo", event=trade())
    assert format_dead_letters.line(StoredLetter(ID, letter)).split(maxsplit=8) == [
        *("2024-08-09", "00:00:00", ID, "strategy_error", "depth", "echo", "BTCUSDT"),
        *("ValueError:", "[/x]"),
    ]
    assert "refused  " in format_dead_letters.line(StoredLetter(ID, DeadLetter("refused", "")))


def test_json_holds_everything_and_says_how_the_bytes_are_written():
    text = dead_letter_facts.facts(StoredLetter(ID, dead_letters.refused("crossed", "why", "a.b", "ü".encode())))
    assert text == {
        "id": ID,
        "at": "2024-08-09T00:00:00Z",
        "reason": "refused",
        "detail": "why",
        "refusal": "crossed",
        "subject": "a.b",
        "raw": "ü",
        "raw_encoding": "utf-8",
        "raw_is_cut": False,
    }
    binary = dead_letter_facts.facts(StoredLetter(ID, dead_letters.refused("not_json", "why", "a.b", b"\xff\x00")))
    assert (binary["raw"], binary["raw_encoding"]) == ("/wA=", "base64")
    event = json.loads(
        msgspec.json.encode(dead_letter_facts.facts(StoredLetter(ID, DeadLetter("condemned", "", event=trade()))))
    )
    assert event["event"] == {
        "kind": "trade",
        "venue": "spot",
        "symbol": "BTCUSDT",
        "id": 1,
        "time_ms": 1_723_161_600_000,
        "seq": 1,
        "ingested_at_ns": 0,
        "price": 100.0,
        "quantity": 1.0,
        "buyer_is_maker": False,
    }


def test_an_id_that_is_no_time_is_shown_as_it_is():
    letter = StoredLetter("18446744073709551615-0", DeadLetter("refused", ""))
    assert format_dead_letters.line(letter).startswith("18446744073709551615  18446744073709551615-0")
    assert dead_letter_facts.facts(letter)["at"] == "18446744073709551615"
