"""What the paper accounts earned, as a table."""

import io

import msgspec
import pytest

from tasks.backtest.paper_statistics import PaperRow
from tasks.cli.command_line import Console, print_table
from tasks.cli.format_paper import paper_table, unfilled_line

ROW = PaperRow(
    "orderbook_skew", "spot", "BTCUSDT", positions=12, open=1, hit_rate=0.5, pnl=-1.25, unrealised=0.5, fees=0.75,
    funding=0.0, turnover=1234.5, average_win=0.25, average_loss=-0.4, max_drawdown=1.5, sharpe=None, exposure=0.333,
)  # fmt: skip
TOTAL = msgspec.structs.replace(ROW, venue=None, symbol=None, sharpe=1.23)


def printed(width: int, *rows: PaperRow, terminal: bool = True) -> tuple[list[str], list[str]]:
    console = Console(file=(text := io.StringIO()), width=width, force_terminal=terminal, color_system=None)
    table, left_out = paper_table(rows, console.width)
    print_table(console, table)
    return text.getvalue().splitlines(), left_out


def test_in_a_pipe_every_figure_is_there():
    (head, one, total), left_out = printed(20, ROW, TOTAL, terminal=False)
    assert head.split()[:7] == ["strategy", "venue", "symbol", "closed", "hit", "pnl", "unrealised"]
    assert one.split() == [
        "orderbook_skew", "spot", "BTCUSDT", "12", "50%", "-1.250", "0.500", "0.750", "0.000", "1,234", "0.250", "-0.400",
        "1.500", "-", "33%",
    ]  # fmt: skip
    assert total.split()[:2] == ["orderbook_skew", "total"]
    assert left_out == []


@pytest.mark.parametrize("width", [70, 80, 100, 120, 200])
def test_a_terminal_shows_as_many_columns_as_fit_in_one_line(width: int):
    lines, left_out = printed(width, ROW, TOTAL)
    assert len(lines) == 3
    assert all(len(line) <= width for line in lines)
    assert not set(left_out) & set(lines[0].split())
    assert (left_out == []) is (width == 200)


def test_columns_that_say_nothing_go_first():
    assert printed(110, ROW)[1][:2] == ["funding", "sharpe"]
    assert printed(110, msgspec.structs.replace(ROW, funding=-0.5))[1][:2] == ["sharpe", "turnover"]


@pytest.mark.parametrize(
    ("pnl", "text"), [(1_234_567.891, "1,234,567.89"), (0.00012, "0.0001200"), (-0.0, "0.00"), (-12.3456, "-12.35")]
)
def test_amounts_have_the_decimals_that_the_largest_needs(pnl: float, text: str):
    small = msgspec.structs.replace(ROW, pnl=pnl, unrealised=0.0, fees=0.0, max_drawdown=0.0)
    assert printed(300, small)[0][1].split()[5] == text


def test_signals_that_became_no_position_are_told_with_their_reasons():
    assert unfilled_line({}) == ""
    told = unfilled_line({"no_price": 3, "partial": 1200})
    assert told == "signals that became no position, or only a part of one: no_price 3, partial 1,200"
