"""The paper account: what signals would have earned, order by order, on the events that a strategy's pool takes.

Pure, and the same live and in the backtest. The configuration uses its terms; the engine gives it events and signals,
and its state is committed beside the strategy's. What it can't know is told in docs/paper.md.
"""

from tasks.paper.account import PaperContext, advance, fund, submit
from tasks.paper.closed_position import ClosedPosition
from tasks.paper.digest import positions_digest
from tasks.paper.position_statistics import PositionStatistics, summarise
from tasks.paper.state import PaperOrder, PaperState, SymbolAccount
from tasks.paper.stored_accounts import StoredAccount, read_accounts
from tasks.paper.terms import PaperTable, PaperTerms, resolve

__all__ = [
    "ClosedPosition",
    "PaperContext",
    "PaperOrder",
    "PaperState",
    "PaperTable",
    "PaperTerms",
    "PositionStatistics",
    "StoredAccount",
    "SymbolAccount",
    "account",
    "advance",
    "closed_position",
    "digest",
    "fills",
    "fund",
    "open_row",
    "position_statistics",
    "positions_digest",
    "read_accounts",
    "resolve",
    "state",
    "stored_accounts",
    "submit",
    "summarise",
    "terms",
    "watch",
]
