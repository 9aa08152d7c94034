"""Why a signal fired, over HTTP: in a process of its own, one at a time, within its limit."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client import CollectorRegistry

from ingest.api import why_process
from ingest.api.handler import Api
from ingest.api.problem import ApiError
from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.settings import Settings
from tasks.telemetry.http_server import Address, serve
from tests.support.servers.api import TOKEN, ApiCaller
from tests.support.waiting import HANGS_S, wait_for
from tests.unit.ingest.page.test_page_state import signal

#: What helps where nothing keeps events.
HINTS = ("--from RECORDING", "INGEST_SOURCE=jetstream", "./run demo --source jetstream")


@pytest.fixture
def identity(
    settings: Settings,
    configured: ConfigurationStore,
    client: redis.Redis,
    keys: LedgerKeys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """A signal of the configuration in force, in the ledger that the environment names, as ingest's does."""
    for name in ("redis_url", "nats_url", "namespace"):
        monkeypatch.setenv(name.upper(), getattr(settings, name))
    monkeypatch.setenv("STRATEGIES_FILE", str(tmp_path / "strategies.toml"))
    trigger = {"venue": "spot", "symbol": "BTCUSDT", "kind": "depth", "id": 1}
    packed = signal("-asked-about", trigger=trigger, config_version=configured.version())
    client.xadd(keys.signals, {"signal": packed})
    return str(json.loads(packed)["id"])


def test_what_is_known_is_answered_where_there_is_no_stream(api: ApiCaller, identity: str):
    found = api.get(f"/signals/{identity}/why").data
    assert (found["id"], found["verdict"], found["status"]) == (identity, "no_source", "sent")
    assert found["says"] == "not run again, because no source of its events was given"
    assert [hint for hint in HINTS if hint not in found["notes"][-1]] == []
    assert (found["signal"]["strategy"], found["configuration"]["known_from"]) == ("iceberg", "ledger")


async def test_it_may_take_longer_than_a_client_may_take_for_a_request(settings: Settings, identity: str):
    api, address = Api(settings), Address("HTTP_PORT", "127.0.0.1", 0, strict=True)
    # A process does not start as quickly as that.
    server, port = serve(address, _well, _well, CollectorRegistry(), api.routes, request_s=0.1)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            who = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}"
            writer.write(f"GET /api/v1/signals/{identity}/why HTTP/1.1\r\n{who}\r\n\r\n".encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HANGS_S)
        assert head.startswith(b"HTTP/1.1 200")
    finally:
        server.stop()
        server.give_back()
        api.close()


def _well() -> tuple[bool, dict[str, Any]]:
    return True, {}


def test_what_takes_too_long_is_ended_and_names_the_command(identity: str):
    with pytest.raises(ApiError, match=f"tasks why {identity}") as told:
        why_process.ask(identity, 0.001)
    assert (told.value.status, told.value.kind) == (503, "took-too-long")


def test_what_runs_is_ended_with_ingest(identity: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fifo = tmp_path / "strategies-that-never-come.toml"
    os.mkfifo(fifo)
    monkeypatch.setenv("STRATEGIES_FILE", str(fifo))
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(why_process.ask, identity, HANGS_S)

        def has_ended() -> bool:
            why_process.end()
            return asked.done()

        wait_for(has_ended, "the end")
        with pytest.raises(ApiError, match="its process ended without one"):
            asked.result()


def test_why_there_is_no_answer_is_told(identity: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("INGEST_SOURCE", "jetstream")
    monkeypatch.setenv("INGEST_STREAM", "NOBODYS")
    with pytest.raises(ApiError, match="there is no answer: there is no stream NOBODYS") as told:
        why_process.ask(identity)
    assert told.value.status == 503
