"""The bars of recordings as a table: those that strategies get of the same trades."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasks.backtest import Backtest
from tasks.configuration import Configuration
from tasks.errors import SettingsError
from tasks.export import arrow, bars
from tasks.export.rows import RecordingInput
from tasks.history import recordings
from tests.support.frames.tables import rows_of
from tests.support.market import write_market
from tests.support.strategies.bars import SPECS

pytestmark = pytest.mark.usefixtures("pyarrow")


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """A recording that a feed sends twice: the second time is a repeat."""
    path = write_market(tmp_path / "market.jsonl")
    path.write_bytes(path.read_bytes() * 2)
    return path


def of_strategies(path: Path, spec: str) -> list[dict[str, Any]]:
    """Return what a strategy is told of each bar in a backtest: it says so in the indicators of its signals."""
    strategies = {"tests.support.strategies.bars:BarSpeaker": {"bars": [spec]}}
    pools = {"pools": {"trade": {"kinds": ["trade"], "strategies": strategies}}}
    backtest = Backtest(Configuration.model_validate(pools))
    backtest.run(recordings.merge([path]))
    signals = map(msgspec.json.decode, backtest.ledger.signals)
    return [{"symbol": signal["symbol"], "spec": signal["rationale"], **signal["indicators"]} for signal in signals]


def of_table(table: Any) -> list[dict[str, Any]]:
    """Return the same of each row."""
    times = {name: table[name].cast("int64").to_pylist() for name in ("open_time", "close_time")}
    rows = table.drop_columns([*times, "venue", "vwap"]).to_pylist()
    renamed = {"bar": "spec", "trade_count": "trades"}
    return [
        {renamed.get(name, name): value for name, value in row.items()}
        | {"open_ms": times["open_time"][at] / 1_000, "close_ms": times["close_time"][at] / 1_000}
        for at, row in enumerate(rows)
    ]


def in_order(bars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(bars, key=lambda bar: (bar["symbol"], bar["close_ms"]))


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec != "1m"])
def test_the_table_holds_the_bars_that_strategies_get_without_repeats(market, spec):
    source = bars.source(RecordingInput([market]), spec)
    found = of_table(arrow.table(source))
    assert len(found) > 3
    assert in_order(found) == in_order(of_strategies(market, spec))
    assert source.findings() == []


def test_a_bar_of_one_symbol_says_its_average_and_whether_it_is_whole(market):
    table = arrow.table(bars.source(RecordingInput([market], symbols=["btcusdt"]), "10s"))
    assert table["symbol"].to_pylist() == ["BTCUSDT"] * 2
    assert table["is_partial"].to_pylist() == [True, False]
    assert table["vwap"].to_pylist() == [total / volume for total, volume in rows_of(table, ["quote_volume", "volume"])]
    assert table.schema.metadata[b"realtime_strategies.bar"] == b"10s"


def test_a_recording_without_such_trades_is_told(market):
    source = bars.source(RecordingInput([market]), "1m", "agg_trade")
    assert arrow.table(source).num_rows == 0
    assert source.findings() == ["no event of kind agg_trade; the frames are: depth 180, trade 180"]


@pytest.mark.parametrize(
    ("bar", "kind", "says"),
    [("1x", "trade", "'1x' is no bar"), ("1m", "depth", "bars are made of trade or agg_trade, not of depth")],
)
def test_bars_that_there_are_not_are_refused(market, bar, kind, says):
    with pytest.raises(SettingsError, match=says):
        bars.source(RecordingInput([market]), bar, kind)
