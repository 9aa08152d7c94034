"""A reset of a state comes between two batches: whole, or not at all, whatever is in flight."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.strategy_run import SavedState
from tasks.ledger import Ledger, LedgerKeys
from tasks.ops.states import StateFilter, StateReset, StateStore
from tasks.protocol.records import Record, unpack
from tasks.settings import Settings
from tests.support.ledger import batch, dump, start_epoch
from tests.support.running import run, starts
from tests.support.sending import Rig, begun
from tests.support.strategies import Echo, Interrupted, Worker
from tests.support.workers.process import worker


def reset(states: StateStore, pool: str = "trade", **chosen: str) -> int:
    """Reset states as the command does; return how many there were."""
    names = [each.name for each in states.find(StateFilter(pool=pool, **chosen))]
    return states.reset(StateReset(pool, chosen["strategy"], "", chosen.get("symbol", ""), "ann", ""), names)


class Bench(NamedTuple):
    """A ledger of its own, and what it holds of the one symbol."""

    client: redis.Redis
    ledger: Ledger
    states: StateStore

    @classmethod
    def make(cls, redis_url: str) -> "Bench":
        client, namespace = redis.Redis.from_url(redis_url), f"t{uuid.uuid4().hex[:12]}"
        start_epoch(client, LedgerKeys(namespace))
        return cls(client, Ledger(client, namespace), StateStore(Settings(redis_url=redis_url, namespace=namespace)))

    def run(self, sent: Any, id_: int = 0, action: Callable[[], Any] = int) -> bool:
        """Run a batch, with an action in the middle; say whether it was committed."""
        return run(self.ledger, sent, Interrupted.create({}).during(id_, action)) is not None

    def reset(self) -> int:
        return reset(self.states, strategy="echo")

    def record(self) -> Record:
        held: Any = self.client.hget(self.ledger.keys.pool("trade"), "record:spot:BTCUSDT:trade")
        return unpack(held)

    def ids(self) -> list[int]:
        """Return the ids that the state has seen."""
        held: Any = self.client.hget(self.ledger.keys.pool("trade"), "state:spot:BTCUSDT:echo")
        return list(msgspec.msgpack.decode(held)[3]["ids"]) if held else []


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench.make(redis_url)


def test_a_run_that_read_a_state_before_its_reset_leaves_no_trace(bench: Bench):
    """The next run starts from an empty state."""
    bench.run(batch())
    counters = bench.ledger.keys.counters
    after_reset: dict[bytes, object] = {}

    def removed() -> None:
        assert bench.reset() == 1
        after_reset.update(dump(bench.client, bench.ledger.keys.namespace, but=counters))

    sent = batch(2)
    assert not bench.run(sent, 4, removed)
    assert starts(bench.client, bench.ledger.keys) == {}
    left = dump(bench.client, bench.ledger.keys.namespace, but=counters)
    # But for the start that was counted meanwhile.
    assert left == {key: held for key, held in after_reset.items() if b":starts:" not in key}
    assert bench.run(sent)
    assert bench.ids() == [3, 4]
    assert bench.record().count == 4


def test_a_reset_of_nothing_disturbs_no_run(bench: Bench):
    assert bench.run(batch(), 2, bench.reset)
    assert bench.ids() == [1, 2]


def test_a_reset_in_one_pool_disturbs_no_run_of_another(bench: Bench):
    keys = bench.ledger.keys
    bench.client.hset(keys.pool("other"), "state:spot:BTCUSDT:echo", b"x")
    assert bench.run(batch(), 2, lambda: reset(bench.states, "other", strategy="echo"))
    assert bench.client.hgetall(keys.pool("other")) == {b"resets": b"1"}


def test_any_number_of_states_is_removed_in_one_step_and_written_down_once(bench: Bench):
    names = [f"state:spot:S{number}:echo" for number in range(20_000)]
    bench.client.hset(bench.ledger.keys.pool("trade"), mapping=dict.fromkeys(names, "x"))
    assert bench.reset() == 20_000
    assert bench.client.hgetall(bench.ledger.keys.pool("trade")) == {b"resets": b"1"}
    assert [(done.states, done.reset.author) for done in bench.states.history()] == [(20_000, "ann")]


Steps = Sequence[tuple[int, int | None]]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 4), st.none() | st.integers(0, 4)), min_size=1, max_size=8))
def test_resets_at_any_time_lose_no_event_and_states_keep_what_came_since(redis_url: str, steps: Steps):
    """Each step is a batch of so many trades, and before which of them a reset comes; beyond them: after the commit."""
    bench, alone, seq, since = Bench.make(redis_url), Worker(Echo.create({})), 0, 0
    for count, before in steps:
        sent = batch(seq or None, *[1.0] * count)
        alone.run(sent.events)
        had_state, inside = bool(bench.ids()), before is not None and before < count
        committed = bench.run(sent, seq + (before or 0) + 1, bench.reset if inside else int)
        assert committed == (not inside or not had_state)
        if not committed:
            since = seq
            assert bench.run(sent)
        seq += count
        if before is not None and not inside:
            bench.reset()
            since = seq
        assert bench.ids() == list(range(since + 1, seq + 1))
    # The records know nothing of it.
    undisturbed = unpack(alone.held["record:spot:BTCUSDT:trade"])
    assert (bench.record().count, bench.record().hash) == (undisturbed.count, undisturbed.hash)


# With a worker and with ingest's sender


SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
#: At a time, so that a run takes a while.
BURST = 40
_saved = msgspec.msgpack.Decoder(SavedState).decode


def counts(client: redis.Redis, keys: LedgerKeys) -> list[tuple[int, int]]:
    """Return, for each symbol, how many events its record has counted and how many its state has seen: at one moment."""
    fields = [(f"record:spot:{each}:trade", f"state:spot:{each}:trade_momentum") for each in SYMBOLS]
    held: Any = client.hmget(keys.pool("trade"), [name for pair in fields for name in pair])
    return [(unpack(r).count, _saved(s).seen if s else 0) for r, s in zip(held[::2], held[1::2], strict=True)]


async def offering(rig: Rig, done: asyncio.Event) -> int:
    """Offer events until `done`, without a pause but within the lanes' bounds; return how many of each symbol."""
    offered = 0
    while not done.is_set():
        if rig.lanes.held < 50 * BURST:
            offered += BURST
            for symbol in SYMBOLS * BURST:
                rig.offer(symbol)
        await rig.sender.poll()
        await rig.ledger.lease.renew()
        await asyncio.sleep(0.01)
    return offered


