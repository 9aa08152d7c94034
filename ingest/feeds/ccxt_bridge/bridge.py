"""Watches an exchange through ccxt and publishes its trades and books, for ever."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from ingest.feeds.ccxt_bridge import exchange as exchanges
from ingest.feeds.ccxt_bridge.exchange import WatchedKind
from ingest.feeds.ccxt_bridge.frames import BookFrames, TradeFrames, venue_of
from ingest.feeds.ccxt_bridge.silence import LIMITS, SilenceLimits, SilenceReports
from ingest.feeds.link import TIMEOUTS
from ingest.feeds.publisher import Publisher
from ingest.feeds.publishing import publishing
from tasks.errors import RealtimeStrategiesError
from tasks.frames import neutral
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()


class BridgePlan(NamedTuple):
    """What is watched, and how."""

    #: As ccxt names it.
    exchange: str
    symbols: list[str]
    kinds: tuple[WatchedKind, ...] = exchanges.KINDS
    #: Of each side of a book, at most `neutral`'s MAX_LEVELS.
    levels: int = 20
    #: Least time between two books of a symbol.
    book_interval_ms: int = 100
    #: A JSON object for ccxt: `options`, `urls`, proxies.
    config: Path | None = None


class Bridge:
    """Publishes what an exchange sends of some symbols."""

    def __init__(self, exchange: Any, publisher: Publisher, plan: BridgePlan, limits: SilenceLimits = LIMITS) -> None:
        """Watch nothing yet; the symbols of `plan` are spelled as ccxt does."""
        self._exchange, self._publisher, self._plan = exchange, publisher, plan
        self._venue = venue_of(plan.exchange)
        self._throttle, self._unusable = LogThrottle(), LogThrottle()
        streams = {kind: [self._subject(kind, each) for each in plan.symbols] for kind in plan.kinds}
        self._reports = SilenceReports(
            publisher, plan.exchange, streams.get("depth", []), streams.get("trade", []), limits
        )

    def _subject(self, kind: WatchedKind, symbol: str) -> str:
        return neutral.subject(self._venue, kind, symbol)

    async def run(self) -> None:
        """Publish endlessly. Raises what the publisher raises."""
        faults: tuple[BaseException, ...] = ()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reports.run())
                for symbol in self._plan.symbols:
                    if "depth" in self._plan.kinds:
                        group.create_task(self._keep(symbol, self._books(symbol)))
                    if "trade" in self._plan.kinds:
                        group.create_task(self._keep(symbol, self._trades(symbol)))
        except* RealtimeStrategiesError as refused:
            faults = refused.exceptions
        if faults:
            raise faults[0]

    async def _keep(self, symbol: str, step: Callable[[], Awaitable[None]]) -> None:
        """Take one step after the other; after a failure again, for ever, however the other symbols do."""
        failures = 0
        while True:
            try:
                await step()
                failures = 0
            except RealtimeStrategiesError:
                raise
            except asyncio.CancelledError:
                # ccxt cancels what waits for a connection that it gives up; that is not our end.
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                failures = await self._back_off(symbol, failures, "the connection was given up")
            except Exception as error:  # noqa: BLE001 ccxt parses what exchanges send, and may raise anything
                failures = await self._back_off(symbol, failures, exchanges.why(error))

    async def _back_off(self, symbol: str, failures: int, why: str) -> int:
        if self._throttle.allow():
            log.warning("the exchange is unavailable, retrying", symbol=symbol, why=why)
        await asyncio.sleep(TIMEOUTS.draw_backoff_s(failures + 1))
        return failures + 1

    def _trades(self, symbol: str) -> Callable[[], Awaitable[None]]:
        subject, made = self._subject("trade", symbol), TradeFrames(self._venue, symbol)

        async def step() -> None:
            trades = await self._exchange.watch_trades(symbol)
            unusable = made.unusable
            for raw in made.frames(trades, time.time_ns()):
                await self._publisher.publish(subject, raw)
            if made.unusable > unusable and self._unusable.allow():
                log.warning("trades without side, price, quantity or number", symbol=symbol, so_far=made.unusable)
            self._reports.record(subject)

        return step

    def _books(self, symbol: str) -> Callable[[], Awaitable[None]]:
        subject, made = self._subject("depth", symbol), BookFrames(self._venue, symbol, self._plan.levels)
        depths = exchanges.depths(self._plan.levels)
        interval_s = self._plan.book_interval_ms / 1000
        due_s = 0.0

        async def step() -> None:
            nonlocal due_s
            book = await self._watch_book(symbol, depths)
            # Meanwhile ccxt goes on with this very book: what is published is the newest.
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            due_s = time.monotonic() + interval_s
            if raw := made.frame(book, time.time_ns()):
                await self._publisher.publish(subject, raw)
            self._reports.record(subject)

        return step

    async def _watch_book(self, symbol: str, depths: list[int | None]) -> Any:
        """Return the book after its next change; the first one of `depths` is the one that the exchange takes."""
        while True:
            try:
                book = await self._exchange.watch_order_book(symbol, depths[0])
            except exchanges.Unavailable:
                raise
            except exchanges.Fault:
                if len(depths) == 1:
                    raise
                del depths[0]
            else:
                del depths[1:]
                return book


async def bridge(settings: Settings, plan: BridgePlan) -> None:
    """Publish endlessly. Raises SettingsError: no such exchange or market; and what the publisher raises."""
    exchange = exchanges.create(plan.exchange, plan.kinds, exchanges.options(plan.config))
    try:
        await _load_markets(exchange)
        plan = plan._replace(symbols=exchanges.listed(exchange, plan.symbols))
        async with publishing(settings) as publisher:
            log.info("going live", exchange=plan.exchange, symbols=len(plan.symbols), kinds=plan.kinds)
            await Bridge(exchange, publisher, plan).run()
    finally:
        await exchange.close()


async def _load_markets(exchange: Any) -> None:
    """Load the exchange's markets, for as long as it takes."""
    failures, throttle = 0, LogThrottle()
    while True:
        try:
            await exchange.load_markets()
        except exchanges.Fault as error:
            failures += 1
            if throttle.allow():
                log.warning("the exchange does not tell its markets, retrying", why=exchanges.why(error))
            await asyncio.sleep(TIMEOUTS.draw_backoff_s(failures))
        else:
            return
