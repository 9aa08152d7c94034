"""Ledgers on databases of one server, as shards on a stream leave them, and what several hold together."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import redis

from ingest.lanes.layout import Layout
from ingest.ledger_move.plan import MovePlan
from ingest.ledger_move.streams import streams_of
from ingest.relay import GROUP
from tasks.clients.redis_client import connection_options
from tasks.frames.symbols import token
from tasks.ledger import LedgerKeys
from tasks.protocol.routing import Pool, Router, Shard, partition
from tasks.settings import Settings

#: Divided by every number of shards up to 4.
PARTITIONS = 12
POOLS = (
    Pool("trade", ("trade",), partitions=PARTITIONS),
    Pool("depth", ("depth",), partitions=PARTITIONS),
    Pool("basket", ("trade",), key="all", symbols=frozenset({"BTCUSDT", "BTC/USD"})),
)
STREAM = "js-FRAMES-1700000000000000"


class Contents(NamedTuple):
    """What ledgers hold together. Entries of streams are without their ids: of two that are the same one gets another."""

    fields: dict[tuple[str, str], bytes]
    entries: dict[str, Counter[tuple[tuple[bytes, bytes], ...]]]
    added: dict[str, int]
    counters: Counter[str]


def urls(redis_url: str, *databases: int) -> str:
    """Return the URLs of databases of a server."""
    return " ".join(f"{redis_url.rpartition('/')[0]}/{number}" for number in databases)


def settings_of(ledgers: str, namespace: str, **more: Any) -> Settings:
    """Return the settings of a ledger at these URLs, one for each shard."""
    where: dict[str, Any] = {"ledger_urls" if " " in ledgers else "ledger_url": ledgers}
    shard = f"0/{len(ledgers.split())}"
    return Settings(**where | {"namespace": namespace, "nats_partitions": PARTITIONS, "ingest_shard": shard} | more)


@contextmanager
def clients(ledgers: str) -> Iterator[list[Any]]:
    """Yield a client of each ledger."""
    made = [redis.Redis.from_url(url, **connection_options()) for url in ledgers.split()]
    try:
        yield made
    finally:
        for client in made:
            client.close()


def fill(ledgers: str, namespace: str, seed: int = 1, symbols: int = 8, entries: int = 5) -> None:
    """Write ledgers as shards have left them, with something of everything, by chance."""
    keys, draw = LedgerKeys(namespace), random.Random(seed)
    with clients(ledgers) as servers:
        names = [("spot", "BTCUSDT"), ("kraken", "BTC/USD")] + [("usdm", f"S{number}") for number in range(symbols - 2)]
        for number, client in enumerate(servers):
            pipe: Any = client.pipeline(transaction=False)
            _write_shard(pipe, keys, number, len(servers), draw)
            _write_fields(pipe, keys, [name for name in names if partition(*name, len(servers)) == number])
            _write_streams(pipe, keys, number, draw.randrange(entries + 1))
            if number == 0:
                _write_first(pipe, keys)
            pipe.execute()
        ends = [server.xinfo_stream(keys.signals) for server in servers]
        ids = b" ".join(end["last-generated-id"] for end in ends)
        at = {"position": ids, "passed": " ".join(str(end["entries-added"]) for end in ends), "kind": "stdout"}
        servers[0].hset(keys.delivery("mine"), mapping=at)


def _write_shard(pipe: Any, keys: LedgerKeys, number: int, total: int, draw: random.Random) -> None:
    layout = Layout(Router(POOLS, Shard(number, total), PARTITIONS), has_own_ledger=total > 1)
    frontier, epoch = f"{STREAM}@{1000 + draw.randrange(100)}", f"{draw.randrange(1, 9)}.{number:08x}"
    pipe.set(keys.layout, layout.encode())
    shard = {"epoch": epoch, "frontier": frontier, "checkpoint": f"c {epoch} {frontier}", "confirmed": ""}
    shard |= {"counted": f"{STREAM}@{1100 + draw.randrange(100)}", "read": f"{STREAM}@{1300 + number}@{17 + number}"}
    pipe.hset(keys.shard(number), mapping=shard)
    pipe.hset(keys.counters, mapping={"frames": draw.randrange(99), f"held:{number}": 1, "applied": 7, "odd": "x"})
    for lane in layout.lanes:
        field = {f"lane:{lane.partition}": f"{STREAM}@1200", f"frame:{lane.partition}": f"{STREAM}@1200@16"}
        pipe.hset(keys.pool(lane.pool), mapping=field)
        pipe.hset(keys.starts(lane), "x", 1)
    strike = f'{{"s{number}": {{"event": "e", "at_s": 1.5, "stopped": false, "why": "hung"}}}}'
    pipe.hset(keys.pool("trade"), mapping={"resets": 1 + number, "ended:c1": strike})


def _write_fields(pipe: Any, keys: LedgerKeys, names: Sequence[tuple[str, str]]) -> None:
    for venue, symbol in names:
        word = f"{venue}:{token(symbol)}"
        pipe.hset(keys.pool("depth"), f"record:{word}:depth", f"depth {symbol}")
        fields = {f"record:{word}:trade": f"r {symbol}", f"state:{word}:momentum": b"\xff\x00", f"paper:{word}:x": "p"}
        pipe.hset(keys.pool("trade"), mapping=fields)


def _write_streams(pipe: Any, keys: LedgerKeys, number: int, entries: int) -> None:
    pipe.xgroup_create(keys.signals, GROUP, id="0", mkstream=True)
    for stream in streams_of(keys)[:-1]:
        for entry in range(entries):
            # The second one of each ledger has an id that others have too.
            pipe.xadd(stream, {"what": f"{number}/{entry}", "trace": "t"}, id=f"{1000 + entry * (number + 1)}-0")
        if entries > 2:
            pipe.xdel(stream, "1000-0")
    pipe.xgroup_setid(keys.signals, GROUP, "$")


def _write_first(pipe: Any, keys: LedgerKeys) -> None:
    fields = {f"record:{word}:trade": word for word in ("spot:BTCUSDT", "kraken:BTC%2FUSD")}
    pipe.hset(keys.pool("basket"), mapping=fields | {"state:spot:all:dominance": "all", "resets": 2})
    pipe.hset(keys.configuration, mapping={"version": "c1", "overlay": "{}"})
    pipe.hset(keys.configurations, "c1", "{}")
    pipe.xadd(keys.history, {"entry": "{}"})
    pipe.hset(keys.workers, "w", "{}")
    pipe.set(f"{keys.namespace}:api:answer:x", "{}", ex=1_000)
    pipe.rpush(f"{keys.namespace}:api:answers", "x", "y")
    pipe.lpush(f"{keys.namespace}:celery:trade", "a task")


def contents(ledgers: str, namespace: str) -> Contents:
    """Return what ledgers hold together: of a shard's own, and of no shard."""
    keys, found = LedgerKeys(namespace), Contents({}, {}, {}, Counter())
    with clients(ledgers) as servers:
        for client in servers:
            for key in keys_of(client, namespace):
                _add(found, client, keys, key)
    return found


