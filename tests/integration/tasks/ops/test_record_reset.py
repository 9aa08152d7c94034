"""Records of a symbol that a wrong event muted are reset between two batches, and nothing is applied twice."""

from typing import Any

import pytest
import redis

from tasks.errors import LedgerError
from tasks.events import AnyEvent
from tasks.frames.model import MAX_ID
from tasks.ledger import Ledger, LedgerKeys
from tasks.ops.record_reset import RecordReset
from tasks.ops.states import StateFilter, StateStore
from tasks.protocol import dead_letters
from tasks.protocol.records import Record, unpack
from tasks.settings import Settings
from tests.support.events import TIME_MS, trade
from tests.support.ledger import SOURCE, batch
from tests.support.running import run
from tests.support.strategies import Echo, Interrupted

BTC = StateFilter(symbol="btcusdt")
#: Possible right after the first ids, and higher than all that is real.
FORGED = 2**33


def sent(first: int, *ids: int) -> Any:
    """Make a batch of trades with these ids, from position `first` on."""
    events: tuple[AnyEvent, ...] = tuple(
        trade(id=id_, seq=seq, time_ms=TIME_MS + seq) for seq, id_ in enumerate(ids, start=first)
    )
    return batch(first - 1 or None, events=events)


@pytest.fixture
def resetter(redis_url: str, namespace: str) -> RecordReset:
    return RecordReset(Settings(redis_url=redis_url, namespace=namespace))


def record(client: redis.Redis, keys: LedgerKeys) -> Record:
    packed: Any = client.hget(keys.pool("trade"), "record:spot:BTCUSDT:trade")
    return unpack(packed)


def repeats(ledger: Ledger, one: Any) -> int:
    summary = run(ledger, one, Echo.create({}))
    assert summary
    return summary.repeats


def test_after_a_reset_real_events_are_new_again(client, keys, ledger, resetter, redis_url, namespace):
    assert repeats(ledger, sent(1, 1, 2, FORGED)) == 0
    assert repeats(ledger, sent(4, 3, 4, 5)) == 3
    before = record(client, keys)
    assert resetter.reset(BTC, "ann", "forged") == 1
    after = record(client, keys)
    assert (after.count, after.hash, after.applied) == (before.count, before.hash, before.applied)
    assert repeats(ledger, sent(7, 6, 6, 7)) == 1
    assert (record(client, keys).id, record(client, keys).count) == (7, 5)
    [done] = StateStore(Settings(redis_url=redis_url, namespace=namespace)).history()
    assert (done.reset.author, done.reset.reason) == ("ann", "forged")
    assert (done.reset.symbol, done.reset.records, done.states) == ("BTCUSDT", 1, 0)


def test_what_was_applied_before_a_reset_is_not_applied_again(client, keys, ledger, resetter):
    run(ledger, sent(1, 1, 2, FORGED), Echo.create({}))
    resetter.reset(BTC, "ann", "")
    assert record(client, keys).classify(trade(id=2, seq=2), SOURCE) == "known"


def test_a_batch_in_flight_is_refused_and_comes_again(client, keys, ledger, resetter):
    run(ledger, sent(1, 1, FORGED), Echo.create({}))
    one = sent(3, FORGED + 1, 2, 3)
    during = Interrupted.create({}).during(FORGED + 1, lambda: resetter.reset(BTC, "ann", ""))
    assert run(ledger, one, during) is None
    assert repeats(ledger, one) == 2
    assert resetter.reset(BTC, "ann", "") == 1
    assert repeats(ledger, sent(6, 4)) == 0


def test_an_event_that_waits_at_a_reset_is_a_dead_letter_of_the_next_batch(client, keys, ledger, resetter):
    """And the audit's lines stay with what they are about: the events that the record counts."""
    run(ledger, sent(1, 1, MAX_ID), Echo.create({}))
    audited = client.xrange(keys.audit)
    assert resetter.reset(BTC, "ann", "") == 1
    assert client.xlen(keys.deadletters) == 0
    run(ledger, sent(3, 2), Echo.create({}))
    [(_, fields)] = client.xrange(keys.deadletters)
    letter = dead_letters.unpack(fields[b"letter"])
    assert letter.event
    assert (letter.refusal, letter.event.id) == (dead_letters.IMPLAUSIBLE_ID, MAX_ID)
    assert (record(client, keys).count, client.xrange(keys.audit)) == (2, audited)


def test_there_is_nothing_to_reset_twice(ledger, resetter):
    run(ledger, sent(1, 1, FORGED), Echo.create({}))
    assert [resetter.reset(BTC, "ann", ""), resetter.reset(BTC, "ann", "")] == [1, 0]
    assert resetter.reset(StateFilter(symbol="ETHUSDT"), "ann", "") == 0


def test_a_pipeline_that_is_always_faster_is_told(client, keys, ledger, resetter, monkeypatch):
    run(ledger, sent(1, 1, FORGED), Echo.create({}))
    seqs = iter(range(3, 1_000))
    found = resetter.find

    def changed(*chosen: Any) -> Any:
        stored = found(*chosen)
        run(ledger, sent(next(seqs), 2), Echo.create({}))
        return stored

    monkeypatch.setattr(resetter, "find", changed)
    with pytest.raises(LedgerError, match="nothing was reset: try again"):
        resetter.reset(BTC, "ann", "")
    assert record(client, keys).id == FORGED
