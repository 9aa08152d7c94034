"""Tables as files: what is read back is what was written, and no file is there before it is whole."""

import csv
import random
import struct
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import pytest

from tasks.errors import RecordingError, SettingsError
from tasks.events import KINDS, AggTrade, AnyEvent, BookTicker, Kline, Liquidation, MarkPrice
from tasks.export import arrow, files
from tasks.frames.model import MAX_LEVELS
from tests.support import needs
from tests.support.events import TIME_MS, book, trade
from tests.support.frames.tables import SUFFIXES, events_of, read_table, source_of

pytestmark = pytest.mark.usefixtures("pyarrow")

#: Prices and quantities, ids, times and symbols at the ends of what they may be.
EVENTS: list[AnyEvent] = [
    book(((0.1 + 0.2, 5e-324), (0.1, 1.0)), ((1e15 + 0.125, 1.7976931348623157e308),), id=2**63 - 1),
    book(((1.0, 1.0), (0.9, 2.0), (0.8, 3.0)), ((1.1, 1.0), (1.2, 2.0)), id=-(2**63) + 1, venue="usdm"),
    trade(0.000123456789012345, 123456789.123456789, id=2**53 + 1, taker="sell", ingested_at_ns=TIME_MS * 10**6 + 1),
    trade(61_234.56, symbol="A,B\"C'\nD=é", id=0, time_ms=0, seq=2**62),
    trade(1.0, symbol="", time_ms=253_402_300_799_999),
    AggTrade("usdm", "BTCUSDT", 3, TIME_MS, 1, 0, 0.1, 0.2, buyer_is_maker=True, first_id=2**53 + 1, last_id=2**63 - 1),
    BookTicker("kraken", "BTC/USD", 4, TIME_MS, 1, 0, 0.1, 1e-8, 0.3, 7.0),
    Kline(
        "spot",
        "X",
        -5,
        TIME_MS + 7,
        1,
        0,
        "1m",
        TIME_MS,
        TIME_MS + 59_999,
        1.0,
        2.5,
        0.5,
        0.1,
        9.0,
        0.0,
        2**53 + 1,
        3.3,
    ),
    MarkPrice("usdm", "X", -6, TIME_MS, 1, 0, 0.1, 0.3, -0.000_1, TIME_MS + 1),
    MarkPrice("coinm", "X_240927", -6, TIME_MS, 1, 0, 0.1, None, None, None),
    Liquidation("usdm", "X", -7, TIME_MS, 1, 0, "sell", 0.1, 0.0, 0.2, 0.3),
    Liquidation("usdm", "X", -7, TIME_MS, 1, 0, "buy", 0.1, 0.7, 0.2, 0.3),
]


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"table.{request.param}"


def test_events_of_several_kinds_read_back_as_they_were(path):
    assert files.write(path, source_of(EVENTS)) == (len(EVENTS), path.stat().st_size)
    read = read_table(path, arrow.schema(source_of([])))
    assert read.schema.equals(arrow.schema(source_of([])))
    assert list(events_of(read)) == EVENTS


def test_each_kind_reads_back_from_its_own_columns(path):
    for kind in KINDS:
        mine = [event for event in EVENTS if event.kind == kind]
        files.write(path, source_of(mine, [kind]), force=True)
        read = read_table(path, arrow.schema(source_of([], [kind])))
        assert list(events_of(read)) == mine


def test_any_double_keeps_its_value_in_text(tmp_path):
    """Python reads the file, so that no two faults of one library hide each other."""
    dice = random.Random(1)
    drawn = (struct.unpack("<d", dice.randbytes(8))[0] for _ in range(3_000))
    prices = [abs(price) for price in drawn if isfinite(price) and price]
    path = tmp_path / "trades.csv"
    files.write(path, source_of([trade(price) for price in prices], ["trade"]))
    with path.open(newline="", encoding="utf-8") as file:
        assert [float(row["price"]) for row in csv.DictReader(file)] == prices


