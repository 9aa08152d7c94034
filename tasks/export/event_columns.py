"""The columns of events: those of all kinds, and those of each. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from tasks.errors import SettingsError
from tasks.events import KINDS, Depth, Kind, Trade
from tasks.export.columns import Column, TableSchema, column, moment
from tasks.frames.model import MAX_LEVELS

#: Levels of a book that have columns, unless asked otherwise: what Binance's partial books hold.
DEFAULT_LEVELS = 20

#: What every event has.
EVENT = (
    moment("time", "when it happened, UTC: the time that strategies see, exact to the millisecond", "time_ms"),
    column("received_time", "time_ns", "when its frame was received, UTC", "ingested_at_ns"),
    column("venue", "string", "spot, usdm, coinm, or another publisher's own"),
    column("symbol", "string", "as the exchange writes it"),
    column("kind", "string", "which kind of event: depth, trade, ..."),
    column("id", "int64", "the exchange's id, rising within venue, symbol and kind; below zero: it gave none"),
    column("frame", "int64", "number of its frame among all that were read, from 1: the order of the events", "seq"),
)


def _side(trade: Trade) -> str:
    return "sell" if trade.buyer_is_maker else "buy"


_SIDE = "buy or sell: of a trade the aggressor's, of a liquidation the order's"
_QUANTITY = column("quantity", "float64", "quantity, in base currency; in contracts on COIN-M futures")
_TRADE = (column("price", "float64", "price, in quote currency"), _QUANTITY, Column("side", "string", _SIDE, _side))
_AGG_TRADE = (
    *_TRADE,
    column("first_id", "int64", "id of the first trade in it"),
    column("last_id", "int64", "id of the last trade in it"),
)
_QUOTE = (
    column("mid_price", "float64", "half-way between best bid and best ask", "mid"),
    column("spread_bps", "float64", "best ask less best bid, in basis points of the mid price"),
)
_KLINE = (
    column("interval", "string", "1s, 1m, 1h, 1d, 1w, 1M"),
    moment("open_time", "its first millisecond, UTC", "open_ms"),
    moment("close_time", "its last millisecond, UTC", "close_ms"),
    column("open", "float64", "first price, in quote currency"),
    column("high", "float64", "highest price"),
    column("low", "float64", "lowest price"),
    column("close", "float64", "last price"),
    column("volume", "float64", "volume, in base currency; in contracts on COIN-M futures"),
    column("quote_volume", "float64", "volume, in quote currency; in coins on COIN-M futures"),
    column("trade_count", "int64", "number of trades", "trades"),
    column("taker_buy_volume", "float64", "what takers bought of `volume`"),
)
_MARK_PRICE = (
    column("mark_price", "float64", "mark price, in quote currency", "price"),
    column("index_price", "float64", "index price, in quote currency; empty: the exchange gave none"),
    column("funding_rate", "float64", "as a fraction of the position's value; empty: a contract without funding"),
    moment("next_funding_time", "UTC; empty: a contract without funding", "next_funding_ms"),
)
_LIQUIDATION = (
    column("side", "string", _SIDE),
    _QUANTITY,
    column("filled_quantity", "float64", "what is filled of `quantity`"),
    column("limit_price", "float64", "the order's limit, in quote currency", "price"),
    column("average_price", "float64", "at which it was filled, on average; 0: not yet"),
)


def _depth(levels: int) -> tuple[Column, ...]:
    counts = (
        Column("bid_levels", "int64", "how many levels of bids the book has", lambda book: len(book.bids)),
        Column("ask_levels", "int64", "how many levels of asks the book has", lambda book: len(book.asks)),
    )
    return (*_QUOTE, *counts, *(each for number in range(1, levels + 1) for each in _level(number)))


#: Names and meanings of the columns of one level, without the level's number.
_LEVEL = (
    ("bid_price", "price of this bid, in quote currency; 1 is the best"),
    ("bid_quantity", "quantity at this bid"),
    ("ask_price", "price of this ask, in quote currency; 1 is the best"),
    ("ask_quantity", "quantity at this ask"),
)


def _level(number: int) -> Iterator[Column]:
    """Yield the columns of one level of a book, 1 being the best."""
    at = number - 1

    def bid_price(book: Depth) -> float | None:
        return book.bids[at][0] if at < len(book.bids) else None

    def bid_quantity(book: Depth) -> float | None:
        return book.bids[at][1] if at < len(book.bids) else None

    def ask_price(book: Depth) -> float | None:
        return book.asks[at][0] if at < len(book.asks) else None

    def ask_quantity(book: Depth) -> float | None:
        return book.asks[at][1] if at < len(book.asks) else None

    for (name, what), cell in zip(_LEVEL, (bid_price, bid_quantity, ask_price, ask_quantity), strict=True):
        yield Column(f"{name}_{number}", "float64", what, cell)


def _book_ticker() -> tuple[Column, ...]:
    """Return the columns of a quote: those of the first level of a book."""
    cells = map(attrgetter, ("bid", "bid_quantity", "ask", "ask_quantity"))
    level = (Column(f"{name}_1", "float64", what, cell) for (name, what), cell in zip(_LEVEL, cells, strict=True))
    return (*_QUOTE, *level)


def by_kind(levels: int = DEFAULT_LEVELS) -> dict[Kind, tuple[Column, ...]]:
    """Return the columns that each kind of event has besides those of all."""
    return {
        "depth": _depth(levels),
        "trade": _TRADE,
        "agg_trade": _AGG_TRADE,
        "book_ticker": _book_ticker(),
        "kline": _KLINE,
        "mark_price": _MARK_PRICE,
        "liquidation": _LIQUIDATION,
    }


def table(kinds: Iterable[str] = KINDS, levels: int = DEFAULT_LEVELS) -> TableSchema:
    """Return the table of these kinds, with `levels` levels of each book.

    A column of one kind is empty in the rows of another that has no such column. Raises SettingsError: there is no such
    kind, none is given, or `levels` is not from 0 to `MAX_LEVELS`.
    """
    kinds = set(kinds)
    if unknown := sorted(kinds - set(KINDS)):
        raise SettingsError(f"no kind of event is called {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if not kinds:
        raise SettingsError(f"which kinds of events? There are {', '.join(KINDS)}")
    if not 0 <= levels <= MAX_LEVELS:
        raise SettingsError(f"a table has 0 to {MAX_LEVELS} levels of a book, not {levels}")
    chosen = {kind: columns for kind, columns in by_kind(levels).items() if kind in kinds}
    return TableSchema("events", (*EVENT, *_merged(chosen)))


def _merged(columns: Mapping[Kind, Sequence[Column]]) -> Iterable[Column]:
    """Yield the columns of several kinds, each name once; of one kind as they are."""
    if len(columns) == 1:
        yield from next(iter(columns.values()))
        return
    cells: dict[str, dict[str, Callable[[Any], Any]]] = {}
    first: dict[str, Column] = {}
    for kind, own in columns.items():
        for each in own:
            first.setdefault(each.name, each)
            cells.setdefault(each.name, {})[kind] = each.cell
    for name, each in first.items():
        yield each._replace(cell=_of_its_kind(cells[name]))


def _of_its_kind(cells: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def cell(event: Any) -> Any:
        own = cells.get(event.kind)
        return own(event) if own else None

    return cell
