"""What an account tells of a position that is open. Pure."""

from collections.abc import Iterable, Iterator

import msgspec

from tasks.paper.closed_position import Side
from tasks.paper.state import OpenPosition
from tasks.paper.stored_accounts import StoredAccount


class OpenRow(msgspec.Struct, frozen=True):
    """An open position. Prices and profit are in quote currency."""

    strategy: str
    venue: str
    symbol: str
    side: Side
    #: What is not closed of it, in base currency.
    quantity: float
    entry_price: float
    #: Of the last event that moved the account.
    last_price: float
    unrealised: float
    #: Event time of the first fill, unix milliseconds.
    opened_ms: int


def open_row(stored: StoredAccount, held: OpenPosition) -> OpenRow:
    """Return the row of the position that an account holds."""
    quantity, entry_price = held.quantity - held.exit_quantity, held.entry_value / held.quantity
    names = stored.strategy, stored.venue, stored.symbol
    return OpenRow(*names, held.side, quantity, entry_price, held.mark, held.unrealised, held.opened_ms)


def open_rows(accounts: Iterable[StoredAccount]) -> Iterator[OpenRow]:
    """Yield the rows of all open positions of accounts."""
    for each in accounts:
        if each.account.position is not None:
            yield open_row(each, each.account.position)
