"""Faults of Redis: deaf, asleep, read-only, full, started again with its data, with old data, without."""

from collections.abc import Iterator
from contextlib import suppress

import redis

from compose.local.servers import free_port
from tests.faults.run import Case, FaultRun
from tests.support.waiting import wait_for

#: Longer than the five seconds that a client waits for an answer.
DEAF_S = 7.0


def cut_clients(run: FaultRun) -> Iterator[float]:
    while run.feeding:
        for kind in ("normal", "pubsub"):
            run.command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        run.hit()
        yield 1.0


def paused(run: FaultRun) -> Iterator[float]:
    yield 1.0
    run.command("CLIENT", "PAUSE", int(DEAF_S * 1000), "ALL")
    yield DEAF_S
    run.hit()


def asleep(run: FaultRun) -> Iterator[float]:
    yield 1.0
    with (
        redis.Redis.from_url(run.stack.redis_url, retry=None, socket_timeout=0.1) as client,
        suppress(redis.TimeoutError),
    ):
        client.execute_command("DEBUG", "SLEEP", DEAF_S)
    yield DEAF_S
    run.hit()


def _hold(run: FaultRun) -> bytes | None:
    """Let nobody write any more, and keep what the ledger says; return the epoch."""
    run.command("CLIENT", "PAUSE", 60_000, "WRITE")
    run.remember()
    return _epoch(run)


def _epoch(run: FaultRun) -> bytes | None:
    with suppress(redis.RedisError):
        return run.redis.hget(run.reader.keys.shard(0), "epoch")  # type: ignore[return-value]  # a sync client
    return None


def _start_again(run: FaultRun) -> None:
    run.kill(run.stack.redis)
    _wait_for_redis(run)
    run.hit()


def _wait_for_redis(run: FaultRun) -> None:
    def answers() -> bool:
        with suppress(redis.RedisError):
            return bool(run.redis.ping())
        return False

    wait_for(answers, "Redis")


def restarted(run: FaultRun) -> Iterator[float]:
    for _ in range(3):
        yield 2.0
        run.command("CLIENT", "PAUSE", 60_000, "WRITE")
        run.redis.save()
        _start_again(run)


def older(run: FaultRun) -> Iterator[float]:
    yield 1.5
    run.redis.save()
    yield 1.5
    before = _hold(run)
    _start_again(run)
    yield from _until_a_new_epoch(run, before)


def cut_aof(run: FaultRun) -> Iterator[float]:
    """Have the append-only file end in the middle of a command, as after a crash of the machine."""
    server = run.stack.redis
    without = server.command
    yield 0.5
    run.redis.config_set("appendonly", "yes")
    server.restart_as((*without, "--appendonly", "yes"))
    yield 2.5
    before = _hold(run)
    run.stack.instance.kill(server)
    folder = run.stack.instance.directory / "redis" / "appendonlydir"
    file = max(folder.glob("*.incr.aof"), key=lambda each: each.stat().st_mtime)
    whole = file.read_bytes()
    # Behind the beginning of a command, and some commits before the end.
    file.write_bytes(whole[: whole.rindex(b"\r\nHSET\r\n", 0, len(whole) - 50_000) + 5])
    run.stack.instance.start_again(server)
    _wait_for_redis(run)
    run.hit()
    yield from _until_a_new_epoch(run, before)
    server.restart_as(without)
    run.redis.config_set("appendonly", "no")


def dump_in_place_of_aof(run: FaultRun) -> Iterator[float]:
    """Have Redis start from a dump that is older than its append-only file, as where that was switched off."""
    run.redis.config_set("appendonly", "yes")
    yield from older(run)


def without_data(run: FaultRun) -> Iterator[float]:
    yield 3.0
    before = _hold(run)
    _start_again(run)
    yield from _until_a_new_epoch(run, before)


def flushed(run: FaultRun) -> Iterator[float]:
    yield 3.0
    before = _hold(run)
    # Paused writers go on after the commands of this connection, which may write while it lifts the pause.
    with run.redis.pipeline(transaction=False) as pipe:
        pipe.client_unpause()
        pipe.flushall()
        pipe.execute()
    run.hit()
    yield from _until_a_new_epoch(run, before)


def _until_a_new_epoch(run: FaultRun, before: bytes | None) -> Iterator[float]:
    """Wait for a new epoch: of the ingest that led, which has noticed, or of one that took the lead meanwhile."""
    wait_for(lambda: _epoch(run) not in {None, before}, "a new epoch")
    yield 0.0


def full(run: FaultRun) -> Iterator[float]:
    yield 2.0
    used: int = run.redis.info("memory")["used_memory"]
    run.redis.config_set("maxmemory", used + 300_000)
    yield 6.0
    run.redis.config_set("maxmemory", 0)
    run.hit()


def unsaved(run: FaultRun) -> Iterator[float]:
    yield 2.0
    # Redis writes a file of another name, and moves it: that fails where a folder is.
    folder = run.stack.instance.directory / "redis" / "dump.rdb"
    folder.unlink(missing_ok=True)
    folder.mkdir()
    run.redis.config_set("save", "3600 1")
    run.redis.bgsave()
    wait_for(lambda: not _saves(run), "the save to fail")
    yield 6.0
    folder.rmdir()
    run.redis.bgsave()
    wait_for(lambda: _saves(run), "the save")
    run.redis.config_set("save", "")
    run.hit()


def _saves(run: FaultRun) -> bool:
    return bool(run.redis.info("persistence")["rdb_last_bgsave_status"] == "ok")


def read_only(run: FaultRun) -> Iterator[float]:
    yield 2.0
    run.redis.replicaof("127.0.0.1", free_port())
    yield 6.0
    run.redis.replicaof("NO", "ONE")
    run.hit()


CASES = (
    Case("Redis: all connections killed", cut_clients),
    Case("Redis: paused for 7 s", paused),
    Case("Redis: asleep for 7 s", asleep),
    Case("Redis: started again with its data", restarted),
    Case("Redis: started again with older data", older, core_loses=True),
    Case("Redis: its append-only file is cut", cut_aof, core_loses=True),
    Case("Redis: an older dump, no append-only file", dump_in_place_of_aof, core_loses=True),
    Case("Redis: started again without data", without_data, core_loses=True, forgets=True),
    Case("Redis: flushed", flushed, core_loses=True, forgets=True),
    Case("Redis: full for 6 s", full),
    Case("Redis: can't save for 6 s", unsaved),
    Case("Redis: a read-only replica for 6 s", read_only),
)
