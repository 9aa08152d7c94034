"""What `tasks sweep` can't use is said in one line before anything is computed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.errors import RealtimeStrategiesError
from tasks.settings import load
from tasks.sweep.store import FILE
from tests.data import RECORDING
from tests.support.events import trade
from tests.support.files.datasets import recorded

SKEW = "[sweep.orderbook_skew]\n"
GRID = f"{SKEW}levels = [1, 2]\n"


@pytest.fixture(autouse=True)
def research_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RESEARCH_DIR", str(tmp_path / "research"))
    load.cache_clear()
    yield tmp_path / "research"
    load.cache_clear()


def refusal(directory: Path, sweep: str, *arguments: object) -> str:
    """Return the one line with which the command ends."""
    path = directory / "sweep.toml"
    path.write_text(sweep)
    error = CliRunner().invoke(app, ["sweep", str(path), *map(str, arguments), "--local", "--jobs", "1"]).exception
    assert isinstance(error, RealtimeStrategiesError), error
    assert "\n" not in str(error)
    assert not (directory / "research" / FILE).exists(), "it had begun"
    return str(error)


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("[sweep.nope]\nx = [1]\n", "there is no strategy 'nope'"),
        (f"{SKEW}levls = [1]\n", "levls: there is no such parameter; did you mean levels?"),
        (f"{SKEW}levels = []\n", "levels: an empty list: there is nothing to try"),
        (f"{SKEW}buy_ratio = {{from = 1.1, to = 3.0, step = 0.000001}}\n", "more than 1,000,000: --yes"),
        ("no toml [", "is not TOML: line 1"),
        ("[sweep]\n", "can't be used"),
    ],
)
def test_a_sweep_file_that_cannot_be_used(tmp_path: Path, sweep: str, said: str):
    assert said in refusal(tmp_path, sweep, RECORDING)


def test_a_recording_that_is_not_there(tmp_path: Path):
    assert refusal(tmp_path, GRID, "nowhere.jsonl") == "can't read nowhere.jsonl: No such file or directory"


@pytest.mark.parametrize("content", [b"", b'{"a":1}\n', b"no json\n"])
def test_a_recording_without_a_frame_that_can_be_used(tmp_path: Path, content: bytes):
    (tmp_path / "nothing.jsonl").write_bytes(content)
    said = refusal(tmp_path, GRID, tmp_path / "nothing.jsonl")
    assert said.startswith(f"nothing in {tmp_path}/nothing.jsonl can be used")


def test_a_time_in_which_there_is_no_event(tmp_path: Path):
    said = refusal(tmp_path, GRID, RECORDING, "--from", "2030-01-01")
    assert said == f"there is nothing between --from and --to in {RECORDING}"


def test_a_walk_forward_of_no_lengths(tmp_path: Path):
    assert refusal(tmp_path, GRID, RECORDING, "--walk-forward", "").startswith("--walk-forward takes train=2h,test=30m")


def test_a_recording_without_an_event_that_the_strategy_takes(tmp_path: Path):
    trades = recorded(tmp_path / "trades.jsonl", [trade(id=number, seq=number) for number in (1, 2)])
    assert refusal(tmp_path, GRID, trades) == "no recording has events that orderbook_skew takes"


@pytest.mark.parametrize(
    ("strategy", "said"),
    [(GRID, "NOPEUSDT"), ("[sweep.market_dominance]\nhigh = [55.0]\n", "market_dominance takes none of the symbols")],
)
def test_a_symbol_that_is_not_there(tmp_path: Path, strategy: str, said: str):
    assert said in refusal(tmp_path, strategy, RECORDING, "--symbols", "NOPEUSDT")


def test_windows_that_are_longer_than_the_recording(tmp_path: Path):
    said = refusal(tmp_path, GRID, RECORDING, "--walk-forward", "train=2h,test=30m,step=30m")
    assert said == "the recordings span 90 s, and a train and a test window 9,000 s"


@pytest.mark.parametrize("option", ["--csv", "--html", "--parquet"])
def test_files_that_cannot_be_written(tmp_path: Path, option: str):
    path = tmp_path / "nowhere" / "rows.parquet"
    said = f"can't write {path}: there is no folder {path.parent}"
    assert refusal(tmp_path, GRID, RECORDING, option, path) == said
    assert refusal(tmp_path, GRID, RECORDING, option, tmp_path) == f"can't write {tmp_path}: it is a folder"


@pytest.mark.parametrize(
    ("library", "sweep", "options"),
    [
        ("pyarrow", GRID, ["--parquet", "rows.parquet"]),
        ("plotly", GRID, ["--html", "page.html"]),
        ("optuna", f'[search]\nmethod = "optuna"\nsamples = 3\n{GRID}', []),
    ],
)
def test_a_library_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, sweep: str, options: list[str]
):
    monkeypatch.chdir(tmp_path)
    for name in [each for each in sys.modules if each.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    said = refusal(tmp_path, sweep, RECORDING, *options)
    assert library in said
    assert "pip install" in said


def test_a_research_dir_that_cannot_be_written(tmp_path: Path, research_dir: Path):
    research_dir.write_text("a file")
    path = tmp_path / "sweep.toml"
    path.write_text(GRID)
    error = CliRunner().invoke(app, ["sweep", str(path), str(RECORDING), "--local"]).exception
    assert str(error) == f"can't write to {research_dir} (RESEARCH_DIR): Not a directory"
