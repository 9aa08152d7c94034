"""A strategy of one's own, in a folder of one's own, from where every command is called."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose.local.processes import ROOT

pytestmark = pytest.mark.ci

MINE = '''
from other import LIMIT
from tasks.strategy import Params, Signal, State, Strategy


class Jump(Strategy[Params, State]):
    """Buy on every trade above a limit."""

    name = "jump"

    def on_trade(self, trade, state):
        if trade.price > LIMIT:
            yield Signal(action="buy", confidence=0.6, price=trade.price, current_price=trade.price)


class Broken(Strategy[Params, State]):
    """Raise on every trade."""

    name = "broken"

    def on_trade(self, trade, state):
        raise ValueError
'''
FILE = '[pools.trade]\nkinds = ["trade"]\n[pools.trade.strategies."mine:Jump"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a strategy, a module beside it, and files that have the names of modules of ours and of Python's."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "other.py").write_text("LIMIT = 0.0\n")
    (tmp_path / "mine.toml").write_text(FILE)
    for name in ("tasks", "ingest", "celeryconfig", "json", "redis"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder was taken')\n")
    return tmp_path


def run(folder: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command as `./run` does."""
    environment = os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(ROOT), "STRATEGIES_FILE": "mine.toml"} | more
    arguments = [sys.executable, *command]
    return subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_demo_and_its_workers_run_strategies_of_the_current_folder(folder: Path, opening: Path):
    (folder / "mine.toml").write_text(f'{FILE}[pools.trade.strategies."mine:Broken"]\n')
    demo = ("-m", "compose.local", "demo", "--workers", "1", "--pool", "solo", "--json")
    ran = run(folder, *demo, "--partitions", "2", "--feed", str(opening), "--speed", "max")
    assert ran.returncode == 0, ran.stderr
    # So that the commands that reach it judge it by the same file.
    assert f" STRATEGIES_FILE={folder}/mine.toml\n" in ran.stderr
    summary = json.loads(ran.stdout)
    assert summary["signals"]["jump"] > 0
    assert summary["errors"]["broken"] > 0


def test_the_backtest_and_the_check_do_too_and_the_file_may_be_elsewhere(folder: Path, opening: Path):
    here = run(folder, "-m", "tasks", "backtest", str(opening), "--json")
    assert json.loads(here.stdout)["signals"]["jump"] > 0, here.stderr
    assert run(folder, "-m", "tasks", "strategies", "check", "mine:Jump").returncode == 0
    below = folder / "below"
    below.mkdir()
    elsewhere = run(below, "-m", "tasks", "backtest", str(opening), "--digest", STRATEGIES_FILE="../mine.toml")
    assert elsewhere.stdout.strip() == json.loads(here.stdout)["digest"]


def test_celery_takes_our_application_not_a_file_of_that_name(folder: Path):
    assert '-m compose.celery_command "$@"' in (ROOT / "run").read_text()
    ran = run(folder, "-m", "compose.celery_command", "-A", "tasks", "report")
    assert ran.returncode == 0, ran.stderr
    assert "accept_content: ['msgspec', 'json']" in ran.stdout
