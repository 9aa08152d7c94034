"""Events and positions, and the bytes they travel as."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.events import AnyEvent, Position
from tests.support.events import TIME_MS, book, books, trade, trades


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
