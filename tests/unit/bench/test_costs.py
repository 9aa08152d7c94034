"""What a frame and an event cost must not grow unseen. Counted, not timed: the same on every machine."""

import gc
import itertools
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from types import FrameType

import msgspec
import pytest

from ingest.components import Components
from tasks import configuration, engine
from tasks.backtest import Backtest
from tasks.clients.nats_message import read_metadata
from tasks.configuration import named_strategies, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import MemoryLedger
from tasks.events import Depth, Position, Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.history import recordings
from tasks.protocol import batches
from tasks.protocol.batches import Batch, Epoch
from tasks.protocol.notice import Notice
from tasks.settings import Settings
from tests.bench import account
from tests.bench.mix import Mix, simulated
from tests.unit.ingest.sources.test_cursor import reading


@pytest.fixture(scope="module")
def mix() -> Mix:
    return Mix(originals=simulated(2_000))


#: Calls of Python and C functions for a frame, and for a book in a batch of the depth pool. When they were set, there
#: were 8 and 104; releases of Python differ by one or two.
FRAME_CALLS, BOOK_CALLS = 9, 113
#: Of a backtest for a frame of the mix, and for a trade. When they were set, there were 86 and 68.
BACKTEST_CALLS = {"": 93, "@trade": 74}
#: Of ingest for a frame, from its bytes to the notice of its commit; and of a batch with a single book. When they were
#: set, there were 60 and 80.
FRAMES, INGEST_CALLS, BATCH_CALLS = 800, 63, 86
#: Of what a stream adds to a frame: the reading of what its message says of itself, and the cursor. There were 24.
STREAM_CALLS = 26
#: And what the paper account adds. When it was set, there were 0.3, because few books meet an open position.
ACCOUNT_CALLS = 2
#: Parameter sets that run side by side.
SETS = 50


def profiled(work: Callable[[], object], note: Callable[[FrameType, str, object], object]) -> None:
    work()  # what is done once is done by now
    # A collection calls what others, such as Hypothesis, have asked to be called.
    gc.disable()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()


def calls(work: Callable[[], object]) -> int:
    """Return how many functions are called: the same on every machine, unlike the time they take."""
    kinds: Counter[str] = Counter()
    profiled(work, lambda _frame, kind, _argument: kinds.update([kind]))
    return kinds["call"] + kinds["c_call"]


def side_by_side(name: str, **parameters: Sequence[float]) -> list[BoundStrategy]:
    """Return the sets of a strategy: all have the first values of `parameters` once, then the second ones, and so on."""
    configured = named_strategies.only(configuration.read(Settings().strategies_file), [], [name])
    sets = [{key: values[n % len(values)] for key, values in parameters.items()} for n in range(SETS)]
    bound = [registry.build(named_strategies.apply(configured, name, each))["depth"][0] for each in sets]
    return [msgspec.structs.replace(each, name=f"set {number}") for number, each in enumerate(bound)]


def books_of(mix: Mix, count: int) -> list[Depth]:
    raws = itertools.islice((raw for raw in mix.frames() if b"@depth" in raw), count)
    events = [parse(raw, FrameMetadata("binance.frames", seq, 1)) for seq, raw in enumerate(raws, start=1)]
    return [event for event in events if isinstance(event, Depth)]


def test_reading_a_frame_takes_few_calls(mix: Mix):
    raws = list(itertools.islice(mix.frames(), 400))
    reading = calls(lambda: [parse(raw, FrameMetadata("binance.frames", 1, 1)) for raw in raws])
    assert len(raws) < reading < FRAME_CALLS * len(raws)


def test_a_batch_of_books_takes_few_calls_a_book(mix: Mix):
    strategies = registry.build(configuration.read(Settings().strategies_file))["depth"]
    held = tuple(batches.pack_event(event) for event in books_of(mix, 800))
    to = Position("s", len(held))
    packed = batches.pack([Batch("depth", 0, 0, Epoch(1, "n"), None, to, "c", held)])
    working = calls(lambda: engine.BatchRun("depth", "s", strategies, "c", {}).finish(batches.unpack(packed)[0].events))
    assert len(held) < working < BOOK_CALLS * len(held)


@pytest.mark.parametrize(("stream", "most"), BACKTEST_CALLS.items(), ids=["all", "trades"])
def test_a_backtest_takes_few_calls_a_frame(mix: Mix, tmp_path: Path, stream: str, most: int):
    lines = [line for line in recordings.read(mix.write(tmp_path / "mix.jsonl", 4_000)) if stream in line.stream]
    half = len(lines) // 2
    backtest, parts = Backtest(configuration.read(Settings().strategies_file)), iter([lines[:half], lines[half:]])
    assert half < calls(lambda: backtest.run(next(parts))) < most * half


