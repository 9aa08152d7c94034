"""What a worker does with one batch on a real ledger: every way out, and what it leaves behind."""

import random
from typing import Any

import pytest
import redis

from tasks.events import AnyEvent, Position
from tasks.ledger import Ledger, LedgerKeys, lane_field
from tasks.protocol.batches import MAX_STARTS_OF_A_BATCH, MAX_STARTS_OF_AN_EVENT, Epoch
from tasks.protocol.notice import Notice
from tasks.worker.runner import TaskSummary
from tests.support.events import TIME_MS, trade
from tests.support.ledger import EPOCH, SOURCE, at, batch, begin, dump, listening
from tests.support.running import LANE, run, starts
from tests.support.strategies import BAD, Echo, Grumpy, Raising, Version2, Warming, Worker


def test_a_batch_is_run_and_committed_and_its_summary_says_what_it_came_to(client, keys, ledger):
    repeat = trade(id=1, seq=3)
    events = (*batch(None, 1.0, BAD).events, repeat)
    assert run(ledger, batch(events=events), Grumpy.create({}), Echo.create({})) == TaskSummary(
        events=3, repeats=1, signals=3, errors=1
    )
    assert client.hget(keys.pool("trade"), lane_field(LANE)) == f"{SOURCE}@3".encode()
    assert client.xlen(keys.signals) == 3
    assert client.xlen(keys.deadletters) == 1
    assert client.hgetall(keys.counters) == {
        b"batches": b"1",
        b"applied": b"2",
        b"repeats": b"1",
        b"signals:grumpy": b"1",
        b"signals:echo": b"2",
        b"errors:grumpy": b"1",
    }
    assert starts(client, keys) == {}


def test_the_next_batch_goes_on_with_the_states_of_the_last(ledger):
    warming = Warming.create({})
    summaries = [run(ledger, batch(prev), warming) for prev in (None, 2)]
    assert [summary.signals for summary in summaries if summary] == [0, 1]  # the fourth event is the first that speaks


# Ways out


def foreign_epoch(client: redis.Redis, keys: LedgerKeys, _: Ledger) -> Any:
    client.hset(keys.shard(0), "epoch", "8.another")
    return batch()


def no_epoch(client: redis.Redis, keys: LedgerKeys, _: Ledger) -> Any:
    client.hdel(keys.shard(0), "epoch")
    return batch()


def repeat(_client: redis.Redis, _keys: LedgerKeys, ledger: Ledger) -> Any:
    run(ledger, batch())
    return batch()


def long_past(_client: redis.Redis, _keys: LedgerKeys, ledger: Ledger) -> Any:
    run(ledger, batch())
    run(ledger, batch(2))
    return batch()


def elsewhere(client: redis.Redis, keys: LedgerKeys, _: Ledger) -> Any:
    client.hset(keys.pool("trade"), lane_field(LANE), str(at(9, "another source")))
    return batch()


def ahead(_client: redis.Redis, _keys: LedgerKeys, _ledger: Ledger) -> Any:
    return batch(2)


def from_the_future(_client: redis.Redis, _keys: LedgerKeys, ledger: Ledger) -> Any:
    run(ledger, batch(), Version2.create({}))
    return batch(2)


def too_many_starts(_client: redis.Redis, _keys: LedgerKeys, ledger: Ledger) -> Any:
    for _ in range(MAX_STARTS_OF_A_BATCH):
        begin(ledger, batch())
    return batch()


ways_out = [foreign_epoch, no_epoch, repeat, long_past, elsewhere, ahead, from_the_future, too_many_starts]


@pytest.mark.parametrize("way_out", ways_out)
def test_a_way_out_leaves_the_ledger_as_it_was_and_only_counts_itself(client, keys, ledger, way_out):
    sent = way_out(client, keys, ledger)
    before = dump(client, keys.namespace, but=keys.counters)
    assert run(ledger, sent) is None
    assert dump(client, keys.namespace, but=keys.counters) == before
    assert client.hget(keys.counters, "fenced") == b"1"


