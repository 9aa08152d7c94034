"""Tables and data frames for notebooks."""

import sys
import warnings
from pathlib import Path

import msgspec
import pytest

from tasks import research
from tasks.backtest import parallel
from tasks.errors import SettingsError
from tasks.events import AggTrade
from tasks.export import arrow
from tasks.protocol.digest import digest_line
from tests.support import needs
from tests.support.events import TIME_MS, book
from tests.support.frames.tables import source_of
from tests.support.market import configuration, write_market


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording, and strategies that speak of it."""
    needs.module("pyarrow")
    file = tmp_path / "skew.toml"
    file.write_text(
        '[pools.depth]\nkinds = ["depth"]\n[pools.depth.strategies.orderbook_skew]\nhold_s = 0\nmin_signal_interval_s = 0\n'
    )
    monkeypatch.setenv("STRATEGIES_FILE", str(file))
    return write_market(tmp_path / "market.jsonl")


def test_events_are_those_of_one_recording_or_of_several(market, tmp_path):
    other = write_market(tmp_path / "other.jsonl", seconds=3)
    assert research.events(market).num_rows == 180
    both = research.events([str(market), other], kinds=["trade"], symbols=["ETHUSDT"])
    assert both.num_rows == 33
    assert both["received_time"].to_pylist() == sorted(both["received_time"].to_pylist())


def test_signals_are_those_of_the_backtest_by_event_time_and_id(market):
    found = parallel.run(parallel.BacktestJob([market], configuration())).signals
    wanted = [msgspec.json.decode(packed)["id"] for packed in sorted(found, key=digest_line)]
    assert research.signals(market)["id"].to_pylist() == wanted


def test_bars_are_those_of_the_trades(market):
    table = research.bars(market, "10s", symbols=["ETHUSDT"])
    assert table["trade_count"].to_pylist() == [10, 10]
    assert research.frame(table)["is_partial"].tolist() == [True, False]


def test_changes_and_another_file_give_the_signals_of_other_strategies(market, tmp_path):
    assert research.signals(market, symbols=["BTCUSDT"]).num_rows == 2
    assert research.signals(market, changes={"orderbook_skew": {"gate.min_confidence": 1.0}}).num_rows == 0
    other = tmp_path / "other.toml"
    other.write_text('[pools.trade]\nkinds = ["trade"]\n[pools.trade.strategies."tests.support.strategies:Chatty"]\n')
    assert set(research.signals(market, strategies_file=other)["strategy"].to_pylist()) == {"chatty"}
    with pytest.raises(SettingsError, match="nobody"):
        research.signals(market, strategies=["nobody"])


def test_a_table_without_rows_is_a_warning_at_the_callers_line(market):
    market.write_text(market.read_text().splitlines()[1])
    with pytest.warns(UserWarning, match="no event of kind depth") as caught:
        research.events(market, kinds=["depth"])
    assert caught[0].filename == __file__


def test_a_frame_keeps_whole_numbers_exact_where_cells_are_empty(market):
    pandas = needs.module("pandas")
    aggregate = AggTrade(
        "spot", "X", 2**53 + 1, TIME_MS, 1, 0, 1.0, 1.0, buyer_is_maker=False, first_id=1, last_id=2**53 + 1
    )
    frame = research.frame(arrow.table(source_of([aggregate, book(id=2**63 - 1)])))
    assert frame["id"].tolist() == [2**53 + 1, 2**63 - 1]
    assert frame["last_id"].dtype == pandas.Int64Dtype()
    assert frame["last_id"][0] == 2**53 + 1
    assert frame["time"].dtype == "datetime64[us, UTC]"
    assert frame["bid_price_1"].dtype == frame["price"].dtype == "float64"
    assert frame["side"].tolist()[0] == "buy"


@pytest.mark.parametrize(("name", "call"), [("pyarrow", research.events), ("pyarrow", research.signals)])
def test_without_pyarrow_one_line_says_what_to_install(tmp_path, monkeypatch, name, call):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        SettingsError, match=rf"^this needs {name}: pip install --require-hashes -r requirements/extras\.txt$"
    ):
        call(tmp_path / "nowhere")


def test_without_pandas_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        SettingsError, match=r"^this needs pandas: pip install --require-hashes -r requirements/extras\.txt$"
    ):
        research.frame(None)


def test_nothing_is_said_where_nothing_is_wrong(market):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        research.signals(market)
