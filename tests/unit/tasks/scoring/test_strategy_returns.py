import msgspec
import pytest

from tasks.scoring import strategy_returns
from tasks.scoring.forward_returns import read_signals
from tasks.scoring.prices import PriceHistory
from tasks.scoring.signal_statistics import ForwardReturns
from tests.support.events import TIME_MS, book
from tests.unit.tasks.scoring.test_live_returns import signal

BOOKS = [book([(mid - 1, 1.0)], [(mid + 1, 1.0)], time_ms=TIME_MS + at * 1_000, seq=at + 1)
         for at, mid in enumerate((100.0, 101.0, 102.0))]  # fmt: skip


def test_returns_are_told_by_strategy_and_without_what_has_no_direction():
    history = PriceHistory()
    for each in BOOKS:
        history.observe(each)
    packed = [signal(BOOKS[0]), signal(BOOKS[1], "sell"), signal(BOOKS[0], "hold"), signal(BOOKS[0], strategy="a")]
    first, skew = strategy_returns.score(read_signals(packed), history.series)
    assert (first.strategy, first.signals, skew.strategy, skew.signals) == ("a", 1, "skew", 2)
    assert first.returns[0] == pytest.approx(ForwardReturns(1, 100.0, 100.0, 1.0))
    assert first.returns[1:] == (None, None)
    mean_bps = (100.0 - 10_000 / 101) / 2
    assert skew.returns[0] == pytest.approx(ForwardReturns(2, mean_bps, mean_bps, 0.5))


def test_what_is_written_is_read_again_and_nothing_else_is():
    found = [strategy_returns.StrategyReturns("skew", 3, (ForwardReturns(2, 1.5, 1.0, 0.5), None, None))]
    assert strategy_returns.unpack(strategy_returns.pack(found)) == found
    with pytest.raises(msgspec.MsgspecError):
        strategy_returns.unpack(b'{"frames": 1}')
