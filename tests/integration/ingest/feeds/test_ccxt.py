"""The bridge as a process, between a local server that plays OKX and a real NATS server."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nats
import pytest

from compose.local.processes import Instance, Process
from compose.local.servers import start_nats
from tasks.events import Depth, Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tests.support.ccxt_environment import bridge_python
from tests.support.feeds import Listener, listening, until
from tests.support.servers.okx import AT_MS, SPOT, SWAP, Levels, Okx, book, trades
from tests.support.waiting import HANGS_S

#: ccxt's spelling of the two markets.
SYMBOLS = {SPOT: "BTC/USDT", SWAP: "BTC/USDT:USDT"}
BIDS, ASKS = [("61800.0", "1"), ("61799.9", "2"), ("61799.8", "3")], [("61800.1", "0.5"), ("61800.2", "1.5")]
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def python() -> Path:
    return bridge_python()


@pytest.fixture
def instance() -> Iterator[Instance]:
    with Instance("ccxt") as instance:
        yield instance


def _levels(said: Levels) -> tuple[tuple[float, float], ...]:
    return tuple((float(price), float(quantity)) for price, quantity in said)


class Stage(NamedTuple):
    """The exchange, the bridge, and what it has published."""

    okx: Okx
    process: Process
    listener: Listener

    def events(self, symbol: str) -> list[Any]:
        parsed = [parse(raw, FrameMetadata(subject, 1, 2 * 10**18)) for subject, raw in self.listener.messages]
        assert all(isinstance(each, Depth | Trade) for each in parsed), parsed
        return [each for each in parsed if each.symbol == symbol]  # type: ignore[union-attr]  # as it was just asserted

    def ids(self, symbol: str) -> list[int]:
        return [each.id for each in self.events(symbol)]

    async def has(self, symbol: str, *ids: int) -> None:
        await until(lambda: len(self.ids(symbol)) >= len(ids), f"{ids} of {symbol}")
        assert self.ids(symbol) == list(ids)

    async def subscribed(self, *keys: tuple[str, str]) -> None:
        await until(lambda: set(keys) <= set(self.okx.subscribed), "subscriptions")


@asynccontextmanager
async def bridged(
    python: Path, instance: Instance, nats_url: str, okx: Okx, *options: str, **more: str
) -> AsyncIterator[Stage]:
    config = instance.directory / "okx.json"
    async with okx.open(), listening(nats_url, "market.okx.>") as listener:
        config.write_text(json.dumps(okx.config))
        command = [python, "-m", "ingest", "ccxt", "okx", *SYMBOLS.values(), "--config", config, *options]
        environment = {"NATS_URL": nats_url, "NATS_SUBJECTS": "market.>", "LOG_FORMAT": "json"} | more
        process = instance.start("bridge", list(map(str, command)), environment)
        try:
            yield Stage(okx, process, listener)
        except BaseException:
            print(process.tail(30))
            raise


async def test_trades_and_books_become_the_events_that_the_exchange_sent(python, instance, nats_url):
    okx = Okx()
    okx.on_subscription = {("books", SWAP): book(SWAP, 10, -1, BIDS, ASKS), ("trades", SWAP): trades(SWAP, 1, 2)}
    # ccxt refuses 50 levels of OKX without a login: the next larger book is asked for.
    async with bridged(python, instance, nats_url, okx, "--levels", "50", "--book-interval-ms", "0") as stage:
        await until(lambda: len(stage.events(SYMBOLS[SWAP])) == 3, "a book and two trades")
        await okx.send(book(SWAP, 12, 10, [("61800.0", "0"), ("61799.5", "9")], [("61800.1", "0.7")]))
        await until(lambda: len(stage.events(SYMBOLS[SWAP])) == 4, "the book's update")
        events = {(each.kind, each.id): each for each in stage.events(SYMBOLS[SWAP])}
    head = "okx", "BTC/USDT:USDT"
    assert events["trade", 1] == Trade(*head, 1, AT_MS + 1, 1, 2 * 10**18, 61800.1, 1.5, buyer_is_maker=True)
    assert events["trade", 2] == Trade(*head, 2, AT_MS + 2, 1, 2 * 10**18, 61800.2, 2.5, buyer_is_maker=False)
    first, second = events["depth", 10], events["depth", 12]
    assert first == Depth(*head, 10, AT_MS + 10, 1, 2 * 10**18, _levels(BIDS), _levels(ASKS))
    assert (second.time_ms, second.bids[0], second.asks[0]) == (AT_MS + 12, (61799.9, 2.0), (61800.1, 0.7))
    assert set(stage.listener.subjects) == {f"market.okx.{kind}.BTC%2FUSDT%3AUSDT" for kind in ("depth", "trade")}


async def test_after_a_cut_connection_trades_that_come_again_do_not_go_out(python, instance, nats_url):
    okx = Okx()
    async with bridged(python, instance, nats_url, okx, "--kinds", "trade") as stage:
        await stage.subscribed(("trades", SPOT), ("trades", SWAP))
        await okx.send(trades(SPOT, 1, 2, 3))
        await stage.has("BTC/USDT", 1, 2, 3)
        okx.on_subscription = {("trades", SPOT): trades(SPOT, 2, 3, 4), ("trades", SWAP): trades(SWAP, 7)}
        await okx.cut()
        await stage.has("BTC/USDT", 1, 2, 3, 4)
        await stage.has("BTC/USDT:USDT", 7)
        assert okx.connections == 2


async def test_a_book_that_misses_an_update_is_fetched_again_and_others_go_on(python, instance, nats_url):
    okx = Okx()
    okx.on_subscription = {("books", market): book(market, 10, -1, BIDS, ASKS) for market in SYMBOLS}
    async with bridged(python, instance, nats_url, okx, "--kinds", "depth", "--book-interval-ms", "0") as stage:
        for symbol in SYMBOLS.values():
            await stage.has(symbol, 10)
        okx.on_subscription["books", SWAP] = book(SWAP, 20, -1, BIDS, ASKS)
        await okx.send(book(SWAP, 15, 14, [("61799.0", "666")], []))
        await okx.send(book(SPOT, 11, 10, [("61799.0", "1")], []))
        await stage.has("BTC/USDT:USDT", 10, 20)
        await stage.has("BTC/USDT", 10, 11)
        assert all(quantity != 666 for each in stage.events("BTC/USDT:USDT") for _, quantity in each.bids)


async def test_books_in_quick_succession_go_out_once_in_the_interval(python, instance, nats_url):
    okx = Okx()
    okx.on_subscription = {("books", SWAP): book(SWAP, 10, -1, BIDS, ASKS)}
    async with bridged(python, instance, nats_url, okx, "--kinds", "depth", "--book-interval-ms", "3000") as stage:
        await stage.has("BTC/USDT:USDT", 10)
        for seq in range(11, 61):
            await okx.send(book(SWAP, seq, seq - 1, [("61799.9", f"{seq}")], []))
        await until(lambda: stage.ids("BTC/USDT:USDT")[-1] == 60, "the newest book")
        # The first change begins an interval; on a slow machine the end of the fifty may fall into the next one.
        assert len(stage.ids("BTC/USDT:USDT")) <= 4


async def test_a_signal_ends_the_bridge_with_all_that_it_had(python, instance, nats_url):
    okx = Okx()
    async with bridged(python, instance, nats_url, okx, "--kinds", "trade") as stage:
        await stage.subscribed(("trades", SPOT))
        await okx.send(trades(SPOT, 1))
        await stage.has("BTC/USDT", 1)
        stage.process.terminate()
        await until(lambda: stage.process.returncode is not None, "its end")
        ended = [json.loads(line) for line in stage.process.log.read_text().splitlines() if "has ended" in line]
        assert [(line["published"], line["dropped"]) for line in ended] == [(1, 0)]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["krakn", "BTC/USD"], "error: ccxt watches no exchange 'krakn'; did you mean kraken?"),
        (["kraken", "BTC/USD", "--kinds", "x"], "error: --kinds takes trade, depth, not 'x'"),
        (
            ["kraken", "BTC/USD", "--config", "/nowhere"],
            "error: --config: can't read /nowhere: No such file or directory",
        ),
        (["nowhere", "BTC/USD"], "error: ccxt watches no exchange 'nowhere'; it watches "),
    ],
)
def test_what_can_not_be_watched_is_one_line_at_the_start(python, words, line):
    done = subprocess.run(
        [python, "-m", "ingest", "ccxt", *words], capture_output=True, text=True, check=False, timeout=HANGS_S
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(line)


#: Prints an exchange whose books are watched and whose trades are not.
_WITHOUT_TRADES = """
import ccxt.pro
for name in ccxt.pro.exchanges:
    has = getattr(ccxt.pro, name)().has
    if has["watchOrderBook"] and not has["watchTrades"]:
        print(name)
        break
