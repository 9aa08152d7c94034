"""What docs/bars.md shows works as it stands there."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tasks import configuration
from tasks.backtest import Backtest
from tasks.bars.spec import parse_all
from tasks.configuration import registry
from tasks.configuration.gate import OPEN
from tasks.conformance.suite import MOST_STATE_BYTES, SuiteSize, check
from tasks.engine.strategy_run import StrategyRun
from tasks.fatal_errors import is_fatal
from tasks.history import recordings
from tests.data import RECORDING
from tests.support.needs import missing
from tests.support.strategies import trades

PAGE = (ROOT / "docs" / "bars.md").read_text(encoding="utf-8")
FILE = '[pools.bars]\nkinds = ["trade"]\n[pools.bars.strategies."closes:Rise"]\n'


def block(name: str) -> str:
    """Return the block of code that names itself so."""
    [found] = [code for code in re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL) if code.startswith(f"# {name}\n")]
    return str(found)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the modules and strategies files of the page."""
    for name in ("closes.py", "ema_cross.py", "ema_cross.toml"):
        (tmp_path / name).write_text(block(name))
    (tmp_path / "closes.toml").write_text(FILE)
    monkeypatch.setenv("STRATEGIES_PATH", str(tmp_path))
    for name in ("closes", "ema_cross"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.fixture
def needs_talipp() -> None:
    if importlib.util.find_spec("talipp") is None:
        missing("talipp is not installed (requirements/dev.txt has it)")


def results(folder: Path, name: str, sizes: tuple[int, ...]) -> set[tuple[int, str]]:
    """Return the number of signals and the digest of a backtest for each size of batches, without repetitions."""
    chosen = configuration.read(folder / name)
    ran = [Backtest(chosen, batch_events=size).run(recordings.read(RECORDING)) for size in sizes]
    return {(sum(each.signals.values()), each.digest) for each in ran}


def test_the_first_strategy_of_the_page_keeps_the_contract(folder: Path):
    assert check(registry.find("closes:Rise"), SuiteSize(events=2_400, day_step_s=14_400)).failed == ()
    assert len(results(folder, "closes.toml", (500,))) == 1


@pytest.mark.usefixtures("needs_talipp")
def test_the_talipp_strategy_of_the_page_keeps_the_contract(folder: Path):
    report = check(registry.find("ema_cross:EmaCross"), SuiteSize(events=2_400, day_step_s=14_400))
    assert report.failed == (), report
    [cost] = [each.detail for each in report.findings if each.name == "no event makes it raise"]
    assert re.search(r"[1-9]\d* signals", cost), "a crossing was seen"


@pytest.mark.usefixtures("needs_talipp")
def test_the_talipp_strategys_largest_state_stays_within_the_contract(folder: Path):
    strategy = registry.create("ema_cross:EmaCross", {"slow": 100, "bar": "1tick"})
    run = StrategyRun(strategy, OPEN, None, "c1", is_fatal)
    for event in trades(*[1.0] * 500):
        run.apply(event)
    packed = run.pack()
    assert 3_600 < len(packed) <= MOST_STATE_BYTES


@pytest.mark.usefixtures("needs_talipp")
def test_the_talipp_strategy_gives_one_digest_at_every_batch_size(folder: Path):
    [(signals, _)] = results(folder, "ema_cross.toml", (1, 7, 500))
    assert signals > 0


def test_the_bars_that_the_page_lists_are_there():
    listed = re.findall(r"^\| (`.+?`) \| (?!a bar)", PAGE, re.MULTILINE)
    texts = [text for cell in listed for text in re.findall(r"`([^`]+)`", cell)]
    assert len(texts) > 15
    assert [each.text for each in parse_all(texts)] == texts
