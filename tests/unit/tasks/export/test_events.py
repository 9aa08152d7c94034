"""The events of recordings as a table: those that the backtest works on."""

from itertools import islice
from pathlib import Path

import pytest

from tasks.errors import RecordingError, SettingsError
from tasks.events import AnyEvent, Depth
from tasks.export import arrow, columns, events
from tasks.export.rows import RecordingInput
from tasks.frames.plausibility import FrameReader
from tasks.history.recordings import read
from tests.support.frames.optional_kinds import FRAMES
from tests.support.frames.tables import events_of, rows_of
from tests.support.market import SYMBOLS, write_market

pytestmark = pytest.mark.usefixtures("pyarrow")


@pytest.fixture
def market(tmp_path: Path) -> Path:
    return write_market(tmp_path / "market.jsonl")


def expected(path: Path) -> list[AnyEvent]:
    reader = FrameReader()
    found = (reader.read(line.raw, line.stream, seq, line.received_at_ns) for seq, line in enumerate(read(path), 1))
    return [event for event in found if isinstance(event, AnyEvent)]


def test_the_table_holds_every_event_of_a_recording(each_recording, tmp_path):
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(line.raw + b"\n" for line in islice(read(each_recording), 3_000)))
    table = arrow.table(events.source(RecordingInput([part])))
    found = expected(part)
    assert len(found) > 2_000
    assert {event.kind for event in found} == {"depth", "trade"}
    assert list(events_of(table)) == found
    quotes = [(event.mid, event.spread_bps) for event in found if isinstance(event, Depth)]
    assert (
        rows_of(table.filter(arrow.library("pyarrow.compute").field("kind") == "depth"), ["mid_price", "spread_bps"])
        == quotes
    )


def test_only_the_symbols_and_kinds_that_are_asked_for_are_there(market):
    source = events.source(RecordingInput([market], symbols=["btcusdt", "SOLUSDT"]), ["trade"])
    table = arrow.table(source)
    wanted = [event for event in expected(market) if event.kind == "trade" and event.symbol != "ETHUSDT"]
    assert list(events_of(table)) == wanted
    assert source.findings() == []


def test_a_table_of_one_kind_has_its_columns_only(market):
    table = arrow.table(events.source(RecordingInput([market]), ["trade"]))
    assert table.column_names[-3:] == ["price", "quantity", "side"]


def test_kinds_that_only_some_read_are_there_when_asked_for(tmp_path):
    path = tmp_path / "kinds.jsonl"
    path.write_bytes(b"".join(raw + b"\n" for raw in FRAMES.values()))
    source = events.source(RecordingInput([path]))
    kinds = [event.kind for event in events_of(arrow.table(source))]
    assert sorted(kinds) == sorted(FRAMES)
    assert source.findings() == []
    for kind in FRAMES:
        one = events.source(RecordingInput([path]), [kind])
        assert [event.kind for event in events_of(arrow.table(one))] == [kind]
        assert one.findings() == [], "what nobody asked for is nothing to tell"
    none = events.source(RecordingInput([path]), ["depth"])
    assert arrow.table(none).num_rows == 0
    assert none.findings() == [
        "no event of kind depth; the frames are: agg_trade 1, book_ticker 1, kline 1, liquidation 1, mark_price 1"
    ]


def test_levels_beyond_those_asked_for_have_no_columns_and_are_counted(market):
    table = arrow.table(events.source(RecordingInput([market]), ["depth"], levels=0))
    assert "bid_price_1" not in table.column_names
    assert set(table["bid_levels"].to_pylist()) == {1}
    deep = arrow.table(events.source(RecordingInput([market]), ["depth"], levels=100))
    assert deep["ask_price_100"].null_count == deep.num_rows > 0


def test_a_file_says_where_its_rows_come_from(market):
    said = arrow.schema(events.source(RecordingInput([market]))).metadata
    assert said[b"realtime_strategies.table"] == b"events"
    assert said[b"realtime_strategies.schema_version"] == columns.SCHEMA_VERSION.encode()
    assert said[b"realtime_strategies.recordings"] == b'["market.jsonl"]'


