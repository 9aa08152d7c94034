"""Each kind of events of each venue, from the exchange to signals: the cells of the table in docs/feeds.md."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser

from tasks.events import Kind
from tests.support.kinds.played import PlayedFrames, play
from tests.support.kinds.rows import ROWS, Row
from tests.support.kinds.sent import EACH

#: What shows on the page that events of a kind came.
SHOWN: dict[Kind, Callable[[dict[str, str]], bool]] = {
    "depth": lambda cells: cells["Mid"] == "100.000" and "99" not in cells["Bid"],
    "trade": lambda cells: "last trade: none" not in cells["tooltip"],
    "agg_trade": lambda cells: "last trade: none" not in cells["tooltip"],
    "book_ticker": lambda cells: (cells["Mid"], cells["Bid"], cells["Ask"]) == ("100.000", "99.500", "100.500"),
    "kline": lambda cells: cells["Candle"] == f"101.{EACH}00 1m",
    "mark_price": lambda cells: (cells["Mark"], cells["Funding"]) == (f"100.{EACH}00", "0.0100 %"),
    "liquidation": lambda cells: cells["Liq"] == str(EACH),
}


@pytest.fixture(scope="module", params=["core", pytest.param("jetstream", marks=pytest.mark.slow)])
def played(browser: Browser, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> PlayedFrames:
    return play(tmp_path_factory.mktemp("kinds"), browser, request.param)


def test_live_replay_and_backtest_of_all_kinds_have_one_digest(played: PlayedFrames):
    assert (played.live.events, played.live.refused, played.live.dropped) == (EACH * len(ROWS), {}, {})
    assert (played.replayed.events, played.replayed.refused, played.replayed.dropped) == (EACH * len(ROWS), {}, {})
    assert played.live.digest == played.replayed.digest == played.digest


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_kind_of_a_venue_passes_every_way(played: PlayedFrames, row: Row):
    trigger = row.venue, row.symbol, row.kind
    expected = played.backtest_signals[trigger]
    assert {json.loads(line)["rationale"].partition(",")[0] for line in expected} == {row.kind}
    assert (len(expected), played.lines_of(row)) == (EACH, EACH)
    assert played.live_signals[trigger] == played.replayed_signals[trigger] == expected
    assert SHOWN[row.kind](played.page[row.venue, row.symbol]), played.page[row.venue, row.symbol]
