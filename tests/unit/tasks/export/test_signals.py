"""The signals of recordings as a table: those of the backtest, however many lines are read at a time."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasks import configuration
from tasks.backtest import parallel
from tasks.configuration import Configuration
from tasks.errors import RecordingError
from tasks.export import arrow, signal_columns, signals
from tasks.export.rows import RecordingInput, RowSource
from tasks.protocol.digest import digest_line
from tasks.settings import load
from tests.support.market import SIGNALS as COUNT
from tests.support.market import configuration as of_market
from tests.support.market import write_market
from tests.support.strategies import BAD

pytestmark = pytest.mark.usefixtures("pyarrow")

#: Columns that are named otherwise than the field of the contract, and where they are in it.
RENAMED = {
    "time": "event_time_ms",
    "stop_loss_fraction": "stop_loss_pct",
    "take_profit_fraction": "take_profit_pct",
}
#: Fields of the contract that have no column: they say nothing, or what another column says.
LEFT_OUT = {
    *("signal_id", "strategy_id", "strategy_mode", "signal_type", "timeframe", "order_type", "time_in_force"),
    *("source", "metadata", "timestamp", "schema_version"),
}


def rows(table: Any) -> list[dict[str, Any]]:
    numbers = {"time": [time_us / 1_000 for time_us in table["time"].cast("int64").to_pylist()]}
    names = [column.name for column in signal_columns.TABLE.columns]
    cells = [numbers.get(name) or table[name].to_pylist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def expected(packed: bytes) -> dict[str, Any]:
    said = msgspec.json.decode(packed)
    trigger, indicators = said.pop("trigger"), said.pop("indicators")
    mapped = {f"trigger_{name}": trigger[name] for name in ("kind", "symbol", "id")} | {"venue": trigger["venue"]}
    row = {column.name: said.get(RENAMED.get(column.name, column.name)) for column in signal_columns.TABLE.columns}
    assert said.keys() - LEFT_OUT <= {RENAMED.get(name, name) for name in row}
    return row | mapped | {"indicators_json": indicators}


def backtest(paths: list[Path], chosen: Configuration) -> list[dict[str, Any]]:
    found = parallel.run(parallel.BacktestJob(paths, chosen)).signals
    return [expected(packed) for packed in sorted(found, key=digest_line)]


def exported(source: RowSource) -> list[dict[str, Any]]:
    found = rows(arrow.table(source))
    for row in found:
        row["indicators_json"] = msgspec.json.decode(row["indicators_json"])
    return sorted(found, key=lambda row: (row["time"], row["id"]))


def test_the_table_holds_the_signals_of_the_backtest(recording):
    chosen = configuration.read(load().strategies_file)
    found = exported(signals.source(RecordingInput([recording]), chosen))
    assert len(found) > 100
    assert any(row["stop_loss"] for row in found)
    assert found == backtest([recording], chosen)


@pytest.mark.parametrize("chunk_lines", [1, 7, 10**9])
def test_how_many_lines_are_read_at_a_time_changes_no_signal(tmp_path, chunk_lines):
    market = write_market(tmp_path / "market.jsonl")
    source = signals.source(RecordingInput([market]), of_market(), chunk_lines)
    assert exported(source) == backtest([market], of_market())
    assert source.findings() == []


def test_signals_come_out_before_the_last_line_is_read(tmp_path):
    """What is held in memory does not grow with the file."""
    market = write_market(tmp_path / "market.jsonl")
    market.write_bytes(market.read_bytes()[:-20])
    source = signals.source(RecordingInput([market]), of_market(), 10)
    found: list[dict[str, Any]] = []
    with pytest.raises(RecordingError):
        found.extend(source.rows)
    assert len(found) == COUNT


def test_the_file_names_the_configuration_of_its_signals(tmp_path):
    said = arrow.schema(signals.source(RecordingInput([tmp_path]), of_market())).metadata
    assert said[b"realtime_strategies.table"] == b"signals"
    assert said[b"realtime_strategies.config_version"].decode() == of_market().version


def test_a_recording_without_events_for_the_strategies_is_told(tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text('{"stream": "btcusdt@ticker", "data": {"e": "24hrTicker"}, "received_at": 1723161255343000000}\n')
    source = signals.source(RecordingInput([path]), of_market())
    assert exported(source) == []
    assert source.findings()[0].startswith("Frames came, none was used: kinds 24hrTicker.")


def test_strategies_that_raise_are_told_with_how_often(tmp_path):
    market = write_market(tmp_path / "market.jsonl")
    market.write_text(
        market.read_text().replace('"t": 1, "p": "100.01", "q": "1"', f'"t": 1, "p": "100.01", "q": "{BAD}"')
    )
    pools = {"pools": {"trade": {"kinds": ["trade"], "strategies": {"tests.support.strategies:Grumpy": {}}}}}
    source = signals.source(RecordingInput([market]), Configuration.model_validate(pools))
    assert exported(source)
    assert source.findings() == ["grumpy raised an exception on 3 events, which gave no signals"]
