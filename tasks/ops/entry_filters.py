"""Which signals and closed positions are chosen: by strategy, symbol and action."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec

from tasks.configuration import registry
from tasks.configuration.aliases import Aliases
from tasks.errors import UNREADABLE, LedgerError
from tasks.frames.symbols import spellings
from tasks.ledger.reader import LedgerReader
from tasks.paper.open_row import OpenRow, open_rows

T = TypeVar("T")


def decoded(decode: Callable[[bytes], T], packed: bytes, where: str) -> T:
    """Return what an entry of the stream `where` holds. Raises LedgerError: it can't be read."""
    try:
        return decode(packed)
    except UNREADABLE as error:
        raise LedgerError(f"{packed[:100]!r} in the {where} stream can't be read: {str(error)[:200]}") from None


def strategy_names(named: Iterable[str] | None, aliases: Aliases) -> frozenset[str]:
    """Return the names that entries carry, of strategies as a person names them; `aliases` are those in the ledger."""
    return frozenset(registry.carried_name(aliases[name].strategy if name in aliases else name) for name in named or ())


def symbol_spellings(named: Iterable[str] | None) -> frozenset[str]:
    """Return symbols in every spelling that a person may mean."""
    return frozenset[str]().union(*map(spellings, named or ()))


def _fits(names: Iterable[str], wanted: Iterable[frozenset[str]]) -> bool:
    return all(not one_of or name in one_of for name, one_of in zip(names, wanted, strict=True))


class _SignalHeader(msgspec.Struct):
    strategy: str
    symbol: str
    action: str


_signal_header = msgspec.json.Decoder(_SignalHeader).decode


class SignalFilter(NamedTuple):
    """The signals to show; an empty set stands for all."""

    strategies: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()

    def takes(self, packed: bytes) -> bool:
        """Whether a signal, the contract's JSON, is one of them. Raises LedgerError: it is no signal."""
        if not any(self):
            return True
        signal = decoded(_signal_header, packed, "signal")
        return self.takes_names(signal.strategy, signal.symbol, signal.action)

    def takes_names(self, strategy: str, symbol: str, action: str) -> bool:
        """Whether a signal of a strategy, symbol and action is one of them."""
        return _fits((strategy, symbol, action), self)


class _PositionNames(msgspec.Struct):
    strategy: str
    symbol: str


_position_names = msgspec.json.Decoder(_PositionNames).decode


class PositionFilter(NamedTuple):
    """The positions to show; an empty set stands for all."""

    strategies: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()

    def takes(self, packed: bytes) -> bool:
        """Whether a closed position, as JSON, is one of them. Raises LedgerError: it is no position."""
        if not any(self):
            return True
        names = decoded(_position_names, packed, "position")
        return self.takes_names(names.strategy, names.symbol)

    def takes_names(self, strategy: str, symbol: str) -> bool:
        """Whether a position of a strategy and symbol is one of them."""
        return _fits((strategy, symbol), self)

    def open_rows(self, reader: LedgerReader) -> list[OpenRow]:
        """Return the open positions, first the one that was opened first. Raises LedgerError: an account can't be read."""
        rows = open_rows(reader.stored_accounts())
        return sorted(
            (row for row in rows if self.takes_names(row.strategy, row.symbol)), key=lambda row: row.opened_ms
        )
