"""An exchange that pushes diff depth of markets whose true books are known, and gives snapshots by HTTP.

DiffExchange("spot", answers=[too_often, old, fresh], scripts=[diffs(lose={20})])
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.support.books.market import Market, frame
from tests.support.servers.exchange import Exchange
from tests.support.waiting import cancelled

#: Answers a request for so many levels of a market.
Answer = Callable[["DiffExchange", Market, int], Awaitable[Response]]


def _response(status: HTTPStatus, body: object, **headers: str) -> Response:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    raw = json.dumps(body).encode()
    head = Headers([*named, ("Content-Length", str(len(raw))), ("Connection", "close")])
    return Response(status.value, status.phrase, head, raw)


async def fresh(exchange: "DiffExchange", market: Market, limit: int) -> Response:
    return _response(HTTPStatus.OK, market.answer(limit))


async def old(exchange: "DiffExchange", market: Market, limit: int) -> Response:
    """Give the first book that there was."""
    return _response(HTTPStatus.OK, market.answer(limit, min(market.history)))


async def late(exchange: "DiffExchange", market: Market, limit: int) -> Response:
    """Take the snapshot at once and send it when many diffs have followed."""
    answer = market.answer(limit)
    until = len(exchange.pushed) + 60
    while len(exchange.pushed) < until:
        await asyncio.sleep(0.005)
    return _response(HTTPStatus.OK, answer)


async def too_often(exchange: "DiffExchange", market: Market, limit: int) -> Response:
    return _response(HTTPStatus.TOO_MANY_REQUESTS, {"code": -1003, "msg": "Too many requests."}, Retry_After="1")


async def broken(exchange: "DiffExchange", market: Market, limit: int) -> Response:
    return _response(HTTPStatus.OK, "no book")


async def unavailable(exchange: "DiffExchange", market: Market, limit: int) -> Response:
    return _response(HTTPStatus.BAD_GATEWAY, "<html>\n<h1>nginx")


async def not_served(exchange: "DiffExchange", market: Market, limit: int) -> Response:
    body = {"code": 0, "msg": "Service unavailable from a restricted location."}
    return _response(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, body)


class DiffExchange(Exchange):
    """Its markets change all the time. Answers are used in turn; the last one again and again."""

    def __init__(self, venue: str, answers: Sequence[Answer] = (fresh,)) -> None:
        super().__init__([], diffs)
        self.markets = {
            symbol: Market(number, venue, symbol=symbol, fewest=1)
            for number, symbol in enumerate(["BTCUSDT", "ETHUSDT"])
        }
        self.answers = answers
        #: The streams of which the next diff is lost, and whether the connection is to be closed.
        self.lose: set[str] = set()
        self.cut = False
        #: Every diff so far, as the exchange sends it.
        self.pushed: list[str] = []
        #: When snapshots were asked for, and with which symbol and limit.
        self.asked_at_s: list[float] = []
        self.asked_snapshots: list[tuple[str, int]] = []

    @property
    def rest_url(self) -> str:
        return self.url.replace("ws:", "http:").replace("/stream", "/depth")

    @asynccontextmanager
    async def open(self) -> AsyncIterator["DiffExchange"]:
        pushing = asyncio.create_task(self._push())
        try:
            async with super().open():
                yield self
        finally:
            await cancelled(pushing)

    async def _push(self) -> None:
        while True:
            self.pushed += [json.dumps(frame(market.diff())) for market in self.markets.values()]
            await asyncio.sleep(0.01)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:  # type: ignore[override]
        parts = urlsplit(request.path)
        if parts.path != "/depth":
            return super()._admit(connection, request)
        query = parse_qs(parts.query)
        symbol, limit = query["symbol"][0], int(query["limit"][0])
        self.asked_at_s.append(time.monotonic())
        self.asked_snapshots.append((symbol, limit))
        answer = self.answers[min(len(self.asked_snapshots), len(self.answers)) - 1]
        return await answer(self, self.markets[symbol], limit)


async def diffs(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    """Send the diffs that come from now on; lose and cut what the exchange is told to."""
    assert isinstance(exchange, DiffExchange)
    sent = len(exchange.pushed)
    exchange.cut = False
    while not exchange.cut:
        for text in exchange.pushed[sent:]:
            sent += 1
            stream = json.loads(text)["stream"]
            if stream in exchange.lose:
                exchange.lose.remove(stream)
            elif stream in streams:
                await connection.send(text)
        await asyncio.sleep(0.005)
