"""The page of a backtest: one file that holds everything, whatever stands in the recording."""

import re
import sys
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from tasks.backtest import html_report, parallel
from tasks.backtest.charts import figure, thinned
from tasks.backtest.html_report import ReportContent
from tasks.cli.main import app
from tasks.configuration import Configuration
from tasks.errors import SettingsError
from tasks.scoring.forward_returns import Prices, SignalRow
from tasks.scoring.prices import PriceHistory
from tests.support.events import TIME_MS, book, trade
from tests.support.market import SIGNALS, SYMBOLS, configuration, write_market
from tests.support.pages.references import References
from tests.support.strategies.positions import closed

EVIL = "</script><img src=https://evil.example>"


def content(path: Path) -> ReportContent:
    ran = parallel.run(parallel.BacktestJob([path], configuration(), watch=True))
    assert ran.market is not None
    return ReportContent([path], configuration(), ran.result, ran.signals, ran.market)


@pytest.fixture(scope="module")
def earned(tmp_path_factory: pytest.TempPathFactory) -> ReportContent:
    """Return a market of three positions, one for each symbol."""
    path, chosen = write_market(tmp_path_factory.mktemp("market") / "market.jsonl"), configuration(paper={})
    ran = parallel.run(parallel.BacktestJob([path], chosen, watch=True))
    assert ran.market is not None
    return ReportContent([path], chosen, ran.result, ran.signals, ran.market, ran.ledger.positions)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> ReportContent:
    return content(write_market(tmp_path_factory.mktemp("market") / "market.jsonl"))


def spoken(**changes: object) -> SignalRow:
    facts = {
        "strategy": "iceberg", "symbol": "BTCUSDT", "action": "buy", "confidence": 0.7, "current_price": 100.0,
        "event_time_ms": TIME_MS, "rationale": "why",
        "trigger": {"venue": "spot", "symbol": "BTCUSDT", "kind": "depth"},
    }  # fmt: skip
    return msgspec.convert(facts | changes, SignalRow)


def test_the_page_shows_every_signal_the_digest_and_the_settings(told: ReportContent):
    text = html_report.html(told)
    assert len(told.signals) == SIGNALS
    for symbol in SYMBOLS:
        assert f"<h2>{symbol} " in text
    # A trace for each symbol and action, a table row of six signals, and the footer.
    assert text.count('"name":"orderbook_skew buy (1)"') == text.count('"name":"orderbook_skew sell (1)"') == 3
    assert '<th scope="row">orderbook_skew</th><td>6</td><td>3</td><td>3</td>' in text
    assert told.result.digest in text
    assert "pools.depth.strategies.orderbook_skew.hold_s = 0" in text


def test_the_page_refers_to_no_other_file(earned: ReportContent):
    parser = References()
    parser.feed(html_report.html(earned))
    assert parser.found == []


def test_the_page_shows_what_the_accounts_earned(earned: ReportContent):
    text = html_report.html(earned)
    assert len(earned.positions) == 3
    for heading in "Earned, by strategy", "Profit and drawdown", "Returns of closed positions", "Earned, by symbol":
        assert f"<h2>{heading}" in text
    for symbol in SYMBOLS:
        row = next(row for row in earned.result.paper if row.symbol == symbol)
        assert f'<td class="name" data-value="{symbol}">{symbol}</td>' in text
        assert f'<td class="down" data-value="{row.pnl}">{row.pnl:,.4f}</td>' in text
    # On the chart of each symbol.
    assert text.count('"name":"orderbook_skew positions (1)"') == 3


def test_without_accounts_the_page_says_nothing_of_them(told: ReportContent):
    assert "Earned" not in html_report.html(told)


def test_accounts_that_closed_nothing_have_tables_and_no_charts(earned: ReportContent):
    rows = [msgspec.structs.replace(row, positions=0, hit_rate=None) for row in earned.result.paper]
    result = msgspec.structs.replace(earned.result, paper=rows)
    text = html_report.html(earned._replace(result=result, positions=()))
    assert ("Earned, by symbol" in text, "Profit and drawdown" in text) == (True, False)


def test_what_comes_from_outside_is_escaped(told: ReportContent, earned: ReportContent, tmp_path: Path):
    market = PriceHistory()
    market.observe(book(symbol=EVIL))
    said = msgspec.json.encode(spoken(symbol=EVIL, strategy=EVIL, action=EVIL, rationale=EVIL))
    row = msgspec.structs.replace(earned.result.paper[0], strategy=EVIL, symbol=EVIL, venue=EVIL)
    rows = [row, msgspec.structs.replace(row, symbol=None)]
    result = msgspec.structs.replace(told.result, skipped={EVIL: 1}, errors={EVIL: 1}, paper=rows)
    position = closed(strategy=EVIL, symbol=EVIL).pack()
    file = tmp_path / f"{EVIL}.jsonl"
    text = html_report.html(ReportContent([file], told.configuration, result, [said], market, [position]))
    parser = References()
    parser.feed(text)
    assert parser.found == []
    assert EVIL not in text


