"""The spelling of symbols in subjects and keys. Pure.

A symbol keeps its publisher's spelling everywhere. Where it is a part of a NATS subject or of a field in Redis, the
characters that mean something there, such as `/`, `:` and `.`, are percent-encoded, and with them all that is neither a
letter, a digit, `_` nor `-`. So Binance's symbols are spelled as they are.
"""

import re
from collections.abc import Container
from urllib.parse import quote, unquote

_PLAIN = re.compile(r"[\w-]+")
_OTHER = re.compile(r"[^\w-]")
#: BTCUSDT, ETHUSDT_240927 and BTCUSD_PERP, in any case.
_BINANCE = re.compile(r"[^\W_]+(?:_(?:[0-9]{6}|perp))?", re.IGNORECASE)


def token(symbol: str) -> str:
    """Return a symbol as one token of a subject or key: BTC/USD is BTC%2FUSD."""
    return symbol if _PLAIN.fullmatch(symbol) else _OTHER.sub(lambda found: _escaped(found[0]), symbol)


def symbol_of(encoded: str) -> str:
    """Undo `token`."""
    return unquote(encoded)


def spellings(typed: str) -> frozenset[str]:
    """Return the symbols that a person may mean: the one typed, and the same in upper case, as Binance spells it."""
    return frozenset({typed, typed.upper()})


def meant(typed: str, known: Container[str]) -> str:
    """Return the one symbol that a person means: as typed if there is such a one, else in upper case.

    A symbol that is in neither way among `known` is taken as typed if Binance has none of its form.
    """
    if typed in known:
        return typed
    return typed.upper() if typed.upper() in known or _BINANCE.fullmatch(typed) else typed


def _escaped(character: str) -> str:
    # `quote` lets some characters pass that mean something in a subject.
    return quoted if (quoted := quote(character, safe="")) != character else f"%{ord(character):02X}"
