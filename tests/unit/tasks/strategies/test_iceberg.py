"""iceberg: best prices that refill or hold."""

from collections.abc import Iterable, Sequence

import msgspec
import pytest

from tasks.events import Depth
from tasks.strategies.iceberg import Iceberg, IcebergState
from tasks.strategy import Signal
from tests.support.events import TIME_MS, actions, book, feed, play


def at(seconds: float, quantity: float = 10.0, *, bid: float = 1999.0, behind: float = 1990.0) -> Depth:
    """A book with `quantity` at the best bid; 0 leaves it out. Far behind it a bid of 1, so that it reaches beyond."""
    bids = [(bid, quantity), (behind, 1.0)] if quantity else [(behind, 1.0)]
    # The ask's quantity changes every second, and never by half, so it says nothing.
    ask = 10.0 + int(seconds) % 2 * 4
    return book(bids, [(2001.0, ask)], time_ms=TIME_MS + round(seconds * 1000))


def refills(count: int, step_s: float = 4.0) -> list[Depth]:
    """A best bid of 10 that falls to 4 and is back at 9 a second later, `count` times."""
    books = [at(0)]
    for number in range(count):
        books += [at(1 + number * step_s, 4), at(2 + number * step_s, 9), at(3 + number * step_s, 9)]
    return books


def spoken(events: Iterable[Depth], **params: float) -> list[Signal]:
    return [signal for signals in play(Iceberg.create(params), events) for signal in signals]


@pytest.mark.parametrize(("count", "confidence"), [(3, 0.70), (4, 0.75), (6, 0.85), (8, 0.85)])
def test_a_best_price_that_refills_signals_with_confidence_by_refills(count, confidence):
    *_, signal = spoken(refills(count), level_interval_s=0)
    assert signal.confidence == pytest.approx(confidence)
    assert signal.indicators["refills"] == count


def test_two_refills_are_not_enough():
    assert spoken(refills(2)) == []


@pytest.mark.parametrize(
    "quantities",
    [
        pytest.param([10, 5, 9], id="5 is not below half of 10"),
        pytest.param([10, 4, *[8] * 12], id="8 is not above 80 % of 10"),
    ],
)
def test_a_small_fall_or_a_weak_return_is_no_refill(quantities):
    courses = [at(n * 0.5, quantity) for n, quantity in enumerate(quantities * 6)]
    assert spoken(courses) == []


@pytest.mark.parametrize(("back_s", "said"), [(5.0, 1), (5.1, 0)])
def test_a_refill_comes_within_five_seconds_of_the_fall(back_s, said):
    events = []
    for number in range(3):
        start = number * 8
        events += [at(start), at(start + 1, 4), at(start + 4, 4), at(start + 1 + back_s)]
    assert len(spoken(events)) == said


def test_a_price_that_vanishes_from_the_book_and_comes_back_is_a_refill():
    events = [at(0), *(at(1 + n, 0 if n % 2 == 0 else 10) for n in range(6))]
    assert [signal.action for signal in spoken(events)] == ["buy"]


def test_a_price_beyond_the_books_last_level_is_not_known_to_have_vanished():
    unknown = book([(2000.0, 10.0), (1999.5, 1.0)], [(2001.0, 14.0)], time_ms=TIME_MS + 1000)
    gone = book([(2000.0, 10.0), (1998.0, 1.0)], [(2001.0, 14.0)], time_ms=TIME_MS + 1000)
    back = book([(2000.0, 10.0), (1999.0, 10.0)], [(2001.0, 10.0)], time_ms=TIME_MS + 2000)
    assert spoken([at(0), unknown, back], refills=1) == []
    assert len(spoken([at(0), gone, back], refills=1)) == 1


