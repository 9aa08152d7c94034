"""One exchange of ccxt: found by its name, checked for what it can do, its markets loaded."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import ccxt.pro
import msgspec

from tasks.errors import UNREADABLE, SettingsError
from tasks.frames.symbols import meant

WatchedKind = Literal["trade", "depth"]
KINDS: tuple[WatchedKind, ...] = get_args(WatchedKind)
_ABILITIES = {"trade": "watchTrades", "depth": "watchOrderBook"}
#: Depths of books that exchanges offer, of which each takes some.
_OFFERED = (5, 10, 20, 25, 50, 100, 200, 400, 500, 1000)

Fault = ccxt.BaseError
Unavailable = ccxt.NetworkError


def why(error: Exception) -> str:
    """Return what went wrong, in one short line: ccxt often says no more than the address and the kind of error."""
    said = [f"{type(each).__name__} {each}".strip() for each in (error, error.__cause__) if each]
    return "; ".join(said).replace("\n", " ")[:300]


def kinds(text: str) -> tuple[WatchedKind, ...]:
    """Return the kinds in a list with commas between. Raises SettingsError."""
    named = [word.strip() for word in text.split(",") if word.strip()]
    if not named or not set(named) <= set(KINDS):
        raise SettingsError(f"--kinds takes {', '.join(KINDS)}, not {text!r}")
    return tuple(kind for kind in KINDS if kind in named)


def options(path: Path | None) -> dict[str, Any]:
    """Return what a file has for ccxt's exchange. Raises SettingsError."""
    if path is None:
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise SettingsError(f"--config: can't read {path}: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise SettingsError(f"--config: {path} is no JSON object: {error}") from None


def create(name: str, wanted: Iterable[WatchedKind], config: dict[str, Any]) -> Any:
    """Return the exchange, not connected yet. Raises SettingsError: there is none, or it does not watch these kinds."""
    known: list[str] = ccxt.pro.exchanges
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3) or [each for each in known if name.lower() in each][:3]
        hint = f"did you mean {' or '.join(close)}?" if close else f"it watches {len(known)}, listed at docs.ccxt.com"
        raise SettingsError(f"ccxt watches no exchange {name!r}; {hint}")
    try:
        # Proxies of the environment count here too.
        exchange = getattr(ccxt.pro, name)({"aiohttp_trust_env": True, "newUpdates": True} | config)
    except (Fault, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"ccxt can't use this configuration of {name}: {error}") from None
    if lacking := [kind for kind in wanted if not exchange.has.get(_ABILITIES[kind])]:
        watched = ",".join(kind for kind in KINDS if exchange.has.get(_ABILITIES[kind]))
        hint = f"--kinds {watched}" if watched else "nothing of it can be watched"
        raise SettingsError(f"ccxt does not watch the kind {' and '.join(lacking)} of {name}: {hint}")
    return exchange


def listed(exchange: Any, symbols: Sequence[str]) -> list[str]:
    """Return the symbols as ccxt spells them, each once. Raises SettingsError: the exchange has no such market."""
    found = dict.fromkeys(meant(symbol, exchange.markets) for symbol in symbols)
    for symbol in found:
        if symbol not in exchange.markets:
            by_id = [each["symbol"] for each in exchange.markets_by_id.get(symbol, ())]
            close = by_id or difflib.get_close_matches(symbol.upper(), exchange.markets, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"it has {len(exchange.markets):,} markets"
            raise SettingsError(f"{exchange.id} has no market {symbol!r}; {hint}")
    return list(found)


def depths(levels: int) -> list[int | None]:
    """Return the depths to ask for until the exchange takes one, so many levels first; None: its own."""
    return [levels, *(each for each in _OFFERED if each > levels), None]
