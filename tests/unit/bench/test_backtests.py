"""The comparison of backtests."""

import pytest

from tasks.errors import RealtimeStrategiesError
from tests.bench import backtests
from tests.bench.reporting import table, targets
from tests.bench.results import BacktestRun, Machine, Report

MACHINE = Machine(2, "cpu", "3.11", 0.0)


def test_a_backtest_is_compared_with_the_other_one_of_its_round():
    runs = [BacktestRun("backtrader", 1, 60.0, 28), BacktestRun("backtest", 1, 10.0, 28)]
    runs += [BacktestRun("backtest", 2, 20.0, 28), BacktestRun("backtrader", 2, 80.0, 28)]
    assert targets.backtest_ratios(Report(MACHINE, quick=True, backtests=runs)) == [6.0, 4.0]
    assert targets.backtest_ratios(Report(MACHINE, quick=True)) == []
    rows = dict(table.sections(Report(MACHINE, quick=True, backtests=runs)))[
        "Backtest of one strategy over one symbol's trades"
    ]
    assert rows[1:] == [("backtrader", "70", "60 to 80", "28"), ("backtest", "15", "10 to 20", "28")]


def test_a_comparison_of_other_signals_is_none():
    with pytest.raises(RealtimeStrategiesError, match="backtrader gives 3 signals, backtest 2"):
        backtests.refuse_others([BacktestRun("backtest", 1, 10.0, 2), BacktestRun("backtrader", 1, 60.0, 3)])
