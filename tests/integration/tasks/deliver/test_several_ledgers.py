"""A delivery takes the signals of all ledgers to its receiver; its position is in the first one."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_redis
from tasks.deliver.answers import HeldUpError, RefusedError
from tasks.deliver.signal_fields import SignalFields
from tasks.ledger import delivery_states
from tasks.ledger.deliveries import REST_S, DeliveryStore, Start
from tasks.ledger.delivery_position import UNKNOWN
from tasks.ledger.delivery_states import DeliveryState
from tasks.protocol import dead_letters
from tasks.settings import Settings
from tests.integration.tasks.deliver.test_delivery import Sink, running_delivery, until
from tests.support.servers.receiver import identified
from tests.support.stacks.two_ledgers import SplitLedger, split_ledger

Commit = Callable[..., None]


@pytest.fixture
def split(redis_url: str, namespace: str) -> Iterator[SplitLedger]:
    with split_ledger(redis_url, namespace) as split:
        yield split


@pytest.fixture
def settings(split: SplitLedger) -> Settings:
    return split.settings


@pytest.fixture
def commit(split: SplitLedger) -> Commit:
    """Commit signals of these numbers into a ledger, at a time if one is given."""

    def commit(ledger: int, *numbers: int, at_ms: int | None = None) -> None:
        for number in numbers:
            name = f"{at_ms}-*" if at_ms else "*"
            split.clients[ledger].xadd(split.keys.signals, {"signal": identified(number)}, id=name)

    return commit


@pytest.fixture
def standing(split: SplitLedger) -> Callable[[], DeliveryState | None]:
    return lambda: next(iter(delivery_states.read_all(split.clients[:2], split.keys)), None)


def stored(split: SplitLedger) -> list[str]:
    """Return the ids of the position and the counts, as they are stored."""
    return [each.decode() for each in split.clients[0].hmget(split.keys.delivery("d"), "position", "passed")]


async def test_signals_of_all_ledgers_come_in_the_order_of_their_times(settings, split, commit, standing):
    commit(0, 1, 4, at_ms=1_000)
    commit(1, 2, at_ms=1_000)
    commit(1, 3, at_ms=1_001)
    async with running_delivery(settings, sink := Sink()):
        await until(lambda: standing() and standing().sent == 4)
        assert sorted(sink.ids) == ["1", "2", "3", "4"]
        assert [each for each in sink.ids if each in "14"] == ["1", "4"]
        assert [each for each in sink.ids if each in "23"] == ["2", "3"]
        assert sink.ids[-1] == "3"
        assert stored(split) == ["1000-1 1001-0", "2 2"]
        commit(0, 5)
        commit(1, 6)
        await until(lambda: standing().sent == 6)
    assert (standing().waiting, standing().running) == (0, False)


async def test_a_known_name_goes_on_in_each_ledger_whatever_the_clocks(settings, commit, standing):
    """What one ledger commits later has a lower id than what was delivered of the other one."""
    commit(0, 1, at_ms=9_000)
    commit(1, 2, at_ms=1_000)
    async with running_delivery(settings, Sink()):
        await until(lambda: standing() and standing().sent == 2)
    commit(1, 3, at_ms=2_000)
    assert standing().waiting == 1
    async with running_delivery(settings, sink := Sink(), start="now"):
        await until(lambda: standing().sent == 3)
    assert sink.ids == ["3"]


async def test_a_new_name_begins_with_the_next_signal_of_each_ledger(settings, split, commit, standing):
    commit(0, 1)
    commit(1, 2)
    async with running_delivery(settings, sink := Sink(), start="now"):
        await until(lambda: split.clients[0].hexists(split.keys.delivery("d"), "position"))
        commit(1, 3)
        commit(0, 4)
        await until(lambda: standing().sent == 2)
    assert sorted(sink.ids) == ["3", "4"]


async def test_refused_and_held_up_signals_are_treated_as_ever(settings, split, commit, standing):
    left = [2]

    def fails(signal: SignalFields) -> None:
        if signal.id == "2":
            raise RefusedError("422")
        if signal.id == "3" and left[0]:
            left[0] -= 1
            raise HeldUpError("closed")

    commit(1, 2, 3, at_ms=1_000)
    commit(0, 1, 4, at_ms=2_000)
    async with running_delivery(settings, sink := Sink(fails)):
        await until(lambda: standing() and standing().sent == 3)
    assert (sink.ids, standing().refused) == (["3", "1", "4"], 1)
    [(_, fields)] = split.clients[0].xrange(split.keys.deadletters)
    assert dead_letters.unpack(fields[b"letter"]).reason == "unpublishable"


async def test_what_was_trimmed_in_any_ledger_is_counted(settings, split, commit, standing):
    commit(0, 1)
    commit(1, 2)
    async with running_delivery(settings, Sink()):
        await until(lambda: standing() and standing().sent == 2)
    commit(1, 3, 4, 5)
    split.clients[1].xtrim(split.keys.signals, maxlen=1, approximate=False)
    async with running_delivery(settings, sink := Sink()):
        await until(lambda: standing().sent == 3)
    assert (sink.ids, standing().trimmed, standing().waiting) == (["5"], 2, 0)


@pytest.mark.parametrize("split_first", [True, False], ids=["split", "joined"])
async def test_a_delivery_goes_on_where_the_number_of_ledgers_changes(split, commit, standing, split_first: bool):  # noqa: FBT001 a case
    alone = Settings(namespace=split.settings.namespace, ledger_url=split.settings.ledger)
    before, after = (alone, split.settings) if split_first else (split.settings, alone)
    commit(0, 1, 2)
    async with running_delivery(before, Sink()):
        await until(lambda: standing() and standing().sent == 2)
    commit(0, 3)
    if split_first:
        commit(1, 4)
    async with running_delivery(after, sink := Sink(), start="now"):
        await until(lambda: len(sink.ids) == 1 + split_first)
        await until(lambda: standing().sent == 3 + split_first)
    assert sorted(sink.ids) == (["3", "4"] if split_first else ["3"])
    assert len(stored(split)[0].split()) == 1 + split_first


async def test_a_ledger_that_is_unavailable_holds_up_its_own_signals_alone(settings, split, commit, standing):
    with Instance("unavailable") as instance:
        server, url = start_redis(instance)
        both = settings.model_copy(update={"ledger_urls": f"{settings.ledger} {url}"})
        with redis.Redis.from_url(url) as other:
            other.xadd(split.keys.signals, {"signal": identified(1)})
        async with running_delivery(both, sink := Sink()) as status:
            await until(lambda: sink.ids == ["1"])
            instance.kill(server)
            await until(lambda: status.troubles["redis"].startswith("the ledger of shard 1: "))
            commit(0, 2, 3)
            await until(lambda: sink.ids == ["1", "2", "3"])


@pytest.mark.parametrize(("start", "delivered"), [("now", ["4", "5"]), ("start", ["3", "4", "5"])])
async def test_a_ledger_that_refuses_at_the_beginning_loses_none_since(
    settings, split, commit, standing, start: Start, delivered: list[str]
):
    """Nor is what it had before sent under `now`, whichever process is there when it comes back."""
    split.clients[1].set(split.keys.signals, "no stream")
    async with running_delivery(settings, sink := Sink(), start=start) as status:
        await until(lambda: status.troubles["redis"].startswith("the ledger of shard 1: "))
        commit(0, 1, 2)
        await until(lambda: sink.ids == ["1", "2"])
    split.clients[1].delete(split.keys.signals)
    commit(1, 3, at_ms=1_000)
    commit(1, 4)
    assert standing().waiting == len(delivered) - 1
    async with running_delivery(settings, sink := Sink(), start="now"):
        commit(1, 5)
        await until(lambda: sink.ids == delivered)
        await until(lambda: stored(split)[1] == "2 3")
    assert (standing().waiting, standing().trimmed) == (0, 0)


async def test_a_ledger_that_hangs_at_the_beginning_holds_up_its_own_alone(settings, split, commit):
    with Instance("hanging") as instance:
        server, url = start_redis(instance)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            both = settings.model_copy(update={"ledger_urls": f"{settings.ledger} {url}"})
            commit(0, 1)
            async with running_delivery(both, sink := Sink()):
                await until(lambda: sink.ids == ["1"])
        finally:
            os.kill(server.pid, signal.SIGCONT)


async def test_a_ledger_that_refuses_holds_up_its_own_signals_alone(settings, split, commit, standing):
    commit(0, 1)
    commit(1, 2)
    async with running_delivery(settings, sink := Sink()) as status:
        await until(lambda: standing() and standing().sent == 2)
        split.clients[1].delete(split.keys.signals)
        split.clients[1].set(split.keys.signals, "no stream")
        await until(lambda: "WRONGTYPE" in status.troubles.get("redis", ""))
        commit(0, 3, 4)
        await until(lambda: sink.ids[2:] == ["3", "4"])


@pytest.fixture
async def store(settings: Settings, now: list[float]) -> AsyncIterator[DeliveryStore]:
    """The store of a delivery that has read both ledgers, at the time `now`."""
    store = DeliveryStore(settings, "d", "stdout", "start", clock=lambda: now[0])
    assert await store.lease.take()
    await store.read(10)
    yield store
    await store.close()


@pytest.fixture
def now() -> list[float]:
    return [1_000.0]


async def test_a_ledger_that_failed_is_left_out_for_a_while(store, now, split, commit):
    split.clients[1].set(split.keys.signals, "no stream")
    failed = await store.read(10)
    assert failed.unavailable.startswith("the ledger of shard 1: ")
    split.clients[1].delete(split.keys.signals)
    commit(0, 1)
    commit(1, 2)
    now[0] += REST_S - 1
    left_out = await store.read(10)
    assert (len(left_out.entries), left_out.unavailable) == (1, failed.unavailable)
    assert await store.count_after(left_out.position) == 1
    now[0] += 1
    again = await store.read(10)
    assert (len(again.entries), again.unavailable) == (2, "")


@pytest.mark.parametrize("ledger", [0, 1])
async def test_a_ledger_without_signals_has_none_that_wait(store, commit, ledger: int):
    commit(ledger, 1, 2)
    unread = await store.read(10)
    assert await store.count_after(unread.position) == 2


def test_a_delivery_that_is_forgotten_leaves_nothing_in_any_ledger(split):
    for client in split.clients[:2]:
        client.hset(split.keys.delivery("d"), "confirmed", "")
    assert delivery_states.forget(split.clients[:2], split.keys, "d")
    assert not delivery_states.forget(split.clients[:2], split.keys, "d")
    assert not any(client.exists(split.keys.delivery("d")) for client in split.clients[:2])


async def test_where_a_delivery_begins_is_counted_once_the_ledger_answers(settings, split, commit):
    """More than a page of its signals may be older, and newer."""
    split.clients[1].set(split.keys.signals, "no stream")
    store = DeliveryStore(settings, "d", "stdout", "now", clock=lambda: 0.0)
    assert await store.lease.take()
    begun = await store.read(1)
    assert begun.position.passed == (0, UNKNOWN)
    assert await store.count_after(begun.position) == 0
    await store.close()
    split.clients[1].delete(split.keys.signals)
    commit(1, *range(3), at_ms=1_000)
    commit(1, *range(2_005))
    store = DeliveryStore(settings, "d", "stdout", "now")
    assert await store.lease.take()
    unread = await store.read(1)
    assert (unread.position.passed, unread.waiting, unread.trimmed) == ((0, 3), 2_005, 0)
    assert stored(split)[1] == "0 3"
    await store.close()
