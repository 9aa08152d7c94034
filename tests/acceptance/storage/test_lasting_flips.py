"""A bit that flips in a key of the ledger while everything runs, and stays: nothing changes, or a line names the key."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import redis

from compose.local.stack import Plan, Stack
from tasks.ledger import LedgerKeys, lane_field
from tasks.ledger.keys import frame_field
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters
from tests.faults.to_ledger import FLIP, lanes
from tests.support.files.parts import Part, write_parts
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, ready, running
from tests.support.stacks.publishing import publish_frames
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.ci, pytest.mark.timeout(600)]

#: Frames between two flips, and until there are paper accounts.
SIZE, FILLED = 150, 3_000
#: What ingest says to do about a field that holds what is none of ours.
REMEDY = re.compile(r"^refuses what ingest asks for: the ledger holds .* belongs: HDEL (\S+) (\S+)$")
#: A key, and a field of it; a string has none.
Place = tuple[str, str]


def read_while_running(keys: LedgerKeys, client: Any) -> Sequence[Place]:
    """Return what is read while everything runs: who sees that it is damaged takes a new epoch, or ends and starts again."""
    shard = [(keys.shard(0), name) for name in ("epoch", "frontier", "checkpoint", "counted", "read")]
    positions = [(keys.pool(lane.pool), name(lane)) for lane in lanes() for name in (lane_field, frame_field)]
    version = client.hget(keys.configuration, "version").decode()
    # A worker may have applied events before its first heartbeat.
    worker = min(wait_for(lambda: client.hkeys(keys.workers), "a heartbeat")).decode()
    return [(keys.lease(0), ""), *shard, *positions, (keys.configurations, version), (keys.workers, worker)]


def read_at_a_start(keys: LedgerKeys) -> Sequence[Place]:
    configuration = [(keys.configuration, name) for name in ("file", "aliases", "overlay", "version")]
    return [*configuration, (keys.layout, "")]


def kept(keys: LedgerKeys, client: Any) -> Sequence[Place]:
    """Return the records, states and paper accounts of a pool."""
    pool = keys.pool("trade")
    names = sorted(field.decode() for field in client.hkeys(pool))
    return [(pool, name) for name in names if name.startswith(("record:", "state:", "paper:"))]


class Flipper:
    """Flips bits at random, with a fixed seed."""

    def __init__(self, client: Any) -> None:
        self._client, self._dice = client, Random(20240808)
        #: What stands there since.
        self.flipped: dict[Place, bytes] = {}

    def flip(self, key: str, field: str) -> None:
        held = self._client.eval(FLIP, 1, key, field, self._dice.randrange(1_000), 1 << self._dice.randrange(7))
        assert held, (key, field)
        self.flipped[key, field] = held[1]

    def help(self, key: str, field: str) -> None:
        """Take away what ingest can't read, unless it was replaced meanwhile: it is told of for a while after that."""
        if self.flipped.get((key, field)) == self._client.hget(key, field):
            self._client.hdel(key, field)


def go_on(stack: Stack, reader: LedgerReader, part: Part, flipper: Flipper, why: object) -> None:
    """Publish a part, and wait until all of it is applied once; do what ingest says is to be done.

    It may say so only some flips later, because a field is read where an epoch begins, and a checkpoint may replace it
    before.
    """
    asyncio.run(publish_frames(stack, part.file))

    def all_applied() -> bool:
        stack.instance.watch()
        for told in filter(None, (REMEDY.search(each["says"]) for each in ready(stack).get("findings", []))):
            flipper.help(told[1], told[2])
        return reader.counters().of("applied") >= part.applied

    try:
        wait_for(all_applied, hangs_s=180)
    except TimeoutError as error:
        raise AssertionError(f"not all events were applied after {why}:{stack.ingest.tail(20)}") from error
    assert reader.counters().of("applied") == part.applied, why


def test_bits_that_stay_flipped_while_all_runs_change_nothing(recording: Path, tmp_path: Path):
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})) as stack:
        reader, client = LedgerReader(stack.settings), redis.Redis.from_url(stack.redis_url)
        flipper = Flipper(client)
        # An epoch or a lease of somebody else ends it.
        stack.ingest.keep_running()
        parts = write_parts(recording, tmp_path, SIZE)
        made = [next(parts)]
        go_on(stack, reader, made[0], flipper, "the start")
        for place in [*read_while_running(reader.keys, client), *read_at_a_start(reader.keys)]:
            flipper.flip(*place)
            made.append(next(parts))
            go_on(stack, reader, made[-1], flipper, place)
        live, letters = finish(stack), deadletters(stack)
    assert (digests(live), live.dropped, letters) == (digests(backtested([part.file for part in made])), {}, [])


def test_bits_of_what_strategies_keep_are_told_and_no_event_is_lost(recording: Path, tmp_path: Path):
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})) as stack:
        reader, client = LedgerReader(stack.settings), redis.Redis.from_url(stack.redis_url)
        flipper, parts = Flipper(client), write_parts(recording, tmp_path, FILLED)
        go_on(stack, reader, next(parts), flipper, "the start")
        for place in kept(reader.keys, client):
            flipper.flip(*place)
        go_on(stack, reader, next(parts), flipper, "the flips")
        letters = [dead_letters.unpack(letter) for letter in deadletters(stack)]
        unused = {field for (key, field), held in flipper.flipped.items() if client.hget(key, field) == held}
    told = {each.detail.partition(" can't be read and starts from empty: ")[0] for each in letters}
    assert {each.reason for each in letters} == {"unreadable"}
    assert {field.partition(":")[0] for field in told} == {"record", "state", "paper"}
    # Of a symbol without an event nobody has read what is kept.
    assert (told | unused, told & unused) == ({field for _, field in flipper.flipped}, set())
