"""Events and positions, and the bytes they travel as."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import frames
from tasks.engine import MemoryLedger
from tasks.events import KINDS, AnyEvent, Event, Position, Trade
from tasks.frames.model import FrameMetadata
from tasks.history import recordings
from tasks.protocol.batches import pack_event, unpack_event
from tasks.strategy import AnyStrategy, Params, Signal, State, Strategy
from tests.support.events import TIME_MS, book, books, trade, trades
from tests.support.kinds.mixed import mixed
from tests.support.strategies import bound


@pytest.mark.parametrize(
    ("position", "other", "covers"),
    [
        (Position("a", 5), Position("a", 4), True),
        (Position("a", 5), Position("a", 5), True),
        (Position("a", 5), Position("a", 6), False),
        (Position("a", 5), Position("b", 4), False),
    ],
)
def test_a_position_covers_what_came_up_to_it_in_the_same_source(position, other, covers):
    assert position.covers(other) is covers


@given(st.builds(Position, st.text(), st.integers(0, 2**63)))
def test_a_position_survives_its_written_form(position):
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "5", "core@", "core@x", "@"])
def test_what_is_no_position_is_refused(text):
    with pytest.raises(ValueError, match=r"not a position|invalid literal"):
        Position.parse(text)


def test_a_book_knows_its_mid_and_spread():
    event = book([(1999.0, 3.0), (1990.0, 1.0)], [(2001.0, 4.0)])
    assert (event.mid, event.spread, event.spread_bps) == (2000.0, 2.0, 10.0)  # 2/2000 * 10,000


def test_the_side_of_a_trade_is_its_aggressors():
    assert trade(taker="buy").side == 1  # the buyer is not the maker
    assert trade(taker="sell").side == -1


@pytest.mark.parametrize("event", [book(), trade()])
def test_an_event_does_not_change(event):
    with pytest.raises(AttributeError):
        event.time_ms = 1


@given(st.one_of(books(), trades()))
def test_events_survive_the_journey_to_the_workers(events):
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(events), type=list[AnyEvent]) == events


# The order of the fields is the wire format: workers of another release read it.
def test_the_wire_format_is_this_one():
    written = [
        msgspec.msgpack.decode(msgspec.msgpack.encode(event)) for event in (book(id=7, seq=3), trade(id=8, seq=4))
    ]
    assert written == [
        ["depth", "spot", "BTCUSDT", 7, TIME_MS, 3, 0, [[1999.0, 1.0]], [[2001.0, 1.0]]],
        ["trade", "spot", "BTCUSDT", 8, TIME_MS, 4, 0, 100.0, 1.0, False],
    ]


@pytest.mark.parametrize("event", [book(), trade()])
def test_a_field_of_a_newer_release_is_ignored(event):
    newer = [*msgspec.msgpack.decode(msgspec.msgpack.encode(event)), "something new"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(newer), type=AnyEvent) == event


@pytest.fixture(scope="module")
def of_each_kind(recording, tmp_path_factory) -> dict[str, AnyEvent]:
    """An event of each kind, as the frames' readers make it, and one of each as workers unpack it."""
    file = mixed(recording, 200, tmp_path_factory.mktemp("kinds") / "mixed.jsonl")
    found: dict[str, AnyEvent] = {}
    for line in recordings.read(file):
        event = frames.parse(line.raw, FrameMetadata(line.stream, 1, line.received_at_ns, kinds=frozenset(KINDS)))
        assert isinstance(event, Event)
        found[event.kind] = event
    return found | {f"{kind} of a batch": unpack_event(pack_event(event)) for kind, event in found.items()}


def test_nothing_in_an_event_can_be_changed(of_each_kind):
    assert len(of_each_kind) == 2 * len(KINDS)
    for name, event in of_each_kind.items():
        # Of all that is in it: a list or a dict has no hash.
        assert isinstance(hash(event), int), name
        for change in (setattr, object.__setattr__):
            with pytest.raises((AttributeError, TypeError)):
                change(event, "time_ms", 0)
        with pytest.raises((AttributeError, TypeError)):
            del event.time_ms


class Meddler(Strategy[Params, State]):
    """Tries to change each event."""

    name = "meddler"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        trade.price = 1.0  # type: ignore[misc]  # that is what it tries
        return ()


class Reporter(Strategy[Params, State]):
    """Signals the price of each event."""

    name = "reporter"

    def on_trade(self, trade: Trade, state: State) -> Iterable[Signal]:  # noqa: ARG002 it has none
        yield Signal(action="hold", confidence=0.5, price=trade.price, current_price=trade.price)


def test_a_strategy_that_tries_to_change_events_fails_alone():
    def prices(*strategies: AnyStrategy) -> list[float]:
        ledger = MemoryLedger("test")
        events = [trade(5.0 + number, id=number, seq=number, time_ms=TIME_MS + number * 10_000) for number in (1, 2, 3)]
        ledger.run("pool", events, bound(*strategies), "1")
        return [msgspec.json.decode(packed)["price"] for packed in ledger.signals]

    assert prices(Meddler.create({}), Reporter.create({})) == prices(Reporter.create({})) == [6.0, 7.0, 8.0]
