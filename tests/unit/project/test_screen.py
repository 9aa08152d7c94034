import json
from typing import Any

import msgspec
import pytest

from compose.local.screen import Screen, in_order, nothing_used
from tasks.ledger.summary import LedgerSummary

SUMMARY = LedgerSummary(
    frames=12,
    events=10,
    skipped={"ack": 2},
    refused={},
    repeats=0,
    errors={"boom": 2},
    dropped={},
    batches=3,
    resends=0,
    fenced=0,
    signals={"wide": 1},
    latency_ms={"p50": 1.5, "p99": None},
    digest="d" * 64,
    positions_digest="e" * 64,
)


def signal(symbol: str = "BTCUSDT") -> bytes:
    return json.dumps(
        {
            "strategy": "orderbook_skew",
            "symbol": symbol,
            "action": "buy",
            "price": 61675.5,
            "confidence": 0.951,
            "event_time_ms": 1_723_161_793_500,
            "rationale": "the best 5 bids hold more",
            "more": "than is shown",
        }
    ).encode()


def test_a_signal_is_one_aligned_line(capsys):
    Screen(as_json=False).signal(signal(), 7.0)
    assert capsys.readouterr().out == (
        "00:03:13  orderbook_skew     BTCUSDT     buy          61,675.5  0.95  the best 5 bids hold more\n"
    )


def test_a_second_shows_ten_signals_and_says_how_many_more_there_were(capsys):
    screen = Screen(as_json=False)
    for number in range(42):
        screen.signal(signal(f"S{number}"), 7.5)
    screen.signal(signal("NEXT"), 8.1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines if "orderbook_skew" in line] == [
        *(f"S{number}" for number in range(10)),
        "NEXT",
    ]
    assert lines[10] == "... and 32 more"


def test_a_line_of_the_demo_keeps_its_brackets(capsys):
    Screen(as_json=False).say("[bold]not markup")
    assert capsys.readouterr().out == "[bold]not markup\n"


def test_the_json_object_has_the_seconds_before_the_digests():
    assert list(in_order(SUMMARY, 1.23456).items())[-3:] == [
        ("seconds", 1.235),
        ("digest", "d" * 64),
        ("positions_digest", "e" * 64),
    ]


def test_with_json_only_the_object_goes_to_standard_output(capsys):
    screen = Screen(as_json=True)
    screen.welcome({"NATS": "nats://somewhere"})
    screen.signal(signal(), 7.0)
    screen.summary(SUMMARY, 2.0)
    captured = capsys.readouterr()
    assert json.loads(captured.out)["latency_ms"] == {"p50": 1.5, "p99": None}
    assert captured.out.count("\n") == 1
    assert "nats://somewhere" in captured.err
    assert "BTCUSDT" in captured.err


MANY = {f"a_strategy_of_mine_{number}": number for number in range(5)}


@pytest.mark.parametrize(
    "row",
    [
        "  frames            12",
        "  skipped           ack 2",
        "  errors            boom 2",
        "  dropped           none",
        f"  signals           {', '.join(f'{name} {count}' for name, count in MANY.items())}",
        f"  digest            {'d' * 64}",
    ],
)
def test_each_row_of_the_summary_is_one_line_without_trailing_spaces(capsys, row):
    Screen(as_json=False).summary(msgspec.structs.replace(SUMMARY, signals=MANY), 2.0)
    assert row in capsys.readouterr().out.splitlines()


def test_places_are_aligned_and_can_be_copied_whole_however_long_they_are(capsys):
    Screen(as_json=False).welcome({"page": "http://somewhere/", "directory": "x" * 200})
    assert capsys.readouterr().out.splitlines()[1:] == ["  page       http://somewhere/", f"  directory  {'x' * 200}"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"frames": 0, "events": 0, "batches": 0, "skipped": {}}, ""),
        ({"events": 0, "batches": 0, "dropped": {"stop": 2}}, ""),
        ({"events": 0, "batches": 0, "skipped": {"kline": 2, "depth_diff": 9}}, "kinds depth_diff, kline."),
        ({"events": 0, "batches": 0, "skipped": {}, "refused": {"not_json": 12}}, "kinds refused as not_json."),
        ({"events": 12, "batches": 0, "skipped": {}}, "kinds events that no pool takes."),
    ],
)
def test_where_no_frame_was_used_the_summary_says_so(changes: dict[str, Any], said: str):
    assert said in nothing_used(msgspec.structs.replace(SUMMARY, **changes))
    assert bool(nothing_used(msgspec.structs.replace(SUMMARY, **changes))) is bool(said)
