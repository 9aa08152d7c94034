from collections.abc import Mapping

import pytest

from ingest.monitoring.paper_figures import MAX_POSITIONS, OpenPositions, PaperFigures, figures
from tasks.paper.position_statistics import summarise
from tasks.paper.state import OpenPosition, SymbolAccount
from tasks.paper.stored_accounts import StoredAccount
from tests.support.events import TIME_MS
from tests.support.strategies.positions import closed


def holding(
    strategy: str = "skew", symbol: str = "BTCUSDT", direction: int = 1, opened_ms: int = TIME_MS
) -> StoredAccount:
    """Return an account with 2 bought or sold for 100 each, a fee of 0.5, and a last price of 103."""
    position = OpenPosition("entry", direction, 2.0, 200.0, opened_ms, None, None, fees=0.5, mark=103.0)
    return StoredAccount("depth", strategy, "spot", symbol, SymbolAccount(position=position))


def told(*accounts: StoredAccount, profits: Mapping[str, list[float]] | None = None) -> PaperFigures:
    held = OpenPositions()
    held.add(accounts)
    statistics = {
        name: summarise(closed(strategy=name, pnl=pnl) for pnl in each) for name, each in (profits or {}).items()
    }
    return figures(statistics, held)


def test_without_an_account_there_are_no_figures():
    assert told() == PaperFigures([], [], 0)


def test_an_open_position_is_shown_with_what_closing_it_would_leave():
    [long, short] = told(holding(), holding(direction=-1, opened_ms=TIME_MS - 1)).positions
    assert (long.side, long.quantity, long.entry_price, long.last_price) == ("long", 2.0, 100.0, 103.0)
    assert (long.unrealised, short.side, short.unrealised) == (5.5, "short", -6.5)


def test_a_position_that_is_closed_in_part_shows_what_is_left():
    account = holding()
    assert account.account.position
    account.account.position.exit_quantity, account.account.position.exit_value = 0.5, 60.0
    [row] = told(account).positions
    assert (row.quantity, row.unrealised) == (1.5, 60.0 + 1.5 * 103.0 - 200.0 - 0.5)


def test_profit_is_that_of_closed_positions_and_of_open_ones():
    found = told(holding(), holding(symbol="ETHUSDT", direction=-1), profits={"skew": [10.0, -4.0]})
    [skew] = found.strategies
    assert (skew.positions, skew.open, skew.hit_rate) == (2, 2, 0.5)
    assert (skew.realised, skew.unrealised, skew.pnl) == (6.0, -1.0, 5.0)
    assert found.open == 2


@pytest.mark.parametrize(("direction", "drawdown"), [(1, 0.0), (-1, 4.0 + 6.5)])
def test_drawdown_is_the_way_from_the_highest_to_now(direction: int, drawdown: float):
    """It counts what open positions would leave, and is never below 0."""
    [skew] = told(holding(direction=direction), profits={"skew": [10.0, -4.0]}).strategies
    assert skew.drawdown == drawdown


def test_a_strategy_with_an_account_and_no_position_is_named_without_hits():
    [new] = told(StoredAccount("depth", "new", "spot", "BTCUSDT", SymbolAccount())).strategies
    assert (new.strategy, new.pnl, new.drawdown, new.hit_rate) == ("new", 0.0, 0.0, None)


def test_of_many_open_positions_the_newest_are_kept_and_all_are_counted():
    found = told(*(holding(symbol=f"S{number}", opened_ms=TIME_MS + number) for number in range(MAX_POSITIONS + 5)))
    assert len(found.positions) == MAX_POSITIONS
    assert found.positions[0].symbol == f"S{MAX_POSITIONS + 4}"
    assert found.open == found.strategies[0].open == MAX_POSITIONS + 5