def test_an_account_adds_few_calls_to_a_book(mix: Mix):
    """With four strategies that hold positions, most books are one look at each account's watch."""
    configured = configuration.read(Settings().strategies_file)
    held = books_of(mix, 2_000)

    def run(chosen: configuration.Configuration) -> int:
        strategies = registry.build(chosen)["depth"]
        return calls(lambda: MemoryLedger("s").run("depth", held, strategies, "c"))

    assert 0 < run(configured) - run(account.without(configured)) < ACCOUNT_CALLS * len(held)


@pytest.mark.parametrize(("name", "sums"), [("orderbook_skew", 2), ("spread_liquidity", 1), ("depth_pressure", 2)])
def test_sets_that_weigh_the_same_levels_sum_them_up_once(mix: Mix, name: str, sums: int):
    book, sets, summed = books_of(mix, 1)[0], side_by_side(name, levels=[5, 10]), Counter[object]()
    profiled(
        lambda: MemoryLedger("s").run("depth", [copy(book)], sets, "c"),
        lambda _frame, kind, function: summed.update([function] if kind == "c_call" else []),
    )
    assert summed[math.fsum] == 2 * sums


#: Calls for a book with fifty sets. When they were set, there were 680, 690, 810 and 1,780; before sums were shared and
#: events without signals became cheap, 1,190, 1,420, 2,380 and 4,980.
@pytest.mark.parametrize(
    ("name", "most", "parameters"),
    [
        ("orderbook_skew", 900, {"levels": [5, 10], "buy_ratio": [2, 3, 4]}),
        ("spread_liquidity", 1_000, {"levels": [5, 10], "history": [10, 20, 30]}),
        ("depth_pressure", 1_100, {"levels": [10, 20], "window_s": [5, 10, 20]}),
        ("iceberg", 2_000, {"refills": [2, 3], "variation": [0.1, 0.2, 0.3]}),
    ],
)
def test_fifty_sets_take_few_calls_a_book(mix: Mix, name: str, most: int, parameters: dict[str, list[float]]):
    held, sets = books_of(mix, 400), side_by_side(name, **parameters)
    assert len(held) * SETS < calls(lambda: MemoryLedger("s").run("depth", held, sets, "c")) < most * len(held)


def test_a_packed_event_is_smaller_than_its_frame(mix: Mix):
    raws = list(itertools.islice(mix.frames(), 400))
    packed = [
        batches.pack_event(event)
        for event in (parse(raw, FrameMetadata("binance.frames", seq, 1)) for seq, raw in enumerate(raws, start=1))
        if isinstance(event, Depth | Trade)
    ]
    assert len(packed) == len(raws)
    assert sum(map(len, map(bytes, packed))) < sum(map(len, raws))


def test_a_frame_costs_ingest_few_calls(mix: Mix):
    """Read, checked, watched, put into its lanes, and counted when its commit is known."""
    components = Components(Settings())
    lanes, sender = components.lanes, components.sender
    lanes.restart(Position("core-1.aa", 0))
    sender.epoch = Epoch(1, "aa")
    sender.pump = lambda: None  # type: ignore[method-assign]  # nothing is sent
    frames = mix.frames()
    pieces = iter([list(itertools.islice(frames, FRAMES)) for _ in range(2)])

    def take() -> None:
        for raw in next(pieces):
            components.frame_handler.deliver("binance.frames", raw)
        for lane in lanes:
            while lane.launch():
                lane.sent(0.0)
                sender.on_notice(str(Notice(lane.id, str(sender.epoch), Position("core-1.aa", lane.flight[-1].seq))))

    taking = calls(take)
    assert components.counters.totals.of("committed") > 2 * FRAMES
    assert FRAMES < taking < INGEST_CALLS * FRAMES


def test_a_batch_of_one_book_takes_few_calls(mix: Mix):
    """As many as the events have symbols come one by one: states are read and packed for each."""
    strategies = registry.build(configuration.read(Settings().strategies_file))["depth"]
    ledger, (first, *later) = MemoryLedger("s"), [book for book in books_of(mix, 400) if book.symbol == "BTCUSDT"]
    ledger.run("depth", [first], strategies, "c")
    working = calls(lambda: [ledger.run("depth", [book], strategies, "c") for book in later])
    assert len(later) < working < BATCH_CALLS * len(later)


def test_a_message_of_a_stream_costs_ingest_few_more_calls():
    cursor = reading(after_seq=0)
    replies = iter(
        [b"$JS.ACK.FRAMES.one.1.%d.%d.1700000000000000000.5" % (seq, seq) for seq in range(1, 2 * FRAMES + 1)]
    )
    took = 0

    def take() -> None:
        nonlocal took
        for reply in itertools.islice(replies, FRAMES):
            took += cursor.receive(read_metadata(reply), 0, 0.0).deliver

    taking = calls(take)
    assert took == 2 * FRAMES
    assert FRAMES < taking < STREAM_CALLS * FRAMES
