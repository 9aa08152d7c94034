"""Symbols of any spelling, of another venue than Binance's, from the recording to the page: one spelling end to end."""

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec
import nats
import pytest
from playwright.sync_api import Browser, expect

from compose.local.stack import Plan, Stack
from ingest.transport.flush import confirm_published
from tasks.events import NO_ID, AnyEvent
from tasks.frames import neutral, parse
from tasks.frames.model import FrameMetadata
from tasks.frames.symbols import symbol_of, token
from tasks.history import recordings
from tests.support.stacks.live_page import opened
from tests.support.stacks.pipeline import backtested, command, deadletters, digests, finish, replay, running
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

VENUE = "kraken-x"
SYMBOLS = {
    "BTCUSDT": "BTC/USDT:USDT", "ETHUSDT": "币安/人生", "SOLUSDT": "a.b", "BNBUSDT": "A-B_C", "ALICEUSDT": "x>*",
}  # fmt: skip
WITHOUT_IDS = "a.b"


def renamed(recording: Path, to: Path) -> Path:
    """Write the spot market of a recording as venue-neutral frames of another venue, one symbol without ids."""
    with to.open("wb") as file:
        for line in recordings.read(recording):
            event = parse(line.raw, FrameMetadata(line.stream, 1, line.received_at_ns))
            assert isinstance(event, AnyEvent)
            if event.venue == "spot" and event.symbol in SYMBOLS:
                symbol = SYMBOLS[event.symbol]
                id_ = NO_ID + event.time_ms * 10**6 if symbol == WITHOUT_IDS else event.id
                raw = neutral.encode(msgspec.structs.replace(event, venue=VENUE, symbol=symbol, id=id_))
                file.write(b'%b,"received_at":%d}\n' % (raw[:-1], line.received_at_ns))
    return to


class SignalSubjects:
    """The subjects of all signals that NATS delivers, by the id of the signal."""

    def __init__(self, url: str) -> None:
        self.subjects: dict[str, str] = {}
        self._url, self._stop, self._listens = url, threading.Event(), threading.Event()

    async def _listen(self) -> None:
        client = await nats.connect(self._url)
        subscription = await client.subscribe("signals.>")
        await confirm_published(client)
        self._listens.set()
        while not self._stop.is_set():
            try:
                message = await subscription.next_msg(timeout=0.05)
            except nats.errors.TimeoutError:
                continue
            self.subjects[json.loads(message.data)["id"]] = message.subject
        await client.close()

    @contextmanager
    def listening(self) -> Iterator["SignalSubjects"]:
        thread = threading.Thread(target=lambda: asyncio.run(self._listen()))
        thread.start()
        try:
            wait_for(self._listens.is_set, "the subscription")
            yield self
        finally:
            self._stop.set()
            thread.join()


@contextmanager
def following(stack: Stack, file: Path) -> Iterator[None]:
    """Run `signals --follow --json` into a file, for one symbol with wildcards and one with a slash."""
    words = ["signals", "--follow", "--json", "--symbol", "x>*", "--symbol", "btc/usdt:usdt"]
    with file.open("wb") as out:
        follower = subprocess.Popen([sys.executable, "-m", "tasks", *words], env=stack.environment, stdout=out)
    try:
        yield
    finally:
        follower.terminate()
        follower.wait()


def states(stack: Stack, *words: str) -> set[tuple[str, str]]:
    """Return (venue, symbol) of the records and states that `state show` finds."""
    lines = command(stack, "state", "show", "--json", *words).splitlines()
    return {(told["venue"], told["symbol"]) for told in map(json.loads, lines)}


def check_commands(stack: Stack) -> None:
    assert states(stack) == {(VENUE, symbol) for symbol in SYMBOLS.values()}
    for symbol in SYMBOLS.values():
        assert states(stack, "--symbol", symbol, "--venue", VENUE) == {(VENUE, symbol)}
        done = command(stack, "state", "reset", "trade_momentum", "--symbol", symbol, "--yes")
        assert done == "pool trade: removed 1\n"
    assert command(stack, "state", "show", "--json", "--strategy", "trade_momentum") == ""


def check_page(browser: Browser, stack: Stack, asked: str) -> None:
    for symbol in SYMBOLS.values():
        with opened(browser, stack, f"?symbol={quote(asked.format(symbol))}") as page:
            expect(page.locator("#chart-title")).to_have_text(re.compile(f"^{re.escape(symbol)} ?{VENUE}$"))
            expect(page.locator("#symbols [aria-pressed=true]")).to_have_text(re.compile(f"^{re.escape(symbol)}"))


@pytest.mark.parametrize(
    ("source", "asked"), [("core", "{}"), pytest.param("jetstream", VENUE + ":{}", marks=pytest.mark.slow)]
)
def test_odd_symbols_keep_one_spelling_from_the_frame_to_the_page(
    browser: Browser, opening: Path, tmp_path: Path, source: str, asked: str
):
    files = [renamed(opening, tmp_path / "odd.jsonl")]
    expected, followed = backtested(files), tmp_path / "followed.jsonl"
    with running(Plan(2, "prefork", environment={"INGEST_SOURCE": source})) as stack:
        with SignalSubjects(stack.nats_url).listening() as heard, following(stack, followed):
            replay(stack, files, "max")
            wait_for(lambda: len(heard.subjects) == sum(expected.signals.values()), "all signals on NATS")
            signals = [json.loads(line) for line in command(stack, "signals", "--json").splitlines()]
            wanted = [each["id"] for each in signals if each["symbol"] in {"x>*", "BTC/USDT:USDT"}]
            wait_for(lambda: followed.read_bytes().count(b"\n") >= len(wanted), "all that was followed")
        assert [json.loads(line)["id"] for line in followed.read_text().splitlines()] == wanted != []
        assert {each["symbol"] for each in signals} <= set(SYMBOLS.values())
        for each in signals:
            strategy, symbol = heard.subjects[each["id"]].split(".")[1:]
            assert (strategy, symbol, symbol_of(symbol)) == (each["strategy"], token(each["symbol"]), each["symbol"])
        check_page(browser, stack, asked)
        live = finish(stack)
        assert (live.events, live.refused, live.skipped, live.repeats) == (expected.frames, {}, {}, 0)
        assert live.signals == expected.signals
        assert digests(live) == digests(expected)
        assert deadletters(stack) == []
        check_commands(stack)
