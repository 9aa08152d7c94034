"""The watch of an account: what passes it would have changed nothing but prices."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.paper import PaperContext, PaperOrder, PaperTerms, SymbolAccount, account
from tasks.paper.closed_position import ClosedPosition
from tasks.paper.watch import AccountWatch
from tests.support.events import TIME_MS, book

TERMS = PaperTerms(50.0, 0.0, 3.0, {})
CONTEXT = PaperContext(TERMS, "skew", "v1")

step = st.tuples(
    st.integers(-3_000, 1_000),
    st.floats(80.0, 120.0),
    st.floats(0.05, 3.0),
    st.sampled_from([None, None, None, "buy", "sell", "close"]),
)


def play(
    steps: list[tuple[int, float, float, str | None]], *, watched: bool
) -> tuple[list[ClosedPosition], SymbolAccount]:
    of_symbol, closed, now_ms = SymbolAccount(), list[ClosedPosition](), TIME_MS
    watch: AccountWatch | None = None
    for number, (step_ms, bid, quantity, action) in enumerate(steps):
        now_ms += step_ms
        event = book([(bid, quantity)], [(bid + 1, quantity)], time_ms=now_ms)
        if not (watched and watch is not None and watch.passes(bid, bid + 1, now_ms)):
            if watched and watch is not None:
                watch.store()
            closed += account.advance(of_symbol, event, CONTEXT).closed
            watch = AccountWatch(of_symbol, CONTEXT)
        if action is not None:
            watch = watch or AccountWatch(of_symbol, CONTEXT)
            watch.store()
            order = PaperOrder(str(number), action, now_ms, 100.0, bid * 0.97, bid * 1.03)  # type: ignore[arg-type]  # one of the actions
            account.submit(of_symbol, order)
            watch = AccountWatch(of_symbol, CONTEXT)
    if watched and watch is not None:
        watch.store()
    return closed, of_symbol


@given(st.lists(step, max_size=80))
def test_with_a_watch_the_same_positions_are_closed(steps: list[tuple[int, float, float, str | None]]):
    closed, with_watch = play(steps, watched=True)
    expected, without = play(steps, watched=False)
    assert closed == expected
    assert (with_watch.orders, with_watch.position) == (without.orders, without.position)
    assert abs(with_watch.totals.drawdown - without.totals.drawdown) < 1e-9
    assert abs(with_watch.totals.peak - without.totals.peak) < 1e-9
