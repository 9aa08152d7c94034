"""What who may ask ingest on NATS how full it is can make it do: answer inboxes, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import nats
import psutil
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.transport.flush import confirm_published
from tasks.protocol import ingest_status
from tasks.protocol.ingest_status import STATUS_SUBJECT
from tests.support.service import Ingest, ingest
from tests.support.waiting import HANGS_S

#: A server that takes a request to JetStream with fields that it does not know, and a user that may only ask, as a feed may.
CONFIGURATION = """
jetstream { strict: false, store_dir: "%s" }
authorization { users: [
    { user: ours, password: ours }
    { user: feed, password: feed, permissions: { publish: ["ingest.status", "_INBOX.>"], subscribe: ["_INBOX.>"] } }
] }
"""
REQUESTS = 20_000


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """Yield the address of such a server, without a login."""
    with Instance("status") as instance:
        file = instance.directory / "nats.conf"
        file.write_text(CONFIGURATION % (instance.directory / "streams"))
        yield start_nats(instance, jetstream=False, options=("--config", str(file)))[1]


@pytest.fixture(scope="module")
def service(guarded: str, redis_url: str) -> Iterator[Ingest]:
    with ingest(guarded.replace("//", "//ours:ours@"), redis_url, "status-requests") as one:
        one.wait_ready()
        yield one


@asynccontextmanager
async def connected(url: str, login: str) -> AsyncIterator[Client]:
    client = await nats.connect(url, user=login, password=login)
    try:
        yield client
    finally:
        await client.close()


async def answered(client: Client) -> ingest_status.IngestStatus:
    return ingest_status.decode((await client.request(STATUS_SUBJECT, b"", timeout=HANGS_S)).data)


async def _is_answered(client: Client) -> bool:
    try:
        await client.request(STATUS_SUBJECT, b"", timeout=1)
    except nats.errors.TimeoutError:
        return False
    return True


async def test_a_feed_gets_no_answer_published_where_it_may_not_publish(service: Ingest, guarded: str):
    async with connected(guarded, "ours") as ours, connected(guarded, "feed") as feed:
        heard: list[Any] = []

        async def hear(message: Any) -> None:
            heard.append(message)

        await ours.subscribe("signals.>", cb=hear)
        stream = await ours.jetstream().add_stream(StreamConfig(name="KEPT", subjects=["kept"]))
        await ours.jetstream().publish("kept", b"worth it")
        for reply in ("signals.depth.BTCUSDT", f"$JS.API.STREAM.PURGE.{stream.config.name}", STATUS_SUBJECT):
            await feed.publish(STATUS_SUBJECT, b"", reply=reply)
        # Answered in order: the others were looked at before.
        assert (await answered(feed)).shard == 0
        await confirm_published(ours)
        assert heard == []
        assert (await ours.jetstream().stream_info("KEPT")).state.messages == 1


async def test_headers_that_would_make_the_answer_too_large_end_nothing(service: Ingest, guarded: str):
    async with connected(guarded, "feed") as feed:
        too_much = {"a": "x" * (feed.max_payload - 100)}
        await feed.publish(STATUS_SUBJECT, b"", reply=feed.new_inbox(), headers=too_much)
        assert (await answered(feed)).shard == 0
    assert service.process.returncode is None
    assert service.logged("connection lost, retrying") == []


async def test_a_flood_of_requests_fills_neither_log_nor_memory(service: Ingest, guarded: str):
    process = psutil.Process(service.process.pid)
    lines, before = len(service.log()), process.memory_info().rss
    async with connected(guarded, "feed") as feed:
        for reply in ("", "signals.x", feed.new_inbox()):
            for _ in range(REQUESTS):
                await feed.publish(STATUS_SUBJECT, b"x" * 1_000, reply=reply)
            await confirm_published(feed)
        async with asyncio.timeout(HANGS_S):
            while not await _is_answered(feed):
                pass
    assert process.memory_info().rss - before < 50 * 2**20
    assert len(service.log()) - lines <= 2, service.log()[lines:][:5]
    assert service.get("/ready")[0] == 200
    assert "ingest_slow_consumer_total 0.0" in service.get("/metrics")[1]
