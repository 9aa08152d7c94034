"""Puts the exchange's live public market data on NATS; no account needed.

One `Link` is one websocket with some of the streams. It is opened again whenever it is cut, goes silent, or gets
old: the exchange cuts after 24 hours, so a fresh one is opened before that, and the old one is read until it stands.
"""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from ingest.feeds import proxy
from ingest.feeds.publisher import publishing
from tasks.errors import UNREADABLE, ServerAwayError, SettingsError
from tasks.events import Venue
from tasks.frame_parts import foreign
from tasks.rarely import Rarely
from tasks.settings import Settings

log = structlog.get_logger()

#: The exchange allows 1,024, but the address of a link with so many would be longer than web servers like.
STREAMS_A_LINK = 200
_SYMBOL = re.compile(r"[\w-]{2,40}")
_MARKETS = {"coinm": "COIN-M futures", "option": "the options market"}

#: HTTP states that no patience mends: a wrong address, or a country that is not served.
_REFUSALS = frozenset({400, 401, 403, 404, 451})

#: Called with the stream's name and the frame's bytes.
Deliver = Callable[[str, bytes], Awaitable[None]]


class Patience(NamedTuple):
    """How long the feed waits for what; seconds."""

    #: Without any message on a link, until it is opened anew.
    stall_s: float = 30.0
    #: Without any message of a symbol, until a warning says so.
    silence_s: float = 10.0
    #: Before the second attempt in a row; doubles with every further one.
    backoff_s: float = 0.5
    backoff_max_s: float = 60.0
    #: The age at which a link is replaced.
    max_age_s: float = 23.5 * 3600


PATIENCE = Patience()


class _Frame(msgspec.Struct):
    stream: str
    data: msgspec.Raw


_decoder = msgspec.json.Decoder(_Frame)


def check(symbols: Iterable[str]) -> list[str]:
    """Return the symbols in upper case, each once. Raises SettingsError: one of them is none of our markets'."""
    known = list(dict.fromkeys(symbol.upper() for symbol in symbols))
    for symbol in known:
        if not _SYMBOL.fullmatch(symbol):
            hint = re.sub(r"[^\w]", "", symbol)
            raise SettingsError(f"{symbol!r} is not a symbol" + (f"; did you mean {hint}?" if len(hint) > 1 else ""))
        if market := foreign(symbol):
            raise SettingsError(f"{symbol} is of {_MARKETS[market]}, which is not served: only spot and USD-M futures")
    return known


def endpoints(settings: Settings, venue: Venue, symbols: list[str]) -> list[str]:
    """Give each link's URL, which names its streams."""
    books = [f"{symbol.lower()}@depth20@100ms" for symbol in symbols]
    trades = [f"{symbol.lower()}@trade" for symbol in symbols]
    if venue == "spot":
        # A symbol's book and trades on one link: they come in the exchange's own order.
        parts = [(settings.binance_spot_url, [name for pair in zip(books, trades, strict=True) for name in pair])]
    else:
        parts = [(settings.binance_usdm_depth_url, books), (settings.binance_usdm_trade_url, trades)]
    return [
        f"{url}?streams={'/'.join(quote(name, safe='@') for name in names[start : start + STREAMS_A_LINK])}"
        for url, names in parts
        for start in range(0, len(names), STREAMS_A_LINK)
    ]


def with_time(raw: bytes, received_at_ns: int) -> bytes:
    """Add `received_at` to a frame's envelope, a JSON object; every other byte stays."""
    return b'%b,"received_at":%d}' % (raw.rstrip()[:-1], received_at_ns)


