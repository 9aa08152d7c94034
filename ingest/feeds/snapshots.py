"""Snapshots of books from the exchange's REST interface, one after the other, within its limits."""

import asyncio
import time
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

import structlog
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from websockets.exceptions import ProxyError

from ingest.feeds import proxy
from ingest.feeds.link import REFUSALS, TIMEOUTS, LinkTimeouts
from ingest.feeds.request_pace import WINDOW_S, RequestPace
from ingest.feeds.tunnel import TunnelClient
from tasks.books.diffs import Snapshot, read_snapshot
from tasks.errors import ServerUnavailableError
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()

#: Asked too often; the second one: banned, because one went on asking.
_TOO_OFTEN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT})
_MAX_BYTES = 16 * 1024 * 1024


class SnapshotPlan(NamedTuple):
    """Where snapshots of a venue are, how many levels they hold, and how often they are asked for."""

    url: str
    levels: int
    #: Half of what the exchange allows an address to ask for.
    in_minute: int


def plan(settings: Settings, venue: str) -> SnapshotPlan:
    """Return the plan of a venue: as many levels as the exchange gives."""
    return {
        # 6,000 a minute, of which 5,000 levels cost 250.
        "spot": SnapshotPlan(settings.binance_spot_rest_url, 5000, 12),
        # 2,400 a minute, of which 1,000 levels cost 20.
        "usdm": SnapshotPlan(settings.binance_usdm_rest_url, 1000, 60),
    }[venue]


class SnapshotTimings(NamedTuple):
    """Timeouts and pauses of requests for snapshots, in seconds."""

    request_s: float = 10.0
    #: Between two requests.
    pause_s: float = 0.25
    #: Of which the plan's number of requests is allowed.
    window_s: float = WINDOW_S
    #: After a refusal that does not say how long to wait.
    retry_after_s: float = 60.0


TIMINGS = SnapshotTimings()


class SnapshotClient:
    """Asks for one snapshot at a time."""

    def __init__(
        self, plan: SnapshotPlan, timings: SnapshotTimings = TIMINGS, timeouts: LinkTimeouts = TIMEOUTS
    ) -> None:
        """Ask nothing yet. Raises SettingsError: the proxy can't be used."""
        self._plan, self._timings, self._timeouts = plan, timings, timeouts
        self._client = SimpleAsyncHTTPClient(force_instance=True, max_buffer_size=_MAX_BYTES)
        through = proxy.find(plan.url.replace("http", "ws", 1))
        self._proxy = f"{through.host}:{through.port}" if through else ""
        if through:
            self._client.tcp_client = TunnelClient(through)
        self._pace = RequestPace(plan.in_minute, timings.pause_s, timings.window_s)
        self._throttle = LogThrottle()
        #: Failures in a row, and snapshots so far.
        self._failures = 0
        self.received = 0

    async def fetch(self, symbol: str) -> Snapshot | None:
        """Wait for the next turn and ask once; None: there is none now, and the log says why.

        Raises ServerUnavailableError: the exchange has refused this address from the first request on.
        """
        while wait_s := self._pace.wait_s(time.monotonic()):
            await asyncio.sleep(wait_s)
        self._pace.record(time.monotonic())
        query = urlencode({"symbol": symbol, "limit": self._plan.levels})
        request = HTTPRequest(
            f"{self._plan.url}?{query}",
            connect_timeout=self._timings.request_s,
            request_timeout=self._timings.request_s,
            follow_redirects=False,
        )
        try:
            response = await self._client.fetch(request, raise_error=False)
        except (HTTPClientError, ProxyError, OSError) as error:
            self._fail(str(error) or type(error).__name__, fault=proxy.fault(error) if self._proxy else "")
            return None
        return await self._read(symbol, response)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    async def _read(self, symbol: str, response: HTTPResponse) -> Snapshot | None:
        if response.code in _TOO_OFTEN:
            self._hold(response)
            return None
        said = _say(response)
        if response.code in REFUSALS and not self.received:
            raise ServerUnavailableError(
                f"{self._plan.url} refuses snapshots: {said}; --books top does without them (BINANCE_*_REST_URL)"
            )
        # Milliseconds, in which frames of all symbols would wait.
        snapshot = (
            await asyncio.to_thread(read_snapshot, response.body, self._plan.levels)
            if response.code == HTTPStatus.OK
            else None
        )
        if snapshot is None:
            self._fail(f"{symbol}: {said}")
            return None
        self._failures = 0
        self.received += 1
        return snapshot

    def _hold(self, response: HTTPResponse) -> None:
        """Ask nothing until the exchange allows it."""
        said = response.headers.get("Retry-After", "")
        for_s = float(said) if said.isdecimal() else self._timings.retry_after_s
        self._pace.hold(time.monotonic() + for_s)
        log.warning(
            "snapshots were asked for too often, waiting", where=self._plan.url, why=_say(response), for_s=for_s
        )

    def _fail(self, why: str, fault: str = "") -> None:
        self._failures += 1
        self._pace.hold(time.monotonic() + self._timeouts.draw_backoff_s(self._failures))
        if self._throttle.allow() or self._failures == 1:
            through = {"proxy": self._proxy} if self._proxy else {}
            said = f"{fault or 'the exchange gives no snapshots'}, retrying"
            log.warning(said, where=self._plan.url, why=why, **through)


def _say(response: HTTPResponse) -> str:
    """Return status and beginning of an answer, on one line."""
    body = " ".join(response.body[:200].decode(errors="replace").split())
    return f"HTTP {response.code}" + (f" {body[:120]}" if body else "")
