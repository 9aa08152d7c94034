"""What a retry makes of dead letters before it asks anybody."""

import pytest

from tasks.events import NO_ID, AnyEvent
from tasks.frames import encoder
from tasks.frames.subjects import FrameSubjects
from tasks.ledger.dead_letters import StoredLetter
from tasks.ops.retry import RetryAttempt, RetryResult, moved, prepare, rounds
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.protocol.records import Record
from tasks.protocol.routing import partition
from tests.support.events import TIME_MS, book, trade
from tests.support.frames.wire import SPOT_BOOK, SPOT_TRADE, packed

ID = f"{TIME_MS}-0"


def prepared(letter: DeadLetter) -> RetryAttempt | RetryResult:
    return prepare(StoredLetter(ID, letter), FrameSubjects.read("binance.>"))


def tried(letter: DeadLetter) -> RetryAttempt:
    made = prepared(letter)
    assert isinstance(made, RetryAttempt)
    return made


def test_an_event_goes_as_its_frame_to_where_ingest_listens():
    event = trade(symbol="ETHUSDT")
    made = tried(DeadLetter("condemned", "", pool="trade", event=event))
    assert (made.subject, made.raw, made.event) == ("binance.ethusdt@trade", encoder.frame(event), event)


def test_a_refused_frame_goes_with_its_own_bytes_on_its_own_subject():
    raw = packed(SPOT_TRADE | {"p": "-1"})
    made = tried(dead_letters.refused("not_positive", "", "mine.btcusdt@trade", raw))
    assert (made.frame, made.event) == (("mine.btcusdt@trade", raw), None)


def test_a_frame_that_an_earlier_release_refused_is_known_by_its_event():
    made = tried(dead_letters.refused("crossed", "", "mine.btcusdt@depth20", packed(SPOT_BOOK)))
    assert made.event is not None
    assert (made.event.id, made.event.time_ms) == (160, TIME_MS)


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (dead_letters.refused("too_large", "", "s", b"x" * 70_000), "first 65536 bytes"),
        (DeadLetter("unpublishable", "", raw=b"{}"), "no frame"),
        (dead_letters.raised(ValueError("its state could not be saved"), "depth", "echo", None), "no frame"),
    ],
)
def test_what_can_not_be_tried_says_why(letter: DeadLetter, why: str):
    made = prepared(letter)
    assert isinstance(made, RetryResult)
    assert made.word == "can't"
    assert why in made.why


def test_events_of_a_record_are_tried_in_turn_and_those_of_others_together():
    """Those of one record are tried in the order of their ids."""
    events: list[AnyEvent] = [trade(id=8), trade(id=7), book(id=9), trade(id=3, symbol="ETHUSDT")]
    tries = [tried(DeadLetter("condemned", "", pool="p", event=each)) for each in events]
    assert [[each.event.id for each in at_once if each.event] for at_once in rounds(tries)] == [[3, 7, 9], [8]]


def test_letters_of_two_pools_about_one_event_are_tried_at_once():
    tries = [tried(DeadLetter("condemned", "", pool=pool, event=trade())) for pool in ("trade", "basket")]
    assert list(rounds(tries)) == [tries]


def test_a_letter_recurs_where_the_same_event_failed_again_in_a_pool_of_it():
    made = tried(DeadLetter("condemned", "", pool="trade", event=trade(id=5)))._replace(pools=("trade",))
    again = DeadLetter("strategy_error", "", pool="trade", event=trade(id=5, seq=99))
    assert made.recurs_in(again)
    assert not made.recurs_in(DeadLetter("strategy_error", "", pool="basket", event=trade(id=5)))
    assert not made.recurs_in(DeadLetter("strategy_error", "", pool="trade", event=trade(id=6)))
    refused = dead_letters.refused("not_json", "", "a.b", b"?")
    assert tried(refused).recurs_in(refused)
    assert not tried(refused).recurs_in(dead_letters.refused("not_json", "", "a.b", b"!"))


@pytest.mark.parametrize("event", [trade(id=5), trade(id=NO_ID + TIME_MS * 1_000_000)], ids=["with id", "without id"])
def test_an_event_is_applied_when_each_record_stands_at_it(event: AnyEvent):
    nothing, before = Record(), Record(id=event.id - 1, count=1)
    at, after = Record(id=event.id, count=1), Record(id=event.id + 1, count=2)
    assert [moved(event, [each]) for each in (nothing, before, at, after)] == [None, None, "applied", "unclear"]
    assert moved(event, [at, nothing]) is None
    assert moved(event, [at, at]) == "applied"
    assert moved(event, [at, after]) == "unclear"


PARTITIONED = FrameSubjects.read("binance.>", 16)


def test_a_retried_event_goes_to_its_partition():
    made = prepare(StoredLetter(ID, DeadLetter("condemned", "", pool="trade", event=trade())), PARTITIONED)
    assert isinstance(made, RetryAttempt)
    assert made.subject == f"binance.{partition('spot', 'BTCUSDT', 16)}.btcusdt@trade"


@pytest.mark.parametrize("subject", ["binance.btcusdt@trade", "binance.99.btcusdt@trade"])
def test_a_frame_refused_for_its_partition_is_retried_in_the_right_one(subject: str):
    letter = dead_letters.refused("wrong_partition", "", subject, packed(SPOT_TRADE))
    made = prepare(StoredLetter(ID, letter), PARTITIONED)
    assert isinstance(made, RetryAttempt)
    assert made.subject == f"binance.{partition('spot', 'BTCUSDT', 16)}.btcusdt@trade"


@pytest.mark.parametrize(
    ("subject", "goes"), [("binance.3.x", "binance.3.x"), ("binance.x", "binance.0.x"), ("binance.16.x", "binance.0.x")]
)
def test_a_frame_that_is_no_event_goes_where_some_shard_reads(subject: str, goes: str):
    made = prepare(StoredLetter(ID, dead_letters.refused("not_json", "", subject, b"{")), PARTITIONED)
    assert isinstance(made, RetryAttempt)
    assert made.subject == goes