"""


def test_an_exchange_whose_trades_are_not_watched_is_one_line(python):
    asked = subprocess.run([python, "-c", _WITHOUT_TRADES], capture_output=True, text=True, check=True, timeout=HANGS_S)
    name = asked.stdout.strip()
    command = [python, "-m", "ingest", "ccxt", name, "BTC/USD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANGS_S)
    expected = f"error: ccxt does not watch the kind trade of {name}: --kinds depth\n"
    assert (done.returncode, done.stderr) == (1, expected)


async def test_with_a_stream_every_frame_is_stored(python, instance):
    okx = Okx()
    server, url = start_nats(instance)
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="frames", subjects=["market.>"])
    try:
        async with bridged(python, instance, url, okx, "--kinds", "trade", INGEST_SOURCE="jetstream") as stage:
            await stage.subscribed(("trades", SPOT))
            await okx.send(trades(SPOT, *range(100)))
            await stage.has("BTC/USDT", *range(100))
            stage.process.terminate()
            await until(lambda: stage.process.returncode is not None, "its end")
            assert "are not in the stream" not in stage.process.log.read_text()
        state = (await client.jetstream().stream_info("frames")).state
        assert (state.messages, server.returncode) == (100, None)
    finally:
        await client.close()


async def test_a_symbol_that_the_exchange_does_not_have_is_one_line(python, instance):
    okx = Okx()
    async with okx.open():
        config = instance.directory / "okx.json"
        config.write_text(json.dumps(okx.config))
        command = [python, "-m", "ingest", "ccxt", "okx", "btc/usdt", "BTC-USDT-SWAP", "--config", config]
        started = await asyncio.create_subprocess_exec(*map(str, command), stderr=asyncio.subprocess.PIPE)
        _, said = await asyncio.wait_for(started.communicate(), HANGS_S)
    assert (started.returncode, said.decode()) == (
        1, "error: okx has no market 'BTC-USDT-SWAP'; did you mean BTC/USDT:USDT?\n",
    )  # fmt: skip


def test_without_ccxt_one_line_says_how_to_get_it():
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "ccxt", "okx", "BTC/USDT"],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_S,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: ccxt is not installed here: ./run ingest ccxt sets it up")
