"""What the README shows works as it stands there."""

import io
import json
import re
import sys
from pathlib import Path

import msgspec
import pytest

from compose.local.processes import ROOT
from tasks import configuration
from tasks.backtest import Backtest
from tasks.backtest.paper_statistics import PaperRow
from tasks.cli.command_line import Console, print_table
from tasks.cli.format_paper import paper_table
from tasks.configuration import named_strategies, registry
from tasks.history import recordings
from tasks.history.recordings import RecordingLine
from tests.bench.reporting import table
from tests.bench.results import Ratio, Report
from tests.data import RECORDING

README = (ROOT / "README.md").read_text()


def block(language: str, holding: str) -> str:
    """Return the one block of code that holds a text."""
    [found] = [code for code in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if holding in code]
    return str(found)


def line(seq: int, price: str) -> RecordingLine:
    payload = {"e": "trade", "E": 1_700_000_000_000 + seq, "s": "BTCUSDT", "t": seq, "p": price, "q": "1", "m": False}
    return RecordingLine(json.dumps({"stream": "btcusdt@trade", "data": payload}).encode(), "btcusdt@trade", 1)


@pytest.fixture(scope="module")
def earned() -> list[PaperRow]:
    """Return what two strategies earned in the shipped recording."""
    shipped = configuration.read(ROOT / "tasks" / "strategies.toml")
    chosen = named_strategies.narrowed(shipped, [], ["iceberg", "spread_liquidity"], ())
    return Backtest(chosen).run(recordings.read(RECORDING)).paper


def test_the_strategy_of_the_readme_runs_from_its_strategies_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine.py").write_text(block("python", "class Jump"))
    (tmp_path / "mine.toml").write_text(block("toml", "mine:Jump"))
    monkeypatch.setenv("STRATEGIES_PATH", str(tmp_path))
    chosen = configuration.read(tmp_path / "mine.toml")
    result = Backtest(chosen).run([line(1, "100"), line(2, "100.05"), line(3, "100.5")])
    assert result.signals == {"jump": 1}
    assert registry.build(chosen)["trade"][0].strategy.params.min_signal_interval_s == 30
    sys.modules.pop("mine")


def test_the_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_consumer_of_the_readme_is_python():
    code = compile(block("python", "async def main"), "README", "exec")
    assert "main" in code.co_names


@pytest.mark.parametrize(("page", "width"), [("README.md", 100), ("docs/backtest.md", 120)])
def test_a_page_shows_the_table_that_a_backtest_prints(page: str, width: int, earned: list[PaperRow]):
    console = Console(file=(text := io.StringIO()), width=width, force_terminal=True, color_system=None)
    print_table(console, paper_table(earned, width)[0])
    lines = (printed.rstrip() for printed in text.getvalue().splitlines())
    assert "\n".join(lines) in (ROOT / page).read_text()


def with_spread(ratio: Ratio) -> str:
    return f"{table.number(ratio.median)} ({table.number(ratio.low)} to {table.number(ratio.high)})"


def test_the_figures_of_the_readme_are_those_that_the_benchmark_wrote():
    report = msgspec.json.decode((ROOT / "docs" / "benchmark.json").read_bytes(), type=Report)
    ratios = dict(re.findall(r"^\|.*\(`(\w+)`\) \|.*\| ([\d.]+ \(.*\)) \|$", README, re.MULTILINE))
    assert len(ratios) == 4
    assert ratios == {name: with_spread(report.spreads[name]) for name in ratios}
    shown = re.findall(r"^\| ([\d,]+) events/s \| (.*) \| (.*) \|$", README, re.MULTILINE)
    measured = [(table.number(each.rate), each.p50_spread, each.p99_spread) for each in report.latency]
    assert shown == [(rate, with_spread(p50), with_spread(p99)) for rate, p50, p99 in measured if p50 and p99]
    assert f"The figures are of {report.machine.date}" in README
