"""Tardis' CSV files."""

import gzip
import json
import zlib
from pathlib import Path

import pytest

from tasks.errors import RecordingError
from tasks.events import Depth, Trade
from tasks.history import recordings
from tasks.history.input_options import InputOptions
from tasks.history.input_report import CountingReport
from tests.support.files.writers import by_market, content, events, tardis_trades, trades

EXCHANGES = {"spot": "binance", "usdm": "binance-futures"}
AT_US = 1_723_161_254_087_896
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
UPDATES = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"


def test_trades_of_binance_come_back_with_their_ids(tmp_path: Path, each_recording: Path):
    for (venue, symbol), every in by_market(trades(each_recording)).items():
        path = tmp_path / f"{EXCHANGES[venue]}_trades_2024-08-08_{symbol}.csv.gz"
        path.write_bytes(gzip.compress(tardis_trades(every, EXCHANGES[venue])))
        assert list(map(content, events(path))) == list(map(content, every))
        first = next(iter(recordings.read(path)))
        assert first.received_at_ns == every[0].time_ms * 10**6 + 10**6


def write(path: Path, head: str, *rows: str) -> Path:
    path.write_text("".join(f"{row}\n" for row in (head, *rows)))
    return path


def test_trades_of_other_exchanges_keep_venue_and_spelling_and_have_no_ids(tmp_path: Path):
    rows = [
        f"kraken,XBT/USD,{AT_US},{AT_US + 7},abc,buy,61800.5,0.25",
        f"kraken,XBT/USD,{AT_US - 5},{AT_US + 9},abd,sell,61800,1",
    ]
    path = write(tmp_path / "file", TRADES, *rows)
    one, other = events(path)
    assert isinstance(one, Trade)
    assert (one.venue, one.symbol, one.exchange_id, one.time_ms) == ("kraken", "XBT/USD", None, AT_US // 1000)
    assert (one.price, one.quantity, one.buyer_is_maker) == (61800.5, 0.25, False)
    assert other.id == one.id, "a time that runs back is that of the trade before: else it would be a repeat"
    assert [line.stream for line in recordings.read(path)] == ["market.kraken.trade.XBT%2FUSD"] * 2
    assert [line.received_at_ns for line in recordings.read(path)] == [(AT_US + 7) * 1000, (AT_US + 9) * 1000]


def test_a_snapshot_of_the_book_is_a_book_of_as_many_levels(tmp_path: Path):
    columns = ",".join(f"asks[{n}].price,asks[{n}].amount,bids[{n}].price,bids[{n}].amount" for n in range(5))
    head = f"exchange,symbol,timestamp,local_timestamp,{columns}"
    full = ",".join(f"{101 + n},{n + 1},{100 - n},{n + 2}" for n in range(5))
    thin = "101,1,100,2" + "," * 16
    rows = [f"bitmex,XBTUSD,{AT_US},{AT_US},{cells}" for cells in (full, thin, "101,1,,," + "," * 15)]
    report = CountingReport()
    one, other = events(write(tmp_path / "file", head, *rows), report=report)
    assert isinstance(one, Depth)
    assert isinstance(other, Depth)
    assert one.bids == tuple((100.0 - n, n + 2.0) for n in range(5))
    assert one.asks == tuple((101.0 + n, n + 1.0) for n in range(5))
    assert (other.bids, other.asks) == (((100.0, 2.0),), ((101.0, 1.0),))
    assert report.skipped == {"one_sided_book": 1}


def test_level_updates_become_books_at_most_one_an_interval(tmp_path: Path):
    rows = [f"deribit,BTC-PERPETUAL,{AT_US},{AT_US},true,bid,{100 - n},{n + 1}" for n in range(25)]
    rows += [f"deribit,BTC-PERPETUAL,{AT_US},{AT_US},true,ask,{101 + n},{n + 1}" for n in range(25)]
    rows += [f"deribit,BTC-PERPETUAL,{AT_US + n * 1000},{AT_US + n * 1000},false,bid,100,{n}" for n in range(1, 1001)]
    path = write(tmp_path / "file", UPDATES, *rows)
    found = events(path)
    assert 10 <= len(found) <= 12
    assert {(len(book.bids), len(book.asks)) for book in found if isinstance(book, Depth)} == {(20, 20)}
    assert isinstance(found[-1], Depth)
    assert found[-1].bids[0] == (100.0, 1000.0)
    slower = events(path, options=InputOptions(book_interval_ms=500))
    assert 2 <= len(slower) <= 4


def test_books_before_a_snapshot_are_left_out_and_told(tmp_path: Path):
    path = write(
        tmp_path / "file",
        UPDATES,
        *(f"ftx,BTC,{AT_US},{AT_US},false,{side},{p},1" for side, p in (("bid", 1), ("ask", 2))),
    )
    warnings: list[str] = []
    assert list(recordings.read(path, CountingReport(warnings.append))) == []
    assert warnings == [f"{path}: 1 books of BTC are left out, because no snapshot says what their best 20 levels are"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("kraken,A,1", "bad_row"),
        (f"kraken,A,{AT_US},soon,1,buy,1,1", "bad_time"),
        (f"kraken,A,{AT_US},{AT_US},1,unknown,1,1", "no_side"),
        (f"kraken,A,{AT_US},{AT_US},1,buy,nan,1", "bad_price"),
        (f"kraken,A,{AT_US},{AT_US},1,buy,1,0", "bad_quantity"),
        (f"binance,BTCUSDT,{AT_US},{AT_US},x,buy,1,1", "bad_id"),
        (f"Kra ken,A,{AT_US},{AT_US},1,buy,1,1", "bad_market"),
        (f"binance,BTC/USDT,{AT_US},{AT_US},1,buy,1,1", "bad_market"),
    ],
)
def test_a_bad_row_is_refused_by_its_reason_and_the_rest_is_used(tmp_path: Path, row: str, reason: str):
    good = f"kraken,A,{AT_US},{AT_US},1,buy,1,1"
    report = CountingReport()
    assert len(list(recordings.read(write(tmp_path / "file", TRADES, good, row, good), report))) == 2
    assert report.refused == {reason: 1}


