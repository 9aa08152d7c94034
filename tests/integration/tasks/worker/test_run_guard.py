"""Strikes in the ledger, on a real server: counted once, through the fence, and what the next runs leave out."""

from typing import Any

import msgspec
import redis

from tasks.ledger import Ledger, LedgerKeys
from tasks.protocol import dead_letters
from tasks.protocol.strikes import MAX_STRIKES, NOTHING, ExcludedEvents, RunningBatch, Strike, StrikeNotice
from tasks.settings import Settings
from tests.support.ledger import batch, begin, start_epoch
from tests.support.running import run
from tests.support.strategies import Echo, Grumpy
from tests.support.strikes import strike, write
from tests.support.waiting import HANGS_S


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
    settings: Settings, ledger: Ledger, client: redis.Redis, keys: LedgerKeys
):
    assert run(ledger, batch(), Echo.create({}))
    await write(settings, strike())
    start_epoch(client, keys, epoch=msgspec.structs.replace(batch().epoch, number=8))
    await write(settings, strike(3, prev=2))
    assert client.exists(keys.starts(batch().lane)) == 0
    assert not client.hexists(keys.pool("trade"), "ended:c1")


async def test_the_run_after_a_strike_gives_the_event_to_all_others(
    settings: Settings, ledger: Ledger, client: redis.Redis, keys: LedgerKeys
):
    await write(settings, strike(1))
    assert run(ledger, batch(), Echo.create({}), Grumpy.create({}))
    letters: Any = client.xrange(keys.deadletters)
    [letter] = [dead_letters.unpack(fields[b"letter"]) for _, fields in letters]
    assert (letter.reason, letter.strategy, letter.event) == ("strategy_error", "grumpy", batch().events[0])
    assert client.xlen(keys.signals) == 3
    assert client.hget(keys.counters, "applied") == b"2"


async def test_a_strike_goes_to_the_ledger_of_its_batchs_shard(redis_url: str, keys: LedgerKeys):
    second = redis_url.removesuffix("/0") + "/1"
    with redis.Redis.from_url(second) as client:
        start_epoch(client, keys)
        client.rename(keys.shard(0), keys.shard(1))
        settings = Settings(ledger_urls=f"{redis_url} {second}", nats_partitions=2, namespace=keys.namespace)
        of_second = msgspec.structs.replace(batch(), shard=1)
        await write(settings, Strike(RunningBatch.of(of_second, ["grumpy"]), "grumpy", 2, MAX_STRIKES, "hung for 20 s"))
        ledger = Ledger.connect(settings).of_shard(settings, 1)
        assert begin(ledger, of_second).excluded.events == {("grumpy", 2)}


async def test_a_strike_is_told_to_ingest(settings: Settings, ledger: Ledger, client: redis.Redis, keys: LedgerKeys):
    anybody: Any = client
    with anybody.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(keys.notices)
        listener.get_message(timeout=HANGS_S)
        await write(settings, strike(1), strike(2))
        heard = [next(each for each in listener.listen()) for _ in range(2)]
    told = [StrikeNotice.parse(each["data"].decode()) for each in heard]
    assert told == [StrikeNotice("trade", 0, str(batch().epoch), answer) for answer in ("given_up", "stopped")]