def test_more_rows_than_a_batch_keep_their_order(path):
    count = 2 * arrow.BATCH_ROWS + 1
    files.write(path, source_of((trade(seq=number) for number in range(count)), ["trade"]))
    read = read_table(path, arrow.schema(source_of([], ["trade"])))
    assert read["frame"].to_pylist() == list(range(count))


def test_a_row_group_is_bounded_and_larger_than_a_batch(tmp_path):
    """A reader holds a row group as a whole, and so does the writer."""
    path = tmp_path / "books.parquet"
    wide, count = MAX_LEVELS, 8 * arrow.BATCH_ROWS
    files.write(path, source_of((book(seq=number) for number in range(count)), ["depth"], wide))
    file = needs.module("pyarrow.parquet").ParquetFile(path)
    groups = [file.read_row_group(number) for number in range(file.num_row_groups)]
    assert len(groups) > 1
    assert groups[0].num_rows > arrow.BATCH_ROWS
    assert max(group.nbytes for group in groups) < 2 * files.ROW_GROUP_BYTES
    assert [frame for group in groups for frame in group["frame"].to_pylist()] == list(range(count))


def test_a_table_without_rows_has_its_columns(path):
    assert files.write(path, source_of([])).rows == 0
    read = read_table(path, arrow.schema(source_of([])))
    assert (read.num_rows, read.schema) == (0, arrow.schema(source_of([])))


def test_rows_are_written_before_the_last_one_is_read(tmp_path, monkeypatch):
    """What is held in memory does not grow with the file."""
    path = tmp_path / "trades.csv"
    sizes = []

    def rows() -> Iterator[AnyEvent]:
        for number in range(4 * arrow.BATCH_ROWS):
            if number % arrow.BATCH_ROWS == 0:
                sizes.append(sum(part.stat().st_size for part in tmp_path.iterdir()))
            yield trade(seq=number)

    files.write(path, source_of(rows(), ["trade"]))
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3]


@pytest.mark.parametrize("name", ["table", "table.parq", "table.csv.gz", ".csv"])
def test_a_suffix_of_no_format_is_refused(tmp_path, name):
    with pytest.raises(SettingsError, match=r"the suffix says the format, and is one of \.parquet, \.arrow, \.csv$"):
        files.write(tmp_path / name, source_of(EVENTS))


def test_an_existing_file_is_replaced_only_when_asked(path):
    path.write_text("mine")
    with pytest.raises(SettingsError, match=r"is there already; --force replaces it$"):
        files.write(path, source_of(EVENTS))
    assert path.read_text() == "mine"
    files.write(path, source_of(EVENTS), force=True)
    assert read_table(path, arrow.schema(source_of([]))).num_rows == len(EVENTS)


def test_a_file_that_comes_up_meanwhile_is_not_replaced(path):
    def rows() -> Iterator[AnyEvent]:
        yield from EVENTS
        path.write_text("another's")

    with pytest.raises(SettingsError, match="is there already"):
        files.write(path, source_of(rows()))
    assert [(each.name, each.read_text()) for each in path.parent.iterdir()] == [(path.name, "another's")]


@pytest.mark.parametrize("before", [None, "the one before"])
def test_a_recording_that_breaks_off_leaves_what_was_there_before(path, before):
    if before:
        path.write_text(before)

    def rows() -> Iterator[AnyEvent]:
        yield from EVENTS * arrow.BATCH_ROWS
        raise RecordingError("broken")

    with pytest.raises(RecordingError, match="broken"):
        files.write(path, source_of(rows()), force=True)
    assert [each.read_text() for each in path.parent.iterdir()] == ([before] if before else [])


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(SettingsError, match=r"^can't write .*nowhere/t\.csv: No such file or directory$"):
        files.write(tmp_path / "nowhere" / "t.csv", source_of(EVENTS))


def test_a_file_has_the_rights_that_other_new_files_have(path):
    files.write(path, source_of(EVENTS))
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode
