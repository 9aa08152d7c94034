"""What a worker does with a task of several batches: they share round trips, and nothing else."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
import redis

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.events import AnyEvent, Position
from tasks.ledger import Ledger, LedgerKeys, lane_field
from tasks.protocol.batches import Batch, Epoch
from tasks.protocol.notice import Notice
from tasks.protocol.routing import LaneId
from tasks.worker import runner
from tasks.worker.run_reporter import RunReporter
from tests.support.ledger import EPOCH, SOURCE, at, batch, begin, commit, dump, listening, outcome
from tests.support.running import having, round_trips, run, run_together, starts
from tests.support.strategies import BAD, Raising, Version2, bound, trades

LANES = 3


def of_lane(partition: int, prev: int | None = None, *quantities: float) -> Batch[AnyEvent]:
    """Make a batch of a lane that has a symbol of its own."""
    held = trades(*(quantities or (1.0, 1.0)), start=(prev or 0) + 1, symbol=f"S{partition}USDT")
    return batch(prev, events=tuple(held), partition=partition)


def task(prev: int | None = None) -> list[Batch[AnyEvent]]:
    return [of_lane(partition, prev) for partition in range(LANES)]


def positions(client: redis.Redis, keys: LedgerKeys) -> list[bytes | None]:
    fields = [lane_field(LaneId("trade", partition)) for partition in range(LANES)]
    return client.hmget(keys.pool("trade"), fields)  # type: ignore[return-value]  # a sync client


def all_starts(client: redis.Redis, keys: LedgerKeys) -> list[list[bytes]]:
    """Return how often the batches of each lane were started and did not end."""
    lanes = [LaneId("trade", partition) for partition in range(LANES)]
    return [list(starts(client, keys, lane).values()) for lane in lanes]


def test_a_task_takes_two_round_trips_whatever_the_number_of_its_batches(monkeypatch, client, keys, ledger):
    run_together(ledger, task())
    made = round_trips(monkeypatch)
    assert run_together(ledger, task(2)) == LANES
    assert len(made) == 2
    assert positions(client, keys) == [str(at(4)).encode()] * LANES


def test_what_is_done_is_committed_before_what_takes_long(monkeypatch, client, keys, ledger):
    with listening(client, keys) as heard:
        made = round_trips(monkeypatch)
        assert run_together(ledger, task(), commit_after_s=0) == LANES
        assert len(made) == 1 + LANES
    assert [notice.lane.partition for notice in heard] == [0, 1, 2]
    assert positions(client, keys) == [str(at(2)).encode()] * LANES


def test_what_is_expected_to_be_quick_runs_first(client, keys, ledger):
    long, short, shorter = of_lane(0, None, *[1.0] * 9), of_lane(1, None, 1.0, 1.0), of_lane(2, None, 1.0)
    observer = RunReporter()
    run(ledger, of_lane(3), observer=observer)  # now it is known how long an event takes
    with listening(client, keys) as heard:
        run_together(ledger, [long, short, shorter], commit_after_s=0, observer=observer)
    assert [notice.lane.partition for notice in heard] == [2, 1, 0]


def test_batches_in_one_task_leave_what_they_leave_in_tasks_of_their_own(client, keys, ledger):
    def left() -> object:
        return client.hgetall(keys.pool("trade")), client.hgetall(keys.counters), signals(client, keys)

    for sent in task() + task(2):
        run(ledger, sent)
    alone = left()
    client.delete(keys.pool("trade"), keys.counters, keys.signals)
    for sent_together in (task(), task(2)):
        assert run_together(ledger, sent_together) == LANES
    assert left() == alone


def signals(client: redis.Redis, keys: LedgerKeys) -> list[bytes]:
    entries: Any = client.xrange(keys.signals)
    return sorted(fields[b"signal"] for _, fields in entries)


# One of them is refused


def elsewhere(client: redis.Redis, keys: LedgerKeys, _: Ledger) -> None:
    client.hset(keys.pool("trade"), "lane:1", str(at(9, "another source")))


def repeat(_client: redis.Redis, _keys: LedgerKeys, ledger: Ledger) -> None:
    run(ledger, of_lane(1))


def too_many_starts(_client: redis.Redis, _keys: LedgerKeys, ledger: Ledger) -> None:
    for _ in range(3):
        begin(ledger, of_lane(1))


def from_the_future(client: redis.Redis, keys: LedgerKeys, ledger: Ledger) -> None:
    run(ledger, of_lane(1), Version2.create({}))
    client.hdel(keys.pool("trade"), "lane:1")
    client.hdel(keys.pool("trade"), "record:spot:S1USDT:trade")


def of_its_own(client: redis.Redis, keys: LedgerKeys) -> dict[str, object]:
    """Return what lane 1 has in the ledger."""
    pool: Any = client.hgetall(keys.pool("trade"))
    own = {name.decode(): value for name, value in pool.items() if name == b"lane:1" or b"S1USDT" in name}
    return {**own, "starts": starts(client, keys, LaneId("trade", 1))}


@pytest.mark.parametrize("refused", [elsewhere, repeat, too_many_starts, from_the_future])
def test_a_refused_batch_leaves_no_trace_and_the_others_are_committed(
    client, keys, ledger, refused: Callable[[redis.Redis, LedgerKeys, Ledger], None]
):
    refused(client, keys, ledger)
    before, spoken = of_its_own(client, keys), client.xlen(keys.signals)
    with listening(client, keys) as heard:
        assert run_together(ledger, task()) == LANES - 1
    assert of_its_own(client, keys) == before
    assert positions(client, keys)[::2] == [str(at(2)).encode()] * 2
    assert all_starts(client, keys)[::2] == [[], []]
    assert client.xlen(keys.signals) == spoken + 4
    assert client.hget(keys.counters, "fenced") == b"1"
    told = [0, 1, 2] if refused is repeat else [0, 2]
    assert sorted(heard) == [Notice(LaneId("trade", lane), str(EPOCH), Position(SOURCE, 2)) for lane in told]


def test_each_batch_of_a_commit_has_an_answer_of_its_own(client, keys, ledger):
    commit(ledger, of_lane(1), outcome())
    other_epoch = batch(partition=3, epoch=Epoch(8, "another1"))
    sent = [of_lane(0), of_lane(1), other_epoch, of_lane(2, 2), batch(partition=4)]
    answers = ledger.commit([(each, outcome(), b"5" if each is sent[4] else b"") for each in sent])
    assert answers == ["committed", "repeat", "epoch", "position", "reset"]
    assert sorted(name for name in client.hkeys(keys.pool("trade")) if b"lane" in name) == [b"lane:0", b"lane:1"]


class Meanwhile(Ledger):
    """A ledger to which something happens while batches are run."""

    happens: Callable[[], object]

    def begin(self, wanted):
        begun = super().begin(wanted)
        self.happens()
        return begun


@pytest.fixture
def meanwhile(client: redis.Redis, ledger: Ledger) -> Meanwhile:
    return Meanwhile(client, ledger.keys.namespace)


def test_a_copy_that_commits_meanwhile_fences_its_own_batch_alone(client, keys, ledger, meanwhile):
    meanwhile.happens = lambda: run(ledger, of_lane(1))
    assert run_together(meanwhile, task()) == LANES - 1
    assert client.hget(keys.counters, "applied") == b"6"
    assert client.xlen(keys.signals) == 6
    assert all_starts(client, keys) == [[]] * LANES


def test_states_that_are_reset_meanwhile_fence_every_batch_of_their_pool(client, keys, meanwhile):
    meanwhile.happens = lambda: client.hincrby(keys.pool("trade"), "resets", 1)
    assert run_together(meanwhile, task()) == 0
    assert client.hgetall(keys.pool("trade")) == {b"resets": b"1"}
    assert all_starts(client, keys) == [[]] * LANES
    assert client.hget(keys.counters, "fenced") == b"3"


def test_scripts_that_redis_forgets_are_reloaded_and_batches_commit_once(client, keys, meanwhile):
    meanwhile.happens = client.script_flush
    assert run_together(meanwhile, task()) == LANES
    assert positions(client, keys) == [str(at(2)).encode()] * LANES
    assert client.hget(keys.counters, "applied") == b"6"
    assert client.xlen(keys.signals) == 6


# Trouble


def test_a_fatal_error_in_one_batch_leaves_every_start_and_commits_nothing(client, keys, ledger):
    strategy = Raising.create({})
    strategy.error = MemoryError()
    before = dump(client, keys.namespace)
    sent = [of_lane(0), of_lane(1, None, 1.0, BAD), of_lane(2)]
    with pytest.raises(MemoryError):
        runner.run(sent, ledger, having(strategy), is_fatal=lambda _: True)
    assert all_starts(client, keys) == [[b"1"]] * LANES
    left = dump(client, keys.namespace)
    assert {key for key in left if b":starts:" not in key} == set(before)
    # Ingest sends each of them alone: those that are well are committed.
    assert [run(ledger, sent[0], strategy) is None, run(ledger, sent[2], strategy) is None] == [False, False]
    with pytest.raises(MemoryError):
        runner.run(sent[1:2], ledger, having(strategy), is_fatal=lambda _: True)
    assert all_starts(client, keys) == [[], [b"2"], []]


def test_a_configuration_that_one_of_them_misses_is_no_start_of_any(client, keys, ledger):
    def find(_ledger: Ledger, version: str, _pool: str) -> Sequence[BoundStrategy]:
        return {"c1": bound(Raising.create({}))}[version]

    sent = task()
    sent[2] = msgspec.structs.replace(sent[2], configuration="c2")
    before = dump(client, keys.namespace)
    with pytest.raises(KeyError):
        runner.run(sent, ledger, find)
    assert dump(client, keys.namespace) == before


def test_a_commit_that_redis_refuses_takes_every_start_back(monkeypatch, client, keys, ledger):
    def refuse(_: object) -> list[str]:
        raise redis.ResponseError("no")

    monkeypatch.setattr(ledger, "commit", refuse)
    with pytest.raises(redis.ResponseError):
        runner.run(task(), ledger, having(Raising.create({})))
    assert all_starts(client, keys) == [[]] * LANES
    assert positions(client, keys) == [None] * LANES
