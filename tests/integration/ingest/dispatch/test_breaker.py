"""What switches a strategy off: strikes that workers wrote, and errors above a limit."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.breaker import AUTHOR, Breaker
from ingest.monitoring.error_counts import ErrorCounts
from tasks import configuration
from tasks.configuration import Configuration, named_strategies
from tasks.configuration.overlay import Overlay
from tasks.ledger import Ledger
from tasks.ledger.configurations import ConfigurationInForce, ConfigurationStore
from tasks.protocol.counters import CounterKey, Counts
from tasks.settings import Settings
from tests.support.sending import Rig
from tests.support.strikes import strike, write

GRUMPY = "tests.support.strategies:Grumpy"
CONFIGURATION: Configuration = configuration.check(
    {"pools": {"trade": {"kinds": ["trade"], "strategies": {GRUMPY: {}, "trade_momentum": {}}}}}, "the test's file"
)


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


async def change(scene: Scene, store: ConfigurationStore, confidence: float) -> None:
    """Change what does not concern grumpy."""

    def wanted(now: ConfigurationInForce) -> Overlay:
        return named_strategies.values(now.configuration, "trade_momentum", {"gate.min_confidence": confidence})

    await asyncio.to_thread(store.set, wanted, "", "ann")
    await scene.in_force.refresh()
    await scene.breaker.poll()


async def test_a_stop_under_a_configuration_replaced_meanwhile_counts(scene: Scene, store: ConfigurationStore):
    """Its batches were sent before the change, and run on under the configuration that they name."""
    before = scene.in_force.version
    await change(scene, store, 0.5)
    await write(scene.settings, strike(1, version=before), strike(2, version=before))
    await change(scene, store, 0.6)
    assert scene.in_force.configuration.gate_of("trade", GRUMPY).off
    assert scene.found() == ["strategy grumpy in pool trade"]


async def test_a_change_of_something_else_keeps_a_strategys_first_strike(scene: Scene, store: ConfigurationStore):
    await write(scene.settings, strike(1, version=scene.in_force.version))
    await change(scene, store, 0.5)
    await write(scene.settings, strike(2, version=scene.in_force.version))
    await scene.breaker.poll()
    assert scene.in_force.configuration.gate_of("trade", GRUMPY).off


async def test_what_is_resumed_under_another_configuration_stays_on(scene: Scene, store: ConfigurationStore):
    await scene.stop()
    await scene.breaker.poll()
    await change(scene, store, 0.5)
    await asyncio.to_thread(store.reset, f"pools.trade.strategies.{GRUMPY}.gate.off", "", "ann")
    await change(scene, store, 0.6)
    assert not scene.in_force.configuration.gate_of("trade", GRUMPY).off
    await write(scene.settings, strike(3, version=scene.in_force.version))
    await scene.breaker.poll()
    assert not scene.in_force.configuration.gate_of("trade", GRUMPY).off


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
