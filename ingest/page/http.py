"""The page, its files and its events over HTTP."""

import asyncio
import mimetypes
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import Redis

from ingest.ledger import IngestLedger
from ingest.page.page_state import SIGNALS_KEPT, PageState
from tasks.clients.redis_client import FAILED
from tasks.ledger.entry_id import EntryId
from tasks.ops.warm_ups import WarmUp
from tasks.protocol.counters import Counts
from tasks.telemetry.fair_slots import FairSlots, client_of
from tasks.telemetry.http_server import ReadOnlyHandler, Route
from tasks.telemetry.log_throttle import LogThrottle

FOLDER = Path(__file__).with_name("web")
TICK_S = 1.0
#: So often the states of strategies are looked at while somebody watches.
WARM_UPS_S = 10.0
#: One more takes the place of the client that has most of them, and gets a 503 if that is itself.
MAX_WATCHERS = 50
#: A browser that is this far behind, about as many seconds, is cut off; it comes back by itself.
MAX_BEHIND = 20
#: Tells the browser to come back after a second.
RETRY = b"retry: 1000\n\n"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
log = structlog.get_logger()


_Entry = tuple[bytes, dict[bytes, bytes]]
#: Reads how far strategies have warmed up.
ReadWarmUps = Callable[[], Mapping[str, WarmUp]]


