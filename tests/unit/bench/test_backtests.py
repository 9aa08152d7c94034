"""The comparison of backtests."""

from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tasks.errors import RealtimeStrategiesError
from tests.bench.backtests import earlier, one_strategy
from tests.bench.backtests.earlier import Plan
from tests.bench.mix import Mix, simulated
from tests.bench.reporting import table, targets
from tests.bench.results import BacktestRun, Machine, Report

MACHINE = Machine(2, "cpu", "3.11", 0.0)


def test_a_backtest_is_compared_with_the_other_one_of_its_round():
    runs = [BacktestRun("backtrader", 1, 60.0, 28), BacktestRun("backtest", 1, 10.0, 28)]
    runs += [BacktestRun("backtest", 2, 20.0, 28), BacktestRun("backtrader", 2, 80.0, 28)]
    assert targets.backtest_ratios(runs) == [6.0, 4.0]
    assert targets.backtest_ratios([]) == []
    rows = dict(table.sections(Report(MACHINE, quick=True, backtests=runs)))[
        "Backtest of one strategy over one symbol's trades"
    ]
    assert rows[1:] == [("backtrader", "70", "60 to 80", "28", "-"), ("backtest", "15", "10 to 20", "28", "-")]


def test_a_comparison_of_other_signals_is_none():
    with pytest.raises(RealtimeStrategiesError, match="backtrader gives 3 signals, backtest 2"):
        one_strategy.refuse_others([BacktestRun("backtest", 1, 10.0, 2), BacktestRun("backtrader", 1, 60.0, 3)])


def test_earlier_code_is_measured_beside_ours_and_gives_the_same(tmp_path: Path):
    runs = list(earlier.compare(Mix(originals=simulated(500)), tmp_path, Plan(ROOT, 1, 2_000), lambda _: None))
    assert [each.contender for each in runs] == [earlier.OURS, earlier.EARLIER]
    assert runs[0].signals == runs[1].signals > 0
    assert len(targets.backtest_ratios(runs)) == 1


def test_earlier_code_that_fails_or_is_none_ends_the_comparison(tmp_path: Path):
    mix = Mix(originals=simulated(500))
    with pytest.raises(RealtimeStrategiesError, match="is no checkout of this project"):
        list(earlier.compare(mix, tmp_path, Plan(tmp_path, 1), lambda _: None))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "__main__.py").write_text("raise SystemExit('too old')")
    with pytest.raises(RealtimeStrategiesError, match="too old"):
        list(earlier.compare(mix, tmp_path, Plan(tmp_path, 1, 100), lambda _: None))
