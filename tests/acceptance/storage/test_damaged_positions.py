"""Positions of the ledger that are damaged or deleted while no ingest runs: its next start reads every frame all the same."""

import signal
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import redis

from compose.local.stack import Plan, Stack
from tasks.events import Position
from tasks.ledger import LedgerKeys
from tasks.ledger.reader import LedgerReader
from tests.support.files.parts import write_parts
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, leads, ready, replay, running
from tests.support.waiting import wait_for

#: Frames of each part, and by how many a position is raised: into the middle of the part that nobody has read yet.
PART, RAISED = 600, 300

#: With a client of redis-py, whose types don't say what it answers.
Damage = Callable[[Any, LedgerKeys], object]


def raise_by(count: int, field: str, key: Callable[[LedgerKeys], str]) -> Damage:
    """Return what raises a stored position."""

    def damage(client: Any, keys: LedgerKeys) -> None:
        stood = Position.parse(client.hget(key(keys), field).decode())
        client.hset(key(keys), field, str(Position(stood.source, stood.seq + count)))

    return damage


def shard(keys: LedgerKeys) -> str:
    return keys.shard(0)


def another_stream(client: Any, keys: LedgerKeys) -> None:
    client.hset(shard(keys), "frontier", client.hget(shard(keys), "frontier").replace(b"js-F", b"js-D"))


def no_shard_in_layout(client: Any, keys: LedgerKeys) -> None:
    client.set(keys.layout, client.get(keys.layout).replace(b'"shards":1', b'"shards":0'))


def lanes(client: Any, keys: LedgerKeys) -> None:
    for number in range(8):
        raise_by(RAISED, f"lane:{number}", lambda keys: keys.pool("trade"))(client, keys)


def frame_before(client: Any, keys: LedgerKeys) -> None:
    """The frame that was read last, as if stored a hundred seconds earlier."""
    client.hset(shard(keys), "read", raised(client.hget(shard(keys), "read"), -100 * 10**9))


def frame_after(client: Any, keys: LedgerKeys) -> None:
    client.hset(shard(keys), "read", raised(client.hget(shard(keys), "read"), 10**18))


def raised(frame: bytes, by_ns: int) -> bytes:
    before, _, time_ns = frame.rpartition(b"@")
    return b"%b@%d" % (before, int(time_ns) + by_ns)


QUICK: Mapping[str, Damage] = {
    "a frontier that is higher": raise_by(RAISED, "frontier", shard),
    "no key of the shard": lambda client, keys: client.delete(shard(keys)),
}
LONG: Mapping[str, Damage] = {
    **QUICK,
    "a layout without a shard": no_shard_in_layout,
    "a frontier far behind the stream's end": raise_by(10**6, "frontier", shard),
    "a frontier of another stream": another_stream,
    "no frontier": lambda client, keys: client.hdel(shard(keys), "frontier"),
    "a higher count": raise_by(RAISED, "counted", shard),
    "a count far behind the stream's end": raise_by(10**6, "counted", shard),
    "lanes that stand higher": lanes,
    "a frame that was stored earlier": frame_before,
    "a frame that was stored later": frame_after,
    "no layout": lambda client, keys: client.delete(keys.layout),
    "another epoch": lambda client, keys: client.hset(shard(keys), "epoch", "7.ab"),
    "no epoch": lambda client, keys: client.hdel(shard(keys), "epoch"),
}


def stop_ingest(stack: Stack) -> None:
    wait_for(lambda: stack.instance.watch() is not None and leads(stack), "ingest's lead")
    stack.ingest.terminate()
    wait_for(lambda: stack.instance.watch() is not None and stack.ingest.returncode is not None, "ingest's end")
    assert stack.ingest.returncode == -signal.SIGTERM, stack.ingest.tail()


@pytest.mark.parametrize(
    "damages",
    [
        pytest.param(QUICK, id="quick", marks=pytest.mark.ci),
        pytest.param(LONG, id="long", marks=pytest.mark.slow),
    ],
)
def test_frames_behind_a_damaged_position_are_all_read(recording: Path, tmp_path: Path, damages: Mapping[str, Damage]):
    made = list(islice(write_parts(recording, tmp_path, PART), len(damages) + 1))
    plan = Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})
    with running(plan) as stack, redis.Redis.from_url(stack.redis_url) as client:
        reader = LedgerReader(stack.settings)
        replay(stack, [made[0][0]], "max")
        for (name, damage), (part, applied) in zip(damages.items(), made[1:], strict=True):
            stop_ingest(stack)
            replay(stack, [part], "max")
            damage(client, reader.keys)
            stack.instance.start_again(stack.ingest)
            wait_for(lambda: reader.counters().of("applied") >= applied, f"{name}:{stack.ingest.tail()}")  # noqa: B023 called at once
            assert reader.counters().of("applied") == applied, name
            if name in QUICK:
                assert "ledger_damaged" in {each["name"] for each in ready(stack)["findings"]}, name
        live = finish(stack)
        letters = deadletters(stack)
    assert digests(live) == digests(backtested([part for part, _ in made]))
    assert (live.dropped, letters) == ({}, [])


@pytest.mark.slow
def test_a_pool_that_is_gone_loses_and_repeats_no_event(recording: Path, tmp_path: Path):
    """Its strategies begin empty: while ingest runs, and when none did."""
    made = list(islice(write_parts(recording, tmp_path, PART), 3))
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})) as stack:
        reader = LedgerReader(stack.settings)
        with redis.Redis.from_url(stack.redis_url) as client:
            replay(stack, [made[0][0]], "max")
            at_end = b"@%d" % PART
            wait_for(lambda: (client.hget(reader.keys.shard(0), "frontier") or b"").endswith(at_end), "the frontier")
            client.delete(reader.keys.pool("trade"))
            replay(stack, [made[1][0]], "max")
            wait_for(lambda: reader.counters().of("applied") >= made[1][1], f"events:{stack.ingest.tail()}")
            assert "Redis went back in time" in stack.ingest.log.read_text()
            stop_ingest(stack)
            client.delete(reader.keys.pool("depth"))
            replay(stack, [made[2][0]], "max")
            stack.instance.start_again(stack.ingest)
            wait_for(lambda: reader.counters().of("applied") >= made[2][1], f"events:{stack.ingest.tail()}")
        found = {each["what"] for each in ready(stack)["findings"] if each["name"] == "ledger_damaged"}
        live, applied = finish(stack), reader.counters().of("applied")
        letters = deadletters(stack)
    assert found == {f"key {reader.keys.pool('depth')}"}
    assert applied == made[2][1]
    assert (live.dropped, live.repeats, letters) == ({}, 0, [])
