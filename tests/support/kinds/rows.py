"""The rows of the table in docs/feeds.md: each kind of events of each venue, as the code has them."""

from collections.abc import Iterator
from typing import NamedTuple, get_args

from ingest.feeds.stream_plan import FORMS, Market
from tasks.events import KINDS, AnyEvent, Event, Kind, Venue
from tasks.strategy import HOOKS

#: A venue that is none of Binance's.
OTHER: Venue = "kraken"
#: Of each venue the symbols of most kinds, of quotes, and of aggregate trades: where books and trades come as well, the
#: page shows those.
SYMBOLS: dict[Venue, tuple[str, str, str]] = {
    "spot": ("BTCUSDT", "ETHUSDT", "SOLUSDT"),
    "usdm": ("BTCUSDT", "ETHUSDT", "SOLUSDT"),
    "coinm": ("BTCUSD_PERP", "ETHUSD_PERP", "SOLUSD_PERP"),
    OTHER: ("BTC/USD", "ETH/USD", "SOL/USD"),
}
_NAMES = {"spot": "spot", "usdm": "USD-M", "coinm": "COIN-M", OTHER: "any other"}
#: What of the page shows each kind.
_PAGE: dict[Kind, str] = {
    "depth": "Mid, Spread, chart",
    "trade": "trade above the chart",
    "agg_trade": "trade above the chart",
    "book_ticker": "Bid, Ask, Mid, Spread, chart",
    "kline": "Candle",
    "mark_price": "Mark, Funding",
    "liquidation": "Liq",
}


class Row(NamedTuple):
    """One row of the table."""

    venue: Venue
    kind: Kind
    #: By which its events get on NATS: a name among --streams; empty: anybody publishes them.
    stream: str

    @property
    def symbol(self) -> str:
        """The symbol whose frames the test sends."""
        return SYMBOLS[self.venue][{"book_ticker": 1, "agg_trade": 2}.get(self.kind, 0)]

    def __str__(self) -> str:
        return f"{self.venue} {self.kind}"


def _rows() -> Iterator[Row]:
    for market in get_args(Market):
        for form in FORMS:
            if market in form.addresses:
                name = {"depth": "depth20", "kline": "kline_1m"}.get(form.kind, form.names.partition(",")[0])
                yield Row(market, form.kind, name)
    for kind in KINDS:
        yield Row(OTHER, kind, "")


ROWS = list(_rows())


def kinds_table() -> str:
    """Return the table of kinds, methods and fields as docs/feeds.md has it."""
    common = set(Event.__struct_fields__)
    lines = ["| kind | method of a strategy | event | its fields, beside the common ones |", "|---|---|---|---|"]
    for event in get_args(AnyEvent):
        fields = ", ".join(f"`{name}`" for name in event.__struct_fields__ if name not in common)
        lines.append(f"| `{event.kind}` | `{HOOKS[event.kind]}` | `{event.__name__}` | {fields} |")
    return "\n".join(lines)


def table() -> str:
    """Return the table as docs/feeds.md has it."""
    lines = ["| venue | kind | live | recording | replay | backtest | page |", "|---|---|---|---|---|---|---|"]
    for row in ROWS:
        live = f"`--streams {row.stream}`" if row.stream else f"`market.<venue>.{row.kind}.<symbol>`"
        lines.append(f"| {_NAMES[row.venue]} | `{row.kind}` | {live} | yes | yes | yes | {_PAGE[row.kind]} |")
    return "\n".join(lines)
