"""What a batch costs in Redis: counted, not timed, so it is the same on every machine."""

import itertools

import pytest
import redis

from tasks import configuration
from tasks.configuration.registry import build
from tasks.events import Depth, Position
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.ledger import Ledger
from tasks.protocol import batches
from tasks.protocol.batches import Batch, Epoch
from tasks.settings import Settings
from tasks.worker import runner
from tests.bench import usage
from tests.bench.mix import Mix, simulated
from tests.support.ledger import start_epoch
from tests.support.running import round_trips

EPOCH = Epoch(7, "3f9a02c1")
EVENTS = 100


@pytest.fixture(scope="module")
def books() -> list[Depth]:
    """The first books of two symbols, spot and futures, of a simulated market."""
    raws = itertools.islice(Mix(40, simulated(4_000)).frames(), 8_000)
    parsed = (parse(raw, FrameMetadata("binance.frames", seq, 1)) for seq, raw in enumerate(raws, start=1))
    symbols = ("BTCUSDT", "ETHUSDT")
    return [event for event in parsed if isinstance(event, Depth) and event.symbol in symbols][: 2 * EVENTS]


class Worker:
    """Runs batches of books against a real ledger."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self.client = redis.Redis.from_url(redis_url)
        self._ledger = Ledger(self.client, namespace)
        start_epoch(self.client, self._ledger.keys, EPOCH)
        self._strategies = build(configuration.read(Settings().strategies_file))["depth"]
        self._prev: Position | None = None

    def run(self, events: list[Depth]) -> None:
        to = Position(f"core-{EPOCH}", events[-1].seq)
        packed = tuple(map(batches.pack_event, events))
        payload = batches.pack([Batch("depth", 0, 0, EPOCH, self._prev, to, "c1", packed)])
        assert runner.run(batches.unpack(payload), self._ledger, lambda *_: self._strategies)
        self._prev = to


@pytest.fixture
def worker(redis_url: str, namespace: str, books: list[Depth]) -> Worker:
    """A worker that has met these symbols before."""
    made = Worker(redis_url, namespace)
    made.run(books[:EVENTS])
    return made


def test_a_batch_takes_two_round_trips_whatever_its_size(
    worker: Worker, books: list[Depth], monkeypatch: pytest.MonkeyPatch
):
    made = round_trips(monkeypatch)
    worker.run(books[EVENTS:])
    assert len(made) == 2


def test_a_hundred_books_take_at_most_20_commands_and_420_bytes_a_book(worker: Worker, books: list[Depth]):
    before = usage.redis_use(worker.client)
    worker.run(books[EVENTS:])
    use = usage.redis_use(worker.client).since(before).without("info", 2)
    assert use.commands <= 20
    assert (use.bytes_in + use.bytes_out) / EVENTS <= 420
