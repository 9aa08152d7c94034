"""What each Redis user of docs/security.md can do inside the namespace: each cell of its table, tried as that user."""

import pytest
import redis

from tests.support.servers import security_page
from tests.support.servers.guarded_servers import RIGHTS
from tests.support.servers.nats_logins import SECRET

HEAD = "inside the namespace, may a user of Redis"
POOL, QUEUE, RESULT = "rs:pool:depth", "rs:celery:depth", "rs:celery:celery-task-meta-1"
ENVELOPE = "rs:celery:/0.celery.pidbox"
Commands = tuple[tuple[str | float, ...], ...]


def _removing(stream: str) -> Commands:
    return ("XDEL", stream, "1-1"), ("XTRIM", stream, "MAXLEN", 0), ("DEL", stream)


#: By what the table calls it: commands of which one is enough.
DEEDS: dict[str, Commands] = {
    "read states and records": (("HGET", POOL, "lane:0"), ("HGETALL", POOL), ("HSCAN", POOL, 0)),
    "change states and records": (("HSET", POOL, "lane:0", "x"), ("HDEL", POOL, "lane:0"), ("DEL", POOL)),
    "read signals": (("XRANGE", "rs:signals", "-", "+"), ("XREVRANGE", "rs:signals", "+", "-")),
    "forge signals": (("XADD", "rs:signals", "*", "signal", "x"),),
    "remove signals": _removing("rs:signals"),
    "forge closed positions": (("XADD", "rs:positions", "*", "position", "x"),),
    "read the configuration": (("HGETALL", "rs:configuration"), ("HMGET", "rs:configuration", "version")),
    "change the configuration": (("HSET", "rs:configuration", "version", "x"), ("DEL", "rs:configuration")),
    "remove what versions of it say": (("HDEL", "rs:configurations", "x"), ("DEL", "rs:configurations")),
    "change its history": (("XADD", "rs:configuration:history", "*", "change", "x"),),
    "write dead letters": (("XADD", "rs:deadletters", "*", "letter", "x"),),
    "remove dead letters": _removing("rs:deadletters"),
    "put entries into queues of pools": (("LPUSH", QUEUE, "x"), ("RPUSH", QUEUE, "x")),
    "take entries out of queues of pools": (("RPOP", QUEUE), ("BRPOP", QUEUE, 0.01), ("DEL", QUEUE)),
    "read entries in queues of pools": (("LRANGE", QUEUE, 0, -1), ("RPOP", QUEUE)),
    "put entries into research": (("LPUSH", "rs:celery:research", "x"),),
    "change bindings of queues": (("SADD", "rs:celery:_kombu.binding.x", "x"), ("DEL", "rs:celery:_kombu.binding.x")),
    "send control commands": (("PUBLISH", ENVELOPE, "x"),),
    "read results of batches": (("GET", RESULT),),
    "forge results of batches": (("SET", RESULT, "x"),),
    "take the lead from ingest": (("SET", "rs:lease:0", "x"), ("DEL", "rs:lease:0")),
    "end an epoch": (("HSET", "rs:shard:0", "epoch", "9"), ("DEL", "rs:shard:0")),
    "send notices": (("PUBLISH", "rs:notices", "x"),),
    "forge heartbeats of workers": (("HSET", "rs:workers", "x", "x"), ("DEL", "rs:workers")),
    "list the names of all keys": (("SCAN", 0),),
    "fill the memory": (
        ("XADD", "rs:signals", "*", "x", "x"), ("LPUSH", QUEUE, "x"), ("HSET", POOL, "x", "x"),
        ("SADD", "rs:celery:_kombu.binding.x", "x"), ("HSET", "rs:configuration", "x", "x"),
        ("HSET", "rs:delivery:x", "x", "x"),
    ),
    "read passwords of the server": (("CONFIG", "GET", "requirepass"), ("ACL", "LIST"), ("ACL", "GETUSER", "default")),
}  # fmt: skip


@pytest.fixture(scope="module")
def users(url: str) -> dict[str, redis.Redis]:
    """Return a client for each user."""
    logins = {role: f"//rs-{role}:{SECRET}-{role}@" for role in RIGHTS}
    return {role: redis.Redis.from_url(url.replace("//", login), protocol=2) for role, login in logins.items()}


def _is_allowed(user: redis.Redis, command: tuple[str | float, ...]) -> bool:
    try:
        user.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py's gap
    except redis.exceptions.NoPermissionError:
        return False
    except redis.ResponseError:
        # A key of another kind, for example, by what another case left there: it was let through.
        return True
    return True


@pytest.mark.parametrize(("deed", "user", "may"), security_page.cells(HEAD))
def test_a_user_of_redis_may_do_what_the_table_says(users: dict[str, redis.Redis], deed: str, user: str, may: str):
    assert ("yes" if any(_is_allowed(users[user], command) for command in DEEDS[deed]) else "no") == may


def test_the_default_user_may_do_all_of_it(url: str):
    """Whoever reaches a Redis without users of its own, or has the password of `default`."""
    with redis.Redis.from_url(url, protocol=2) as anybody:
        assert [deed for deed, tried in DEEDS.items() if not any(_is_allowed(anybody, each) for each in tried)] == []


def test_the_table_has_every_deed_and_every_user():
    cells = security_page.table(HEAD)
    assert list(cells) == list(DEEDS)
    assert {tuple(row) for row in cells.values()} == {tuple(RIGHTS)}
