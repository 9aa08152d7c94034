"""What the paper accounts of a backtest earned, by strategy and symbol."""

from pathlib import Path
from typing import Any

import pytest

from tasks.backtest import Backtest
from tasks.backtest.paper_statistics import EventSpans, PaperRow, TimeSpan, rows
from tasks.configuration import read
from tasks.history import recordings
from tasks.paper import StoredAccount, SymbolAccount, read_accounts
from tasks.paper.position_statistics import DAY_MS
from tasks.paper.state import OpenPosition, PaperTotals
from tasks.settings import Settings
from tests.support.events import TIME_MS, trade
from tests.support.strategies.positions import closed

HOUR_MS = 3_600_000


def stored(symbol: str = "BTCUSDT", position: OpenPosition | None = None, **totals: Any) -> StoredAccount:
    account = SymbolAccount(position=position, totals=PaperTotals(**totals))
    return StoredAccount("depth", "skew", "spot", symbol, account)


def opened(at_ms: int, mark: float) -> OpenPosition:
    return OpenPosition("signal", 1, 1.0, 100.0, at_ms, None, None, 0.1, mark)


def spans(*symbols: str, length_ms: int = HOUR_MS) -> EventSpans:
    found = EventSpans()
    for symbol in symbols or ("BTCUSDT",):
        found.observe(trade(symbol=symbol, time_ms=TIME_MS))
        found.observe(trade(symbol=symbol, time_ms=TIME_MS + length_ms))
    return found


def test_an_account_has_a_row_and_its_strategy_another():
    one, total = rows([stored(fees=0.2, turnover=201.0)], [closed()], spans())
    assert (one.strategy, one.venue, one.symbol) == ("skew", "spot", "BTCUSDT")
    assert (total.strategy, total.venue, total.symbol) == ("skew", None, None)
    for row in (one, total):
        assert (row.positions, row.open, row.hit_rate, row.pnl, row.unrealised) == (1, 0, 1.0, 0.8, 0.0)
        assert (row.fees, row.turnover, row.average_win, row.average_loss) == (0.2, 201.0, 0.8, None)


def test_an_open_position_counts_in_profit_drawdown_and_exposure():
    held = stored(position=opened(TIME_MS + HOUR_MS // 2, mark=95.0), held_ms=HOUR_MS // 4)
    row = rows([held], [closed(pnl=3.0)], spans())[0]
    assert (row.positions, row.open, row.exposure) == (1, 1, 0.75)
    assert row.unrealised == pytest.approx(-5.1)
    assert row.max_drawdown == pytest.approx(5.1)


def test_exposure_of_several_symbols_is_that_of_all_their_time():
    held = [stored("BTCUSDT", held_ms=HOUR_MS), stored("ETHUSDT")]
    assert [row.exposure for row in rows(held, [], spans("BTCUSDT", "ETHUSDT"))] == [1.0, 0.0, 0.5]
    assert rows(held, [], EventSpans())[-1].exposure is None


def test_positions_of_several_symbols_fall_together_in_the_order_of_time():
    held = [stored("BTCUSDT"), stored("ETHUSDT")]
    positions = [
        closed(symbol="ETHUSDT", pnl=-2.0, closed_ms=TIME_MS + 30),
        closed(symbol="BTCUSDT", pnl=-1.0, closed_ms=TIME_MS + 20),
        closed(symbol="ETHUSDT", pnl=5.0, closed_ms=TIME_MS + 10),
    ]
    assert [row.max_drawdown for row in rows(held, positions, spans())] == [1.0, 2.0, 3.0]


def test_days_of_the_recording_without_a_closing_count_in_the_sharpe():
    position = closed(pnl=1.0, closed_ms=TIME_MS)
    assert rows([stored()], [position], spans(length_ms=3 * DAY_MS))[0].sharpe == pytest.approx(365**0.5 / 2)
    assert rows([stored()], [], spans(length_ms=3 * DAY_MS))[0].sharpe is None
    assert rows([stored()], [position], spans())[0].sharpe is None


def test_no_account_has_no_row():
    assert rows([], [], spans()) == []


def test_spans_of_two_processes_are_those_of_one():
    one, other = spans("BTCUSDT"), spans("ETHUSDT", length_ms=5)
    one.add(other)
    assert one.of("spot", "ETHUSDT") == TimeSpan(TIME_MS, TIME_MS + 5)
    one.add(spans("ETHUSDT"))
    assert one.of("spot", "ETHUSDT") == TimeSpan(TIME_MS, TIME_MS + HOUR_MS)
    assert one.of("usdm", "ETHUSDT") is None


@pytest.fixture(scope="module")
def finished(recording: Path) -> tuple[Backtest, list[PaperRow]]:
    test = Backtest(read(Settings().strategies_file))
    return test, test.run(recordings.read(recording)).paper


def test_rows_say_of_a_recording_what_its_accounts_hold(finished: tuple[Backtest, list[PaperRow]]):
    """Two ways to the same figures: the accounts add up while they trade, the rows from the closed positions."""
    test, found = finished
    accounts = read_accounts(test.ledger.accounts())
    of_symbols = [row for row in found if row.symbol]
    assert [(row.strategy, row.venue, row.symbol) for row in of_symbols] == [each[1:4] for each in accounts]
    assert len({row.strategy for row in found}) >= 6
    for row, each in zip(of_symbols, accounts, strict=True):
        totals = each.account.totals
        assert (row.positions, row.pnl) == (totals.positions, totals.realised)
        assert (row.average_win or 0.0) * totals.wins == pytest.approx(totals.won)
        assert (row.average_loss or 0.0) * (totals.positions - totals.wins) == pytest.approx(-totals.lost)
        # The account sees every price, the row closings and the end alone.
        assert row.max_drawdown <= totals.drawdown + 1e-12
        assert 0 < (row.exposure or 0) <= 1


def test_a_strategys_row_is_the_sum_of_its_symbols(finished: tuple[Backtest, list[PaperRow]]):
    _, found = finished
    for total in (row for row in found if row.symbol is None):
        parts = [row for row in found if row.symbol and row.strategy == total.strategy]
        for name in ("positions", "open", "pnl", "unrealised", "fees", "funding", "turnover"):
            assert getattr(total, name) == pytest.approx(sum(getattr(row, name) for row in parts))
