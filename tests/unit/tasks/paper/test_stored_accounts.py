"""The accounts of a ledger by their names."""

import pytest

from tasks.paper import PaperState, SymbolAccount, read_accounts, state
from tasks.paper.state import PaperTotals, UnusableStateError


def packed(**realised: float) -> bytes:
    accounts = {name: SymbolAccount(totals=PaperTotals(realised=value)) for name, value in realised.items()}
    return state.pack(PaperState(symbols=accounts))


def test_accounts_are_sorted_and_one_given_twice_counts_once():
    skew = ("depth", "paper:spot:BTCUSDT:skew", packed(BTCUSDT=1.0))
    basket = ("basket", "paper:usdm:all:mine:Basket", packed(ETHUSDT=3.0, BTCUSDT=2.0))
    found = read_accounts([skew, basket, skew])
    assert [(each.pool, each.strategy, each.venue, each.symbol, each.account.totals.realised) for each in found] == [
        ("basket", "mine:Basket", "usdm", "BTCUSDT", 2.0),
        ("basket", "mine:Basket", "usdm", "ETHUSDT", 3.0),
        ("depth", "skew", "spot", "BTCUSDT", 1.0),
    ]


def test_what_is_no_account_is_refused():
    with pytest.raises(UnusableStateError):
        read_accounts([("depth", "paper:spot:BTCUSDT:skew", b"\xc1")])
