"""Binance's public trades and aggregate trades."""

import hashlib
import json
from pathlib import Path

import pytest

from tasks.errors import RecordingError
from tasks.events import Trade
from tasks.history import recordings
from tasks.history.input_options import InputOptions
from tasks.history.input_report import CountingReport
from tests.support.files.writers import by_market, content, events, trades, vision_csv, zipped

SPOT = b"3735683259,61837.63000000,0.02000000,1236.75260000,1723161255342,True,True\n"
USDM = b"5266583935,61800.3,0.006,370.8018,1723161256322,false\n"
AGG_SPOT = b"26129,0.01633102,4.70443515,27781,27783,1498793709153,True,True\n"
AGG_USDM = b"389551486,58665.00,0.043,621622993,621622994,1616202009188,false\n"


@pytest.fixture(scope="module")
def markets(each_recording: Path) -> dict[tuple[str, str], list[Trade]]:
    return by_market(trades(each_recording))


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("unit", [1, 1000], ids=["ms", "us"])
@pytest.mark.parametrize("pack", [False, True], ids=["csv", "zip"])
def test_trades_written_as_the_archive_does_come_back(
    tmp_path: Path, markets: dict[tuple[str, str], list[Trade]], header, unit: int, pack
):
    for number, ((venue, symbol), every) in enumerate(markets.items()):
        flags = ("True", "False") if venue == "spot" else ("true", "false")
        data = vision_csv(every, header=header, unit=unit, flags=flags)
        name = f"{symbol}-trades-2024-08-08"
        (tmp_path / str(number)).mkdir()
        path = tmp_path / str(number) / f"{name}.{'zip' if pack else 'csv'}"
        path.write_bytes(zipped(f"{name}.csv", data) if pack else data)
        assert list(map(content, events(path))) == list(map(content, every))


def lines(path: Path, content: bytes, **options: object) -> list[dict[str, object]]:
    path.write_bytes(content)
    return [json.loads(line.raw) for line in recordings.read(path, options=InputOptions(**options))]  # type: ignore[arg-type]


def test_a_row_becomes_the_frame_that_the_exchange_sent(tmp_path: Path):
    [spot] = lines(tmp_path / "BTCUSDT-trades-2024-08.csv", SPOT)
    assert spot == {
        "stream": "btcusdt@trade",
        "data": {
            "e": "trade", "E": 1723161255342, "s": "BTCUSDT", "t": 3735683259, "p": "61837.63000000",
            "q": "0.02000000", "T": 1723161255342, "m": True, "M": True,
        },
        "received_at": 1723161255342000000,
    }  # fmt: skip
    [usdm] = lines(tmp_path / "BTCUSDT-trades-2024-08-08.csv", USDM)
    assert usdm["data"] == {
        "e": "trade", "E": 1723161256322, "s": "BTCUSDT", "t": 5266583935, "p": "61800.3", "q": "0.006",
        "T": 1723161256322, "X": "MARKET", "m": False,
    }  # fmt: skip


def test_aggregate_trades_are_told_by_their_columns(tmp_path: Path):
    [spot] = lines(tmp_path / "ETHBTC-aggTrades-2017-06.csv", AGG_SPOT)
    assert spot["stream"] == "ethbtc@aggTrade"
    assert spot["data"] == {
        "e": "aggTrade", "E": 1498793709153, "s": "ETHBTC", "a": 26129, "p": "0.01633102", "q": "4.70443515",
        "f": 27781, "l": 27783, "T": 1498793709153, "m": True, "M": True,
    }  # fmt: skip
    head = b"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
    [usdm] = lines(tmp_path / "BTCUSDT-aggTrades-2021-03-20.csv", head + AGG_USDM)
    assert usdm["data"] == {
        "e": "aggTrade", "E": 1616202009188, "s": "BTCUSDT", "a": 389551486, "p": "58665.00", "q": "0.043",
        "f": 621622993, "l": 621622994, "T": 1616202009188, "m": False,
    }  # fmt: skip


def test_microseconds_stay_in_the_frame(tmp_path: Path):
    [only] = lines(tmp_path / "BTCUSDT-trades-2025-01-01.csv", SPOT.replace(b"1723161255342", b"1735689600123456"))
    assert only["data"]["E"] == 1735689600123456  # type: ignore[index]
    assert only["received_at"] == 1735689600123456000


def test_a_file_that_names_no_symbol_takes_that_of_the_command(tmp_path: Path):
    path = tmp_path / "download.csv"
    with pytest.raises(RecordingError, match=r"download\.csv does not say which symbol it is of: --symbol names it"):
        lines(path, SPOT)
    [only] = lines(path, SPOT, symbol="SOLUSDT")
    assert only["stream"] == "solusdt@trade"


def test_a_symbol_that_is_not_wanted_is_not_read(tmp_path: Path):
    assert lines(tmp_path / "BTCUSDT-trades-2024-08.csv", SPOT, symbols=frozenset({"ETHUSDT"})) == []