class Link:
    """One websocket, kept open for ever."""

    def __init__(self, url: str, deliver: Deliver, patience: Patience) -> None:
        """Open nothing yet. Raises SettingsError and ServerAwayError: the address or its proxy can't be used."""
        self._url = url
        self._where = url.partition("?")[0]
        self._proxy = proxy.before(url)
        self._deliver = deliver
        self._patience = patience
        self._rarely = Rarely()
        #: Failures in a row; a message ends the row.
        self._failures = 0
        self._received = False
        #: Set while the websocket stands.
        self.up = asyncio.Event()
        #: Messages that are no frames: they are dropped.
        self.garbage = 0

    async def run(self) -> None:
        """Deliver frames for ever. Raises ServerAwayError: the exchange refuses this address for good."""
        socket = await self._open()
        while True:
            socket = await self._until_replaced(socket)

    async def _until_replaced(self, socket: ClientConnection) -> ClientConnection:
        """Deliver until the websocket is lost or old; give the next one."""
        lost = asyncio.Event()
        successor = asyncio.create_task(self._successor(lost))
        try:
            try:
                await self._read(socket, successor)
            except (ConnectionClosed, TimeoutError) as error:
                self._lost(error)
                lost.set()
            return await successor
        finally:
            successor.cancel()
            await socket.close()

    async def _successor(self, lost: asyncio.Event) -> ClientConnection:
        # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with `lost`.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.max_age_s):
                await lost.wait()
        return await self._open()

    async def _open(self) -> ClientConnection:
        """Connect, for as long as it takes."""
        while True:
            if self._failures:
                await asyncio.sleep(self._backoff_s())
            try:
                socket = await connect(self._url, compression=None, close_timeout=1)
            except (OSError, TimeoutError, InvalidHandshake) as error:
                if not self._received and isinstance(error, InvalidStatus) and error.response.status_code in _REFUSALS:
                    raise ServerAwayError(f"{self._where} refuses: {error}") from None
                self._lost(error, proxy.fault(error) if self._proxy else "")
            else:
                self.up.set()
                return socket

    def _backoff_s(self) -> float:
        """Give a wait that doubles with every failure in a row, with jitter, so that many feeds do not come at once."""
        longest = min(self._patience.backoff_max_s, self._patience.backoff_s * 2 ** min(self._failures - 1, 16))
        return random.uniform(longest / 2, longest)  # noqa: S311 nothing secret about a pause

    def _lost(self, error: Exception, fault: str = "") -> None:
        self._failures += 1
        why = (
            f"silent for {self._patience.stall_s:g} s" if type(error) is TimeoutError and not str(error) else str(error)
        )
        if self._rarely or self._failures == 1:
            said = f"{fault or 'the exchange is away'}, trying again"
            through = {"proxy": self._proxy} if self._proxy else {}
            log.warning(said, where=self._where, why=why or type(error).__name__, **through)

    async def _read(self, socket: ClientConnection, successor: asyncio.Task[ClientConnection]) -> None:
        """Deliver until the successor stands. Raises ConnectionClosed, or TimeoutError on a stall."""
        while not successor.done():
            async with asyncio.timeout(self._patience.stall_s):
                raw = await socket.recv(decode=False)
            await self._take(raw)

    async def _take(self, raw: bytes) -> None:
        received_at_ns = time.time_ns()
        try:
            frame = _decoder.decode(raw)
        except UNREADABLE:
            self.garbage += 1
            if self._rarely:
                log.warning(
                    "dropped: no frame of a stream", so_far=self.garbage, message=raw[:80].decode(errors="replace")
                )
            return
        self._failures, self._received = 0, True
        await self._deliver(frame.stream, with_time(raw, received_at_ns))


class Watch:
    """Knows which symbols have been heard of: the exchange says nothing about a symbol that it does not have."""

    def __init__(self, symbols: list[str], deliver: Deliver) -> None:
        """Pass frames on to `deliver`."""
        self._silent = set(symbols)
        self._count = len(symbols)
        self._deliver = deliver

    async def deliver(self, stream: str, raw: bytes) -> None:
        """Pass a frame on, and note its symbol."""
        if self._silent:
            self._silent.discard(stream.partition("@")[0].upper())
        await self._deliver(stream, raw)

    async def run(self, links: list[Link], silence_s: float) -> None:
        """Look once, `silence_s` after all links stand. Raises ServerAwayError: no symbol has been heard of."""
        for link in links:
            await link.up.wait()
        await asyncio.sleep(silence_s)
        if self._silent:
            names = ", ".join(sorted(self._silent))
            said = f"nothing from the exchange for {silence_s:g} s about {names}: is there such a symbol on this venue?"
            if len(self._silent) == self._count:
                raise ServerAwayError(said)
            log.warning(said)


async def binance(settings: Settings, symbols: list[str], venue: Venue, patience: Patience = PATIENCE) -> None:
    """Publish live frames for ever. Raises SettingsError and ServerAwayError."""
    known = check(symbols)
    urls = endpoints(settings, venue, known)
    for url in urls:
        proxy.before(url)  # what is wrong with it is said before NATS is waited for
    async with publishing(settings) as publisher:
        watch = Watch(known, publisher.publish)
        links = [Link(url, watch.deliver, patience) for url in urls]
        log.info("going live", symbols=len(known), venue=venue, connections=len(links))
        faults: tuple[BaseException, ...] = ()
        try:
            async with asyncio.TaskGroup() as group:
                for link in links:
                    group.create_task(link.run())
                group.create_task(watch.run(links, patience.silence_s))
        except* (ServerAwayError, SettingsError) as refused:
            faults = refused.exceptions
        if faults:
            raise faults[0]
