"""Frames as Binance and others write them; the payloads are examples of the exchange's documentation."""

import json
from typing import Any

from tasks.frames.model import FrameMetadata

SUBJECT = "binance.websocket.data"

SPOT_BOOK: dict[str, Any] = {
    "lastUpdateId": 160,
    "bids": [["0.0024", "10"], ["0.0023", "5"]],
    "asks": [["0.0026", "100"]],
}
USDM_BOOK: dict[str, Any] = {
    "e": "depthUpdate",
    "E": 1571889248277,
    "T": 1571889248276,
    "s": "BTCUSDT",
    "U": 390497796,
    "u": 390497878,
    "pu": 390497794,
    "b": [["7403.89", "0.002"]],
    "a": [["7405.96", "3.340"]],
}
SPOT_TRADE: dict[str, Any] = {
    "e": "trade",
    "E": 1672515782136,
    "s": "BTCUSDT",
    "t": 12345,
    "p": "0.001",
    "q": "100",
    "T": 1672515782136,
    "m": True,
    "M": True,
}
USDM_TRADE: dict[str, Any] = {
    "e": "trade",
    "E": 1723161256322,
    "T": 1723161256322,
    "s": "BTCUSDT",
    "t": 5266583935,
    "p": "61800.30",
    "q": "0.006",
    "X": "MARKET",
    "m": False,
}


def packed(document: Any) -> bytes:
    return json.dumps(document).encode()


def enveloped(stream: str, payload: Any, **more: Any) -> bytes:
    return packed({"stream": stream, "data": payload} | more)


def petrosa(stream: str, payload: Any) -> dict[str, Any]:
    """The envelope of petrosa-socket-client."""
    return {
        "stream": stream,
        "data": payload,
        "timestamp": "2026-11-22T06:30:09.781711Z",
        "message_id": "7f9c24e8-3b12-4fe1-9d3c-0a8e5d0a2b11",
        "source": "binance-websocket",
        "version": "1.0",
    }


def metadata(subject: str = SUBJECT, stored_at_ns: int | None = None) -> FrameMetadata:
    return FrameMetadata(subject, 7, 1_795_000_000_123_456_789, stored_at_ns)


METADATA = metadata()
INGESTED_MS = METADATA.ingested_at_ns // 1_000_000
