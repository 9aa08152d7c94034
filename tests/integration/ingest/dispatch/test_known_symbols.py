"""Which symbols the ledger holds counts for the cap, on a real server."""

import redis
from structlog.testing import capture_logs

from ingest.dispatch.known_symbols import KnownSymbols
from ingest.ledger import IngestLedger
from tasks.protocol.routing import Pool, Router
from tasks.settings import Settings
from tests.support.events import trade

ROUTER = Router([Pool("trade", ("trade",))])


async def test_symbols_that_the_ledger_holds_count_until_they_are_removed(redis_url, namespace, client: redis.Redis):
    ledger = IngestLedger(Settings(redis_url=redis_url, namespace=namespace))
    pool = ledger.keys.pool("trade")
    fields = ("record:spot:A:trade", "record:spot:B%2FC:trade", "record:spot:B%2FC:depth", "state:spot:D:x", "lane:0")
    client.hset(pool, mapping=dict.fromkeys(fields, "x"))
    symbols = KnownSymbols(ledger, ROUTER, 2)
    try:
        assert await symbols.load()
        refused = [symbols.cap.check(trade(symbol=name)) is not None for name in ("A", "B/C", "D")]
        assert refused == [False, False, True]
        assert symbols.cap.is_reached
        client.hdel(pool, "record:spot:A:trade")
        await symbols.poll()
        assert [symbols.cap.check(trade(symbol=name)) is not None for name in ("B/C", "D", "A")] == [False, False, True]
    finally:
        await ledger.close()


async def test_a_redis_that_does_not_tell_of_symbols_is_no_reason_not_to_start(
    redis_url, namespace, client: redis.Redis
):
    ledger = IngestLedger(Settings(redis_url=redis_url, namespace=namespace))
    client.set(ledger.keys.pool("trade"), "no hash")
    symbols = KnownSymbols(ledger, ROUTER, 1)
    try:
        with capture_logs() as logged:
            assert await symbols.load()
        assert [line["log_level"] for line in logged] == ["warning"]
        assert symbols.cap.check(trade(symbol="A")) is None
    finally:
        await ledger.close()
