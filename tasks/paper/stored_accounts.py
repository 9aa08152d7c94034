"""The accounts of a ledger, by strategy, venue and symbol. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from tasks.paper import state
from tasks.paper.state import SymbolAccount, UnusableStateError


class StoredAccount(NamedTuple):
    """The account of one strategy and symbol, with its names as signals carry them."""

    pool: str
    strategy: str
    venue: str
    symbol: str
    account: SymbolAccount


def read_accounts(stored: Iterable[tuple[str, str, bytes]]) -> list[StoredAccount]:
    """Return accounts, sorted by strategy, venue and symbol, from (pool, field in the ledger, packed).

    One that is given twice, as a scan of Redis may do, counts once. Raises UnusableStateError.
    """
    found: dict[tuple[str, str, str, str], StoredAccount] = {}
    for pool, field, packed in stored:
        _, venue, _, strategy = field.split(":", 3)
        try:
            symbols = state.unpack(packed).symbols
        except UnusableStateError as error:
            raise UnusableStateError(f"{field} in pool {pool}: {error}") from None
        for symbol, account in symbols.items():
            found[strategy, venue, symbol, pool] = StoredAccount(pool, strategy, venue, symbol, account)
    return [found[name] for name in sorted(found)]
