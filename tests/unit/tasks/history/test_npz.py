"""hftbacktest's npz files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.errors import RecordingError
from tasks.events import Depth, Trade
from tasks.history import npz as reading
from tasks.history import recordings
from tasks.history.input_options import InputOptions
from tasks.history.input_report import CountingReport
from tests.support.files import writers
from tests.support.files.writers import (
    BUY,
    CLEAR,
    DEPTH,
    EXCH,
    LOCAL,
    SELL,
    SNAPSHOT,
    TRADE,
    by_market,
    events,
    npz,
    trades,
)

AT_NS = 1_723_161_254_087_896_568
USDM = InputOptions(venue="usdm")
BOTH = EXCH | LOCAL


@pytest.mark.parametrize("pack", [False, True])
def test_the_trades_of_a_recording_come_back_without_ids(tmp_path: Path, each_recording: Path, pack):
    for (venue, symbol), every in by_market(trades(each_recording)).items():
        (tmp_path / venue).mkdir(exist_ok=True)
        path = npz(tmp_path / venue / f"{symbol.lower()}_20240808.npz", writers.npz_trades(every), pack=pack)
        found = events(path, options=InputOptions(venue=venue))
        assert [_but_the_id(each) for each in found] == [_but_the_id(each) for each in every]
        assert all(each.exchange_id is None for each in found)
        ids = [each.id for each in found]
        assert ids == sorted(ids)


def _but_the_id(trade: Any) -> tuple[object, ...]:
    venue, symbol, _, *rest = writers.content(trade)
    return venue, symbol, *rest


def read(path: Path, rows: list[tuple[Any, ...]], report: CountingReport | None = None) -> list[Any]:
    npz(path / "btcusdt_20240808.npz", rows)
    return events(path / "btcusdt_20240808.npz", options=USDM, report=report or CountingReport())


def test_rows_for_the_exchanges_side_alone_are_left_out(tmp_path: Path):
    rows = [(TRADE | side | flags, AT_NS, AT_NS, 5.0, 1.0) for side, flags in ((BUY, EXCH), (SELL, LOCAL), (BUY, 0))]
    assert [each.buyer_is_maker for each in read(tmp_path, rows)] == [True, False]


def book(at_ns: int, levels: int = 25) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [(CLEAR | BUY | BOTH, at_ns, at_ns, 1.0, 0.0)]
    rows += [(SNAPSHOT | BUY | BOTH, at_ns, at_ns, 100.0 - n, 1.0) for n in range(levels)]
    rows += [(CLEAR | SELL | BOTH, at_ns, at_ns, 200.0, 0.0)]
    return rows + [(SNAPSHOT | SELL | BOTH, at_ns, at_ns, 101.0 + n, 1.0) for n in range(levels)]


def test_snapshot_and_changes_become_books_of_20_levels(tmp_path: Path):
    second = AT_NS + 10**9
    found = read(tmp_path, [*book(AT_NS), (DEPTH | BUY | BOTH, second, second, 100.0, 7.0)])
    assert all(isinstance(each, Depth) for each in found)
    assert [(len(each.bids), len(each.asks)) for each in found] == [(20, 20), (20, 20)]
    assert [each.bids[0] for each in found] == [(100.0, 1.0), (100.0, 7.0)]
    assert [each.time_ms for each in found] == [AT_NS // 10**6, second // 10**6]


def test_a_book_that_is_cleared_is_unknown_until_the_next_snapshot(tmp_path: Path):
    times = [AT_NS + n * 10**9 for n in range(4)]
    rows = [
        *book(times[0]), (CLEAR | BUY | BOTH, times[1], times[1], 1.0, 0.0), (DEPTH | BUY | BOTH, times[1], times[1], 99.5, 1.0),
        *book(times[3]),
    ]  # fmt: skip
    assert [each.time_ms for each in read(tmp_path, rows)] == [times[0] // 10**6, times[3] // 10**6]


def test_what_can_not_be_used_is_refused_or_skipped(tmp_path: Path):
    good = (TRADE | BUY | BOTH, AT_NS, AT_NS, 5.0, 1.0)
    rows = [
        good, (TRADE | BOTH, AT_NS, AT_NS, 5.0, 1.0), (TRADE | BUY | BOTH, AT_NS, 7, 5.0, 1.0),
        (TRADE | BUY | BOTH, AT_NS, AT_NS, float("nan"), 1.0), (DEPTH | BUY | BOTH, AT_NS, AT_NS, 0.0, 1.0),
        (103, AT_NS, AT_NS, 5.0, 0.0), good,
    ]  # fmt: skip
    report = CountingReport()
    assert len(read(tmp_path, rows, report)) == 2
    assert report.refused == {"no_side": 1, "bad_time": 1, "bad_price": 1, "bad_level": 1}
    assert report.skipped == {"hftbacktest_103": 1}


def test_of_a_file_that_is_cut_short_the_whole_rows_are_used(tmp_path: Path):
    rows = [(TRADE | BUY | BOTH, AT_NS + n, AT_NS + n, 5.0 + n / 7, 1.0) for n in range(20_000)]
    for pack in (False, True):
        path = npz(tmp_path / "btcusdt_20240808.npz", rows, pack=pack)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        report = CountingReport()
        found = events(path, options=USDM, report=report)
        assert 5_000 < len(found) < 15_000
        assert isinstance(found[-1], Trade)
        assert found[-1].price == pytest.approx(5.0 + (len(found) - 1) / 7)
        assert report.is_damaged


@pytest.mark.parametrize(
    ("name", "chosen", "missing"),
    [("btcusdt_20240808.npz", InputOptions(), "venue"), ("data.npz", USDM, "symbol")],
)
def test_a_file_does_not_say_all_and_the_error_names_the_option(tmp_path: Path, name, chosen, missing):
    path = npz(tmp_path / name, [(TRADE | BUY | BOTH, AT_NS, AT_NS, 5.0, 1.0)])
    with pytest.raises(RecordingError) as refusal:
        list(recordings.read(path, options=chosen))
    assert str(refusal.value) == f"{path} does not say of which {missing} it is: --{missing} names it"


def test_an_array_of_something_else_is_one_clear_line(tmp_path: Path):
    floats = np.zeros(3, np.dtype([(name, "f8") for name, _ in writers.EVENT]))
    for array in (np.zeros((3, 6)), np.array([{}], dtype=object), np.zeros(3, np.dtype([("a", "u8")])), floats):
        np.savez(tmp_path / "btcusdt_20240808.npz", data=array)
        with pytest.raises(RecordingError, match="holds no events of hftbacktest: ev, exch_ts, local_ts, px, qty"):
            list(recordings.read(tmp_path / "btcusdt_20240808.npz", options=USDM))


def test_without_numpy_one_line_says_so(tmp_path: Path):
    with pytest.raises(RecordingError, match=r"an \.npz file needs numpy: pip install"):
        reading.NpzFile(tmp_path, None, CountingReport(), None)  # type: ignore[arg-type]
