"""What the report counts, and the page that it makes."""

import gzip
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compose.local.processes import ROOT
from tasks.backtest import performance
from tasks.backtest.strategies_page import page
from tasks.cli.strategies.commands import app
from tasks.configuration import Configuration, registry
from tasks.errors import RecordingError
from tests.data import SPOT, USDM
from tests.support.events import TIME_MS, book, trade

DOCS = (ROOT / "docs" / "strategies.md").read_text()
SKEW = Configuration.model_validate(
    {"pools": {"depth": {"kinds": ["depth"], "strategies": {"orderbook_skew": {"hold_s": 0}}}}}
)


def test_a_return_has_the_sign_of_the_action_so_that_above_zero_is_right():
    # A buy at mid 2000, a second later mid 2010 (+50 bps) and a sell, a second later mid 2000 (-49.75 bps).
    def at(second: int, mid: float, bids: float, asks: float):
        quotes = [(mid - 0.5, bids)], [(mid + 0.5, asks)]
        return book(*quotes, time_ms=TIME_MS + second * 1000, id=second + 1, seq=second + 1)

    market = [at(0, 2000, 9, 1), at(1, 2010, 1, 9), at(2, 2000, 1, 1)]
    told: list[str] = []
    (row,) = performance.rows(market, SKEW, told.append)
    assert told == ["orderbook_skew"]
    found = row.statistics
    assert (row.events, found.signals, found.buys, found.sells) == (3, 2, 1, 1)
    assert found.returns[0] == pytest.approx((2, (50 + 10 / 2010 * 1e4) / 2, (50 + 10 / 2010 * 1e4) / 2, 1.0))
    assert found.returns[1] is None
    assert "| orderbook_skew | 3 | 1 | 1 |" in performance.table(market, [row])


def test_a_shadow_is_reported_as_a_strategy_by_itself():
    skew = {"kinds": ["depth"], "strategies": {"orderbook_skew": {"hold_s": 0}}}
    shadow = {"orderbook_skew": {"of": "orderbook_skew", "hold_s": 0}}
    chosen = Configuration.model_validate({"pools": {"depth": {**skew, "shadow": shadow}}})
    rows = performance.rows([book([(1999.5, 9.0)], [(2000.5, 1.0)])], chosen, lambda _: None)
    assert [(row.strategy, row.statistics.signals) for row in rows] == [
        ("orderbook_skew", 1),
        ("shadow~orderbook_skew", 1),
    ]


def test_trades_stand_for_the_price_where_there_are_no_books():
    market = [trade(100.0, time_ms=TIME_MS, id=1, seq=1), trade(101.0, time_ms=TIME_MS + 1000, id=2, seq=2)]
    configuration = Configuration.model_validate(
        {"pools": {"trade": {"kinds": ["trade"], "strategies": {"price_velocity": {"window_s": 2}}}}}
    )
    (row,) = performance.rows(market, configuration, lambda _: None)
    assert (row.events, row.statistics.signals, row.statistics.confidence) == (2, 0, None)
    assert "| price_velocity | 2 | 0 | 0 | - | - | - | - |" in performance.table(market, [row])


def test_the_page_holds_each_built_in_strategys_definition_and_the_tables():
    text = page({"some.jsonl": "the table"})
    assert "### some.jsonl\n\nthe table\n" in text
    assert all(f"\n### {name}\n" in text for name in registry.builtin_names())


def test_the_docs_are_the_page_that_this_code_writes():
    tables = dict(re.findall(r"\n### (\S+\.jsonl\.gz)\n\n(.*?)\n(?=\n##)", DOCS, re.DOTALL))
    assert set(tables) == {SPOT, USDM}
    assert page(tables) == DOCS, "./run tasks strategies report FILE... > docs/strategies.md"


@pytest.mark.slow
def test_the_figures_in_the_docs_are_those_of_this_code(recordings: Path):
    written = CliRunner().invoke(app, ["report", *(str(recordings / name) for name in (SPOT, USDM))]).stdout
    assert without_cost(written) == without_cost(DOCS)


def without_cost(text: str) -> str:
    """Return a page without the processor times, which belong to the machine."""
    return re.sub(r"\d+ \|$", "|", text, flags=re.MULTILINE)


def test_the_command_writes_the_page(tmp_path: Path):
    path = tmp_path / "one.jsonl"
    path.write_text(
        '{"stream":"btcusdt@depth20","data":{"lastUpdateId":1,"bids":[["1","9"]],"asks":[["1.0001","1"]]},'
        '"received_at":1723161254000000000}\n'
    )
    written = CliRunner().invoke(app, ["report", str(path)])
    assert written.exit_code == 0
    assert written.stdout.startswith("# Strategies\n")
    assert "1 events in 0 s: BTCUSDT." in written.stdout


@pytest.mark.parametrize(("jump", "events"), [("0.2", 1), ("0", 2)])
def test_the_report_refuses_the_books_that_a_backtest_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: str, events: int
):
    """A trade at 100 and a book around 50, by the setting of how far a book may jump."""
    monkeypatch.setenv("MAX_BOOK_JUMP", jump)
    path, received = tmp_path / "one.jsonl", f'"received_at":{TIME_MS}000000'
    path.write_text(
        f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{TIME_MS},"s":"BTCUSDT","t":1,"p":"100","q":"1","T":{TIME_MS},"m":true}},{received}}}\n'
        f'{{"stream":"btcusdt@depth20","data":{{"lastUpdateId":1,"bids":[["50","9"]],"asks":[["50.1","1"]]}},{received}}}\n'
    )
    assert f"\n{events} events in 0 s: BTCUSDT." in CliRunner().invoke(app, ["report", str(path)]).stdout


def test_of_a_damaged_recording_the_report_takes_what_is_whole_when_asked(tmp_path: Path):
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"received_at":1723161254000000000}\n')[:-9])
    with pytest.raises(RecordingError, match="--salvage uses what comes before"):
        CliRunner().invoke(app, ["report", str(path)], catch_exceptions=False)
    written = CliRunner().invoke(app, ["report", str(path), "--salvage"])
    assert (written.exit_code, "cut.jsonl.gz is damaged" in written.stderr) == (0, True)
