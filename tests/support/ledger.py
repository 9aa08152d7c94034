"""Batches of trades, and a look at every byte of a ledger."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from tasks.events import AnyEvent, Position
from tasks.ledger import BatchStart, Committed, Ledger, LedgerKeys
from tasks.protocol.batches import Batch, Epoch
from tasks.protocol.counters import CounterKey, Counts
from tasks.protocol.notice import Notice
from tasks.protocol.outcome import Outcome
from tests.support.strategies import trades
from tests.support.waiting import wait_for

EPOCH = Epoch(7, "3f9a02c1")
SOURCE = f"core-{EPOCH}"


def at(seq: int | None, source: str = SOURCE) -> Position | None:
    return None if seq is None else Position(source, seq)


def batch(
    prev: int | None = None,
    *quantities: float,
    epoch: Epoch = EPOCH,
    events: tuple[AnyEvent, ...] = (),
    partition: int = 0,
) -> Batch[AnyEvent]:
    """Make a batch of the pool "trade" after `prev`: by default of two trades."""
    held = events or tuple(trades(*(quantities or (1.0, 1.0)), start=(prev or 0) + 1))
    return Batch("trade", partition, 0, epoch, at(prev), Position(SOURCE, held[-1].seq), "c1", held)


def outcome(name: str = "x") -> Outcome:
    """Return something of everything that a batch can leave behind."""
    fields = {f"record:{name}": b"r", f"state:{name}": b"s"}
    return Outcome(
        fields,
        [b"signal 1", b"signal 2"],
        [b"letter"],
        [b"line"],
        Counts({CounterKey("applied"): 2, CounterKey("gaps"): 0}),
        held=[b"held"],
        shadowed=[b"shadowed"],
        positions=[b"position"],
    )


def begin(ledger: Ledger, sent: Batch[AnyEvent], fields: Sequence[str] = ("record:x",)) -> BatchStart:
    """Begin a batch that travels alone."""
    [begun] = ledger.begin([(sent, fields)])
    return begun


def commit(ledger: Ledger, sent: Batch[AnyEvent], made: Outcome, resets: bytes = b"") -> Committed:
    """Commit a batch that travels alone."""
    [committed] = ledger.commit([(sent, made, resets)])
    return committed


def dump(client: redis.Redis, namespace: str, *, but: str = "") -> dict[bytes, object]:
    """Return everything that a ledger holds, byte by byte, `but` for one key."""
    return {key: _content(client, key) for key in client.scan_iter(match=f"{namespace}:*") if key.decode() != but}


def _content(client: Any, key: bytes) -> object:
    """Return a key's bytes; of a stream what it holds and who has read what, not when a consumer was last seen."""
    if client.type(key) != b"stream":
        return client.dump(key)
    groups = client.xinfo_groups(key)
    read = [(group["name"], group["last-delivered-id"], client.xpending(key, group["name"])) for group in groups]
    return client.xrange(key), client.xinfo_stream(key)["last-generated-id"], read


def start_epoch(client: redis.Redis, keys: LedgerKeys, epoch: Epoch = EPOCH) -> None:
    client.hset(keys.shard(0), "epoch", str(epoch))


@contextmanager
def listening(client: redis.Redis, keys: LedgerKeys) -> Iterator[list[Notice]]:
    """Collect the notices of the block into a list, which is filled at its end."""
    heard: list[Notice] = []
    anybody: Any = client
    with anybody.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(keys.notices)
        wait_for(lambda: anybody.pubsub_numsub(keys.notices)[0][1] == 1, "the subscription")
        yield heard
        client.publish(keys.notices, b"the end")
        for message in listener.listen():
            if message["data"] == b"the end":
                return
            heard += map(Notice.parse, message["data"].decode().split("\n"))
