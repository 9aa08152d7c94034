"""Dead letters: what they keep."""

import msgspec
import pytest

from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import MAX_KEPT_BYTES, DeadLetter
from tests.support.events import book, trade


@pytest.mark.parametrize(
    "letter",
    [
        dead_letters.refused("not_json", "invalid byte", "binance.x", b"\x00\xff not text"),
        dead_letters.raised("Traceback ...", "depth", "echo", book()),
        dead_letters.raised("Traceback ...", "depth", "echo", None),
        DeadLetter("condemned", "5 runs", pool="trade", event=trade(id=2**62)),
        DeadLetter("unpublishable", "not a signal", raw=b"?"),
    ],
    ids=lambda letter: letter.reason,
)
def test_a_letter_survives_its_stream(letter):
    assert dead_letters.unpack(dead_letters.pack(letter)) == letter


def test_the_raw_bytes_of_a_refused_frame_are_cut_at_64_kib():
    assert dead_letters.refused("too_long", "", "s", b"x" * (64 * 1024 + 1)).raw == b"x" * 64 * 1024


def test_of_a_long_traceback_the_end_is_kept():
    letter = dead_letters.raised("ü" * MAX_KEPT_BYTES + "ValueError: why", "p", "s", None)
    assert letter.detail.endswith("üValueError: why")
    assert len(letter.detail.encode()) <= MAX_KEPT_BYTES


def test_a_traceback_that_is_no_valid_text_is_kept_readable():
    assert dead_letters.raised("ValueError: \ud800", "p", "s", None).detail == "ValueError: \\ud800"


def test_a_letter_is_json_that_leaves_out_what_it_has_not():
    assert msgspec.json.decode(dead_letters.pack(DeadLetter("condemned", "why", pool="p"))) == {
        "reason": "condemned",
        "detail": "why",
        "pool": "p",
    }


@pytest.mark.parametrize(
    ("letter", "symbol"),
    [
        (DeadLetter("condemned", "", event=trade(symbol="ETHUSDT")), "ETHUSDT"),
        (DeadLetter("refused", "", subject="binance.ethusdt@depth20@100ms", raw=b"?"), "ETHUSDT"),
        (DeadLetter("refused", "", subject="binance.data", raw=b'{"stream":"ethusdt@trade","data":{'), "ETHUSDT"),
        (DeadLetter("refused", "", subject="binance.data", raw=b'{"e":"trade", "s" : "ethusdt"}'), "ETHUSDT"),
        (DeadLetter("unpublishable", "", raw=b'{"symbol":"ETHUSDT"}'), "ETHUSDT"),
        (DeadLetter("refused", "", subject="binance.data", raw=b"\xff"), ""),
        (DeadLetter("refused", ""), ""),
    ],
)
def test_a_letter_names_the_symbol_it_is_about_as_far_as_can_be_told(letter: DeadLetter, symbol: str):
    assert letter.symbol == symbol


def test_a_letters_author_is_the_strategy_that_raised_or_gave_the_signal():
    assert DeadLetter("strategy_error", "", strategy="iceberg", raw=b"").author == "iceberg"
    assert DeadLetter("unpublishable", "", raw=b'{"strategy": "iceberg"}').author == "iceberg"
    assert DeadLetter("refused", "", raw=b'{"strategy": "iceberg"}').author == ""


@pytest.mark.parametrize("packed", [b"", b"\xff", b'{"reason":"of another release","detail":""}'])
def test_what_can_not_be_read_is_shown_as_it_is(packed: bytes):
    letter = dead_letters.read(packed)
    assert (letter.reason, letter.raw) == ("unreadable", packed)
    assert dead_letters.unpack(dead_letters.pack(letter)) == letter


@pytest.mark.parametrize("packed", [b"", b"{}", b'{"reason":"bored","detail":""}'])
def test_what_is_no_letter_is_refused(packed):
    with pytest.raises(msgspec.MsgspecError):
        dead_letters.unpack(packed)
