"""Dead letters: what they keep."""

from collections.abc import Callable

import msgspec
import pytest

from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import MAX_KEPT_BYTES, DeadLetter
from tests.support.events import book, trade


@pytest.mark.parametrize(
    "letter",
    [
        dead_letters.refused("not_json", "invalid byte", "binance.x", b"\x00\xff not text"),
        dead_letters.raised(ValueError("why"), "depth", "echo", book()),
        dead_letters.raised(ValueError("why"), "depth", "echo", None),
        dead_letters.condemned(5, "trade", trade(id=2**62)),
        dead_letters.no_subject(b"\xff", "a b"),
    ],
    ids=lambda letter: letter.reason,
)
def test_a_letter_survives_its_stream(letter):
    assert dead_letters.unpack(dead_letters.pack(letter)) == letter


def test_the_raw_bytes_of_a_refused_frame_are_cut_at_64_kib():
    assert dead_letters.refused("too_long", "", "s", b"x" * (64 * 1024 + 1)).raw == b"x" * 64 * 1024


def test_of_a_long_traceback_the_end_is_kept():
    letter = dead_letters.raised(ValueError("ü" * MAX_KEPT_BYTES + "why"), "p", "s", None)
    assert letter.detail.endswith("üwhy\n")
    assert len(letter.detail.encode()) <= MAX_KEPT_BYTES


def test_a_traceback_that_is_no_valid_text_is_kept_readable():
    assert dead_letters.raised(ValueError("\ud800"), "p", "s", None).detail == "ValueError: \\ud800\n"


_EVENT = b'"event":["trade","spot","BTCUSDT",11,1723161600000,1,0,100.0,1.0,false]}'
_BYTE = b'"raw":"/w=="'


@pytest.mark.parametrize(
    ("letter", "stored"),
    [
        (
            dead_letters.refused("crossed", "why", "a.b", b"\xff"),
            b'{"reason":"refused","detail":"why","refusal":"crossed","subject":"a.b",' + _BYTE + b"}",
        ),
        (
            dead_letters.raised(ValueError("why"), "trade", "echo", trade(id=11)),
            b'{"reason":"strategy_error","detail":"ValueError: why\\n","pool":"trade","strategy":"echo",' + _EVENT,
        ),
        (
            dead_letters.ended_process("trade", "echo", trade(id=11)),
            b'{"reason":"strategy_error","detail":"every run that gave this event to this strategy ended with its '
            b'process","pool":"trade","strategy":"echo",' + _EVENT,
        ),
        (
            dead_letters.condemned(5, "trade", trade(id=11)),
            b'{"reason":"condemned","detail":"5 runs of this event were started, and none came to its end",'
            b'"pool":"trade",' + _EVENT,
        ),
        (
            dead_letters.unreadable("record:x", "why", b"\xff", "trade", "", trade(id=11)),
            b'{"reason":"unreadable","detail":"record:x can\'t be read and starts from empty: why",'
            + _BYTE
            + b',"pool":"trade",'
            + _EVENT,
        ),
        (
            dead_letters.no_signal(b"\xff", ValueError("why")),
            b'{"reason":"unpublishable","detail":"not a signal: why",' + _BYTE + b"}",
        ),
        (
            dead_letters.signal_too_large(b"\xff", 9, 8),
            b'{"reason":"unpublishable","detail":"9 bytes with its headers, and NATS takes 8 at most",' + _BYTE + b"}",
        ),
        (
            dead_letters.no_subject(b"\xff", "a b"),
            b'{"reason":"unpublishable","detail":"not a NATS subject: \'a b\'",' + _BYTE + b"}",
        ),
    ],
    ids=[
        "refused",
        "raised",
        "ended_process",
        "condemned",
        "unreadable",
        "no_signal",
        "signal_too_large",
        "no_subject",
    ],
)
def test_each_kind_of_letter_is_stored_byte_for_byte_so(letter: DeadLetter, stored: bytes):
    """Installations hold such letters, and scripts of operators read them."""
    assert dead_letters.pack(letter) == stored


@pytest.mark.parametrize(
    "make",
    [
        lambda packed: dead_letters.no_signal(packed, ValueError("why")),
        lambda packed: dead_letters.signal_too_large(packed, 9, 8),
        lambda packed: dead_letters.no_subject(packed, "x" * 5_000),
        lambda packed: dead_letters.unreadable("record:x", "why", packed, "trade", "", trade()),
    ],
)
def test_the_bytes_of_every_kind_are_cut_at_64_kib(make: Callable[[bytes], DeadLetter]):
    letter = make(b"x" * (MAX_KEPT_BYTES + 1))
    assert len(letter.raw) == MAX_KEPT_BYTES
    assert len(letter.detail) < 200


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
        (DeadLetter("refused", "", raw=b'{"stream":"market.x.trade.a%2Eb","data":{"symbol":"a.b"}}'), "a.b"),
        (DeadLetter("refused", "", raw=rb'{"schema":"market/1","symbol":"\u5e01\/\"@","price":0}'), '币/"@'),
        (DeadLetter("refused", "", raw=rb'{"symbol":"\x"}'), ""),
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
