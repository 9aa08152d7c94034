"""What signals came to: one statistic, which the strategies' page and the page of a backtest both show."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks import configuration
from tasks.backtest import html_report, parallel, performance
from tasks.backtest.html_report import ReportContent
from tasks.configuration import Configuration
from tasks.history import recordings
from tasks.scoring.forward_returns import HORIZONS_S, SignalRow, SignalTrigger
from tasks.scoring.prices import PriceHistory
from tasks.scoring.signal_statistics import ForwardReturns, format_bps, quartiles, summarize
from tasks.settings import Settings
from tests.support.events import TIME_MS, book

#: The cells of a strategy that both pages show: buys, sells, median confidence, and by horizon the mean and its count.
Cells = tuple[str, ...]


class Rows(HTMLParser):
    """The cells of the table's rows, by the first of each."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self._row: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 the base's name
        if tag == "tr":
            self._row = []
        self._in_cell = tag in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self._row.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = False
        if tag == "tr" and self._row:
            self.found[self._row[0]] = self._row[1:]


def on_the_strategies_page(file: Path, chosen: Configuration) -> dict[str, Cells]:
    market = performance.events(file)
    table = performance.table(market, performance.rows(market, chosen, lambda _: None))
    return dict(_cells(line) for line in table.splitlines()[4:])


def _cells(line: str) -> tuple[str, Cells]:
    name, _, buys, sells, confidence, *returns, _ = (cell.strip() for cell in line.strip("|").split("|"))
    median = confidence if confidence == "-" else confidence.split(" / ")[2]
    split = [("-", "0") if cell == "-" else tuple(re.findall(r"[-+.\d]+", cell)) for cell in returns]
    return name, (buys, sells, median, *(part for parts in split for part in parts))


def on_the_page_of_the_backtest(file: Path, chosen: Configuration) -> dict[str, Cells]:
    ran = parallel.run(parallel.BacktestJob([file], chosen, watch=True))
    assert ran.market is not None
    parser = Rows()
    parser.feed(html_report.html(ReportContent([file], chosen, ran.result, ran.signals, ran.market)))
    of_strategies = {name: cells for name, cells in parser.found.items() if name in ran.result.signals}
    return {
        name: (*cells[1:4], *(cell for _, mean, _, count in _by_horizon(cells[4:]) for cell in (mean, count)))
        for name, cells in of_strategies.items()
    }


def _by_horizon(cells: list[str]) -> Iterator[list[str]]:
    for at in range(0, 4 * len(HORIZONS_S), 4):
        yield cells[at : at + 4]


@pytest.fixture(scope="module")
def file(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two symbols of both venues, so that prices may be mixed up, with a hole in the books, so that some are stale."""
    path = tmp_path_factory.mktemp("market") / "market.jsonl"
    kept = [line for line in recordings.read(recording) if line.stream.startswith(("btcusdt", "solusdt"))]
    hole = range(len(kept) // 3, len(kept) // 2)
    written = (line.raw for at, line in enumerate(kept) if at not in hole or "@depth" not in line.stream)
    path.write_bytes(b"".join(raw + b"\n" for raw in written))
    return path


def test_both_pages_show_the_same_numbers_cell_by_cell(file: Path):
    chosen = configuration.read(Settings().strategies_file)
    of_report, of_backtest = on_the_strategies_page(file, chosen), on_the_page_of_the_backtest(file, chosen)
    assert of_backtest == {name: cells for name, cells in of_report.items() if name in of_backtest}
    assert {cells[:2] for name, cells in of_report.items() if name not in of_backtest} <= {("0", "0")}
    # Guards against being true of silence, and of a market without holes.
    assert len(of_backtest) >= 3
    counts = [[int(cells[at]) for at in (4, 6, 8)] for cells in of_backtest.values()]
    assert all(sum(column) > 0 for column in zip(*counts, strict=True))
    assert any(int(cells[0]) + int(cells[1]) > int(cells[4]) for cells in of_backtest.values())


def test_a_strategy_that_is_off_is_not_reported():
    tables = {"pools": {"depth": {"kinds": ["depth"], "strategies": {"orderbook_skew": {"gate": {"off": True}}}}}}
    assert performance.rows([book()], Configuration.model_validate(tables), lambda _: None) == []


def test_a_strategy_of_two_pools_has_one_row_on_both_pages(file: Path):
    skew = {"kinds": ["depth"], "strategies": {"orderbook_skew": {}}}
    pools = {"one": skew | {"symbols": ["BTCUSDT"]}, "other": skew | {"symbols": ["SOLUSDT"]}}
    chosen = Configuration.model_validate({"pools": pools})
    market = performance.events(file)
    (row,) = performance.rows(market, chosen, lambda _: None)
    assert row.events == sum(event.kind == "depth" for event in market)
    assert on_the_strategies_page(file, chosen) == on_the_page_of_the_backtest(file, chosen)


def said(after_ms: int, action: str = "buy", confidence: float = 0.7) -> SignalRow:
    return SignalRow(
        strategy="any", symbol="BTCUSDT", action=action, confidence=confidence, current_price=1.0, rationale="",
        event_time_ms=TIME_MS + after_ms, trigger=SignalTrigger("spot", "BTCUSDT", "depth"),
    )  # fmt: skip


def test_statistics_are_of_the_signals_that_have_a_return():
    market = PriceHistory()
    # The mid a second later: up by 1 %, not moved, and up by 3 %; the last one has no price after it.
    for second, mid in enumerate((100.0, 101.0, 101.0, 104.03)):
        market.observe(book([(mid - 1, 1.0)], [(mid + 1, 1.0)], time_ms=TIME_MS + second * 1000, seq=second + 1))
    found = summarize([said(0), said(1_000), said(2_000, "sell", 0.9), said(3_000)], market.series)
    assert (found.signals, found.buys, found.sells) == (4, 3, 1)
    assert found.returns[0] == pytest.approx(ForwardReturns(3, -200 / 3, 0.0, 1 / 3))
    assert found.returns[1:] == (None, None)
    assert found.confidence == pytest.approx((0.7, 0.7, 0.7, 0.75, 0.9))


def test_of_no_signals_there_is_nothing_to_tell():
    assert summarize([], PriceHistory().series) == (0, 0, 0, None, (None,) * len(HORIZONS_S))


@pytest.mark.parametrize(
    ("values", "expected"), [([], None), ([1.0], (1.0,) * 5), ([4.0, 1.0, 2.0, 0.0, 3.0], (0.0, 1.0, 2.0, 3.0, 4.0))]
)
def test_quartiles_stand_between_minimum_and_maximum(values, expected):
    assert quartiles(values) == expected


@pytest.mark.parametrize(
    ("value", "text"), [(1.234, "+1.23"), (-1.0, "-1.00"), (0.0, "0.00"), (-0.004, "0.00"), (0.006, "+0.01")]
)
def test_basis_points_have_a_sign_unless_they_round_to_zero(value, text):
    assert format_bps(value) == text
