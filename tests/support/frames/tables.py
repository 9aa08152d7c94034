"""Exported tables, read back as the events that they were made of."""

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from tasks.events import KINDS, AggTrade, AnyEvent, BookTicker, Depth, Kline, Liquidation, MarkPrice, Trade
from tasks.export import event_columns
from tasks.export.rows import RowSource
from tests.support import needs

SUFFIXES = ("parquet", "arrow", "csv")


def source_of(events: Iterable[AnyEvent], kinds: Iterable[str] = KINDS, levels: int = 3) -> RowSource:
    """Return a table of these events."""
    schema = event_columns.table(kinds, levels)
    return RowSource(schema, iter(events), {"table": schema.name}, list)


def read_table(path: Path, like: Any) -> Any:
    """Return the pyarrow table of a file; `like` is its schema, of which CSV holds only the names."""
    if path.suffix == ".parquet":
        return needs.module("pyarrow.parquet").read_table(path)
    if path.suffix == ".arrow":
        return needs.module("pyarrow.feather").read_table(path)
    csv = needs.module("pyarrow.csv")
    types = dict(zip(like.names, like.types, strict=True))
    options = csv.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False)
    return csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=options)


def events_of(table: Any) -> Iterator[AnyEvent]:
    """Yield the events that a table's rows were made of."""
    # As numbers: of a time in nanoseconds, Python's own type would lose the last three digits.
    times = {field.name: table[field.name].cast("int64").to_pylist() for field in table.schema if _is_time(field)}
    for at, row in enumerate(table.drop_columns(list(times)).to_pylist()):
        yield _event(row | {name: cells[at] for name, cells in times.items()})


def _is_time(field: Any) -> bool:
    return str(field.type).startswith("timestamp")


def _ms(time_us: int | None) -> Any:
    if time_us is None:
        return None
    time_ms, rest = divmod(time_us, 1_000)
    assert not rest
    return time_ms


def _event(row: dict[str, Any]) -> Any:
    row |= {"is_sell": row.get("side") == "sell"}
    for name in ("time", "open_time", "close_time", "next_funding_time"):
        row[name] = _ms(row.get(name))
    head = (row["venue"], row["symbol"], row["id"], row["time"], row["frame"], row["received_time"])
    if row["kind"] == "depth":
        return Depth(*head, _side(row, "bid"), _side(row, "ask"))
    return _CLASSES[row["kind"]](*head, *itemgetter(*_CELLS[row["kind"]])(row))


_CLASSES: dict[str, Any] = {
    "trade": Trade,
    "agg_trade": AggTrade,
    "book_ticker": BookTicker,
    "kline": Kline,
    "mark_price": MarkPrice,
    "liquidation": Liquidation,
}
#: Columns in the order of the event's own fields.
_CELLS: dict[str, tuple[str, ...]] = {
    "trade": ("price", "quantity", "is_sell"),
    "agg_trade": ("price", "quantity", "is_sell", "first_id", "last_id"),
    "book_ticker": ("bid_price_1", "bid_quantity_1", "ask_price_1", "ask_quantity_1"),
    "kline": (
        *("interval", "open_time", "close_time", "open", "high", "low", "close"),
        *("volume", "quote_volume", "trade_count", "taker_buy_volume"),
    ),
    "mark_price": ("mark_price", "index_price", "funding_rate", "next_funding_time"),
    "liquidation": ("side", "limit_price", "average_price", "quantity", "filled_quantity"),
}


def _side(row: dict[str, Any], side: str) -> tuple[tuple[float, float], ...]:
    levels = range(1, row[f"{side}_levels"] + 1)
    return tuple((row[f"{side}_price_{number}"], row[f"{side}_quantity_{number}"]) for number in levels)


def rows_of(table: Any, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return these columns of a table, row by row."""
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))