@pytest.mark.parametrize(
    ("side", "price", "amount"),
    [("left", "1", "1"), ("bid", "0", "1"), ("ask", "1", "-1"), ("ask", "x", "1"), ("bid", "1", "inf")],
)
def test_a_bad_level_is_refused(tmp_path: Path, side: str, price: str, amount: str):
    report = CountingReport()
    path = write(tmp_path / "file", UPDATES, f"kraken,A,{AT_US},{AT_US},true,{side},{price},{amount}")
    assert list(recordings.read(path, report)) == []
    assert sum(report.refused.values()) == 1


def test_a_last_row_without_an_end_is_not_trusted(tmp_path: Path):
    good = f"kraken,A,{AT_US},{AT_US},1,buy,1,0.125"
    path = write(tmp_path / "file", TRADES, good, good)
    path.write_bytes(path.read_bytes()[:-2])
    report = CountingReport()
    assert len(list(recordings.read(path, report))) == 1
    assert report.is_damaged


def test_of_a_packed_file_that_is_cut_short_every_whole_row_is_used(tmp_path: Path):
    rows = [f"kraken,A,{AT_US + n},{AT_US + n},{n * n * 7919},buy,1,0.125" for n in range(2_500)]
    packed = gzip.compress(write(tmp_path / "file", TRADES, *rows).read_bytes())[:-2_000]
    (tmp_path / "file").write_bytes(packed)
    whole = zlib.decompressobj(wbits=31).decompress(packed).count(b"\n") - 1
    report = CountingReport()
    assert len(list(recordings.read(tmp_path / "file", report))) == whole
    assert report.is_damaged


def test_files_of_two_venues_without_ids_are_told_once(tmp_path: Path):
    paths = [
        write(tmp_path / venue, TRADES, *[f"{venue},XBTUSD,{AT_US},{AT_US},,buy,1,0.125"] * 2)
        for venue in ("kraken", "bitmex")
    ]
    neutral = tmp_path / "neutral"
    neutral.write_bytes(b"".join(line.raw + b"\n" for line in recordings.read(paths[1])))
    for other in (paths[1], neutral):
        warnings: list[str] = []
        report = CountingReport(warnings.append, compares_files=True)
        assert len(list(recordings.merge([paths[0], other], report))) == 4
        report.warn_of_refusals([])
        assert [text.partition(": ")[0] for text in warnings] == [
            f"XBTUSD comes from kraken ({paths[0]}) and bitmex ({other})"
        ]


def test_books_left_out_of_a_file_that_is_cut_short_are_told(tmp_path: Path):
    rows = [f"kraken,A,{AT_US + n * 10**6},{AT_US + n * 10**6},false,bid,{n + 1},1" for n in range(3)]
    path = write(tmp_path / "file", UPDATES, *rows)
    path.write_bytes(path.read_bytes()[:-2])
    warnings: list[str] = []
    assert list(recordings.read(path, CountingReport(warnings.append))) == []
    assert any("books of A are left out" in text for text in warnings)


def test_a_table_that_is_not_read_is_named_by_its_columns(tmp_path: Path):
    head = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
    with pytest.raises(RecordingError, match=r"is of a table of Tardis that is not read: ask_amount, ask_price"):
        list(recordings.read(write(tmp_path / "file", head, f"kraken,A,{AT_US},{AT_US},1,1,1,1")))


def test_symbol_and_venue_of_the_command_are_followed(tmp_path: Path):
    rows = [f"binance,{symbol},{AT_US},{AT_US},1,buy,1,1" for symbol in ("BTCUSDT", "ETHUSDT")]
    path = write(tmp_path / "file", TRADES, *rows)
    chosen = InputOptions(symbols=frozenset({"ETHUSDT"}), venue="binance-tokyo")
    [only] = [json.loads(line.raw) for line in recordings.read(path, options=chosen)]
    assert (only["symbol"], only["venue"]) == ("ETHUSDT", "binance-tokyo")
