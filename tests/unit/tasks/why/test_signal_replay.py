"""The replay ends with the event that the signal answers, or with the one that shows that it is gone."""

from collections.abc import Iterator

import msgspec

from tasks.engine import MemoryLedger
from tasks.protocol.routing import Pool
from tasks.why import Question, SignalReplay
from tasks.why.lane import SourceFrame, StrategyLane
from tasks.why.lane_replay import fields
from tasks.why.timeline import Timeline
from tasks.why.unseen import ALL_SEEN, UnseenEvents, key_of
from tests.support.events import TIME_MS, trade
from tests.support.strategies import Echo, bound

LANE = StrategyLane.of(Pool("p", ("trade",)), "spot", "BTCUSDT")
[ECHO] = bound(Echo.create({}))


def frames(*ids: int) -> Iterator[SourceFrame]:
    for id_ in ids:
        data = {"e": "trade", "E": TIME_MS + id_, "s": "BTCUSDT", "t": id_, "p": "100.0", "q": "1.0", "m": False}
        raw = msgspec.json.encode({"stream": "btcusdt@trade", "data": data})
        yield SourceFrame(raw, "binance.btcusdt@trade", id_, TIME_MS * 10**6)


def replay(last: int, *audit: bytes, unseen: UnseenEvents = ALL_SEEN) -> SignalReplay:
    """Return the replay for the signal on the last of so many trades."""
    ledger = MemoryLedger("s")
    ledger.run("p", [trade(id=id_, seq=id_, time_ms=TIME_MS + id_) for id_ in range(1, last + 1)], [ECHO], "c1")
    question = Question.of(ledger.signals[-1], "sent")
    return SignalReplay(question, LANE, lambda _: ECHO, Timeline("c1", LANE, audit), unseen=unseen)


def test_it_is_over_with_the_event_and_takes_none_behind_it():
    asked = replay(3)
    assert [asked.take(frame) for frame in frames(1, 2, 3)] == [False, False, True]
    assert asked.decision is not None
    assert asked.decision.outcome.signals == [asked.question.packed]
    assert asked.events == 3


def test_it_is_over_when_the_source_is_past_the_event():
    asked = replay(3)
    assert [asked.take(frame) for frame in frames(1, 2, 4)] == [False, False, True]
    assert (asked.decision, asked.passed_by and asked.passed_by.id) == (None, 4)


def test_events_from_before_the_run_are_not_in_the_state():
    line = {"config_version": "c1", "pool": "p", "venue": "spot", "symbol": "BTCUSDT", "kind": "trade"}
    asked = replay(3, msgspec.json.encode(line | {"id": 3, "time_ms": TIME_MS + 3}))
    assert [asked.take(frame) for frame in frames(1, 2, 3)] == [False, False, True]
    assert asked.decision is not None
    assert asked.decision.before is None


def test_a_frame_without_an_event_ends_nothing():
    asked = replay(1)
    assert asked.take(SourceFrame(b"{}", "binance.x", 1, 1)) is False
    assert asked.events == 0


def test_events_that_the_live_run_left_out_are_left_out():
    keys = [key_of(trade(id=id_, time_ms=TIME_MS + id_)) for id_ in (1, 2)]
    asked = replay(4, unseen=UnseenEvents(frozenset(keys[:1]), frozenset(keys[1:])))
    assert [asked.take(frame) for frame in frames(1, 2, 3, 4)] == [False, False, False, True]
    assert asked.decision is not None
    assert asked.decision.before is not None
    assert fields(ECHO, bytes(asked.decision.before.state))["ids"] == [3]
