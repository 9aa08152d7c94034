"""How far strategies have warmed up, by the states of a real ledger."""

import pytest
import redis

from tasks import configuration
from tasks.ledger import LedgerKeys
from tasks.ledger.reader import LedgerReader
from tasks.ops.warm_ups import WarmUp, warm_ups
from tasks.settings import Settings
from tests.support.events import trade
from tests.support.strategies import Echo, Warming, Worker

NAMED = "tests.support.strategies:"
CHOSEN = configuration.check(
    {"pools": {"trade": {"kinds": ["trade"], "strategies": {f"{NAMED}Warming": {}, f"{NAMED}Echo": {}}}}}, "here"
)


@pytest.fixture
def reader(redis_url: str, keys: LedgerKeys) -> LedgerReader:
    return LedgerReader(Settings(redis_url=redis_url, namespace=keys.namespace))


def test_the_state_that_is_furthest_behind_is_told(reader: LedgerReader, client: redis.Redis, keys: LedgerKeys):
    assert warm_ups(reader, CHOSEN) == {}
    worker = Worker(Warming.create({}), Echo.create({}))
    worker.run([trade(id=1), trade(id=2, seq=2), trade(symbol="ETHUSDT", id=1, seq=3)])
    worker.run([trade(symbol="XRPUSDT", id=number, seq=3 + number) for number in range(1, 6)])
    client.hset(keys.pool("trade"), mapping=worker.held)  # type: ignore[arg-type]  # bytes by name
    assert warm_ups(reader, CHOSEN) == {"warming": WarmUp(states=3, warming=2, seen=1, needed=3)}
    client.hset(keys.pool("trade"), "state:spot:BTCUSDT:warming", b"no state")
    assert warm_ups(reader, CHOSEN) == {"warming": WarmUp(states=3, warming=2, seen=0, needed=3)}