def test_a_level_that_falls_behind_the_best_price_is_no_refill():
    def behind(seconds: float, quantity: float) -> Depth:
        time_ms = TIME_MS + round(seconds * 1000)
        return book([(1999.5, 7.0), (1999.0, quantity)], [(2001.0, 10.0 + seconds % 2)], time_ms=time_ms)

    events = [at(0), *(behind(1 + n, 10 if n % 2 == 0 else 4) for n in range(10))]
    assert spoken(events) == []


def test_refills_that_left_the_window_are_forgotten():
    events = [*refills(2), *(at(second) for second in range(12, 40, 4)), at(40, 4), at(41)]
    assert spoken(events, window_s=30) == []
    assert len(spoken(events, window_s=60)) == 1


def test_a_level_speaks_once_in_two_minutes():
    events = refills(40)  # a refill every 4 s for 160 s; the third at 10 s, the next after 130 s
    times = [number for number, action in enumerate(actions(Iceberg.create({}), events)) if action]
    assert [(events[n].time_ms - TIME_MS) / 1000 for n in times] == [10, 130]


def test_a_hole_in_the_feed_forgets_everything():
    late = [msgspec.structs.replace(event, time_ms=event.time_ms + 15_200) for event in refills(2)]
    assert spoken([*refills(2), *late]) == []


@pytest.mark.parametrize(("until_s", "said"), [(119, []), (120, [0.70]), (200, [0.70])])
def test_a_best_price_that_holds_for_two_minutes_is_steady(until_s, said):
    # 10 and 11: mean 10.5, deviation 0.5, 4.8 %
    events = [at(second, 10 + second % 2) for second in range(until_s + 1)]
    assert [signal.confidence for signal in spoken(events)] == said


def test_a_level_that_held_three_minutes_says_so_after_its_interval():
    """The interval is counted from when the level last spoke."""
    events = [at(second, 10 + second % 2) for second in range(200)]
    assert [signal.confidence for signal in spoken(events, level_interval_s=60)] == [0.70, 0.75]


def test_a_quantity_that_varies_by_a_tenth_is_not_steady():
    # 8 and 12: mean 10, deviation 2
    assert spoken([at(second, 8 + 4 * (second % 2)) for second in range(200)]) == []


def test_stop_and_target_stand_around_level_and_mid():
    (signal,) = spoken(refills(3))
    # mid 2000, level 1999: d = max(1, 0.5 % of 2000 = 10)
    assert (signal.action, signal.price, signal.current_price) == ("buy", 1999.0, 2000.0)
    assert (signal.stop_loss, signal.take_profit) == (1989.0, 2025.0)


