"""`python -m tasks backtest` as it is called: from a pipe, of a damaged file, with its signals in a file."""

import gc
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks import configuration
from tasks.backtest import parallel
from tasks.cli import backtest
from tasks.cli.main import app
from tasks.history.input_report import CountingReport
from tasks.scoring import strategy_returns
from tests.support.market import SIGNALS, SKEW, SYMBOLS, write_market
from tests.support.starting import start

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "skew.toml"
    settings = "\n".join(f"{name} = {value}" for name, value in SKEW.items())
    file.write_text(f'[pools.depth]\nkinds = ["depth"]\n[pools.depth.strategies.orderbook_skew]\n{settings}\n')
    monkeypatch.setenv("STRATEGIES_FILE", str(file))


def run(*arguments: str, piped: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    words = ["tasks", "backtest", *arguments]
    if piped is None:
        ended = start(words, os.environ)
        return subprocess.CompletedProcess(words, ended.returncode, ended.stdout.encode(), ended.stderr.encode())
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ, input=piped, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(("name", "pack"), [("/dev/stdin", bytes), ("/dev/stdin", gzip.compress), ("-", bytes)])
def test_a_recording_from_a_pipe_gives_the_digest_of_the_file(strategies, tmp_path, name, pack):
    market = write_market(tmp_path / "market.jsonl")
    piped = run(name, "--json", piped=pack(market.read_bytes()))
    facts = json.loads(piped.stdout)
    assert facts["frames"] == len(market.read_text().splitlines())
    assert facts["digest"] == json.loads(run(str(market), "--json").stdout)["digest"]


def test_a_pipe_can_not_be_shared_out_to_processes(strategies, tmp_path):
    market = write_market(tmp_path / "market.jsonl")
    piped = run("/dev/stdin", "--jobs", "2", piped=market.read_bytes())
    assert piped.returncode == 1
    assert piped.stderr.decode().splitlines() == [
        "error: /dev/stdin can be read only once, and each of 2 processes reads all of it: write it to a file first"
    ]


def test_a_recording_with_nothing_in_it_is_told(strategies):
    ran = run("/dev/stdin", "--digest", piped=b"")
    assert (ran.returncode, ran.stderr.decode()) == (1, "error: there is nothing in /dev/stdin\n")


def test_a_part_of_the_time_with_nothing_in_it_is_one_line(strategies, tmp_path):
    market = write_market(tmp_path / "market.jsonl")
    ran = run(str(market), "--from", "2031-01-01")
    assert (ran.returncode, ran.stderr.decode()) == (
        1,
        f"error: there is nothing between --from and --to in {market}\n",
    )


def test_a_symbol_that_is_not_there_is_one_line(strategies, tmp_path):
    ran = run(str(write_market(tmp_path / "market.jsonl")), "--symbol", "NOPE")
    assert ran.returncode == 1
    assert [line.partition(";")[0] for line in ran.stderr.decode().splitlines()] == ["error: no NOPE in what was read"]


REFUSED = '{"stream":"%s@trade","data":{"e":"trade"},"received_at":1723161255343000000}\n'


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_first_frame_refused_for_a_reason_is_told_with_its_place(strategies, tmp_path, processes):
    file = write_market(tmp_path / "market.jsonl")
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines) + "\n\n" + REFUSED % "xrpusdt" + REFUSED % "btcusdt" + REFUSED % "aa")
    ran = run(str(file), "--jobs", processes)
    assert ran.returncode == 0
    [told] = ran.stderr.decode().splitlines()
    assert told.startswith(
        f"warning: 3 refused as missing_field, the first: {file}, line {len(lines) + 2} is refused: "
    )


def test_a_file_of_refused_frames_only_is_one_line(strategies, tmp_path):
    (tmp_path / "file").write_text(REFUSED % "btcusdt" * 2)
    ran = run(str(tmp_path / "file"))
    assert ran.returncode == 1
    assert ran.stderr.decode().startswith(
        f"error: nothing in {tmp_path / 'file'} can be used: 2 refused as missing_field, the first: {tmp_path / 'file'}, "
        "line 1 is refused: "
    )


def test_recordings_that_overlap_or_are_of_two_venues_are_told_once(strategies, tmp_path):
    def write(name: str, venue: str, ids: range) -> Path:
        data = {"e": "trade", "E": 1723161255343, "s": "BTCUSDT", "p": "5", "q": "1", "T": 1723161255343, "m": False}
        more = {"X": "MARKET"} if venue == "usdm" else {"M": True}
        frames = ({"stream": "btcusdt@trade", "data": data | more | {"t": n}, "received_at": 10**18} for n in ids)
        path: Path = tmp_path / name
        path.write_text("".join(f"{json.dumps(frame)}\n" for frame in frames))
        return path

    one, other = write("one", "usdm", range(10)), write("other", "usdm", range(7, 20))
    spot = write("spot", "spot", range(10))
    overlap, venues, *_ = run(str(one), str(other), str(spot)).stderr.decode().splitlines()
    assert overlap.startswith(f"warning: {one} and {other} overlap in the ids 7 to 9 of usdm BTCUSDT trade: ")
    assert venues.startswith(f"warning: BTCUSDT comes from usdm ({one}) and spot ({spot}): ")


