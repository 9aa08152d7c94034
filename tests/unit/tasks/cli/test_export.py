"""`python -m tasks export` as it is called."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from compose.local.processes import ROOT
from tasks import research
from tasks.cli.main import app
from tasks.errors import RealtimeStrategiesError
from tests.support import needs
from tests.support.files.writers import BUY, TRADE, npz
from tests.support.frames.tables import SUFFIXES
from tests.support.market import write_market
from tests.support.waiting import wait_for

#: Files end the same way whatever is in them: the other formats are left to the long form.
ONE_OF_THEM = [SUFFIXES[0], *(pytest.param(each, marks=pytest.mark.slow) for each in SUFFIXES[1:])]


@pytest.fixture
def market(tmp_path: Path) -> Path:
    needs.module("pyarrow")
    return write_market(tmp_path / "market.jsonl")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def refusal(*arguments: object) -> str:
    """Return the one line with which the command ends."""
    error = run(*arguments).exception
    assert isinstance(error, RealtimeStrategiesError), error
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "PARQUET"])
def test_events_go_to_the_file_that_is_named(market, tmp_path, suffix):
    target = tmp_path / f"trades.{suffix}"
    ran = run("events", market, "--kind", "trade", "--symbol", "btcusdt", "--symbol", "ETHUSDT", "--to", target)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == ""
    assert ran.stderr == f"{target}: 60 events, {target.stat().st_size / 1e6:.1f} MB\n"


def test_signals_in_a_file_are_those_that_the_backtest_writes(market, tmp_path):
    lines, target = tmp_path / "signals.jsonl", tmp_path / "signals.parquet"
    assert CliRunner().invoke(app, ["backtest", str(market), "--signals", str(lines)]).exit_code == 0
    assert run("signals", market, "--to", target).exit_code == 0
    table = needs.module("pyarrow.parquet").read_table(target)
    ids = [msgspec.json.decode(line)["id"] for line in lines.read_bytes().splitlines()]
    assert len(ids) > 3
    assert sorted(table["id"].to_pylist()) == sorted(ids)


def test_bars_go_to_the_file_that_is_named(market, tmp_path):
    target = tmp_path / "bars.parquet"
    ran = run("bars", market, "--bar", "10s", "--symbol", "BTCUSDT", "--to", target)
    assert ran.stderr == f"{target}: 2 bars, 0.0 MB\n"
    assert "is no bar" in refusal("bars", market, "--bar", "1x", "--to", target)


def test_signals_can_be_those_of_changed_strategies_and_of_some_only(market, tmp_path):
    target = tmp_path / "signals.csv"
    changed = ("--set", "orderbook_skew.gate.min_confidence=1.0")
    ran = run("signals", market, "--to", target, "--strategy", "orderbook_skew", *changed)
    assert ran.stderr == f"{target}: 0 signals, 0.0 MB\n"
    assert "nobody" in refusal("signals", market, "--to", target, "--strategy", "nobody")


def test_what_can_not_be_written_is_one_clear_line(market, tmp_path):
    target = tmp_path / "t.csv"
    assert refusal("events", market, "--to", tmp_path / "t.xlsx").endswith("is one of .parquet, .arrow, .csv")
    assert run("events", market, "--to", target).exit_code == 0
    assert refusal("events", market, "--to", target) == f"{target} is there already; --force replaces it"
    assert run("events", market, "--to", target, "--force", "--levels", 1).exit_code == 0
    assert "no kind of event is called book" in refusal("events", market, "--to", target, "--force", "--kind", "book")
    assert refusal("events", tmp_path / "nowhere", "--to", tmp_path / "u.csv").startswith("can't read ")
    assert {path.name for path in tmp_path.iterdir()} == {market.name, target.name}


def test_symbol_and_venue_of_files_that_name_none_are_options(tmp_path):
    needs.module("pyarrow")
    path = npz(tmp_path / "data.npz", [(TRADE | BUY, 10**18 + n, 10**18 + n, 5.0, 1.0) for n in range(3)])
    target = tmp_path / "t.csv"
    named = ("--symbol", "btcusdt", "--venue", "usdm")
    for table, rows in (("events", 3), ("signals", 0), ("bars", 0)):
        ran = run(table, path, "--to", target, "--force", *named)
        assert ran.exit_code == 0
        assert ran.stderr.splitlines()[-1].startswith(f"{target}: {rows} {table}")
    assert "--venue names it" in refusal("events", path, "--to", target, "--force", "--symbol", "BTCUSDT")
    read = research.events(path, symbols=["BTCUSDT"], venue="usdm")
    assert (read.num_rows, set(read["venue"].to_pylist())) == (3, {"usdm"})


def test_books_that_are_left_out_of_a_file_are_told(tmp_path):
    needs.module("pyarrow")
    path = tmp_path / "updates.csv"
    head = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
    rows = [f"kraken,A,{n},{n},false,bid,5,1" for n in range(10**15, 10**15 + 10**7, 10**6)]
    path.write_text("".join(f"{row}\n" for row in (head, *rows)))
    ran = run("events", path, "--to", tmp_path / "t.csv")
    assert "books of A are left out" in ran.stderr


def test_an_empty_recording_gives_a_file_without_rows_and_a_warning(market, tmp_path):
    market.write_bytes(b"")
    for table in ("events", "signals"):
        ran = run(table, market, "--to", tmp_path / f"{table}.csv")
        assert ran.exit_code == 0
        assert ran.stderr.startswith(f"warning: there is nothing in {market}\n")
        assert len((tmp_path / f"{table}.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("table", ["events", "signals"])
def test_without_the_library_it_is_one_clear_line_before_the_run(tmp_path, monkeypatch, table):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = refusal(table, tmp_path / "nowhere", "--to", tmp_path / "t.csv")
    assert said == "this needs pyarrow: pip install --require-hashes -r requirements/extras.txt"


@pytest.mark.parametrize("suffix", ONE_OF_THEM)
def test_an_export_killed_half_way_leaves_nothing_of_that_name(tmp_path: Path, suffix: str):
    needs.module("pyarrow")
    target, market = tmp_path / f"events.{suffix}", write_market(tmp_path / "market.jsonl", seconds=2_000)
    command = [sys.executable, "-m", "tasks", "export", "events", "-", "--to", str(target), "--levels", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as export:
        assert export.stdin
        export.stdin.write(market.read_bytes())
        export.stdin.flush()
        # It waits for more: the pipe stays open.
        [part] = wait_for(lambda: [*tmp_path.glob(".*.part")], "its file")
        wait_for(lambda: export.poll() is not None or part.stat().st_size or suffix == "parquet", "the first rows")
        assert export.poll() is None
        export.kill()
    assert sorted(tmp_path.iterdir()) == [part, market]
    assert part.suffix == ".part"


@pytest.mark.parametrize("suffix", ONE_OF_THEM)
def test_a_full_disk_is_one_clear_line_and_leaves_no_file(tmp_path: Path, suffix: str):
    needs.module("pyarrow")
    target, market = tmp_path / f"events.{suffix}", write_market(tmp_path / "market.jsonl", seconds=300)
    command = [sys.executable, "-m", "tasks", "export", "events", str(market), "--to", str(target)]
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *command]
    ran = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, f"error: can't write {target}: File too large\n")
    assert [*tmp_path.iterdir()] == [market]
