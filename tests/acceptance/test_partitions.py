"""Shards that read only their own frames: signals as of one process, however the shards change in the middle."""

import gzip
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from compose.local.processes import Process
from compose.local.servers import free_port
from compose.local.stack import Plan, Stack
from tasks.ledger.reader import LedgerReader
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, ready, replay, running
from tests.support.waiting import wait_for

LAYOUTS = (1, 2, 4, 1)


class Shards:
    """The ingest processes of a stack, of which there may be another number next."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._ports: dict[Process, int] = {stack.ingest: stack.http_port}
        self._running = [stack.ingest]
        #: While another shard has taken its lease and not begun yet, a process that wants another layout ends.
        stack.ingest.restart = True

    def become(self, total: int, *, kill: bool) -> None:
        """End all of them, and start so many; wait until each leads."""
        self._end(kill=kill)
        while len(self._ports) < total:
            self._start_first_time(total)
        self._running = [*self._ports][:total]
        for number, process in enumerate(self._running):
            process.environment["INGEST_SHARD"] = f"{number}/{total}"
            if process.returncode is not None:
                self._stack.instance.start_again(process)
        wait_for(lambda: all(map(self._leads, self._running)), f"{total} shards{self._running[-1].tail()}")

    def end_others(self) -> None:
        """End all but the first one, which have worked off what they hold."""
        self._stack.instance.stop(*self._running[1:], grace_s=60)
        del self._running[1:]

    def _start_first_time(self, total: int) -> None:
        number, port = len(self._ports), free_port()
        own = self._stack.environment | {"INGEST_SHARD": f"{number}/{total}", "HTTP_PORT": str(port)}
        process = self._stack.instance.start(f"shard-{number}", [sys.executable, "-m", "ingest"], own, restart=True)
        self._ports[process] = port

    def _end(self, *, kill: bool) -> None:
        if kill:
            for process in self._running:
                self._stack.instance.kill(process)
        else:
            self._stack.instance.stop(*self._running, grace_s=60)
        reader = LedgerReader(self._stack.settings)
        leases = [reader.keys.lease(number) for number in range(len(self._running))]
        wait_for(lambda: not reader.client.exists(*leases), "the leases to run out")

    def _leads(self, process: Process) -> bool:
        self._stack.instance.watch()
        return bool(ready(self._stack, self._ports[process]).get("started"))


@contextmanager
def partitioned(source: str) -> Iterator[tuple[Stack, Shards]]:
    environment = {"INGEST_SOURCE": source, "NATS_PARTITIONS": "64"}
    with running(Plan(2, "solo", environment=environment)) as stack:
        yield stack, Shards(stack)


def split(recording: Path, folder: Path, parts: int) -> Sequence[Path]:
    """Write a recording as several, one after the other."""
    lines = gzip.decompress(recording.read_bytes()).splitlines(keepends=True)
    size = -(-len(lines) // parts)
    files = [folder / f"part-{number}.jsonl" for number in range(parts)]
    for number, file in enumerate(files):
        file.write_bytes(b"".join(lines[number * size : (number + 1) * size]))
    return files


def check(stack: Stack, shards: Shards, recording: Path) -> None:
    expected = backtested([recording])
    shards.end_others()
    live = finish(stack)
    assert (live.frames, live.events, live.dropped, deadletters(stack)) == (expected.frames, expected.frames, {}, [])
    assert digests(live) == digests(expected)


@pytest.mark.slow
def test_other_numbers_of_shards_between_parts_of_a_feed_change_nothing(recording: Path, tmp_path: Path):
    """Without a stream what is published while nobody listens is gone, so the feed pauses meanwhile."""
    with partitioned("core") as (stack, shards):
        for total, part in zip(LAYOUTS, split(recording, tmp_path, len(LAYOUTS)), strict=True):
            shards.become(total, kill=False)
            replay(stack, [part], "max")
        check(stack, shards, recording)


@pytest.mark.slow
def test_killed_shards_and_other_numbers_of_them_on_a_stream_change_none(recording: Path):
    with partitioned("jetstream") as (stack, shards):
        wanted = iter(LAYOUTS[1:])
        reader = LedgerReader(stack.settings)
        frames = backtested([recording]).frames
        at = [frames * part // len(LAYOUTS) for part in range(1, len(LAYOUTS))]

        def change() -> None:
            if at and reader.counters().of("frames") >= at[0]:
                del at[0]
                shards.become(next(wanted), kill=True)

        replay(stack, [recording], lasting([recording], 9), change)
        while at:
            change()
        check(stack, shards, recording)
