"""A ledger of each of two shards, beside one that has all: what is committed goes to both."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import redis

from tasks.events import AnyEvent
from tasks.ledger import Ledger, LedgerKeys
from tasks.paper import PaperState, SymbolAccount, state
from tasks.paper.state import OpenPosition
from tasks.protocol.batches import Batch
from tasks.protocol.routing import Pool, shard_of
from tasks.settings import Settings
from tasks.strategy import AnyStrategy
from tests.support.events import TIME_MS
from tests.support.ledger import EPOCH, batch, start_epoch
from tests.support.running import run
from tests.support.strategies import Echo, trades
from tests.support.strategies.positions import closed

#: Of shard 0 and of shard 1.
HOMES = ("BTCUSDT", "ETHUSDT")
POOL = Pool("trade", ("trade",), partitions=2)


class SplitLedger:
    """Two databases of a server, of which each is the ledger of a shard, and a third that is the ledger of all."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        urls = [redis_url.removesuffix("/0") + f"/{number}" for number in (0, 1, 2)]
        self.clients: list[Any] = [redis.Redis.from_url(url) for url in urls]
        self.keys = LedgerKeys(namespace)
        self.settings = Settings(namespace=namespace, ledger_urls=" ".join(urls[:2]), nats_partitions=2)
        self.whole = Settings(namespace=namespace, ledger_url=urls[2])
        self._done: dict[tuple[int, int], int] = {}
        for client in self.clients:
            start_epoch(client, self.keys)
        self.clients[1].hset(self.keys.shard(1), "epoch", str(EPOCH))

    def home(self, symbol: str) -> int:
        """Return the number of the ledger of a symbol."""
        return shard_of(POOL.lane_of("spot", symbol), 2)

    def commit(self, symbol: str, *quantities: float, strategy: AnyStrategy | None = None, version: str = "c1") -> None:
        """Commit trades of a symbol, in the ledger of its shard and in that of all."""
        for number in (self.home(symbol), 2):
            ledger = Ledger(self.clients[number], self.keys.namespace)
            assert run(ledger, self._batch(number, symbol, quantities, version), strategy or Echo.create({}))

    def _batch(self, number: int, symbol: str, quantities: tuple[float, ...], version: str) -> Batch[AnyEvent]:
        lane = POOL.lane_of("spot", symbol)
        done = self._done.get((number, lane.partition), 0)
        self._done[number, lane.partition] = done + len(quantities)
        events = tuple(trades(*quantities, start=done + 1, symbol=symbol))
        sent = batch(done or None, events=events, partition=lane.partition)
        return msgspec.structs.replace(sent, configuration=version)

    def trade_on_paper(self, symbol: str) -> None:
        """Put a closed position and an open one of a symbol into both ledgers."""
        held = OpenPosition("signal", -1, 2.0, 200.0, TIME_MS, None, None, 0.1, 101.0)
        account = state.pack(PaperState(symbols={symbol: SymbolAccount(position=held)}))
        for number in (self.home(symbol), 2):
            self.clients[number].hset(self.keys.pool("trade"), f"paper:spot:{symbol}:echo", account)
            self.clients[number].xadd(self.keys.positions, {"position": closed(symbol=symbol).pack()})

    def add(self, number: int, stream: str, field: str, value: str, name: str = "*") -> None:
        """Add an entry to a stream of a ledger."""
        self.clients[number].xadd(stream, {field: value}, id=name)

    def fields(self, number: int) -> set[str]:
        """Return what a ledger holds of symbols: records, states, paper accounts."""
        return {each.decode() for each in self.clients[number].hkeys(self.keys.pool("trade")) if each.count(b":") == 3}


@contextmanager
def split_ledger(redis_url: str, namespace: str) -> Iterator[SplitLedger]:
    """Make them, and close the connections at the end."""
    made = SplitLedger(redis_url, namespace)
    try:
        yield made
    finally:
        for client in made.clients:
            client.close()
