"""Strikes in the ledger, on a real server: counted once, through the fence, and what they lead to."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import redis

from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.breaker import AUTHOR, Breaker
from ingest.monitoring.error_counts import ErrorCounts
from tasks import configuration
from tasks.configuration import Configuration, named_strategies
from tasks.ledger import Keys, Ledger
from tasks.ledger.configurations import ConfigurationStore
from tasks.protocol import dead_letters
from tasks.protocol.counters import CounterKey, Counts
from tasks.protocol.strikes import MAX_STRIKES, NOTHING, ExcludedEvents, RunningBatch, Strike, StrikeNotice
from tasks.settings import Settings
from tasks.worker.run_guard import StrikeWriter
from tests.support.ledger import batch, begin, start_epoch
from tests.support.running import run
from tests.support.sending import Rig
from tests.support.strategies import Echo, Grumpy
from tests.support.waiting import HANGS_S

GRUMPY = "tests.support.strategies:Grumpy"
CONFIGURATION: Configuration = configuration.check(
    {"pools": {"trade": {"kinds": ["trade"], "strategies": {GRUMPY: {}, "trade_momentum": {}}}}}, "the test's file"
)


def strike(seq: int = 2, weight: int = MAX_STRIKES, version: str = "c1", prev: int | None = None) -> Strike:
    of = msgspec.structs.replace(batch(prev), configuration=version)
    return Strike(RunningBatch.of(of, ["echo", "grumpy"]), "grumpy", seq, weight, "hung for 20 s")


async def write(settings: Settings, *strikes: Strike) -> None:
    writer = StrikeWriter(settings)
    for each in strikes:
        await writer.write(each)
    await writer.close()


async def test_an_event_is_excluded_from_a_strategy_once_it_has_enough_strikes(settings: Settings, ledger: Ledger):
    for _ in range(MAX_STRIKES):
        assert begin(ledger, batch()).excluded == NOTHING
        await write(settings, strike(weight=1))
    assert begin(ledger, batch()).excluded == ExcludedEvents(frozenset(), frozenset({("grumpy", 2)}))
    # A half of the batch knows of it too; another configuration does not bring the event back.
    assert begin(ledger, batch(None, 1.0)).excluded == begin(ledger, batch()).excluded


async def test_a_second_event_stops_the_strategy_under_its_configuration_only(settings: Settings, ledger: Ledger):
    await write(settings, strike(1), strike(1))
    assert begin(ledger, batch()).excluded.strategies == frozenset()
    await write(settings, strike(2))
    assert begin(ledger, batch()).excluded.strategies == {"grumpy"}
    other = msgspec.structs.replace(batch(), configuration="c2")
    assert begin(ledger, other).excluded == ExcludedEvents(frozenset(), frozenset({("grumpy", 1), ("grumpy", 2)}))


async def test_a_strike_that_comes_after_the_commit_changes_nothing(
    settings: Settings, ledger: Ledger, client: redis.Redis, keys: Keys
):
    assert run(ledger, batch(), Echo.create({}))
    await write(settings, strike())
    start_epoch(client, keys, epoch=msgspec.structs.replace(batch().epoch, number=8))
    await write(settings, strike(3, prev=2))
    assert client.exists(keys.starts(batch().lane)) == 0
    assert not client.hexists(keys.pool("trade"), "ended:c1")


async def test_the_run_after_a_strike_gives_the_event_to_all_others(
    settings: Settings, ledger: Ledger, client: redis.Redis, keys: Keys
):
    await write(settings, strike(1))
    assert run(ledger, batch(), Echo.create({}), Grumpy.create({}))
    letters: Any = client.xrange(keys.deadletters)
    [letter] = [dead_letters.unpack(fields[b"letter"]) for _, fields in letters]
    assert (letter.reason, letter.strategy, letter.event) == ("strategy_error", "grumpy", batch().events[0])
    assert client.xlen(keys.signals) == 3
    assert client.hget(keys.counters, "applied") == b"2"


async def test_a_strike_is_told_to_ingest(settings: Settings, ledger: Ledger, client: redis.Redis, keys: Keys):
    anybody: Any = client
    with anybody.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(keys.notices)
        listener.get_message(timeout=HANGS_S)
        await write(settings, strike(1), strike(2))
        heard = [next(each for each in listener.listen()) for _ in range(2)]
    told = [StrikeNotice.parse(each["data"].decode()) for each in heard]
    assert told == [StrikeNotice("trade", 0, str(batch().epoch), answer) for answer in ("given_up", "stopped")]


# The breaker


class Scene:
    """A breaker, and the configuration in force."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rig = Rig(settings)
        self.in_force = ActiveConfiguration(ConfigurationStore(settings), CONFIGURATION)
        self.errors, self._raised = ErrorCounts(), 0
        self.breaker = Breaker(self.rig.ledger, self.in_force, self.rig.sender, ("trade",), self.errors.since)

    async def stop(self) -> None:
        """Have grumpy stopped by workers, under what is in force."""
        version = self.in_force.version
        await write(self.settings, strike(1, version=version), strike(2, version=version))

    def raised(self, count: int) -> None:
        """Have grumpy raise on so many events more, as the ledger tells."""
        self._raised += count
        self.errors.take(Counts({CounterKey("errors", "grumpy"): self._raised}), time.monotonic())

    def found(self) -> list[str]:
        return [finding.what for finding in self.breaker.findings()]


