"""What ingest learns of the paper accounts in the ledger."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_redis
from ingest.ledger import IngestLedger
from ingest.monitoring.paper_probe import PaperProbe
from tasks.ledger import LedgerKeys
from tasks.paper import PaperState, SymbolAccount, state
from tasks.paper.state import OpenPosition
from tasks.settings import Settings
from tests.support.events import TIME_MS
from tests.support.strategies.positions import closed


def account(symbol: str, mark: float = 103.0) -> bytes:
    position = OpenPosition("entry", 1, 2.0, 200.0, TIME_MS, None, None, fees=0.5, mark=mark)
    return state.pack(PaperState(symbols={symbol: SymbolAccount(position=position)}))


@pytest.fixture
async def probe(settings: Settings) -> AsyncIterator[PaperProbe]:
    """A probe of an ingest that leads, with pages so small that there are several."""
    ledger = IngestLedger(settings)
    assert await ledger.lease.take()
    yield PaperProbe(ledger, ["depth", "trade"], page=2, pause_s=0.0)
    await ledger.close()


def close_positions(client: redis.Redis, keys: LedgerKeys, *profits: float) -> None:
    for pnl in profits:
        client.xadd(keys.positions, {"position": closed(pnl=pnl).pack()})


async def test_an_empty_ledger_has_no_figures_of_any_strategy(probe: PaperProbe):
    await probe.ask()
    assert probe.seen
    assert (probe.seen.strategies, probe.seen.positions) == ([], [])


async def test_closed_and_open_positions_are_told_and_new_ones_are_added(
    probe: PaperProbe, client: redis.Redis, keys: LedgerKeys
):
    close_positions(client, keys, 1.0, -0.5, 2.0)
    client.hset(keys.pool("depth"), mapping={"lane:0": b"core-1.a:5", "paper:spot:BTCUSDT:skew": account("BTCUSDT")})
    client.hset(keys.pool("trade"), "paper:usdm:all:dominance", account("ETHUSDT"))
    await probe.ask()
    assert probe.seen
    assert [(each.strategy, each.pnl, each.positions, each.open) for each in probe.seen.strategies] == [
        ("dominance", 5.5, 0, 1),
        ("skew", 8.0, 3, 1),
    ]
    assert {(row.strategy, row.venue, row.symbol) for row in probe.seen.positions} == {
        ("skew", "spot", "BTCUSDT"),
        ("dominance", "usdm", "ETHUSDT"),
    }
    close_positions(client, keys, 4.0)
    client.hset(keys.pool("depth"), "paper:spot:BTCUSDT:skew", account("BTCUSDT", mark=100.0))
    await probe.ask()
    assert [(each.pnl, each.positions) for each in probe.seen.strategies] == [(5.5, 0), (6.0, 4)]


async def test_more_accounts_than_a_page_are_each_counted_once(
    probe: PaperProbe, client: redis.Redis, keys: LedgerKeys
):
    accounts: dict[Any, Any] = {f"paper:spot:S{number}:skew": account(f"S{number}") for number in range(700)}
    client.hset(keys.pool("depth"), mapping=accounts)
    await probe.ask()
    assert probe.seen
    assert (probe.seen.open, probe.seen.strategies[0].unrealised) == (700, 700 * 5.5)


async def test_after_redis_lost_positions_the_rest_is_read_again(
    probe: PaperProbe, client: redis.Redis, keys: LedgerKeys
):
    close_positions(client, keys, 1.0, 2.0)
    await probe.ask()
    client.delete(keys.positions)
    await probe.ask()
    assert probe.seen
    assert probe.seen.strategies == []
    close_positions(client, keys, 5.0)
    await probe.ask()
    assert [each.pnl for each in probe.seen.strategies] == [5.0]


async def test_what_cannot_be_read_is_left_out(probe: PaperProbe, client: redis.Redis, keys: LedgerKeys):
    client.xadd(keys.positions, {"position": b"no JSON"})
    close_positions(client, keys, 1.0)
    of_later = state.pack(PaperState(version=99))
    fields: dict[Any, Any] = {
        "paper:spot:BTCUSDT:skew": of_later,
        "paper:odd": account("ODD"),
        "paper:spot:ETHUSDT:skew": account("ETHUSDT"),
    }
    client.hset(keys.pool("depth"), mapping=fields)
    await probe.ask()
    assert probe.seen
    assert [(each.strategy, each.pnl) for each in probe.seen.strategies] == [("skew", 6.5)]


async def test_an_ingest_that_does_not_lead_tells_nothing(settings: Settings, client: redis.Redis, keys: LedgerKeys):
    ledger = IngestLedger(settings)
    try:
        probe = PaperProbe(ledger, ["depth"])
        close_positions(client, keys, 1.0)
        await probe.ask()
        assert probe.seen is None
    finally:
        await ledger.close()


async def test_without_the_right_to_scan_there_are_no_figures_and_no_fault():
    with Instance("paper_probe") as instance:
        _, url = start_redis(instance)
        with redis.Redis.from_url(url) as client:
            client.acl_setuser("strict", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-hscan"])
        ledger = IngestLedger(Settings(redis_url=url.replace("//", "//strict:secret@")))
        try:
            assert await ledger.lease.take()
            probe = PaperProbe(ledger, ["depth"])
            await probe.ask()
            assert probe.seen is None
        finally:
            await ledger.close()


@pytest.fixture
def second(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url.removesuffix("/0") + "/1") as client:
        yield client


@pytest.fixture
async def of_two(redis_url: str, keys: LedgerKeys) -> AsyncIterator[PaperProbe]:
    """A probe of the first of two shards, each with a ledger of its own."""
    urls = f"{redis_url} {redis_url.removesuffix('/0')}/1"
    ledger = IngestLedger(
        Settings(redis_url=redis_url, ledger_urls=urls, nats_partitions=2, ingest_shard="0/2", namespace=keys.namespace)
    )
    assert await ledger.lease.take()
    yield PaperProbe(ledger, ["depth"], page=2, pause_s=0.0)
    await ledger.close()


def told(probe: PaperProbe) -> list[tuple[float, float, int, int]]:
    """Return realised profit, drawdown, closed and open positions of each strategy."""
    assert probe.seen
    return [(each.realised, each.drawdown, each.positions, each.open) for each in probe.seen.strategies]


async def test_positions_of_all_ledgers_are_told_as_one(
    of_two: PaperProbe, client: redis.Redis, second: redis.Redis, keys: LedgerKeys
):
    """Closed ones in the order of their times: the profit was 5 at most, and is 4."""
    for ledger, ms, pnl in ((client, 1, 3.0), (second, 2, -2.0), (client, 3, 4.0), (second, 4, -1.0)):
        ledger.xadd(keys.positions, {"position": closed(pnl=pnl).pack()}, id=f"{ms}-0")
    await of_two.ask()
    assert told(of_two) == [(4.0, 1.0, 4, 0)]
    for ledger, symbol in ((client, "BTCUSDT"), (second, "ETHUSDT")):
        ledger.hset(keys.pool("depth"), f"paper:spot:{symbol}:skew", account(symbol))
    close_positions(second, keys, 2.0)
    await of_two.ask()
    assert told(of_two) == [(6.0, 0.0, 5, 2)]
    assert of_two.seen
    assert ({row.symbol for row in of_two.seen.positions}, of_two.seen.open) == ({"BTCUSDT", "ETHUSDT"}, 2)


async def test_another_ledger_that_lost_its_positions_is_read_again(
    of_two: PaperProbe, client: redis.Redis, second: redis.Redis, keys: LedgerKeys
):
    close_positions(client, keys, 1.0)
    close_positions(second, keys, 2.0, 3.0)
    await of_two.ask()
    second.delete(keys.positions)
    await of_two.ask()
    assert told(of_two) == [(1.0, 0.0, 1, 0)]


async def test_another_ledger_that_fails_keeps_its_last_figures(
    of_two: PaperProbe, client: redis.Redis, second: redis.Redis, keys: LedgerKeys
):
    close_positions(client, keys, 1.0)
    close_positions(second, keys, 2.0)
    second.hset(keys.pool("depth"), "paper:spot:ETHUSDT:skew", account("ETHUSDT"))
    await of_two.ask()
    second.delete(keys.positions)
    second.set(keys.positions, "no stream")
    close_positions(client, keys, 4.0)
    await of_two.ask()
    assert told(of_two) == [(7.0, 0.0, 3, 1)]
    client.delete(keys.positions)
    await of_two.ask()
    assert told(of_two) == [(7.0, 0.0, 3, 1)]
    second.delete(keys.positions)
    await of_two.ask()
    assert told(of_two) == [(0.0, 0.0, 0, 1)]
