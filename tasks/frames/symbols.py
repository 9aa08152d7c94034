"""The spelling of symbols in subjects and keys. Pure.

A symbol keeps its publisher's spelling everywhere. Where it is a part of a NATS subject or of a field in Redis, the
characters that mean something there, such as `/`, `:` and `.`, are percent-encoded, and with them all that is neither a
letter, a digit, `_` nor `-`. So Binance's symbols are spelled as they are.
"""

import re
from urllib.parse import quote, unquote

_PLAIN = re.compile(r"[\w-]+")
_OTHER = re.compile(r"[^\w-]")


def token(symbol: str) -> str:
    """Return a symbol as one token of a subject or key: BTC/USD is BTC%2FUSD."""
    return symbol if _PLAIN.fullmatch(symbol) else _OTHER.sub(lambda found: _escaped(found[0]), symbol)


def symbol_of(encoded: str) -> str:
    """Undo `token`."""
    return unquote(encoded)


def _escaped(character: str) -> str:
    # `quote` lets some characters pass that mean something in a subject.
    return quoted if (quoted := quote(character, safe="")) != character else f"%{ord(character):02X}"