def _add(found: Contents, client: Any, keys: LedgerKeys, key: str) -> None:
    if key in streams_of(keys):
        counted = Counter(tuple(sorted(fields.items())) for _, fields in client.xrange(key))
        found.entries[key] = found.entries.get(key, Counter()) + counted
        found.added[key] = found.added.get(key, 0) + client.xinfo_stream(key)["entries-added"]
    elif key == keys.counters:
        counts = {field.decode(): int(value) for field, value in client.hgetall(key).items() if value.isdigit()}
        found.counters.update(counts)
    elif ":pool:" in key:
        for field, value in client.hgetall(key).items():
            if field.startswith((b"record:", b"state:", b"paper:")):
                assert (key, field.decode()) not in found.fields, f"{field!r} is on two ledgers"
                found.fields[key, field.decode()] = value
    elif ":configuration" in key or ":api:" in key:
        assert (key, "") not in found.fields or key == keys.configurations, f"{key} is on two ledgers"
        found.fields[key, ""] = client.dump(key)


def shards(ledgers: str, namespace: str) -> dict[str, Any]:
    """Return what stands in the key of each shard, and the layouts."""
    keys = LedgerKeys(namespace)
    with clients(ledgers) as servers:
        found = {f"{at} {n}": server.hgetall(keys.shard(n)) for at, server in enumerate(servers) for n in range(4)}
        return found | {f"{at}": server.get(keys.layout) for at, server in enumerate(servers)}


def check_delivery(ledgers: str, namespace: str) -> None:
    """Check that the delivery that `fill` has written stands at the end of each ledger's signals."""
    keys = LedgerKeys(namespace)
    with clients(ledgers) as servers:
        position, passed = (value.split() for value in servers[0].hmget(keys.delivery("mine"), "position", "passed"))
        for server, at, count in zip(servers, position, passed, strict=True):
            end = server.xinfo_stream(keys.signals) if server.exists(keys.signals) else None
            expected = (end["last-generated-id"], b"%d" % end["entries-added"]) if end else (b"0-0", b"0")
            assert (at, count) == expected


def keys_of(client: Any, namespace: str) -> list[str]:
    """Return the keys that a ledger has, without Celery's."""
    found = [key.decode() for key in client.scan_iter(match=f"{namespace}:*", count=1_000)]
    return sorted(key for key in found if not key.startswith(f"{namespace}:celery:"))


def remove(ledgers: str, namespace: str) -> None:
    """Remove what ledgers hold, Celery's keys too: what looks through all keys of a server is slow where there are many."""
    with clients(ledgers) as servers:
        for client in servers:
            client.delete("none", *client.scan_iter(match=f"{namespace}:*", count=1_000))


def misplaced(ledgers: str, namespace: str) -> list[str]:
    """Return keys and fields that the plan of a ledger on these servers has elsewhere, but for positions of lanes."""
    found, servers = [], ledgers.split()
    plan = MovePlan.of(servers, servers, len(servers), PARTITIONS, POOLS)
    with clients(ledgers) as connected:
        for server, client in zip(plan.new, connected, strict=True):
            for key in keys_of(client, namespace):
                suffix = key.removeprefix(f"{namespace}:")
                found += [f"{server} {key}"] * (not plan.keeps_key(server, suffix) or suffix == "moving")
                if suffix.startswith("pool:"):
                    fields: Any = client.hkeys(key)
                    pool = suffix.removeprefix("pool:")
                    found += [
                        f"{server} {key} {field}"
                        for field in map(bytes.decode, fields)
                        if not plan.keeps(server, pool, field, STREAM)
                    ]
    return found
