"""Frames of every kind, taken through everything: exchange, feed, NATS, record, replay, ingest, workers, signals."""

import asyncio
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

import nats
from playwright.sync_api import Browser, Page, expect

from compose.local.processes import Process
from compose.local.stack import Plan, Stack
from ingest.feeds.stream_plan import Market
from tasks import configuration
from tasks.backtest import Backtest
from tasks.events import KINDS
from tasks.frames.plausibility import FrameReader
from tasks.history import recordings
from tasks.ledger.reader import LedgerReader
from tasks.ledger.summary import LedgerSummary
from tasks.protocol.digest import digest_line
from tests.support.kinds.rows import ROWS, SYMBOLS, Row
from tests.support.kinds.sent import EACH, SUBJECTS, exchange_frames, neutral_frames
from tests.support.kinds.strategies import POOLS
from tests.support.servers.exchange import Exchange
from tests.support.stacks.live_page import opened
from tests.support.stacks.pipeline import finish, replay, running
from tests.support.waiting import wait_for

_FRAMES = EACH * len(ROWS)
#: (venue, symbol, kind).
Trigger = tuple[str, str, str]
Signals = dict[Trigger, list[bytes]]


class PlayedFrames(NamedTuple):
    """What the frames led to: signals by what triggered them, the lines of the recording, and the page's rows."""

    live: LedgerSummary
    replayed: LedgerSummary
    digest: str
    live_signals: Signals
    replayed_signals: Signals
    backtest_signals: Signals
    recording: list[bytes]
    #: By venue and symbol, the cells by their columns' heads, and the tooltip of the last one.
    page: dict[tuple[str, str], dict[str, str]]

    def lines_of(self, row: Row) -> int:
        """Return how many lines of the recording are a row's."""
        return _kinds_of_lines(self.recording)[row.venue, row.symbol, row.kind]


def by_trigger(signals: Iterable[bytes]) -> Signals:
    """Return what the digest takes of signals, in its order, by what triggered them."""
    found: Signals = {}
    for _, _, line in sorted(map(digest_line, signals)):
        trigger = json.loads(line)["trigger"]
        found.setdefault((trigger["venue"], trigger["symbol"], trigger["kind"]), []).append(line)
    return found


def _kinds_of_lines(lines: Sequence[bytes]) -> Counter[Trigger]:
    reader, counts = FrameReader(kinds=KINDS), Counter[Trigger]()
    for seq, raw in enumerate(lines, start=1):
        event: Any = reader.read(raw, "", seq, 2**62)
        counts[event.venue, event.symbol, event.kind] += 1
    return counts


@contextmanager
def exchanges() -> Iterator[dict[Market, Exchange]]:
    """Stand in for the three markets, in a thread of their own."""
    servers: dict[Market, Exchange] = {market: Exchange(exchange_frames(market)) for market in get_args(Market)}
    loop, opened_, closing = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with servers["spot"].open(), servers["usdm"].open(), servers["coinm"].open():
            opened_.set()
            await closing.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert opened_.wait(60)
        yield servers
    finally:
        loop.call_soon_threadsafe(closing.set)
        thread.join()
        loop.close()


def _start_feeds(stack: Stack, servers: dict[Market, Exchange]) -> list[Process]:
    spot, usdm, coinm = servers["spot"], servers["usdm"], servers["coinm"]
    urls = {
        "BINANCE_SPOT_URL": spot.url,
        "BINANCE_USDM_DEPTH_URL": usdm.route("public"),
        "BINANCE_USDM_TRADE_URL": usdm.route("public"),
        "BINANCE_USDM_MARKET_URL": usdm.route("market"),
        "BINANCE_COINM_URL": coinm.url,
    }
    started = []
    for market in servers:
        streams = ",".join(row.stream for row in ROWS if row.venue == market)
        words = ["-m", "ingest", "binance", *SYMBOLS[market], "--venue", market, "--streams", streams]
        started.append(stack.instance.start(f"feed-{market}", [sys.executable, *words], stack.environment | urls))
    return started


async def _publish(url: str, frames: list[tuple[str, bytes]]) -> None:
    client = await nats.connect(url)
    for subject, raw in frames:
        await client.publish(subject, raw)
    await client.drain()


def _signals(stack: Stack) -> Signals:
    reader = LedgerReader(stack.settings)
    return by_trigger(packed for _, packed in reader.entries(reader.keys.signals, b"signal"))


def _rows_of(page: Page) -> dict[tuple[str, str], dict[str, str]]:
    found: list[list[Any]] = page.evaluate(
        """() => {
            const heads = [...document.querySelectorAll(".symbols thead th")].map((head) => head.textContent);
            return [...document.querySelectorAll("#symbols tr")].map((row) => {
                const venue = row.querySelector("small").textContent;
                const symbol = row.querySelector("button").firstChild.textContent;
                const cells = [...row.children].map((cell, at) => [heads[at], cell.hidden ? "hidden" : cell.textContent]);
                return [venue, symbol, Object.fromEntries([...cells, ["tooltip", row.lastElementChild.title]])];
            });
        }"""
    )
    return {(venue, symbol): cells for venue, symbol, cells in found}


def _live(plan: Plan, recording: Path, browser: Browser) -> tuple[LedgerSummary, Signals, Any]:
    with running(plan) as stack, exchanges() as servers:
        words = [sys.executable, "-m", "ingest", "record", str(recording)]
        recorder = stack.instance.start("record", words, stack.environment)
        wait_for(recording.exists, f"the recorder: {recorder.tail()}")
        feeds = _start_feeds(stack, servers)
        # In a thread, because the browser's loop runs in this one.
        with ThreadPoolExecutor(1) as others:
            others.submit(asyncio.run, _publish(stack.nats_url, neutral_frames())).result()
        applied = LedgerReader(stack.settings)
        wait_for(lambda: applied.counters().of("applied") == _FRAMES, f"all events of {_FRAMES} frames")
        with opened(browser, stack) as page:
            expect(page.locator("#symbols tr")).to_have_count(sum(map(len, SYMBOLS.values())))
            rows = _rows_of(page)
        stack.instance.stop(*feeds, recorder, grace_s=60)
        return finish(stack), _signals(stack), rows


def play(directory: Path, browser: Browser, source: str) -> PlayedFrames:
    """Take `EACH` frames of every row through everything; `source` is the INGEST_SOURCE of all processes."""
    strategies, recording = directory / "strategies.toml", directory / "all.jsonl"
    strategies.write_text(POOLS)
    environment = {"STRATEGIES_FILE": str(strategies), "NATS_SUBJECTS": SUBJECTS, "INGEST_SOURCE": source}
    plan = Plan(2, "solo", environment=environment)
    live, live_signals, page = _live(plan, recording, browser)
    test = Backtest(configuration.read(strategies))
    digest = test.run(recordings.read(recording)).digest
    with running(plan) as stack:
        replay(stack, [recording], "max")
        replayed, replayed_signals = finish(stack), _signals(stack)
    return PlayedFrames(
        live,
        replayed,
        digest,
        live_signals,
        replayed_signals,
        by_trigger(test.ledger.signals),
        recording.read_bytes().splitlines(),
        page,
    )
