"""Diff depth in files becomes books."""

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tasks.events import Depth
from tasks.history import recordings
from tasks.history.input_options import InputOptions
from tasks.history.input_report import CountingReport
from tests.support.files.writers import events

AT_MS = 1_723_161_254_087


def snapshot(last: int) -> dict[str, Any]:
    sides = {"bids": [[str(100 - n), "1"] for n in range(30)], "asks": [[str(101 + n), "1"] for n in range(30)]}
    return {"lastUpdateId": last, "E": AT_MS, "T": AT_MS, **sides}


def diff(number: int, *, usdm: bool = True, symbol: str = "BTCUSDT", gap: int = 0) -> dict[str, Any]:
    """Return the diff with the ids 10 n + 1 to 10 n + 10, 50 ms after the one before; it sets the best bid to n."""
    data = {
        "e": "depthUpdate", "E": AT_MS + 50 * number, "s": symbol, "U": 10 * number + 1 + gap, "u": 10 * number + 10,
        "b": [["100", str(number)]], "a": [],
    }  # fmt: skip
    data |= {"T": data["E"], "pu": 10 * number + gap} if usdm else {}
    return {"stream": f"{symbol.lower()}@depth@100ms", "data": data}


def collected(path: Path, frames: list[dict[str, Any]]) -> Path:
    rows = (f"{(AT_MS + n) * 10**6} {json.dumps(frame)}\n" for n, frame in enumerate(frames))
    path.write_bytes(gzip.compress("".join(rows).encode()))
    return path


@pytest.mark.parametrize("usdm", [True, False])
def test_diffs_on_a_snapshot_become_books_with_their_ids_and_times(tmp_path: Path, usdm):
    path = collected(tmp_path / "file", [snapshot(20), *(diff(n, usdm=usdm) for n in range(1, 8))])
    books = events(path, options=InputOptions(book_interval_ms=1))
    assert [each.id for each in books] == [10 * n + 10 for n in range(2, 8)]
    assert {each.venue for each in books} == {"usdm" if usdm else "spot"}
    for n, each in enumerate(books, start=2):
        assert isinstance(each, Depth)
        assert (len(each.bids), len(each.asks), each.bids[0]) == (20, 20, (100.0, float(n)))
        assert each.time_ms == (AT_MS + 50 * n if usdm else AT_MS + n)


def test_books_come_at_most_once_an_interval(tmp_path: Path):
    path = collected(tmp_path / "file", [snapshot(10), *(diff(n) for n in range(1, 21))])
    times = [each.time_ms for each in events(path)]
    assert len(times) == 10
    assert all(later - earlier >= 100 for earlier, later in pairwise(times))


def test_diffs_wait_for_their_snapshot_and_stay_until_then(tmp_path: Path):
    path = collected(tmp_path / "file", [diff(1), diff(2), snapshot(20), diff(3)])
    lines = list(recordings.read(path))
    assert [line.stream for line in lines] == ["btcusdt@depth@100ms", "btcusdt@depth@100ms", "btcusdt@depth20"]
    assert json.loads(lines[-1].raw)["data"]["u"] == 40


def test_a_gap_is_told_and_the_next_snapshot_ends_it(tmp_path: Path):
    path = collected(tmp_path / "file", [snapshot(10), diff(1), diff(2, gap=3), snapshot(30), diff(3)])
    warnings: list[str] = []
    streams = [line.stream for line in recordings.read(path, CountingReport(warnings.append))]
    assert streams == ["btcusdt@depth20", "btcusdt@depth@100ms", "btcusdt@depth20"]
    assert warnings == [f"{path}: diff depth lost the book 1 times, until the next snapshot"]


def test_a_snapshot_beside_the_diffs_of_two_symbols_is_no_ones(tmp_path: Path):
    path = collected(tmp_path / "file", [diff(1), diff(1, symbol="ETHUSDT"), snapshot(20), diff(2)])
    report = CountingReport(checks_frames=True)
    assert [line.stream for line in recordings.read(path, report)] == [
        "btcusdt@depth@100ms", "ethusdt@depth@100ms", "btcusdt@depth@100ms",
    ]  # fmt: skip
    assert report.refused == {"no_symbol": 1}


def test_trades_among_the_diffs_go_through(tmp_path: Path):
    trade = {"stream": "btcusdt@trade", "data": {"e": "trade"}}
    path = collected(tmp_path / "file", [snapshot(10), trade, diff(1), trade])
    assert [line.stream for line in recordings.read(path)] == ["btcusdt@trade", "btcusdt@depth20", "btcusdt@trade"]
