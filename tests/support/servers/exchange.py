"""A websocket server that behaves like the exchange's, and misbehaves when asked.

It routes as the real one does: every name is accepted on every path, and pushed where it belongs only.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from tasks.events import AnyEvent, Venue
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.history import recordings

#: What the server does with one connection, after which it closes it; it is told the streams that were asked for.
Script = Callable[["Exchange", ServerConnection, list[str]], Awaitable[None]]


def recorded(path: Path, count: int, venue: Venue, symbols: Collection[str] = ("BTCUSDT", "ETHUSDT")) -> list[str]:
    """Return the first frames of a recording that are these symbols', as the exchange sent them."""
    wanted = (line.raw.decode() for line in recordings.read(path) if _is_of(line, venue, symbols))
    # Without `received_at`: that is ours.
    return [text[: text.rindex(',"received_at"')] + "}" for text in itertools.islice(wanted, count)]


def _is_of(line: recordings.RecordingLine, venue: Venue, symbols: Collection[str]) -> bool:
    event = parse(line.raw, FrameMetadata(line.stream, 1, line.received_at_ns))
    return isinstance(event, AnyEvent) and event.venue == venue and event.symbol in symbols


#: What each path of the futures market pushes, by the beginning of the stream's kind; spot has one path for all.
ROUTES = {"public": ("depth", "bookTicker", "trade"), "market": ("aggTrade", "kline", "markPrice", "forceOrder")}


class Exchange:
    """Plays its scripts in turn, one a connection; the last one again for all further connections."""

    def __init__(self, frames: list[str], *scripts: Script) -> None:
        self.frames = frames
        self.scripts: list[Script] = list(scripts) or [send_all]
        self.asked_for: list[list[str]] = []
        self.refusals = 0
        self.refuse_with = HTTPStatus.SERVICE_UNAVAILABLE
        self.sent = 0
        self.pongs = 0
        self._server: Server | None = None

    @property
    def connections(self) -> int:
        return len(self.asked_for)

    @property
    def url(self) -> str:
        """The spot market's."""
        return self.route("")

    def route(self, name: str) -> str:
        """Return the address of a path of the futures market: public, or market."""
        assert self._server is not None
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://{host}:{port}/{name}{'/' if name else ''}stream"

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Exchange"]:
        # Pings are the scripts' business.
        async with serve(self._handle, "127.0.0.1", 0, process_request=self._admit, ping_interval=None) as self._server:
            yield self

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002 given by the library
        if self.refusals > 0:
            self.refusals -= 1
            return connection.respond(self.refuse_with, "not now\n")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = urlsplit(connection.request.path)
        streams = parse_qs(path.query)["streams"][0].split("/")
        self.asked_for.append(streams)
        script = self.scripts[min(self.connections, len(self.scripts)) - 1]
        pushed = ROUTES.get(path.path.strip("/").partition("/")[0], ("",))
        await script(self, connection, [name for name in streams if name.partition("@")[2].startswith(pushed)])

    def of(self, streams: list[str]) -> list[str]:
        return [frame for frame in self.frames if json.loads(frame)["stream"] in streams]


async def send(exchange: Exchange, connection: ServerConnection, frames: list[str]) -> None:
    for frame in frames:
        await connection.send(frame)
        exchange.sent += 1


async def send_all(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    """Send every frame of the streams that were asked for, then say nothing more."""
    await send(exchange, connection, exchange.of(streams))
    await connection.wait_closed()


async def stay_silent(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    await connection.wait_closed()


async def send_some_and_close(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    await send(exchange, connection, exchange.of(streams)[:10])


async def send_some_and_abort(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    """Cut the line without a word."""
    await send(exchange, connection, exchange.of(streams)[:10])
    await connection.ping()
    connection.transport.abort()


async def send_some_and_stall(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    await send(exchange, connection, exchange.of(streams)[:10])
    await connection.wait_closed()


async def send_garbage(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    """Send what is no frame among what is."""
    garbage: list[str | bytes] = [
        "",
        "not JSON",
        "[1, 2]",
        '{"result":null,"id":1}',
        '{"stream":"btcusdt@trade"}',
        b"\xff\xfe",
        '{"stream":7,"data":{}}',
    ]
    for frame, rubbish in zip(exchange.of(streams), itertools.cycle(garbage), strict=False):
        await connection.send(rubbish)
        await send(exchange, connection, [frame])
    await connection.wait_closed()


async def ping_then_send(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    """Send frames only to a client that answers pings."""
    for frame in exchange.of(streams)[:5]:
        await (await connection.ping())
        exchange.pongs += 1
        await send(exchange, connection, [frame])
    await connection.wait_closed()


async def send_again_and_again_but_trades(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    """Send books until the client goes, as an exchange whose trades stand still."""
    await send_again_and_again(exchange, connection, [name for name in streams if "@trade" not in name])


async def send_again_and_again_but_liquidations(
    exchange: Exchange, connection: ServerConnection, streams: list[str]
) -> None:
    """Send what is asked for until the client goes; nobody's position is closed."""
    if some := [name for name in streams if "@forceOrder" not in name]:
        await send_again_and_again(exchange, connection, some)
    await connection.wait_closed()


async def send_again_and_again(exchange: Exchange, connection: ServerConnection, streams: list[str]) -> None:
    """Send one frame after the other until the client goes."""
    for frame in itertools.cycle(exchange.of(streams)):
        await send(exchange, connection, [frame])
        await asyncio.sleep(0.005)
