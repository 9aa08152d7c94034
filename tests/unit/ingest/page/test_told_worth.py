"""What the page is told of the worth of signals: paper accounts, and the price after signals."""

from ingest.monitoring.paper_figures import PaperFigures, StrategyFigures
from tasks.paper.open_row import OpenRow
from tasks.scoring.signal_statistics import ForwardReturns
from tasks.scoring.strategy_returns import StrategyReturns
from tests.support.events import TIME_MS
from tests.unit.ingest.page.test_page_state import Told, signal


def test_paper_accounts_are_told_when_they_were_read_again():
    told = Told()
    assert told.hello()["paper"] is None
    assert "paper" not in told.tick()
    skew = StrategyFigures("skew", 1, 1, realised=2.0, unrealised=-0.5, drawdown=0.5, hit_rate=1.0)
    held = OpenRow("skew", "spot", "BTCUSDT", "long", 2.0, 100.0, 99.75, -0.5, TIME_MS)
    told.paper.seen = PaperFigures([skew], [held], 1)
    paper = told.tick()["paper"]
    assert (paper["strategies"][0]["realised"], paper["positions"][0]["symbol"], paper["open"]) == (2.0, "BTCUSDT", 1)
    assert "paper" not in told.tick()
    assert told.hello()["paper"] == paper
    told.paper.seen = None
    assert told.tick()["paper"] is None


def test_returns_after_signals_are_told_when_there_are_new_ones():
    told = Told()
    assert told.hello()["returns"] == []
    fields = {"rationale": "", "current_price": 2, "trigger": {"venue": "spot", "symbol": "BTCUSDT", "kind": "depth"}}
    told.live.relayed(b"1-0", signal("a", **fields))
    assert told.tick()["returns"] == [{"strategy": "iceberg", "signals": 1, "returns": [None, None, None]}]
    assert "returns" not in told.tick()
    assert told.hello()["returns"][0]["signals"] == 1


def test_a_backtests_returns_are_told_once_to_each_browser():
    told = Told()
    assert told.hello()["expected"] == []
    found = StrategyReturns("iceberg", 12, (ForwardReturns(12, 0.5, 0.25, 0.75), None, None))
    told = Told(expected=[found])
    assert told.hello()["expected"][0]["returns"] == [[12, 0.5, 0.25, 0.75], None, None]
    assert "expected" not in told.tick()["tick"]