def configure(*lines: str) -> None:
    with Path(os.environ["STRATEGIES_FILE"]).open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_what_was_earned_stands_below_the_summary_and_in_json(strategies, tmp_path):
    market = write_market(tmp_path / "market.jsonl")
    configure("[paper]")
    lines = run(str(market)).stdout.decode().splitlines()
    at = lines.index("paper account: profit after fees and funding, in quote currency")
    assert lines[at - 2].startswith("positions_digest ")
    assert [line.split()[:4] for line in lines[at + 2 :]] == [
        *(["orderbook_skew", "spot", symbol, "1"] for symbol in sorted(SYMBOLS)),
        ["orderbook_skew", "total", "3", "0%"],
    ]
    told = json.loads(run(str(market), "--json").stdout)
    assert list(told)[-4:] == ["digest", "positions_digest", "unfilled", "paper"]
    assert [(row["symbol"], row["positions"]) for row in told["paper"]][-2:] == [("SOLUSDT", 1), (None, 3)]


def test_without_an_account_nothing_is_said_of_one(strategies, tmp_path):
    market = write_market(tmp_path / "market.jsonl")
    for lines in [], ["[paper]", "enabled = false"]:
        configure(*lines)
        assert b"paper account" not in run(str(market)).stdout
        told = json.loads(run(str(market), "--json").stdout)
        assert (told["paper"], told["unfilled"]) == ([], {})


def test_signals_that_became_no_position_are_told(strategies, tmp_path):
    configure("[paper]", "[pools.depth.strategies.orderbook_skew.symbols.ETHUSDT]", "notional = 1e9")
    ran = run(str(write_market(tmp_path / "market.jsonl")))
    last = ran.stdout.decode().splitlines()[-1]
    assert last == "signals that became no position, or only a part of one: partial 1"


def test_a_damaged_file_is_used_as_far_as_it_is_whole_and_told(strategies, tmp_path):
    packed = gzip.compress(write_market(tmp_path / "market.jsonl", seconds=300).read_bytes())
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(packed[: len(packed) // 2])
    for arguments, status in (["--json"], 3), (["--json", "--salvage"], 0):
        ran = run(str(cut), *arguments)
        assert ran.returncode == status
        assert json.loads(ran.stdout)["frames"] > 0
        assert [line.partition(" after line ")[0] for line in ran.stderr.decode().splitlines()] == [
            f"warning: {cut} is damaged or cut short"
        ]


def test_the_signals_go_to_a_file_as_they_go_into_the_digest(strategies, tmp_path):
    market, file = write_market(tmp_path / "market.jsonl"), tmp_path / "signals.jsonl"
    ran = CliRunner().invoke(app, ["backtest", str(market), "--json", "--signals", str(file)])
    assert ran.exit_code == 0
    signals = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(signals) == SIGNALS
    assert [(each["event_time_ms"], each["id"]) for each in signals] == sorted(
        (each["event_time_ms"], each["id"]) for each in signals
    )
    assert all(signal["strategy"] == "orderbook_skew" for signal in signals)


def test_returns_after_signals_go_to_a_file_for_the_page(strategies, tmp_path):
    market, file = write_market(tmp_path / "market.jsonl"), tmp_path / "expected.json"
    ran = CliRunner().invoke(app, ["backtest", str(market), "--returns", str(file)])
    assert ran.exit_code == 0
    [skew] = strategy_returns.unpack(file.read_bytes())
    assert (skew.strategy, skew.signals) == ("orderbook_skew", SIGNALS)


def test_signals_that_can_not_be_written_are_one_clear_line(strategies, tmp_path):
    ran = run(str(write_market(tmp_path / "market.jsonl")), "--signals", str(tmp_path / "nowhere" / "s.jsonl"))
    assert ran.returncode == 1
    assert ran.stderr.decode().splitlines() == [
        f"error: can't write {tmp_path / 'nowhere' / 's.jsonl'}: No such file or directory"
    ]


def test_frames_of_which_no_strategy_takes_any_are_told_with_their_kinds(strategies, tmp_path):
    """Their digest is that of nothing, which would be taken for a run without signals."""
    trades = tmp_path / "trades.jsonl"
    lines = write_market(tmp_path / "market.jsonl").read_text().splitlines(keepends=True)
    trades.write_text("".join(line for line in lines if '"e": "trade"' in line))
    klines = tmp_path / "klines.jsonl"
    klines.write_text('{"stream": "btcusdt@kline_1m", "data": {"e": "kline"}, "received_at": 1723161255343000000}\n')
    for file, kinds in ((trades, "events that no pool takes"), (klines, "kline")):
        ran = run(str(file))
        assert (ran.returncode, f"none was used: kinds {kinds}." in ran.stderr.decode()) == (0, True), ran.stderr
    assert "note: 1 frame of kind kline was skipped: to use them, name kline in a pool's" in ran.stderr.decode()
    assert b"none was used" not in run(str(tmp_path / "market.jsonl")).stderr


def test_collections_pass_over_what_was_there_before_a_backtest(monkeypatch: pytest.MonkeyPatch):
    frozen = [gc.get_freeze_count()]
    monkeypatch.setattr(parallel, "run", lambda *_: frozen.append(gc.get_freeze_count()))
    backtest.run_job(parallel.BacktestJob([], configuration.read(ROOT / "tasks/strategies.toml")), 1, CountingReport())
    before, meanwhile = frozen
    assert meanwhile > before
