"""What the tests of the feeds share: small recordings, a listener on NATS, waiting for a condition."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from ingest.transport.flush import confirm_published
from tests.support.waiting import HANGS_S


def trade(number: int, symbol: str = "BTCUSDT") -> dict[str, Any]:
    now_ms = 1_763_793_009_000 + number
    return {
        "e": "trade", "E": now_ms, "s": symbol, "t": number, "p": "61837.63000000", "q": "0.02000000", "T": now_ms, "m": True, "M": True,
    }  # fmt: skip


def envelope(data: dict[str, Any], received_at: int) -> dict[str, Any]:
    return {"stream": f"{data['s'].lower()}@trade", "data": data, "received_at": received_at}


#: A book of the spot market, as the exchange sends it.
BOOK = {"lastUpdateId": 1, "bids": [["1", "1"]], "asks": [["2", "1"]]}


def text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def write_recording(path: Path, envelopes: list[dict[str, Any]]) -> Path:
    raw = b"".join(text(each) + b"\n" for each in envelopes)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition; fail when it does not come true."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + HANGS_S
    while not condition():
        if loop.time() > deadline_s:
            pytest.fail(f"timed out after {HANGS_S:g} s: {what}")
        await asyncio.sleep(0.005)


class Listener:
    """All that comes on NATS, in order."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.messages: list[tuple[str, bytes]] = []

    @property
    def subjects(self) -> list[str]:
        return [subject for subject, _ in self.messages]

    @property
    def frames(self) -> list[bytes]:
        return [raw for _, raw in self.messages]


@asynccontextmanager
async def listening(nats_url: str, subject: str = "binance.>") -> AsyncIterator[Listener]:
    client = await nats.connect(nats_url)
    listener = Listener(client)

    async def on_message(message) -> None:
        listener.messages.append((message.subject, message.data))

    await client.subscribe(subject, cb=on_message)
    await confirm_published(client)
    try:
        yield listener
    finally:
        await client.close()