def test_an_ask_that_refills_is_sold():
    def mirrored(event: Depth) -> Depth:
        def mirror(side: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
            return tuple((4000.0 - price, quantity) for price, quantity in side)

        return book(mirror(event.asks), mirror(event.bids), time_ms=event.time_ms)

    (signal,) = spoken([mirrored(event) for event in refills(3)])
    assert (signal.action, signal.price) == ("sell", 2001.0)
    assert (signal.stop_loss, signal.take_profit) == (2011.0, 1975.0)


def test_a_level_far_from_mid_says_nothing():
    # 1999 is 0.05 % from mid.
    assert spoken(refills(3), max_distance=0.0004) == []


def busy(seconds: int, levels: int) -> tuple[Iceberg, IcebergState]:
    """A bid and an ask that are another best price in every book, each of them known by several refills."""
    strategy, state = Iceberg.create({"levels": levels}), IcebergState()
    for number in range(seconds * 10):
        level, size = number // 30, (9.123456789, 1.123456789)[number % 2]
        bid, ask = 20000.01 - level / 100, 20001.01 + level / 100
        quotes = [(bid, size), (bid - 1, 1.0)], [(ask, size), (ask + 1, 1.0)]
        feed(strategy, book(*quotes, time_ms=TIME_MS + number * 100), state)
    return strategy, state


def test_no_more_levels_are_remembered_than_told_and_the_oldest_go_first():
    """The oldest are those that were seen longest ago."""
    _, state = busy(60, levels=5)
    assert len(state.bids.levels) == len(state.asks.levels) == 5
    assert min(state.bids.levels) == pytest.approx(20000.01 - 0.19)


@pytest.mark.parametrize(
    ("quantities", "kept"),
    [
        pytest.param([10, 0, 0, 0, 0, 0, 0], True, id="five seconds after it went it may still refill"),
        pytest.param([10, 0, 0, 0, 0, 0, 0, 0], False, id="later it may not"),
        pytest.param([10, 4, 9, *[0] * 10], True, id="it refilled before"),
        pytest.param([10, 4, 9, *[0] * 30], False, id="that was too long ago"),
    ],
)
def test_a_price_that_is_gone_is_kept_while_it_may_refill_or_has_refilled(quantities, kept):
    strategy, state = Iceberg.create({"window_s": 20}), IcebergState()
    for second, quantity in enumerate(quantities):
        feed(strategy, at(second, quantity), state)
    assert (1999.0 in state.bids.levels) == kept


@pytest.mark.parametrize(("gone_s", "kept"), [(1, True), (5, True), (6, False)])
def test_a_price_that_went_while_it_was_not_the_best_is_remembered_as_long(gone_s, kept):
    strategy, state = Iceberg.create({}), IcebergState()
    feed(strategy, at(0), state)
    better = [(1999.5, 7.0), (1999.0, 10.0), (1990.0, 1.0)]
    for second in (1, 2):  # no longer the best, in this book and the one before
        feed(strategy, book(better, [(2001.0, 10.0)], time_ms=TIME_MS + second * 1000), state)
    for second in range(3, 4 + gone_s):
        feed(strategy, book(better[::2], [(2001.0, 10.0)], time_ms=TIME_MS + second * 1000), state)
    assert (1999.0 in state.bids.levels) == kept


@pytest.mark.parametrize(("best_at_s", "said"), [(150, [(150, 0.70)]), (200, [(200, 0.75)])])
def test_a_level_that_held_long_signals_when_it_becomes_the_best_price(best_at_s, said):
    def steady(second: int) -> Depth:
        """The bid at 1999 holds all the time, and is the best price at the start and from `best_at_s` on."""
        better = [(1999.5, 7.0)] if 0 < second < best_at_s else []
        # Its quantity halves behind the better bid: that it was the best price before does not count.
        quantity = 10 if second > 1 else 20
        bids = [*better, (1999.0, quantity + second % 2), (1990.0, 1.0)]
        return book(bids, [(2001.0, 10.0 + second % 2 * 4)], time_ms=TIME_MS + second * 1000)

    events = [steady(second) for second in range(best_at_s + 20)]
    spoke = [
        (second, signal.confidence)
        for second, signals in enumerate(play(Iceberg.create({}), events))
        for signal in signals
        if signal.price == 1999.0
    ]
    assert spoke == said


@pytest.mark.parametrize(("level_interval_s", "kept"), [(60, True), (30, False)])
def test_a_price_that_is_gone_is_remembered_while_it_may_not_speak_again(level_interval_s, kept):
    params = {"level_interval_s": level_interval_s, "window_s": 20, "refills": 1}
    strategy, state = Iceberg.create(params), IcebergState()
    for second, quantity in enumerate([10, 4, *[9] * 28, *[0] * 10]):  # speaks at 2 s, goes at 30 s
        feed(strategy, at(second, quantity), state)
    assert (1999.0 in state.bids.levels) == kept


def test_a_state_of_400_levels_that_refilled_repeatedly_is_below_64_kib():
    _, state = busy(1000, levels=200)
    # 300 s of a new best price every 3 s: the window holds 100 a side; each has a dozen refill times.
    assert 100 <= len(state.bids.levels) <= 102
    size = len(msgspec.msgpack.encode(state))
    assert size * 400 / (len(state.bids.levels) + len(state.asks.levels)) < 58 * 1024
