"""Which streams a live feed asks for: what Binance has on each market, and at which address. Pure."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from ingest.feeds.book_plan import BookPlan, BookSource
from tasks.errors import SettingsError
from tasks.events import Kind
from tasks.frames.model import foreign

Market = Literal["spot", "usdm", "coinm"]

_MARKETS = {"coinm": "COIN-M futures", "option": "the options market"}
_SYMBOL = re.compile(r"[\w-]{2,40}")
_INTERVALS = "1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M"
_COINM = "binance_coinm_url"


class StreamForm(NamedTuple):
    """The streams of one kind of events."""

    kind: Kind
    #: As a person is told of them.
    names: str
    #: Of the names among `--streams`.
    pattern: re.Pattern[str]
    #: By market, the setting with the address that pushes them.
    addresses: Mapping[Market, str]


def _form(kind: Kind, names: str, pattern: str, usdm: str, spot: str = "binance_spot_url") -> StreamForm:
    addresses: dict[Market, str] = {"spot": spot, "usdm": f"binance_usdm_{usdm}_url", "coinm": _COINM}
    return StreamForm(kind, names, re.compile(pattern), {market: name for market, name in addresses.items() if name})


#: USD-M futures push each stream at one of their addresses only, and accept its name at all of them.
FORMS = (
    _form("depth", "depth5, depth10, depth20", r"depth(5|10|20|50|100)", "depth"),
    _form("trade", "trade", "trade", "trade"),
    _form("agg_trade", "aggTrade", "aggTrade", "market"),
    _form("book_ticker", "bookTicker", "bookTicker", "depth"),
    _form(
        "kline", f"kline_ with {_INTERVALS} (of spot also 1s)", f"kline_(1s|{_INTERVALS.replace(' ', '|')})", "market"
    ),
    _form("mark_price", "markPrice, markPrice@1s", r"markPrice(@1s)?", "market", spot=""),
    _form("liquidation", "forceOrder", "forceOrder", "market", spot=""),
)
#: What people call them, without underscores and capitals.
_MEANT = {
    "depth": "depth20", "depth5": "depth5", "depth10": "depth10", "depth20": "depth20", "book": "depth20",
    "trades": "trade", "aggtrade": "aggTrade", "aggtrades": "aggTrade",
    "bookticker": "bookTicker", "kline": "kline_1m", "klines": "kline_1m", "kline1m": "kline_1m", "candle": "kline_1m",
    "markprice": "markPrice", "forceorder": "forceOrder", "liquidation": "forceOrder", "liquidations": "forceOrder",
}  # fmt: skip


class StreamPlan(NamedTuple):
    """Streams of a market: their names without the symbol, and which books."""

    market: Market = "spot"
    names: tuple[str, ...] = ("depth20", "trade")
    books: BookPlan = BookPlan()

    def subscribed(self, symbols: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield each stream after the setting that has its address: all of a symbol, then those of the next."""
        forms = {name: _find_on(self.market, name) for name in self.names}
        for symbol in symbols:
            for name, form in forms.items():
                is_book = form.kind == "depth"
                stream = self.books.subscribed(symbol) if is_book else f"{symbol.lower()}@{name}"
                yield form.addresses[self.market], stream

    def check(self, symbols: Iterable[str]) -> list[str]:
        """Return the symbols in upper case, each once. Raises SettingsError: one of them is none of this market's."""
        known = list(dict.fromkeys(symbol.upper() for symbol in symbols))
        for symbol in known:
            if not _SYMBOL.fullmatch(symbol):
                hint = " ".join(re.sub(r"@.*|\W", "", part) for part in symbol.split(",")).strip()
                raise SettingsError(
                    f"{symbol!r} is not a symbol" + (f"; did you mean {hint}?" if len(hint) > 1 else "")
                )
            other = foreign(symbol)
            if other == "option":
                raise SettingsError(f"{symbol} is of {_MARKETS[other]}, which is not served")
            if other == "coinm" != self.market:
                raise SettingsError(f"{symbol} is of {_MARKETS[other]}: --venue coinm")
            if other is None and self.market == "coinm":
                raise SettingsError(f"{symbol} is not of COIN-M futures, whose symbols are like BTCUSD_PERP")
        return known


DEFAULT = StreamPlan()


def choose(
    market: Market, streams: str | None = None, source: BookSource = "top", levels: int | None = None
) -> StreamPlan:
    """Return what is asked for; `streams` are names with commas between, None the default.

    Raises SettingsError: there is no such stream, or not on this market, or what is asked for contradicts itself.
    """
    asked = [f"depth{levels or 20}", "trade"] if streams is None else [name.strip() for name in streams.split(",")]
    names = tuple(dict.fromkeys(asked))
    kinds = [_find_on(market, name).kind for name in names]
    for kind, count in Counter(kinds).items():
        if count > 1 and kind != "kline":
            twice = " and ".join(name for name, each in zip(names, kinds, strict=True) if each == kind)
            raise SettingsError(f"{twice} are the same kind of events: name one of them")
    sizes = [int(name.removeprefix("depth")) for name, kind in zip(names, kinds, strict=True) if kind == "depth"]
    if not sizes and (levels or source == "diff"):
        raise SettingsError("--books and --levels are about books: add depth20 to --streams")
    if levels and [levels] != sizes:
        raise SettingsError(f"--levels {levels} and depth{sizes[0]} among --streams contradict each other")
    books = BookPlan(source, *sizes)
    books.check()
    if source == "diff" and market == "coinm":
        raise SettingsError("--books diff is for spot and USD-M futures; COIN-M futures have --books top")
    return StreamPlan(market, names, books)


def _find_on(market: Market, name: str) -> StreamForm:
    """Return the form of a name. Raises SettingsError: there is none, or not on this market."""
    there = "; ".join(form.names for form in FORMS if market in form.addresses)
    form = next((form for form in FORMS if form.pattern.fullmatch(name)), None)
    if form is None:
        # Binance's own names go on after an @, and some people begin with the symbol.
        parts = [re.sub(r"[_\W]", "", part).lower() for part in name.split("@")]
        close = [near for part in parts for near in difflib.get_close_matches(part, _MEANT, n=1, cutoff=0.8)]
        hint = f" (did you mean {_MEANT[close[0]]}?)" if close else ""
        raise SettingsError(f"Binance has no stream {name!r} on {market}{hint}; --streams takes {there}")
    if market not in form.addresses or (name == "kline_1s" and market != "spot"):
        where = "spot" if market != "spot" else "futures"
        raise SettingsError(f"{name} is of {where} only, not of {market}; --streams takes {there}")
    return form