@asynccontextmanager
async def playing(settings: Settings) -> AsyncIterator[Scene]:
    """Yield a scene after the first look."""
    scene = Scene(settings)
    try:
        await scene.in_force.refresh()
        await scene.breaker.poll()
        yield scene
    finally:
        await scene.rig.close()
        scene.in_force.close()


@pytest.fixture
async def scene(settings: Settings, ledger: Ledger) -> AsyncIterator[Scene]:
    async with playing(settings) as scene:
        yield scene


@pytest.fixture
def store(settings: Settings) -> Iterator[ConfigurationStore]:
    made = ConfigurationStore(settings)
    yield made
    made.close()


async def test_a_strategy_that_workers_stopped_is_switched_off_and_told_of(scene: Scene, store: ConfigurationStore):
    await scene.stop()
    await scene.breaker.poll()
    assert scene.in_force.configuration.gate_of("trade", GRUMPY).off
    assert not scene.in_force.configuration.gate_of("trade", "trade_momentum").off
    assert scene.found() == ["strategy grumpy in pool trade"]
    await scene.breaker.poll()
    *_, change = store.history()
    assert (change.author, change.previous) == (AUTHOR, CONFIGURATION.version)
    assert "hung for 20 s" in change.reason


async def test_a_resumed_strategy_stays_on_until_it_ends_its_process_again(scene: Scene, store: ConfigurationStore):
    for _ in range(2):
        await scene.stop()
        await scene.breaker.poll()
        assert scene.found()
        await asyncio.to_thread(store.reset, f"pools.trade.strategies.{GRUMPY}.gate.off", "", "ann")
        await scene.in_force.refresh()
        await scene.breaker.poll()
        assert scene.in_force.version == CONFIGURATION.version
        assert scene.found() == []


async def test_a_new_ingest_knows_what_was_switched_off(scene: Scene):
    await scene.stop()
    await scene.breaker.poll()
    async with playing(scene.settings) as again:
        assert again.found() == scene.found() == ["strategy grumpy in pool trade"]


async def test_a_batch_whose_process_ended_is_sent_again_at_once(scene: Scene):
    rig = scene.rig

    await rig.sender.begin()
    rig.offer()
    await rig.sent()
    rig.queue.take()
    [lane] = [lane for lane in rig.lanes if lane.flight]
    await rig.ledger.lease.renew()
    notice = f"strike|trade|{lane.id.partition}|{rig.sender.epoch}|struck"
    for other in (notice.replace(str(rig.sender.epoch), "9.aa"), "strike|nonsense"):
        await scene.breaker.on_notice(other)
        assert lane.sent_s
    await scene.breaker.on_notice(notice)
    assert lane.sent_s == []
    await rig.sender.poll()
    await rig.sent()


# Errors


def limit(store: ConfigurationStore, errors: int) -> None:
    store.set(
        lambda now: named_strategies.values(now.configuration, "all", {"gate.max_errors_per_minute": errors}), "", "ann"
    )


async def test_a_strategy_that_raises_too_often_is_switched_off(scene: Scene, store: ConfigurationStore):
    await asyncio.to_thread(limit, store, 10)
    await scene.in_force.refresh()
    scene.raised(500)
    await scene.breaker.poll()  # all of this was before the limit
    scene.raised(500)
    for count in (10, 1):
        await scene.breaker.poll()
        assert scene.found() == []
        scene.raised(count)
    await scene.breaker.poll()
    assert scene.found() == ["strategy grumpy in pool trade"]
    assert not scene.in_force.configuration.gate_of("trade", "trade_momentum").off
    *_, change = store.history()
    assert (change.author, change.reason) == (
        AUTHOR, "trade/grumpy: it raised on 11 events within a minute, 10 are allowed",
    )  # fmt: skip


async def test_without_a_limit_errors_switch_nothing_off(scene: Scene, store: ConfigurationStore):
    scene.raised(0)
    scene.raised(10_000)
    await scene.breaker.poll()
    assert [change.author for change in store.history()] == ["strategies file"]
