"""A server that plays OKX to ccxt: its list of markets over HTTP, and trades and books as its documentation shows them.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

AT_MS = 1_764_000_000_000
SPOT, SWAP = "BTC-USDT", "BTC-USDT-SWAP"
_MARKETS: dict[str, list[dict[str, str]]] = {
    "SPOT": [
        {"instId": SPOT, "instType": "SPOT", "baseCcy": "BTC", "quoteCcy": "USDT", "lotSz": "0.00000001",
         "minSz": "0.00001", "tickSz": "0.1", "state": "live", "listTime": "1548133413000"},
    ],
    "SWAP": [
        {"instId": SWAP, "instType": "SWAP", "uly": SPOT, "settleCcy": "USDT", "ctType": "linear", "ctVal": "0.01",
         "ctMult": "1", "ctValCcy": "BTC", "lotSz": "0.1", "minSz": "0.1", "tickSz": "0.1", "state": "live",
         "listTime": "1573557408000"},
    ],
}  # fmt: skip

Levels = list[tuple[str, str]]


class Okx:
    """Sends what a test says to all who have subscribed to it."""

    def __init__(self) -> None:
        self.connections = 0
        #: What was subscribed to, in order: channel and market.
        self.subscribed: list[tuple[str, str]] = []
        #: Sent to who subscribes; by channel and market.
        self.on_subscription: dict[tuple[str, str], dict[str, Any]] = {}
        self._listeners: dict[tuple[str, str], set[ServerConnection]] = {}
        self._open: set[ServerConnection] = set()
        self._server: Server | None = None

    @property
    def config(self) -> dict[str, Any]:
        """What makes ccxt take this for OKX."""
        assert self._server is not None
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return {"urls": {"api": {"rest": f"http://{host}:{port}", "ws": f"ws://{host}:{port}/ws/v5"}}}

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Okx"]:
        async with serve(
            self._handle, "127.0.0.1", 0, process_request=self._answer, ping_interval=None
        ) as self._server:
            yield self

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        url = urlsplit(request.path)
        if url.path != "/api/v5/public/instruments":
            return None if url.path.startswith("/ws/") else connection.respond(HTTPStatus.NOT_FOUND, "{}")
        kind = parse_qs(url.query)["instType"][0]
        return connection.respond(HTTPStatus.OK, json.dumps({"code": "0", "msg": "", "data": _MARKETS.get(kind, [])}))

    async def _handle(self, socket: ServerConnection) -> None:
        self.connections += 1
        self._open.add(socket)
        try:
            async for raw in socket:
                if raw == "ping":
                    await socket.send("pong")
                    continue
                said = json.loads(raw)
                for argument in said["args"]:
                    await self._take(socket, said["op"], argument)
        finally:
            self._open.discard(socket)
            for listeners in self._listeners.values():
                listeners.discard(socket)

    async def _take(self, socket: ServerConnection, op: str, argument: dict[str, str]) -> None:
        key = argument["channel"], argument["instId"]
        await socket.send(json.dumps({"event": op, "arg": argument, "connId": "a4d3ae55"}))
        listeners = self._listeners.setdefault(key, set())
        if op == "unsubscribe":
            listeners.discard(socket)
            return
        self.subscribed.append(key)
        listeners.add(socket)
        if key in self.on_subscription:
            await socket.send(json.dumps(self.on_subscription[key]))

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message to who has subscribed to its channel."""
        key = message["arg"]["channel"], message["arg"]["instId"]
        for socket in tuple(self._listeners.get(key, ())):
            await socket.send(json.dumps(message))

    async def cut(self) -> None:
        """Cut every connection without a word."""
        for socket in tuple(self._open):
            socket.transport.abort()


def trades(market: str, *numbers: int) -> dict[str, Any]:
    """Return a message of trades, by the numbers: each says its id, time, price and size."""
    data = [
        {"instId": market, "tradeId": str(number), "px": f"{61800 + number / 10:.1f}", "sz": f"{number}.5",
         "side": "sell" if number % 2 else "buy", "ts": str(AT_MS + number), "count": "1"}
        for number in numbers
    ]  # fmt: skip
    return {"arg": {"channel": "trades", "instId": market}, "data": data}


def book(market: str, seq: int, prev: int, bids: Levels, asks: Levels) -> dict[str, Any]:
    """Return a snapshot, if `prev` is -1, or an update of a book."""
    sides = {name: [[*level, "0", "1"] for level in levels] for name, levels in (("bids", bids), ("asks", asks))}
    data = sides | {"ts": str(AT_MS + seq), "checksum": 0, "prevSeqId": prev, "seqId": seq}
    action = "snapshot" if prev == -1 else "update"
    return {"arg": {"channel": "books", "instId": market}, "action": action, "data": [data]}
