"""`python -m tasks deadletters retry` against a running pipeline: what it reports of a letter is what happened to it."""

import asyncio
import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from compose.local.processes import Instance
from compose.local.stack import Plan, Stack
from tasks.cli.main import app
from tasks.events import NO_ID, AnyEvent
from tasks.frames import encoder
from tasks.ledger import LedgerKeys
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters, records
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import load
from tests.support.events import TIME_MS, book, trade
from tests.support.service import publish
from tests.support.stacks.strategies import POISON_ID
from tests.support.waiting import wait_for

#: The pools that the workers of a stack serve. Two take trades; one has a strategy that raises on one id.
FILE = """
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies."tests.support.stacks.strategies:Raising"]
[pools.basket]
kinds = ["trade"]
[pools.basket.strategies.trade_momentum]
[pools.depth]
kinds = ["depth"]
[pools.depth.strategies.orderbook_skew]
"""


class Pipeline:
    """A stack, its ledger, and the command."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.reader = LedgerReader(stack.settings)
        self.keys: LedgerKeys = self.reader.keys
        self.client: Any = self.reader.client

    def bury(self, letter: DeadLetter) -> str:
        """Put a letter into the stream; return its id."""
        name: bytes = self.client.xadd(self.keys.deadletters, {"letter": dead_letters.pack(letter)})
        return name.decode()

    def condemned(self, event: AnyEvent, pool: str = "trade") -> str:
        return self.bury(DeadLetter("condemned", "5 runs", pool=pool, event=event))

    def letters(self) -> list[str]:
        return [name for name, _ in self.reader.entries(self.keys.deadletters, b"letter")]

    def record(self, event: AnyEvent, pool: str = "trade") -> records.Record:
        return records.unpack(self.client.hget(self.keys.pool(pool), records.field(event)))

    def apply(self, event: AnyEvent, pools: Sequence[str] = ("trade", "basket")) -> None:
        """Send an event as a feed does, and wait until it is committed."""
        asyncio.run(publish(self.stack.nats_url, ("binance.websocket.data", encoder.frame(event))))
        wait_for(lambda: all(self.record(event, pool).id == event.id for pool in pools), "the commits")

    def retry(self, *words: str) -> tuple[dict[str, str], int]:
        """Return the verdict of each letter, and the exit status."""
        done = CliRunner().invoke(app, ["deadletters", "retry", "--json", *words])
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return {line["id"]: line["verdict"] for line in lines}, done.exit_code

    def repeats(self) -> int:
        return self.reader.counters().of("repeats")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    file: Path = tmp_path_factory.mktemp("retry") / "strategies.toml"
    file.write_text(FILE)
    with Instance("retry") as instance:
        stack = Stack(instance, Plan(1, "solo", 2, {"STRATEGIES_FILE": str(file)}))
        stack.wait_until_ready()
        yield stack


@pytest.fixture
def pipeline(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for name in ("NATS_URL", "REDIS_URL", "NAMESPACE"):
        monkeypatch.setenv(name, stack.environment[name])
    load.cache_clear()
    pipeline = Pipeline(stack)
    pipeline.client.delete(pipeline.keys.deadletters)
    yield pipeline
    load.cache_clear()


@pytest.mark.parametrize(
    ("event", "pool"),
    [
        (trade(symbol="ADAUSDT", id=50), "trade"),
        (trade(symbol="ADAUSDT", id=50, venue="usdm"), "trade"),
        (trade(symbol="ADA/USDT", id=NO_ID + TIME_MS * 1_000_000, venue="kraken"), "trade"),
        # Where the trades were: a book that is far from them is refused.
        (book([(99.0, 1.0)], [(101.0, 1.0)], symbol="ADAUSDT", id=50), "depth"),
        (book([(99.0, 1.0)], [(101.0, 1.0)], symbol="ADAUSDT", id=50, venue="usdm"), "depth"),
    ],
    ids=["spot trade", "futures trade", "a trade without id", "spot book", "futures book"],
)
def test_an_event_ahead_of_its_record_is_applied_and_its_letter_goes(pipeline: Pipeline, event: AnyEvent, pool: str):
    name = pipeline.condemned(event, pool)
    assert pipeline.retry(name) == ({name: "applied"}, 0)
    record = pipeline.record(event, pool)
    assert (record.id, record.time_ms, record.count) == (event.id, event.time_ms, 1)
    assert pipeline.letters() == []


def test_an_event_behind_its_record_is_late_stays_and_is_not_sent(pipeline: Pipeline):
    pipeline.apply(trade(symbol="LATEUSDT", id=20))
    before = pipeline.repeats()
    names = [pipeline.condemned(trade(symbol="LATEUSDT", id=each)) for each in (19, 20)]
    # An hour later it would be taken for a feed that restarted.
    names.append(pipeline.condemned(trade(symbol="LATEUSDT", id=3, time_ms=trade().time_ms + 3_600_000)))
    marker = pipeline.condemned(trade(symbol="LATEUSDT", id=21))
    assert pipeline.retry(*names) == (dict.fromkeys(names, "late"), 1)
    assert pipeline.letters() == [*names, marker]
    # Of what had been sent before it, this one would see the commit.
    assert pipeline.retry(marker) == ({marker: "applied"}, 0)
    assert pipeline.repeats() == before


def test_an_event_on_which_one_strategy_raised_is_late(pipeline: Pipeline):
    """The other strategies of the pool had it, so its record is past it."""
    event = trade(symbol="RAISEUSDT", id=POISON_ID)
    pipeline.apply(event)
    [name] = pipeline.letters()
    assert pipeline.retry("--reason", "strategy_error") == ({name: "late"}, 1)


def test_an_event_on_which_a_strategy_raises_at_its_retry_is_kept_again(pipeline: Pipeline):
    name = pipeline.condemned(trade(symbol="AGAINUSDT", id=POISON_ID))
    assert pipeline.retry(name) == ({name: "again"}, 1)
    assert len(pipeline.letters()) == 2


def test_a_frame_refused_again_is_kept_again_and_a_cut_one_is_not_sent(
    pipeline: Pipeline,
):
    asyncio.run(publish(pipeline.stack.nats_url, ("binance.a", b"\xff"), ("binance.b", b"\x00" * 70_000)))
    wait_for(lambda: len(pipeline.letters()) == 2, "the letters")
    first, cut = pipeline.letters()
    assert pipeline.retry("--reason", "not_json") == ({first: "again", cut: "can't"}, 1)
    assert pipeline.letters()[:2] == [first, cut]
    assert len(pipeline.letters()) == 3


def test_a_refused_frame_that_can_be_read_now_is_applied_in_every_pool(pipeline: Pipeline):
    event = trade(symbol="READUSDT", id=5)
    name = pipeline.bury(dead_letters.refused("not_positive", "", "binance.readusdt@trade", encoder.frame(event)))
    assert pipeline.retry(name) == ({name: "applied"}, 0)
    assert [pipeline.record(event, pool).count for pool in ("trade", "basket")] == [1, 1]


def test_letters_of_one_record_are_applied_in_the_order_of_their_ids(pipeline: Pipeline):
    """This holds whatever the order of the letters and their pools."""
    events = [trade(symbol="ORDERUSDT", id=each, time_ms=trade().time_ms + each) for each in (9, 7, 8)]
    names = [pipeline.condemned(each, pool) for each in events for pool in ("trade", "basket")]
    assert pipeline.retry("--symbol", "ORDERUSDT") == (dict.fromkeys(names, "applied"), 0)
    for pool in ("trade", "basket"):
        record = pipeline.record(events[0], pool)
        assert (record.id, record.count, record.gaps) == (9, 3, 0)
    assert pipeline.letters() == []


def test_a_pool_that_is_no_longer_there_can_not_apply_an_event(pipeline: Pipeline):
    name = pipeline.condemned(trade(), pool="gone")
    assert pipeline.retry(name) == ({name: "can't"}, 1)


def test_an_event_still_in_flight_is_not_applied_and_no_later_one_is_tried(pipeline: Pipeline):
    events = [trade(symbol="SLOWUSDT", id=each) for each in (5, 6)]
    names = [pipeline.condemned(each) for each in events]
    worker = pipeline.stack.workers[0]
    worker.send(signal.SIGSTOP)
    try:
        assert pipeline.retry("--wait", "0.3", *names) == ({names[0]: "not yet", names[1]: "not tried"}, 1)
    finally:
        worker.send(signal.SIGCONT)
    assert pipeline.letters() == names
    wait_for(lambda: pipeline.record(events[0]).id == 5, "the commit")
    assert pipeline.retry(*names) == ({names[0]: "late", names[1]: "applied"}, 1)


def test_without_nats_nothing_is_tried_and_one_line_says_why(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NATS_URL", "nats://me:secret@127.0.0.1:9")
    load.cache_clear()
    name = pipeline.condemned(trade(symbol="AWAYUSDT"))
    failed = CliRunner().invoke(app, ["deadletters", "retry", name])
    assert "NATS does not answer at nats://***@127.0.0.1:9 (NATS_URL)" in str(failed.exception)
    assert pipeline.letters() == [name]
