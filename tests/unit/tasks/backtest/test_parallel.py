"""The backtest in several processes: as if it were one."""

import json
from multiprocessing import Pipe, active_children
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from tasks.backtest import BacktestResult, parallel
from tasks.backtest.parallel import BacktestJob
from tasks.configuration import Configuration
from tasks.configuration.audit import Audit
from tasks.errors import LedgerError, RealtimeStrategiesError, RecordingError
from tasks.history import recordings
from tests.support.events import TIME_MS
from tests.support.market import SIGNALS, SYMBOLS, configuration, write_market


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Add to the market what no stream's name tells: frames of other kinds, of bare payloads, and refused ones."""
    path = write_market(tmp_path_factory.mktemp("market") / "market.jsonl")
    bare = [json.loads(line) | {"stream": ""} for line in path.read_text().splitlines()[-3:] if "@trade" in line]
    for number, line in enumerate(bare, start=1):
        line["data"]["t"] += number
    odd = [
        {"stream": "btcusdt@kline_1m", "data": {"e": "kline"}, "received_at": 1},
        {"stream": "!markPrice@arr", "data": [], "received_at": 1},
        {"stream": "ethusdt@trade", "data": {"e": "trade", "s": "BTCUSDT"}, "received_at": 1},
    ]
    with path.open("a") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in [*bare, *odd])
    return path


def but_the_clock(result: BacktestResult) -> BacktestResult:
    return msgspec.structs.replace(result, seconds=0.0)


def test_two_processes_or_three_give_the_result_of_one(market: Path):
    chosen = configuration(paper={})
    one = parallel.run(BacktestJob([market], chosen, watch=True))
    assert sum(one.result.signals.values()) == SIGNALS
    assert [(row.symbol, row.positions) for row in one.result.paper] == [
        *((symbol, 1) for symbol in sorted(SYMBOLS)),
        (None, len(SYMBOLS)),
    ]
    assert one.result.positions_digest != parallel.run(BacktestJob([market], configuration())).result.positions_digest
    assert (len(one.result.skipped), len(one.result.refused)) == (2, 1)
    for number in (2, 3):
        several = parallel.run(BacktestJob([market], chosen, watch=True), number)
        assert but_the_clock(several.result) == but_the_clock(one.result)
        assert sorted(several.signals) == sorted(one.signals)
        assert several.fields == one.fields
        assert several.symbols == one.symbols == sorted(SYMBOLS)
        assert several.market is not None
        assert one.market is not None
        assert several.market.kept == one.market.kept


def test_each_process_reads_a_share_of_the_symbols_and_together_all(market: Path):
    counts = []
    for number in range(2):
        part = BacktestJob([market], configuration()).backtest(number, 2)
        part.run(recordings.merge([market]))
        counts.append(part.part().counts.of("frames"))
    assert min(counts) > 0
    assert sum(counts) == len(market.read_text().splitlines())


def test_what_another_process_can_not_do_is_said_in_this_one(market: Path):
    # An audit that met every record but the books of ETHUSDT, which the second process reads.
    audited = configuration()
    met = [("depth", symbol, "depth") for symbol in SYMBOLS if symbol != "ETHUSDT"]
    met += [("momentum", symbol, "trade") for symbol in SYMBOLS]
    lines = [
        msgspec.json.encode(
            {"config_version": audited.version, "venue": "spot", "id": 0, "pool": pool, "symbol": symbol, "kind": kind}
            | {"time_ms": TIME_MS}
        )
        for pool, symbol, kind in met
    ]
    with pytest.raises(LedgerError, match="had no spot ETHUSDT depth in pool depth"):
        parallel.run(BacktestJob([market], audited, Audit(lines, {audited.version: audited})), 2)


def test_a_process_that_dies_is_one_clear_line(market: Path):
    pool = {"kinds": ["trade"], "strategies": {"tests.support.stacks.strategies:DiesAsHelper": {}}}
    deadly = Configuration.model_validate({"pools": {"trade": pool}})
    with pytest.raises(RealtimeStrategiesError, match="a process of the backtest died"):
        parallel.run(BacktestJob([market], deadly), 2)


def test_a_recording_that_is_not_there_leaves_no_process_behind(tmp_path: Path):
    with pytest.raises(RecordingError, match=r"nowhere\.jsonl"):
        parallel.run(BacktestJob([tmp_path / "nowhere.jsonl"], configuration()), 2)
    assert not active_children()


def test_a_process_whose_first_was_killed_ends(market: Path, monkeypatch: pytest.MonkeyPatch):
    done, theirs = Pipe(duplex=False)
    monkeypatch.setattr(parallel, "parent_process", lambda: SimpleNamespace(is_alive=lambda: False))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with done, theirs, pytest.raises(SystemExit):
        parallel._help(theirs, BacktestJob([market], configuration()), 1, 2)


def test_small_recordings_take_one_process_and_large_ones_one_a_processor(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(100 * parallel.MIN_BYTES_A_JOB)
    assert [parallel.processes_for([path]) for path in (market, large, tmp_path / "nowhere")] == [1, 4, 1]