def test_a_recording_without_signals_or_without_anything_has_a_page(tmp_path: Path):
    quiet = content(write_market(tmp_path / "quiet.jsonl", seconds=0))
    assert (quiet.result.frames, quiet.signals) == (0, [])
    assert '<th scope="row">orderbook_skew</th><td>0</td>' in html_report.html(quiet)
    market = PriceHistory()
    market.observe(trade(100.0))
    assert "no signals" in html_report.html(quiet._replace(market=market))


def test_a_strategy_has_one_row_under_the_name_that_its_signals_carry(told: ReportContent):
    pools = {"pools": {"trade": {"kinds": ["trade"], "strategies": {"tests.support.strategies:Echo": {}}}}}
    chosen = Configuration.model_validate(pools)
    signals = [msgspec.json.encode(spoken(strategy="echo"))]
    text = html_report.html(told._replace(configuration=chosen, signals=signals))
    assert re.findall(r'<tr><th scope="row">(.*?)</th>', text) == ["echo"]


def test_without_the_library_it_is_one_clear_line_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    ran = CliRunner().invoke(app, ["backtest", str(tmp_path / "nowhere"), "--html", str(tmp_path / "page.html")])
    assert isinstance(ran.exception, SettingsError)
    assert str(ran.exception) == "--html needs plotly: pip install --require-hashes -r requirements/demo.txt"


def test_a_page_that_can_not_be_written_is_one_clear_line(told: ReportContent, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"can't write .*page\.html: No such file"):
        html_report.write(tmp_path / "nowhere" / "page.html", told)


def test_the_command_writes_the_page_and_says_how_large_it_is(tmp_path: Path):
    path, target = write_market(tmp_path / "market.jsonl"), tmp_path / "page.html"
    ran = CliRunner().invoke(app, ["backtest", str(path), "--html", str(target)])
    assert ran.exit_code == 0
    assert f"{target}: {target.stat().st_size / 1e6:.1f} MB" in ran.stderr


def test_a_symbol_that_no_recording_names_is_one_clear_line(tmp_path: Path):
    path = write_market(tmp_path / "market.jsonl")
    ran = CliRunner().invoke(app, ["backtest", str(path), "--symbols", "btcusdt,xrpusdt"])
    assert str(ran.exception) == "no XRPUSDT in what was read; it has BTCUSDT, ETHUSDT, SOLUSDT"
    assert CliRunner().invoke(app, ["backtest", str(path), "--symbols", "btcusdt"]).exit_code == 0


def test_a_thinned_line_keeps_highest_and_lowest_price_and_breaks_at_holes():
    prices = [100.0 + number % 7 for number in range(1_000)]
    prices[500], prices[501] = 1.0, 900.0
    times_ms = [TIME_MS + 10 * number + (100_000 if number >= 800 else 0) for number in range(1_000)]
    points = list(thinned(Prices(times_ms, prices, range(1_000)), steps=50))
    assert len(points) <= 2 * 50 + 1
    assert {(times_ms[500], 1.0), (times_ms[501], 900.0)} <= set(points)
    (hole_ms,) = (time_ms for time_ms, price in points if price is None)
    assert times_ms[750] < hole_ms < times_ms[800]
    assert [time_ms for time_ms, _ in points] == sorted(time_ms for time_ms, _ in points)


def test_a_line_of_one_price_or_of_none_can_be_drawn():
    assert list(thinned(Prices([TIME_MS], [5.0], [1]))) == [(TIME_MS, 5.0)]
    assert figure(Prices([], [], []), "mid price", [], {})["data"][0]["x"] == []


def test_books_give_the_price_where_there_are_any():
    """A step back in time counts as no step: such a book has the time of the one before."""
    market = PriceHistory()
    for event in (
        trade(90.0, time_ms=TIME_MS, seq=1),
        book(time_ms=TIME_MS + 5, seq=2),
        book([(2999.0, 1.0)], [(3001.0, 1.0)], time_ms=TIME_MS, seq=3),
        trade(50.0, symbol="ETHUSDT", seq=4),
    ):
        market.observe(event)
    assert market.names == [("spot", "BTCUSDT"), ("spot", "ETHUSDT")]
    times_ms, prices, positions = market.prices(("spot", "BTCUSDT"))
    assert (list(times_ms), list(prices), list(positions)) == ([TIME_MS + 5] * 2, [2000.0, 3000.0], [2, 3])
    assert (market.kind(("spot", "ETHUSDT")), list(market.prices(("spot", "ETHUSDT")).prices)) == ("trade", [50.0])