def test_a_symbol_of_another_spelling_is_found_as_it_is_spelled(tmp_path):
    path = tmp_path / "neutral.jsonl"
    trade = (
        '{"schema": "market/1", "venue": "kraken", "kind": "trade", "symbol": "Btc/usd", "price": 1.5, "quantity": 2, '
    )
    path.write_text(trade + '"side": "buy", "id": 1, "time": 1723161255343, "received_at": 1723161255343000000}\n')
    table = arrow.table(events.source(RecordingInput([path], symbols=["Btc/usd"]), ["trade"]))
    assert rows_of(table, ["venue", "symbol", "price"]) == [("kraken", "Btc/usd", 1.5)]


def test_a_symbol_that_no_recording_names_is_one_clear_line(market):
    with pytest.raises(RecordingError, match=rf"^no XRPUSDT in what was read; it has {', '.join(SYMBOLS)}$"):
        arrow.table(events.source(RecordingInput([market], symbols=["xrpusdt"])))


@pytest.mark.parametrize(
    ("kinds", "levels", "says"),
    [
        (["trades"], 1, "no kind of event is called trades; there are depth, trade, agg_trade"),
        ([], 1, "which kinds of events"),
        (["depth"], 101, "0 to 100 levels"),
        (["depth"], -1, "0 to 100 levels"),
    ],
)
def test_kinds_and_levels_that_there_are_not_are_refused(market, kinds, levels, says):
    with pytest.raises(SettingsError, match=says):
        events.source(RecordingInput([market]), kinds, levels)


def test_an_empty_recording_gives_no_rows_and_a_line_that_says_so(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    source = events.source(RecordingInput([tmp_path / "empty.jsonl"]))
    assert arrow.table(source).num_rows == 0
    assert source.findings() == [f"there is nothing in {tmp_path / 'empty.jsonl'}"]


def test_frames_that_are_no_events_are_counted_with_their_reasons(tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_text(
        '{"stream": "btcusdt@ticker", "data": {"e": "24hrTicker"}, "received_at": 1723161255343000000}\n'
        '{"stream": "btcusdt@trade", "data": {"e": "trade", "s": "BTCUSDT"}, "received_at": 1723161255343000000}\n'
    )
    source = events.source(RecordingInput([path]), ["depth"])
    assert arrow.table(source).num_rows == 0
    none, refused = source.findings()
    assert none == "no event of kind depth; the frames are: 24hrTicker 1"
    assert refused.startswith("frames were refused, by reason: ")
    with path.open("a") as file:
        file.write('{"stream": "btcusdt@trade", "data": {"e": "trade", "E": 1723161255343, "s": "BTCUSDT", "t": 1, ')
        file.write('"p": "1", "q": "1", "T": 1723161255343, "m": true}, "received_at": 1723161255343000000}\n')
    source = events.source(RecordingInput([path]))
    assert arrow.table(source).num_rows == 1
    skipped, refused = source.findings()
    assert skipped == "frames that are no events were skipped, by kind: 24hrTicker 1"
    assert refused.startswith("frames were refused, by reason: ")


def test_of_a_damaged_recording_the_readable_part_is_used_when_asked(market):
    whole = market.read_bytes()
    market.write_bytes(whole[:-20])
    with pytest.raises(RecordingError):
        arrow.table(events.source(RecordingInput([market])))
    damages: list[str] = []
    table = arrow.table(events.source(RecordingInput([market], salvage=True, warn=damages.append)))
    assert table.num_rows == len(whole.splitlines()) - 1
    assert len(damages) == 1


def test_progress_adds_up_to_the_lines_that_were_read(tmp_path):
    path = write_market(tmp_path / "market.jsonl", seconds=400)
    steps: list[int] = []
    arrow.table(events.source(RecordingInput([path], progress=steps.append), ["trade"]))
    assert steps == [1_000, 1_000, 400]