class Watcher:
    """One connected browser, and the messages that were not sent to it yet."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_BEHIND)
        self.gone = asyncio.Event()

    def send(self, text: bytes) -> None:
        """Send it soon; a browser that is too far behind is cut off."""
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self.gone.set()

    async def next(self) -> bytes:
        """Wait for what is to be sent, all that there is."""
        texts = [await self._queue.get()]
        while not self._queue.empty():
            texts.append(self._queue.get_nowait())
        return b"".join(texts)


class Page:
    """Keeps all connected browsers up to date. `run` ends only when it is cancelled, whatever goes wrong."""

    def __init__(
        self, state: PageState, ledger: IngestLedger, read_warm_ups: ReadWarmUps, tick_s: float = TICK_S
    ) -> None:
        """`read_warm_ups` may wait for Redis: it is called in a thread."""
        self.state, self._ledger, self._tick_s = state, ledger, tick_s
        self._read_warm_ups, self._warm_ups_due_s = read_warm_ups, 0.0
        self.watchers: FairSlots[Watcher] = FairSlots(MAX_WATCHERS)
        #: Whether this process led when it read the signals of before; None: it has not yet.
        self._read_as_leader: bool | None = None
        #: The other ledgers that did not answer then.
        self._missed: set[int] = set()
        self._throttle = LogThrottle()

    @property
    def routes(self) -> list[Route]:
        """The routes: one for each file, and the events."""
        files = {f"/web/{path.relative_to(FOLDER).as_posix()}": path for path in FOLDER.rglob("*") if path.is_file()}
        files["/"] = FOLDER / "index.html"
        served: list[Route] = [(re.escape(path), _FileHandler, {"file": file}) for path, file in files.items()]
        data: list[Route] = [
            ("/signals/([^/]{1,200})", _DataHandler, {"find": self.state.whole_signal}),
            ("/signals/([^/]{1,200})/event", _DataHandler, {"find": self.state.event_of_signal}),
            ("/history/([^/:]{1,50}):([^/]{1,150})", _DataHandler, {"find": self.state.past}),
        ]
        return [*served, *data, ("/events", _EventsHandler, {"page": self})]

    async def run(self) -> None:
        """Tick, and ask the ledger, endlessly. Apart, because Redis may take seconds to say nothing."""
        steps = self._tick, self._ask, self._ask_missed, self._ask_warm_ups
        await asyncio.gather(*map(self._every, steps))

    async def _every(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except FAILED:
                pass  # the page shows it: /ready knows that Redis is unavailable
            except Exception:
                if self._throttle.allow():
                    log.exception("unexpected error: the page misses something")
            await asyncio.sleep(self._tick_s)

    async def _tick(self) -> None:
        self._send(self.state.tick(watched=bool(self.watchers)))

    def _send(self, texts: list[bytes]) -> None:
        for text in texts:
            for watcher in self.watchers:
                watcher.send(text)

    async def _ask(self) -> None:
        # Read again by one that takes over: what was relayed while it stood by, it was not told.
        if self._read_as_leader != self.state.leads:
            leads = self.state.leads
            self._remember(await self._last_signals())
            self._read_as_leader = leads
        if self.watchers or not self.state.counters:
            counters: Any = await self._ledger.client.hgetall(self._ledger.keys.counters)
            self.state.counted(Counts.read(counters))

    def _remember(self, newest_first: list[_Entry]) -> None:
        self.state.remember(newest_first)
        # A browser may be quicker than Redis: what it was greeted with lacks these signals.
        if self.watchers:
            self._send([self.state.hello()])

    async def _last_signals(self) -> list[_Entry]:
        """Return the last signals, newest first; those of other ledgers as far as these answer."""
        found = await self._last_of(self._ledger.client)
        for number, other in self._ledger.servers.other_ledgers.items():
            self._missed.add(number)
            with suppress(*FAILED):
                found += await self._last_of(other)
                self._missed.discard(number)
        return sorted(found, key=lambda entry: EntryId.parse(entry[0].decode()), reverse=True)[:SIGNALS_KEPT]

    async def _last_of(self, client: Redis) -> list[_Entry]:
        found: Any = await client.xrevrange(self._ledger.keys.signals, count=SIGNALS_KEPT)
        return found  # type: ignore[no-any-return]  # redis-py leaves it open

    async def _ask_missed(self) -> None:
        for number in sorted(self._missed):
            with suppress(*FAILED):
                newest_first = await self._last_of(self._ledger.servers.other_ledgers[number])
                self._missed.discard(number)
                self._remember(newest_first)

    async def _ask_warm_ups(self) -> None:
        if self.watchers and time.monotonic() >= self._warm_ups_due_s:
            self.state.warmed(await asyncio.to_thread(self._read_warm_ups))
            self._warm_ups_due_s = time.monotonic() + WARM_UPS_S


class _FileHandler(ReadOnlyHandler):
    """Serves one file. Tornado computes its ETag and answers 304."""

    def initialize(self, file: Path) -> None:
        self._file = file

    def get(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Type", _type_of(self._file))
        self.finish(self._file.read_bytes())


class _DataHandler(ReadOnlyHandler):
    """Serves JSON that the page asks for when somebody looks at it."""

    def initialize(self, find: Callable[..., bytes | None]) -> None:
        """`find` returns what is asked for, as JSON, by the parts of the address; None: it is not there."""
        self._find = find

    def get(self, *parts: str) -> None:
        packed = self._find(*parts)
        if packed is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(packed)


class _EventsHandler(ReadOnlyHandler):
    """Server-sent events, until the browser disconnects or is cut off."""

    def initialize(self, page: Page) -> None:
        self._page = page
        self._watcher = Watcher()

    def head(self, *_: str) -> None:
        """Answer without watching."""
        self._head()
        self.finish()

    def _head(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def get(self) -> None:
        watchers, client = self._page.watchers, client_of(self.request.remote_ip or "")
        if watchers.full:
            cut = watchers.to_yield(client)
            if cut is None:
                self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
                return
            watchers.remove(cut)
            cut.gone.set()
        self._head()
        self.hold_open()
        self._watcher.send(RETRY + self._page.state.hello())
        watchers.add(self._watcher, client)
        sending = asyncio.ensure_future(self._send())
        gone = asyncio.ensure_future(self._watcher.gone.wait())
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watchers.remove(self._watcher)
            sending.cancel()
            gone.cancel()
            self.detach().close()  # a stuck browser takes no proper end

    async def _send(self) -> None:
        while True:
            self.write(await self._watcher.next())
            await self.flush()

    def on_connection_close(self) -> None:
        self._watcher.gone.set()


def _type_of(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0] or "text/plain"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