async def resetting(rig: Rig, states: StateStore) -> None:
    """Reset again and again; look each time that each state restarted then: not earlier, and not later."""
    for _ in range(12):
        await rig.until(lambda: all(seen for _, seen in counts(rig.client, rig.keys)))
        before = counts(rig.client, rig.keys)
        assert await asyncio.to_thread(reset, states, strategy="trade_momentum") == len(SYMBOLS)
        after = counts(rig.client, rig.keys)
        await rig.until(lambda: all(seen for _, seen in counts(rig.client, rig.keys)))
        began = [count - seen for count, seen in counts(rig.client, rig.keys)]
        bounds = zip(before, began, after, strict=True)
        assert all(was <= at <= now for (was, _), at, (now, _) in bounds), (before, began, after)


async def test_under_load_a_reset_comes_between_two_batches_and_loses_no_event(redis_url: str, namespace: str):
    ours = Settings(redis_url=redis_url, namespace=namespace)

    with worker(ours) as running:
        running.wait_ready()
        async with begun(Rig(ours)) as rig:
            done = asyncio.Event()
            listening = asyncio.create_task(notices(rig))
            offers = asyncio.create_task(offering(rig, done))
            try:
                await resetting(rig, StateStore(ours))
            finally:
                done.set()
                offered = await offers
            await rig.until(lambda: not rig.lanes.held, looking=True)
            listening.cancel()
            assert [count for count, _ in counts(rig.client, rig.keys)] == [offered] * len(SYMBOLS)


async def notices(rig: Rig) -> None:
    """Notify the sender of commits, as ingest does."""
    subscribed = await rig.ledger.subscribe()
    while True:
        if (notice := await subscribed.next()) is not None:
            rig.sender.on_notice(notice)