def test_the_venue_of_the_command_counts_before_the_columns(tmp_path: Path):
    [only] = lines(tmp_path / "BTCUSDT-trades-2024-08.csv", SPOT, venue="usdm")
    assert only["data"]["X"] == "MARKET"  # type: ignore[index]
    with pytest.raises(RecordingError, match="--venue kraken is none of spot, usdm and coinm"):
        lines(tmp_path / "BTCUSDT-trades-2024-08.csv", SPOT, venue="kraken")


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (b"1,2,3,4", "bad_row", "has 4 columns, not 7: '1,2,3,4'"),
        (SPOT.replace(b"3735683259", b"x").strip(), "bad_id", "has no id in 'x'"),
        (SPOT.replace(b"61837.63000000", b"0.0").strip(), "bad_price", "has no price in '0.0'"),
        (SPOT.replace(b"0.02000000", b"-1").strip(), "bad_quantity", "has no quantity in '-1'"),
        (SPOT.replace(b"1723161255342", b"17").strip(), "bad_time", "has no time in '17'"),
        (SPOT.replace(b"True", b"yes").strip(), "bad_flag", "has no flag in 'yes'"),
    ],
)
def test_a_bad_row_is_refused_with_its_place_and_the_rest_is_used(tmp_path: Path, row: bytes, reason: str, detail: str):
    path = tmp_path / "BTCUSDT-trades-2024-08.csv"
    path.write_bytes(b"\xef\xbb\xbf" + SPOT.replace(b"\n", b"\r\n") + b"\n" + row + b"\n" + row + b"\n" + SPOT)
    warnings: list[str] = []
    report = CountingReport(warnings.append)
    assert len(list(recordings.read(path, report))) == 2
    report.warn_of_refusals([path])
    assert report.refused == {reason: 2}
    assert warnings == [f"2 refused as {reason}, the first: {path}, line 3 {detail}"]


def test_a_file_is_compared_with_the_checksum_beside_it(tmp_path: Path):
    path = tmp_path / "BTCUSDT-trades-2024-08-08.zip"
    data = zipped("BTCUSDT-trades-2024-08-08.csv", SPOT)
    beside = path.with_name(f"{path.name}.CHECKSUM")
    beside.write_text(f"{hashlib.sha256(data).hexdigest()}  {path.name}\n")
    assert len(lines(path, data)) == 1
    beside.write_text(beside.read_text().upper())
    assert len(lines(path, data)) == 1
    with pytest.raises(RecordingError) as refusal:
        lines(path, data + b"x")
    assert str(refusal.value) == f"{path} is not the file of {beside.name}: download it again, or remove {beside.name}"


@pytest.mark.parametrize("pack", [False, True], ids=["csv", "zip"])
def test_of_a_file_that_is_cut_short_the_whole_rows_are_used(tmp_path: Path, pack):
    rows = [SPOT.replace(b"3735683259", b"%d" % (3735683259 + number * number)) for number in range(20_000)]
    data = zipped("it.csv", b"".join(rows)) if pack else b"".join(rows)
    path = tmp_path / "BTCUSDT-trades-2024-08.csv"
    path.write_bytes(data[: len(data) * 2 // 3 - 7])
    warnings: list[str] = []
    report = CountingReport(warnings.append)
    used = list(recordings.read(path, report))
    assert 10_000 < len(used) < 20_000
    assert json.loads(used[-1].raw)["data"]["t"] == 3735683259 + (len(used) - 1) ** 2
    assert report.is_damaged
    assert [text.partition(" after line ")[0] for text in warnings] == [f"{path} is damaged or cut short"]


def test_files_with_the_same_ids_or_of_two_venues_are_told_once(tmp_path: Path):
    paths = [tmp_path / f"BTCUSDT-trades-2024-0{number}.csv" for number in range(1, 5)]
    for path in paths[:3]:
        path.write_bytes(SPOT)
    paths[3].write_bytes(USDM)
    warnings: list[str] = []
    report = CountingReport(warnings.append)
    assert len(list(recordings.merge(paths, report))) == 4
    report.warn_of_refusals(paths)
    assert len(warnings) == 2
    assert warnings[0].startswith(
        f"{paths[0]} and {paths[1]} overlap in the ids 3735683259 to 3735683259 of spot BTCUSDT"
    )
    assert warnings[1].startswith(f"BTCUSDT comes from spot ({paths[0]}) and usdm ({paths[3]})")


def test_a_file_that_is_named_twice_is_told(tmp_path: Path):
    path = tmp_path / "BTCUSDT-trades-2024-08.csv"
    path.write_bytes(SPOT)
    warnings: list[str] = []
    assert len(list(recordings.merge([path, path], CountingReport(warnings.append)))) == 2
    assert warnings == [f"{path} is named twice: an event with an id counts once"]


def test_several_months_are_merged_by_time(tmp_path: Path):
    for number, symbol in enumerate(["BTCUSDT", "ETHUSDT"]):
        rows = (SPOT.replace(b"1723161255342", b"%d" % (1723161255342 + 2 * each + number)) for each in range(50))
        (tmp_path / f"{symbol}-trades-2024-08.csv").write_bytes(b"".join(rows))
    merged = list(recordings.merge(sorted(tmp_path.iterdir())))
    assert [line.received_at_ns for line in merged] == sorted(line.received_at_ns for line in merged)
    assert {line.stream for line in merged[:2]} == {"btcusdt@trade", "ethusdt@trade"}
