"""The Redis in memory answers as a real one does."""

import random
from typing import Any

import msgspec
import pytest
import redis

from tasks.events import Position
from tasks.ledger import Ledger, LedgerKeys
from tests.simulation.servers.redis_server import RedisServer
from tests.support.ledger import EPOCH, SOURCE, batch, outcome

COMMANDS: list[tuple[Any, ...]] = [
    ("SET", "s", "1", "NX", "PX", "100000"), ("SET", "s", "2", "NX", "PX", "100000"), ("GET", "s"), ("GET", "none"),
    ("EXISTS", "s", "none"), ("HSET", "h", "a", "1", "b", "x"), ("HGET", "h", "a"), ("HMGET", "h", "a", "none"),
    ("HGETALL", "h"), ("HINCRBY", "h", "a", "41"), ("HDEL", "h", "none", "b"), ("LPUSH", "l", "1", "2"), ("LLEN", "l"),
    ("RPOP", "l"), ("RPOP", "l"), ("RPOP", "l"), ("EXISTS", "l"), ("XLEN", "x"), ("DEL", "s", "h", "none"),
]  # fmt: skip


def test_commands_are_answered_as_by_a_real_server(client: redis.Redis, settings):
    simulated = RedisServer(lambda: 0.0)
    raw: Any = client.connection_pool.get_connection()
    for command, key, *rest in COMMANDS:
        raw.send_command(command, f"{settings.namespace}:{key}", *rest)
        expected = raw.read_response()
        if command == "HGETALL" and isinstance(expected, dict):
            expected = [each for item in expected.items() for each in item]
        assert simulated.execute(command, f"{settings.namespace}:{key}", *rest) == expected, (command, key)
    client.connection_pool.release(raw)


class _DirectClient(redis.Redis):
    """redis-py on the Redis in memory."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__(connection_pool=redis.ConnectionPool(protocol=2))
        self._server = server

    def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = self._server.execute(*args)
        read = dict(self.response_callbacks).get(args[0])
        return read(reply, **options) if read else reply


@pytest.mark.parametrize("seed", range(8))
def test_the_ledgers_scripts_do_what_they_do_on_a_real_server(client: redis.Redis, keys: LedgerKeys, seed: int):
    """Runs of a lane: starts, releases, commits that are new, repeated, or refused."""
    dice, server = random.Random(seed), RedisServer(lambda: 0.0)
    ledgers = [Ledger(each, keys.namespace) for each in (client, _DirectClient(server))]
    for each in (client, _DirectClient(server)):
        each.hset(keys.shard(0), "epoch", str(EPOCH))
    stands: Position | None = None
    for number in range(1, 40):
        prev = dice.choice([stands, stands, stands, Position(SOURCE, 1), None])
        work = msgspec.structs.replace(batch(), prev=prev, to=Position(SOURCE, number))
        said = outcome(f"x{number % 4}")
        answers = [_run(ledger, work, said, how=number % 3) for ledger in ledgers]
        assert answers[0] == answers[1]
        if "committed" in answers[0]:
            stands = work.to
    for key in (keys.pool("trade"), keys.starts(work.lane), keys.counters, keys.shard(0)):
        assert client.hgetall(key) == server.data.get(key.encode(), {})
    entries: Any = client.xrange(keys.signals)
    assert [fields for _, fields in entries] == [
        dict(zip(fields[::2], fields[1::2], strict=True))
        for fields in server.data[keys.signals.encode()].entries.values()
    ]


def _run(ledger: Ledger, work: Any, said: Any, how: int) -> list[Any]:
    """Begin a run, and commit it, release it, or commit it twice."""
    begun = ledger.begin([(work, ["record:x1", "record:x2"])])
    if how == 1:
        ledger.release_start(work)
        return [begun]
    return [begun, *(ledger.commit([(work, said, b"")])[0] for _ in range(1 + (how == 2)))]
