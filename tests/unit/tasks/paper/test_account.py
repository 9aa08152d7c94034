"""One symbol's account: when orders are filled, what closes a position, and what it earned."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.events import AnyEvent, Level, MarkPrice
from tasks.paper import PaperContext, PaperOrder, PaperTerms, SymbolAccount, account, advance, fund, state, submit
from tasks.paper.closed_position import ClosedPosition
from tasks.paper.terms import VenueFees
from tests.support.events import TIME_MS, book, trade

FREE = PaperTerms(50.0, 0.0, None, {"spot": VenueFees(0.0, 0.0)})
FEES = {"spot": VenueFees(10.0, 20.0)}


def of(terms: PaperTerms = FREE) -> PaperContext:
    return PaperContext(terms, "skew", "v1")


def order(action: str = "buy", sent_ms: int = 0, name: str = "", **more: Any) -> PaperOrder:
    fields = {"notional": 100.0, "stop_loss": None, "take_profit": None} | more
    return PaperOrder(name or f"{action}@{sent_ms}", action, TIME_MS + sent_ms, **fields)  # type: ignore[arg-type]  # as above


def at(ms: int, bid: float = 99.0, ask: float = 101.0, quantity: float = 1e6) -> AnyEvent:
    return book([(bid, quantity)], [(ask, quantity)], time_ms=TIME_MS + ms)


def mark(ms: int, price: float, rate: float | None, due_ms: int) -> AnyEvent:
    return MarkPrice("spot", "BTCUSDT", ms, TIME_MS + ms, 1, 0, price, None, rate, TIME_MS + due_ms)


class Played:
    """An account, and what happened to it."""

    def __init__(self, *orders: PaperOrder, context: PaperContext | None = None) -> None:
        self.context = context or of()
        self.account = SymbolAccount()
        self.closed: list[ClosedPosition] = []
        self.unfilled: list[str] = []
        for each in orders:
            assert submit(self.account, each) is None

    def observe(self, *events: AnyEvent) -> "Played":
        for event in events:
            if isinstance(event, MarkPrice):
                fund(self.account, event)
                continue
            done = advance(self.account, event, self.context)
            self.closed += done.closed
            self.unfilled += done.unfilled
        return self


def test_an_order_is_filled_by_the_first_event_after_its_latency():
    played = Played(order()).observe(at(49, ask=100.0), at(50, ask=101.0))
    assert played.account.position is not None
    assert (played.account.position.quantity, played.account.position.entry_value) == (100 / 101, 100.0)
    assert (played.account.position.opened_ms, played.account.orders) == (TIME_MS + 50, [])


def test_an_opposite_signal_closes_and_does_not_turn_the_position():
    played = Played(order("buy", 0), order("sell", 1_000)).observe(at(50), at(1_050, bid=111.0, ask=112.0))
    [closed] = played.closed
    assert (closed.side, closed.exit_reason, closed.exit_signal_id) == ("long", "signal", "sell@1000")
    assert closed.pnl == pytest.approx(100 / 101 * 111 - 100, abs=1e-12)
    assert (closed.opened_ms, closed.closed_ms) == (TIME_MS + 50, TIME_MS + 1_050)
    assert played.account.position is None


def test_a_short_position_earns_what_the_price_falls():
    played = Played(order("sell", 0), order("close", 1_000)).observe(at(50), at(1_050, bid=89.0, ask=90.0))
    [closed] = played.closed
    assert (closed.side, closed.exit_signal_id) == ("short", "close@1000")
    assert closed.pnl == pytest.approx(100 - 100 / 99 * 90, abs=1e-12)
    assert closed.return_bps == pytest.approx(closed.pnl / 100 * 1e4)


def test_a_signal_of_the_same_side_and_a_close_of_nothing_change_nothing():
    played = Played(order("close", 0), order("buy", 1), order("buy", 2), order("hold", 3)).observe(
        at(50), at(51), at(60)
    )
    assert played.account.position is not None
    assert played.account.position.signal_id == "buy@1"
    assert (played.closed, played.account.orders) == ([], [])


@pytest.mark.parametrize(
    ("action", "stop_loss", "take_profit", "then", "expected"),
    [
        ("buy", 90.0, 120.0, (90.0, 91.0), ("stop_loss", 90.0)),
        ("buy", 90.0, 120.0, (85.0, 86.0), ("stop_loss", 85.0)),
        ("buy", 90.0, 120.0, (121.0, 122.0), ("take_profit", 120.0)),
        ("sell", 120.0, 90.0, (120.0, 121.0), ("stop_loss", 121.0)),
        ("sell", 120.0, 90.0, (88.0, 89.0), ("take_profit", 90.0)),
    ],
)
def test_stop_and_target_close_when_the_market_gets_there(action, stop_loss, take_profit, then, expected):
    """A stop takes what the book has; a target is a limit order, with its own price."""
    played = Played(order(action, stop_loss=stop_loss, take_profit=take_profit)).observe(at(50), at(55), at(60, *then))
    [closed] = played.closed
    assert (closed.exit_reason, closed.closed_ms) == (expected[0], TIME_MS + 60)
    assert closed.exit_price == pytest.approx(expected[1], abs=1e-9)


def test_a_target_pays_the_makers_fee_and_everything_else_the_takers():
    terms = PaperTerms(0.0, 0.0, None, FEES)
    [at_target] = Played(order(take_profit=110.0), context=of(terms)).observe(at(0), at(1, 115.0, 116.0)).closed
    quantity = 100 / 101
    assert at_target.fees == pytest.approx(100 * 20 / 1e4 + quantity * 110 * 10 / 1e4, abs=1e-12)
    assert at_target.pnl == pytest.approx(quantity * 110 - 100 - at_target.fees, abs=1e-12)


@pytest.mark.parametrize(("action", "target", "price"), [("buy", 0.01, 99.0), ("sell", 500.0, 101.0)])
def test_a_target_that_the_market_has_passed_closes_at_the_market(action: str, target: float, price: float):
    [closed] = Played(order(action, take_profit=target)).observe(at(50), at(60)).closed
    assert (closed.exit_reason, closed.closed_ms) == ("take_profit", TIME_MS + 60)
    assert closed.exit_price == pytest.approx(price)


def test_orders_that_never_find_a_price_make_room_and_are_told():
    played = Played(*(order("buy", each) for each in range(account.MAX_ORDERS)))
    late = order("buy", account.NO_PRICE_MS)
    assert submit(played.account, late) == "no_price"
    assert (played.account.orders[-1], len(played.account.orders)) == (late, account.MAX_ORDERS)


def test_a_position_is_closed_after_its_longest_holding():
    terms = PaperTerms(0.0, 0.0, 2.0, {})
    played = Played(order(), context=of(terms)).observe(at(0), at(1_999), at(2_000))
    assert [(each.exit_reason, each.closed_ms) for each in played.closed] == [("max_holding", TIME_MS + 2_000)]


def test_a_thin_book_fills_an_entry_in_part_and_an_exit_in_several_steps():
    played = Played(order("buy", 0, stop_loss=98.0)).observe(at(50, quantity=0.5))
    assert played.unfilled == ["partial"]
    assert played.account.position is not None
    assert (played.account.position.quantity, played.account.position.entry_value) == (0.5, 50.5)
    # Once the stop was reached the rest goes too, whatever the price does.
    played.observe(
        at(60, 97.0, 98.0, quantity=0.2), at(70, 100.0, 101.0, quantity=0.2), at(80, 90.0, 91.0, quantity=0.2)
    )
    [closed] = played.closed
    assert (closed.exit_reason, closed.closed_ms) == ("stop_loss", TIME_MS + 80)
    assert closed.exit_price == pytest.approx((0.2 * 97 + 0.2 * 100 + 0.1 * 90) / 0.5, abs=1e-9)


def test_trades_fill_at_their_price_and_slippage():
    terms = PaperTerms(0.0, 100.0, None, {"spot": VenueFees(0.0, 0.0)})
    played = Played(order("buy", 0), order("sell", 5), context=of(terms))
    played.observe(trade(200.0, time_ms=TIME_MS + 2), trade(300.0, time_ms=TIME_MS + 5))
    [closed] = played.closed
    assert [closed.entry_price, closed.exit_price] == pytest.approx([202.0, 297.0])


def test_funding_is_paid_once_when_it_is_due_at_the_rate_of_before():
    played = Played(order("buy"))
    played.observe(mark(0, 100.0, 0.001, 1_000), at(50), mark(999, 100.0, 0.002, 1_000), mark(1_000, 200.0, 0.5, 9_000))
    played.observe(mark(1_001, 200.0, 0.5, 9_000))
    assert submit(played.account, order("sell", 1_100)) is None
    [closed] = played.observe(at(1_200)).closed
    assert closed.funding == pytest.approx(100 / 101 * 200 * 0.002, abs=1e-12)
    assert closed.pnl == pytest.approx(100 / 101 * 99 - 100 - closed.funding, abs=1e-12)
    assert played.account.totals.funding == closed.funding


def test_funding_that_is_still_announced_after_its_time_is_paid_once():
    played = Played(order("buy"))
    played.observe(mark(0, 100.0, 0.01, 1_000), at(50), *(mark(ms, 100.0, 0.01, 1_000) for ms in (1_000, 2_000, 3_000)))
    assert played.account.totals.funding == pytest.approx(100 / 101 * 100 * 0.01, abs=1e-12)
    played.observe(mark(4_000, 100.0, 0.02, 9_000), mark(9_000, 100.0, 0.02, 17_000))
    assert played.account.totals.funding == pytest.approx(100 / 101 * 100 * 0.03, abs=1e-12)


def test_a_position_that_was_opened_after_a_funding_pays_none_of_it():
    played = Played(order("buy", 1_000))
    played.observe(mark(0, 100.0, 0.01, 1_000), at(1_050), mark(1_100, 100.0, 0.01, 9_000))
    assert played.account.position is not None
    assert played.account.totals.funding == 0.0


def test_an_order_that_gets_next_to_nothing_opens_no_position():
    played = Played(order("buy"), order("sell", 1)).observe(at(51, 0.2, 0.21, quantity=5e-324), at(200, 0.2, 0.21))
    assert (played.account.position, played.closed, played.unfilled) == (None, [], ["partial", "partial"])


def test_the_positions_of_a_strategy_and_its_shadow_have_ids_of_their_own():
    def closed_id(strategy: str) -> str:
        context = PaperContext(FREE, strategy, "v1")
        return Played(order("buy"), order("sell", 100), context=context).observe(at(50), at(150)).closed[0].id

    assert len({closed_id("skew"), closed_id("shadow~skew")}) == 2
    assert closed_id("skew") == closed_id("skew")


def test_totals_add_up_wins_losses_fees_turnover_and_the_deepest_fall():
    terms = PaperTerms(0.0, 0.0, None, FEES)
    played = Played(context=of(terms))
    for entry_ms, bid in ((0, 120.0), (10, 60.0), (20, 110.0)):
        submit(played.account, order("buy", entry_ms))
        submit(played.account, order("sell", entry_ms + 1))
        played.observe(at(entry_ms), at(entry_ms + 1, bid, bid + 1))
    totals, pnl = played.account.totals, [each.pnl for each in played.closed]
    assert (totals.positions, totals.wins) == (3, 2)
    assert totals.realised == pytest.approx(sum(pnl), abs=1e-9)
    assert [totals.won, totals.lost] == pytest.approx([pnl[0] + pnl[2], -pnl[1]])
    assert totals.fees == pytest.approx(sum(each.fees for each in played.closed))
    assert totals.turnover == pytest.approx(300 + sum(each.quantity * each.exit_price for each in played.closed))
    # The deepest is while the third position is new: it costs the fee, and is worth the mid price.
    assert totals.drawdown == pytest.approx(-pnl[1] + 0.2 + 100 - 100 / 101 * 100, abs=1e-9)


def test_a_clock_that_was_ahead_holds_neither_order_nor_position():
    hour_ms = 3_600_000
    terms = PaperTerms(50.0, 0.0, 10.0, {})
    played = Played(order("buy", hour_ms), context=of(terms)).observe(at(0))
    assert played.account.orders[0].sent_ms == TIME_MS
    played.observe(at(hour_ms + 50), at(100), at(10_100))
    assert [each.exit_reason for each in played.closed] == ["max_holding"]


def test_more_orders_than_a_strategy_can_mean_are_refused():
    played = Played(*(order("buy", each) for each in range(account.MAX_ORDERS)))
    assert submit(played.account, order("buy", 99)) == "too_many_orders"


def test_each_position_has_the_id_of_its_signal_and_canonical_json():
    [closed] = Played(order("buy", 0, "one"), order("sell", 1)).observe(at(100)).closed
    [again] = Played(order("buy", 0, "one"), order("sell", 1)).observe(at(100)).closed
    [other] = Played(order("buy", 0, "two"), order("sell", 1)).observe(at(100)).closed
    assert closed.pack() == again.pack()
    assert closed.id != other.id
    assert closed.pack().startswith(b'{"closed_ms":')


price = st.floats(50.0, 200.0)
orders = st.lists(st.tuples(st.sampled_from(["buy", "sell", "close"]), st.integers(0, 2_000)), max_size=12)
steps = st.lists(st.tuples(st.integers(0, 100), price, st.floats(0.01, 5.0)), min_size=1, max_size=60)


@given(orders, steps, st.integers(0, 59))
def test_an_account_saved_and_read_between_events_goes_on_the_same(sent, moves, cut):
    def play(*, saved: bool) -> tuple[list[ClosedPosition], bytes]:
        played, now_ms = Played(), 0
        waiting = sorted(sent, key=lambda each: each[1])
        for number, (step_ms, bid, quantity) in enumerate(moves):
            now_ms += step_ms
            if saved and number == cut:
                packed = state.pack(state.PaperState(symbols={"BTCUSDT": played.account}))
                played.account = state.unpack(packed).symbols["BTCUSDT"]
            levels: list[Level] = [(bid, quantity)]
            played.observe(book(levels, [(bid + 1, quantity)], time_ms=TIME_MS + now_ms))
            while waiting and waiting[0][1] <= now_ms:
                action, sent_ms = waiting.pop(0)
                submit(played.account, order(action, sent_ms, stop_loss=80.0, take_profit=150.0))
        return played.closed, state.pack(state.PaperState(symbols={"BTCUSDT": played.account}))

    assert play(saved=True) == play(saved=False)


@given(orders, steps)
def test_what_was_earned_is_what_was_paid_and_received(sent, moves):
    """The books balance: realised profit is the sum of what closed positions brought, less fees."""
    terms = PaperTerms(0.0, 0.0, None, FEES)
    played, now_ms = Played(context=of(terms)), 0
    for step_ms, bid, quantity in moves:
        now_ms += step_ms
        played.observe(book([(bid, quantity)], [(bid + 1, quantity)], time_ms=TIME_MS + now_ms))
        for action, _ in [each for each in sent if now_ms - step_ms <= each[1] < now_ms]:
            submit(played.account, order(action, now_ms))
    totals = played.account.totals
    direction = {"long": 1, "short": -1}
    gross = sum(direction[each.side] * each.quantity * (each.exit_price - each.entry_price) for each in played.closed)
    assert totals.realised == pytest.approx(gross - sum(each.fees for each in played.closed), abs=1e-6)
    assert totals.realised == pytest.approx(totals.won - totals.lost, abs=1e-9)
    assert totals.drawdown >= 0
