"""More than one of what there may be one of: ingest processes that share the lanes, NATS servers that share a stream."""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import nats
import pytest
from nats.errors import Error as NatsError
from nats.js.errors import Error as JetStreamError

from compose.local.processes import Instance, Process
from compose.local.servers import HOST, free_port, start_nats
from compose.local.stack import Plan, Stack
from tasks.ledger.reader import LedgerReader
from tests.support.service import get
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, replay, running
from tests.support.waiting import wait_for

STREAM = "FRAMES"


@contextmanager
def two_shards(source: str, **more: str) -> Iterator[tuple[Stack, Process]]:
    """Start the stack as the first shard, and an ingest process as the second one."""
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": source, "INGEST_SHARD": "0/2", **more})) as stack:
        port = free_port()
        second = stack.environment | {"INGEST_SHARD": "1/2", "HTTP_PORT": str(port)}
        shard = stack.instance.start("shard-1", [sys.executable, "-m", "ingest"], second)
        wait_for(lambda: '"started":true' in get(port, "/ready")[1].replace(" ", ""), f"shard 1{shard.tail()}")
        yield stack, shard


def end(shard: Process) -> None:
    shard.terminate()
    wait_for(lambda: shard.returncode is not None, "the end of shard 1")
    assert shard.returncode == -signal.SIGTERM, shard.tail()


@pytest.mark.slow
@pytest.mark.parametrize("partitions", ["0", "64"])
@pytest.mark.parametrize("source", ["core", "jetstream"])
def test_two_shards_give_the_signals_of_one_and_each_frame_is_counted_once(
    recording: Path, source: str, partitions: str
):
    expected = backtested([recording])
    with two_shards(source, NATS_PARTITIONS=partitions) as (stack, shard):
        replay(stack, [recording], "max")
        end(shard)
        live = finish(stack)
        letters = deadletters(stack)
        epochs = [LedgerReader(stack.settings).client.hget(f"local:shard:{number}", "epoch") for number in (0, 1)]
    assert all(epochs)
    assert (live.frames, live.events, live.dropped, live.repeats, letters) == (
        expected.frames,
        expected.frames,
        {},
        0,
        [],
    )
    assert digests(live) == digests(expected)


@pytest.mark.slow
def test_a_killed_shard_resumes_where_it_stood_and_the_other_does_not_wait(recording: Path):
    expected = backtested([recording])
    with two_shards("jetstream") as (stack, shard):
        reader, started_s = LedgerReader(stack.settings), time.monotonic()
        at_kill, at_return = 0, 0

        def fault() -> None:
            nonlocal at_kill, at_return
            passed_s = time.monotonic() - started_s
            if not at_kill and passed_s > 3:
                stack.instance.kill(shard)
                at_kill = reader.counters().of("applied")
            elif not at_return and passed_s > 7:
                at_return = reader.counters().of("applied")
                stack.instance.start_again(shard)

        replay(stack, [recording], lasting([recording], 9), fault)
        assert at_return > at_kill > 0
        wait_for(lambda: shard.log.read_text().count("ingest is up") == 2, "the lead of shard 1")
        end(shard)
        live = finish(stack)
        letters = deadletters(stack)
    assert (live.frames, live.dropped, live.repeats, letters) == (expected.frames, {}, 0, [])
    assert digests(live) == digests(expected)


@contextmanager
def cluster() -> Iterator[tuple[Instance, dict[str, Process], list[str]]]:
    """Start three NATS servers that share their streams; return them by name, and their addresses."""
    with Instance("cluster") as instance:
        ports = [free_port() for _ in range(3)]
        routes = ("--routes", ",".join(f"nats://{HOST}:{port}" for port in ports), "--cluster_name", "three")
        servers, urls = {}, []
        for number, port in enumerate(ports):
            name = f"nats-{number}"
            own = ("--server_name", name, "--cluster", f"nats://{HOST}:{port}")
            servers[name], url = start_nats(instance, name, options=(*own, *routes))
            urls.append(url)
        yield instance, servers, urls


def has_counted(reader: LedgerReader, frames: int) -> bool:
    return reader.counters().of("frames") > frames


def leader(urls: list[str]) -> str:
    """Return the name of the server that leads the stream; empty while there is none."""

    async def ask() -> str:
        client = await nats.connect(urls)
        try:
            with suppress(NatsError, JetStreamError):
                about = await client.jetstream().stream_info(STREAM)
                assert about.config.num_replicas == 3
                return (about.cluster and about.cluster.leader) or ""
            return ""
        finally:
            await client.close()

    return asyncio.run(ask())


@pytest.mark.slow
def test_killing_each_leader_of_a_replicated_stream_changes_no_signal(
    recording: Path,
):
    expected = backtested([recording])
    with cluster() as (instance, servers, urls):
        # So small that ingest is still reading when servers die.
        bounds = {"INGEST_LANE_BYTES": str(2**20), "INGEST_TOTAL_BYTES": str(2**20)}
        three = {"INGEST_SOURCE": "jetstream", "INGEST_STREAM_REPLICAS": "3", "NATS_URL": ",".join(urls)}
        with running(Plan(1, "solo", environment=three | bounds)) as stack:
            stack.instance.stop(stack.ingest)
            # All of it first: what is published while the stream has no leader, nobody keeps.
            replay(stack, [recording], "max")
            stack.instance.start_again(stack.ingest)
            reader, killed = LedgerReader(stack.settings), []
            for frames in (1_000, 5_000):
                wait_for(partial(has_counted, reader, frames), f"{frames} frames")
                killed.append(wait_for(lambda: leader(urls), "a leader"))
                instance.kill(servers[killed[-1]])
                assert killed[1:] or reader.counters().of("frames") < expected.frames
                instance.start_again(servers[killed[-1]])
            # A stop while the stream has no leader would leave the rest to the next start.
            wait_for(partial(has_counted, reader, expected.frames - 1), "all frames")
            live = finish(stack)
            letters = deadletters(stack)
    assert (live.frames, live.dropped, live.repeats, letters) == (expected.frames, {}, 0, [])
    assert digests(live) == digests(expected)
