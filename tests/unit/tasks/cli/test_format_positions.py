"""A position as one line: in columns on a terminal, whole in a pipe."""

import io

import msgspec
import pytest

from tasks.cli.command_line import Console
from tasks.cli.entry_listing import show
from tasks.cli.format_positions import ClosedColumns, OpenColumns, amount, decode, duration
from tasks.paper.open_row import OpenRow
from tests.support.events import TIME_MS
from tests.support.strategies.positions import closed

OPEN = OpenRow("orderbook_skew", "usdm", "BTCUSDT", "short", 0.00162, 61675.512, 61700.0, -0.0897, TIME_MS)
LONG = decode(
    closed(strategy="orderbook_skew", entry_price=61675.512, exit_price=61700.0, exit_reason="take_profit").pack()
)


def printed(width: int, *entries: object, terminal: bool = True) -> list[str]:
    console = Console(file=(text := io.StringIO()), width=width, force_terminal=terminal, color_system=None)
    columns = OpenColumns(console) if isinstance(entries[0], OpenRow) else ClosedColumns(console)
    show(console, entries, columns)  # type: ignore[misc]  # either kind
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 99, 100, 119, 120, 160])
@pytest.mark.parametrize("entry", [LONG, OPEN])
def test_on_a_terminal_a_position_is_one_line_that_fits(width: int, entry: object):
    head, day, *lines = printed(width, entry, entry)
    assert day == "2024-08-09"
    assert len(lines) == 2
    assert all(len(line) <= width for line in [head, *lines])
    assert head.index("side") == lines[0].index("short" if entry is OPEN else "long")


def test_a_narrow_terminal_leaves_out_venue_and_prices_of_closed_ones():
    assert printed(120, LONG)[2].split()[2:] == [
        "spot", "BTCUSDT", "long", "61,675.512", "61,700", "+0.8000", "+80.0", "1.0s", "take_profit",
    ]  # fmt: skip
    assert printed(80, LONG)[2].split()[2:] == ["BTCUSDT", "long", "+0.8000", "+80.0", "1.0s", "take_profit"]
    assert printed(80, OPEN)[2].split()[2:] == ["BTCUSDT", "short", "61,675.512", "61,700", "-0.0897"]


@pytest.mark.parametrize("entry", [LONG, OPEN])
def test_a_terminal_too_narrow_for_the_values_cuts_none_of_them(entry: object):
    assert printed(30, entry)[2].split() == printed(80, entry)[2].split()


def test_a_new_day_begins_with_a_line():
    later = msgspec.structs.replace(LONG, closed_ms=LONG.closed_ms + 86_400_000)
    assert [line[:10] for line in printed(80, LONG, later)[1::2]] == ["2024-08-09", "2024-08-10"]


def test_a_line_for_a_pipe_has_the_date_and_every_value(capsys: pytest.CaptureFixture[str]):
    printed(20, LONG, terminal=False)
    printed(20, OPEN, terminal=False)
    one, other = capsys.readouterr().out.splitlines()
    assert one.split() == [
        f"{one[:23]}", "orderbook_skew", "spot", "BTCUSDT", "long", "61675.512", "61700", "+0.8000", "+80.0", "1.0s",
        "take_profit",
    ]  # fmt: skip
    assert other.split()[1:] == [
        "orderbook_skew", "usdm", "BTCUSDT", "short", "0.00162", "61675.512", "61700", "-0.0897",
    ]  # fmt: skip
    assert one.startswith("2024-08-09T")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (-0.0, "0.0000"), (-1234.5, "-1,234.5000"), (0.001, "+0.0010"), (-0.00001234, "-1.2e-05")],
)
def test_a_profit_shows_digits_however_small_it_is(value: float, text: str):
    assert amount(value) == text


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [
        (0, "0.0s"),
        (12_345, "12.3s"),
        (60_000, "1m00s"),
        (303_000, "5m03s"),
        (11_100_000, "3h05m"),
        (187_200_000, "2d04h"),
    ],
)
def test_a_length_of_time_has_its_two_largest_units(length_ms: int, text: str):
    assert duration(length_ms) == text
