"""What a frame and an event cost must not grow unseen. Counted, not timed: the same on every machine."""

import itertools
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from tasks import configuration, engine
from tasks.configuration import registry
from tasks.engine import MemoryLedger
from tasks.events import Depth, Position, Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.protocol import batches
from tasks.protocol.batches import Batch, Epoch
from tasks.settings import Settings
from tests.bench import account
from tests.bench.mix import Mix


@pytest.fixture(scope="module")
def mix() -> Mix:
    return Mix()


#: Calls of Python and C functions for a frame, and for a book in a batch of the depth pool. When they were set, there
#: were 8.5 and 213; releases of Python differ by a few.
FRAME_CALLS, BOOK_CALLS = 12, 300
#: And what the paper account adds.
ACCOUNT_CALLS = 20


def calls(work: Callable[[], object]) -> int:
    """Return how many functions are called: the same on every machine, unlike the time they take."""
    work()  # what is done once is done by now
    kinds: Counter[str] = Counter()
    sys.setprofile(lambda _frame, kind, _argument: kinds.update([kind]))
    try:
        work()
    finally:
        sys.setprofile(None)
    return kinds["call"] + kinds["c_call"]


def test_reading_a_frame_takes_few_calls(mix: Mix):
    raws = list(itertools.islice(mix.frames(), 400))
    reading = calls(lambda: [parse(raw, FrameMetadata("binance.frames", 1, 1)) for raw in raws])
    assert len(raws) < reading < FRAME_CALLS * len(raws)


def test_a_batch_of_books_takes_few_calls_a_book(mix: Mix):
    strategies = registry.build(configuration.read(Settings().strategies_file))["depth"]
    books = [raw for raw in itertools.islice(mix.frames(), 1_600) if b"@depth" in raw]
    events = [parse(raw, FrameMetadata("binance.frames", seq, 1)) for seq, raw in enumerate(books, start=1)]
    held = tuple(batches.pack_event(event) for event in events if isinstance(event, Depth))
    to = Position("s", len(held))
    packed = batches.pack([Batch("depth", 0, 0, Epoch(1, "n"), None, to, "c", held)])
    working = calls(lambda: engine.BatchRun("depth", "s", strategies, "c", {}).finish(batches.unpack(packed)[0].events))
    assert len(held) < working < BOOK_CALLS * len(held)


def test_an_account_adds_few_calls_to_a_book(mix: Mix):
    """With four strategies that hold positions, most books are one look at each account's watch."""
    configured = configuration.read(Settings().strategies_file)
    books = [raw for raw in itertools.islice(mix.frames(), 4_000) if b"@depth" in raw]
    events = [parse(raw, FrameMetadata("binance.frames", seq, 1)) for seq, raw in enumerate(books, start=1)]
    held = [event for event in events if isinstance(event, Depth)]

    def run(chosen: configuration.Configuration) -> int:
        strategies = registry.build(chosen)["depth"]
        return calls(lambda: MemoryLedger("s").run("depth", held, strategies, "c"))

    assert 0 < run(configured) - run(account.without(configured)) < ACCOUNT_CALLS * len(held)


def test_a_packed_event_is_smaller_than_its_frame(mix: Mix):
    raws = list(itertools.islice(mix.frames(), 400))
    packed = [
        batches.pack_event(event)
        for event in (parse(raw, FrameMetadata("binance.frames", seq, 1)) for seq, raw in enumerate(raws, start=1))
        if isinstance(event, Depth | Trade)
    ]
    assert len(packed) == len(raws)
    assert sum(map(len, map(bytes, packed))) < sum(map(len, raws))
