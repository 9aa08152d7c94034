import io
import json

import pytest

from tasks.cli.command_line import Console
from tasks.cli.format_signals import SignalColumns, decode, plain
from tasks.errors import SettingsError
from tasks.ops.entry_filters import (
    SignalFilter,
)
from tasks.ops.time_arguments import (
    since_ms,
)

NOW_MS = 1_800_000_000_000


def signal(**other: object) -> bytes:
    fields: dict[str, object] = {
        "strategy": "orderbook_skew",
        "symbol": "BTCUSDT",
        "action": "buy",
        "price": 61675.5,
        "confidence": 0.951,
        "event_time_ms": 1_723_161_793_500,
        "rationale": "the best 5 bids hold 3.2 times what the best 5 asks hold, and have done so for a while",
    }
    return json.dumps(fields | other).encode()


def printed(width: int, *signals: bytes, colour: bool = False, terminal: bool = True) -> list[str]:
    system = "standard" if colour else None
    console = Console(
        file=(text := io.StringIO()),
        width=width,
        force_terminal=terminal,
        color_system=system,
    )
    columns = SignalColumns(console)
    columns.header()
    for each in signals:
        columns.show(decode(each))
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 99, 100, 160])
def test_on_a_terminal_a_signal_is_one_line_that_fits_in_aligned_columns(width):
    lines = printed(width, signal(), signal(symbol="ETHUSDT", action="close", price=0.00012345))
    assert len(lines) == 3
    assert all(len(line) <= width for line in lines)
    assert len({line.index(word) for line, word in zip(lines, ("side", "buy", "close"), strict=True)}) == 1


@pytest.mark.parametrize("width", [20, 40, 58])
def test_a_terminal_too_narrow_for_the_values_cuts_none_of_them(width):
    line = printed(width, signal(price=61675.123))[1]
    assert line.split() == ["00:03:13", "orderbook_skew", "BTCUSDT", "buy", "61,675.123", "0.95"]


def test_a_long_reason_is_cut_on_a_terminal_and_whole_in_a_pipe():
    assert printed(120, signal())[1].endswith("…")
    assert printed(20, signal(), terminal=False)[1].endswith("for a while")


@pytest.mark.parametrize(("action", "code"), [("buy", "32"), ("sell", "31"), ("hold", "33"), ("close", "33")])
def test_the_colour_of_a_line_says_what_it_wants(action, code):
    assert f"\x1b[{code}m{action}" in printed(120, signal(action=action), colour=True)[1]


def test_a_name_that_is_longer_than_its_column_widens_it_for_all_that_come():
    lines = printed(160, signal(), signal(symbol="1000SHIBUSDT"), signal())
    assert [line.index("buy") for line in lines[1:]] == [41, 43, 43]


def test_a_line_for_a_pipe_has_the_date_and_the_whole_reason():
    assert plain(decode(signal(rationale="so"))) == (
        "2024-08-09T00:03:13.500  orderbook_skew     BTCUSDT      buy   61675.5      0.95  so"
    )


@pytest.mark.parametrize(
    ("chosen", "takes"),
    [
        (SignalFilter(), True),
        (SignalFilter(strategies=frozenset({"orderbook_skew", "iceberg"})), True),
        (SignalFilter(strategies=frozenset({"iceberg"})), False),
        (SignalFilter(symbols=frozenset({"ETHUSDT", "BTCUSDT"})), True),
        (SignalFilter(symbols=frozenset({"ETHUSDT"})), False),
        (SignalFilter(actions=frozenset({"sell"})), False),
        (SignalFilter(frozenset({"orderbook_skew"}), frozenset({"BTCUSDT"}), frozenset({"buy"})), True),
        (SignalFilter(frozenset({"orderbook_skew"}), frozenset({"BTCUSDT"}), frozenset({"sell"})), False),
    ],
)
def test_a_signal_is_shown_when_it_is_one_of_each_kind_that_was_asked_for(chosen: SignalFilter, takes):
    assert chosen.takes(signal()) is takes


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("90s", NOW_MS - 90_000),
        ("10m", NOW_MS - 600_000),
        ("2h", NOW_MS - 7_200_000),
        ("1d", NOW_MS - 86_400_000),
        ("999999d", 0),
        ("2026-01-31", 1_769_817_600_000),
        ("2026-01-31T12:00", 1_769_860_800_000),
        ("2026-01-31T12:00:00+02:00", 1_769_853_600_000),
        ("1950-01-01", 0),
    ],
)
def test_since_is_so_long_ago_or_a_time_in_utc(text, expected_ms):
    assert since_ms(text, NOW_MS) == expected_ms


@pytest.mark.parametrize("text", ["yesterday", "10", "10x", "-5m", "m", "2026-13-01"])
def test_since_anything_else_is_refused_with_examples(text):
    with pytest.raises(SettingsError, match="10m"):
        since_ms(text, NOW_MS)
