"""Where each delivery of signals stands, for others than its process."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import redis

from tasks.clients.redis_client import UNAVAILABLE
from tasks.ledger.deliveries import COUNTED, LEASE
from tasks.ledger.delivery_position import UNKNOWN, DeliveryPosition
from tasks.ledger.entry_id import NONE
from tasks.ledger.keys import LedgerKeys
from tasks.protocol.counters import read_count


class DeliveryState(msgspec.Struct, frozen=True):
    """A delivery as others see it."""

    name: str
    kind: str
    #: Whether a process holds its lease.
    running: bool
    #: How many signals wait, and since when the oldest of them was committed.
    waiting: int
    oldest_s: float
    sent: int
    filtered: int
    refused: int
    trimmed: int
    #: Why nothing is delivered; empty: it is.
    trouble: str


class _Waiting(NamedTuple):
    """How many signals of a ledger wait, and since when the oldest of them was committed."""

    signals: int = 0
    oldest_s: float = 0.0


def read_all(clients: Sequence[redis.Redis], keys: LedgerKeys) -> list[DeliveryState]:
    """Return every delivery, by name; `clients` are those of all ledgers. Raises what Redis raises.

    Signals that wait in a ledger that is unavailable are left out, except in the first.
    """
    prefix = keys.delivery("")
    names = {each.decode().removeprefix(prefix) for each in clients[0].scan_iter(match=f"{prefix}*", count=1_000)}
    return [_state(clients, keys, name) for name in sorted(names) if ":" not in name]


def _state(clients: Sequence[redis.Redis], keys: LedgerKeys, name: str) -> DeliveryState:
    key = keys.delivery(name)
    stored: Any = clients[0].hgetall(key)
    kind, trouble = (stored.get(field, b"").decode(errors="replace") for field in (b"kind", b"trouble"))
    position = DeliveryPosition.read(stored.get(b"position"), stored.get(b"passed"), len(clients))
    waiting = []
    for ledger, client in enumerate(clients):
        with suppress(*(UNAVAILABLE if ledger else ())):
            waiting.append(_of_ledger(client, keys, position.ids[ledger] or NONE, position.passed[ledger]))
    counts = {name: read_count(stored.get(name.encode())) or 0 for name in COUNTED}
    return DeliveryState(
        name=name,
        kind=kind,
        running=is_running(clients[0], keys, name),
        waiting=sum(each.signals for each in waiting),
        oldest_s=round(max(each.oldest_s for each in waiting), 3),
        trouble=trouble,
        **counts,
    )


def _of_ledger(client: redis.Redis, keys: LedgerKeys, position: str, passed: int) -> _Waiting:
    next_one: Any = client.xrange(keys.signals, min=f"({position}", count=1)
    if not next_one:
        return _Waiting()
    if passed == UNKNOWN:
        behind: Any = client.xrange(keys.signals, min=f"({position}")
        signals = len(behind)
    else:
        signals = client.xinfo_stream(keys.signals)["entries-added"] - passed
    now_s, now_us = client.time()
    oldest_s = now_s + now_us / 1e6 - int(next_one[0][0].partition(b"-")[0]) / 1_000
    return _Waiting(max(0, signals), oldest_s)


def forget(clients: Sequence[redis.Redis], keys: LedgerKeys, name: str) -> bool:
    """Remove a delivery from all ledgers; return whether there was one. Raises what Redis raises."""
    key, found = keys.delivery(name), False
    for client in clients:
        fields: Any = client.hgetall(key)
        found |= bool(fields and client.hdel(key, *fields))
    return found


def is_running(client: redis.Redis, keys: LedgerKeys, name: str) -> bool:
    """Return whether a process holds the lease of a delivery; `client` is that of the first ledger.

    Raises what Redis raises.
    """
    return bool(client.exists(f"{keys.delivery(name)}{LEASE}"))