@pytest.mark.parametrize("way_out", ways_out)
def test_only_a_repeat_tells_the_sender_again_where_the_lane_stands(client, keys, ledger, way_out):
    sent = way_out(client, keys, ledger)
    with listening(client, keys) as heard:
        run(ledger, sent)
    stands = {repeat: 2, long_past: 4}.get(way_out)
    assert heard == ([Notice(LANE, str(EPOCH), Position(SOURCE, stands))] if stands else [])


@pytest.mark.parametrize("way_out", [way_out for way_out in ways_out if way_out is not from_the_future])
def test_a_batch_that_is_not_needed_is_not_given_to_strategies(client, keys, ledger, way_out):
    sent, strategy = way_out(client, keys, ledger), Raising.create({})
    run(ledger, sent, strategy)
    assert strategy.calls == 0


@pytest.mark.parametrize(
    ("sent", "limit"), [(batch(), MAX_STARTS_OF_A_BATCH), (batch(None, 1.0), MAX_STARTS_OF_AN_EVENT)]
)
def test_a_batch_is_run_up_to_its_limit_of_starts_and_not_beyond(ledger, sent, limit):
    for _ in range(limit):
        begin(ledger, sent)
    assert run(ledger, sent) is None
    ledger.release_start(sent)
    assert run(ledger, sent) is not None


class Superseded(Ledger):
    """A ledger in which another ingest starts an epoch while the batch is being run."""

    def begin(self, wanted):
        begun = super().begin(wanted)
        self._client.hset(self.keys.shard(0), "epoch", str(Epoch(8, "another1")))
        return begun


class Overtaken(Ledger):
    """A ledger to which another copy is committed while this one is being run."""

    def begin(self, wanted):
        begun = super().begin(wanted)
        run(Ledger(self._client, self.keys.namespace), wanted[0][0])
        return begun


def test_a_batch_whose_epoch_ends_during_its_run_is_fenced_without_trace(client, keys, ledger):
    assert run(Superseded(client, keys.namespace), batch()) is None
    assert not client.exists(keys.pool("trade"), keys.signals, keys.audit, keys.starts(LANE))


def test_of_two_copies_at_the_same_time_one_is_committed(client, keys, ledger):
    assert run(Overtaken(client, keys.namespace), batch()) is None
    assert client.xlen(keys.signals) == 2
    assert client.hget(keys.counters, "applied") == b"2"
    assert starts(client, keys) == {}


# All of it at once


@pytest.mark.parametrize("seed", range(3))
def test_copies_halves_and_late_arrivals_in_any_order_change_nothing(client, keys, ledger, seed):
    chance = random.Random(seed)
    events: list[AnyEvent] = [
        trade(
            quantity=chance.choice([1.0, 2.5, BAD]), id=n + chance.choice([0, 0, -2]), seq=n, time_ms=TIME_MS + 300 * n
        )
        for n in range(1, 61)
    ]
    strategies = [Echo.create({"min_signal_interval_s": 1}), Grumpy.create({})]
    alone = Worker(*strategies, source=SOURCE)
    alone.run(events)
    sent, stands = [], 0
    while stands < len(events):
        # A batch of any length after what is committed; then, of all that were ever sent, some once more.
        length = chance.randint(1, 9)
        sent.append(batch(stands or None, events=tuple(events[stands : stands + length])))
        for copy in [*chance.choices(sent, k=3), sent[-1]]:
            run(ledger, copy, *strategies)
        stands = Position.parse(str(client.hget(keys.pool("trade"), lane_field(LANE)), "utf-8")).seq
    assert [fields[b"signal"] for _, fields in client.xrange(keys.signals)] == alone.signals
    held = client.hgetall(keys.pool("trade"))
    assert held.pop(lane_field(LANE).encode()) == f"{SOURCE}@60".encode()
    assert held == {name.encode(): value for name, value in alone.held.items()}
