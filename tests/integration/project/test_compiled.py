"""The compiled form of the wheel: libraries in place of the modules that run once an event, and the same signals."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tasks import configuration
from tasks.backtest import Backtest
from tasks.configuration import registry
from tasks.configuration.revisions import revision
from tasks.history import recordings
from tasks.sweep.variants import code_version
from tests.support.files import wheels
from tests.support.files.wheels import InstalledWheel
from tests.support.needs import module

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

#: A minute of both cores of a fast machine.
COMPILING_S = 900

SEEN = """
import importlib, json
from pathlib import Path
from tasks import configuration, version
from tasks.configuration import registry
from tasks.configuration.revisions import revision
from tasks.sweep.variants import code_version

chosen = configuration.read(Path(version.__file__).with_name("strategies.toml"))
bound = [each for each in registry.running(chosen).values() for each in each]
names = [".".join(each.with_suffix("").parts) for each in map(Path, {modules!r})]
print(json.dumps({{
    "files": {{name: importlib.import_module(name).__file__ for name in names}},
    "revisions": {{each.name: revision(each.strategy) for each in bound}},
    "codes": {{each.name: code_version(each.name) for each in bound}},
}}))
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> InstalledWheel:
    module("Cython")
    wheel = wheels.build(tmp_path_factory.mktemp("wheel"), {"COMPILED": "1"}, hangs_s=COMPILING_S)
    assert not wheel.name.endswith("-any.whl")
    return InstalledWheel.unpack(wheel, tmp_path_factory.mktemp("installed"))


def digest_of_the_sources(recording: Path) -> str:
    return Backtest(configuration.read(ROOT / "tasks" / "strategies.toml")).run(recordings.read(recording)).digest


def sources() -> list[str]:
    script = "from compiler import *; print(*sources(Path.cwd()), sep='\\n')"
    listed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PYTHONPATH": "wheel"},
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()


@pytest.fixture(scope="module")
def seen(compiled: InstalledWheel, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, str]]:
    """What the compiled form says of its modules and of the shipped strategies."""
    script = SEEN.format(modules=sources())
    ended = compiled.run("-c", script, cwd=tmp_path_factory.mktemp("elsewhere"), program=sys.executable)
    assert ended.returncode == 0, ended.stderr
    found: Mapping[str, Mapping[str, str]] = json.loads(ended.stdout)
    return found


def test_each_module_that_is_named_is_a_library(seen: Mapping[str, Mapping[str, str]]):
    assert len(seen["files"]) > 50
    assert {file.rpartition(".")[2] for file in seen["files"].values()} == {"so"}


def test_strategies_have_the_revisions_of_their_sources(seen: Mapping[str, Mapping[str, str]]):
    running = registry.running(configuration.read(ROOT / "tasks" / "strategies.toml"))
    bound = [each for pool in running.values() for each in pool]
    assert seen["revisions"] == {each.name: revision(each.strategy) for each in bound}
    assert all(seen["revisions"].values())
    assert seen["codes"] == {each.name: code_version(each.name) for each in bound}


def test_a_backtest_gives_the_digest_of_the_sources(compiled: InstalledWheel, each_recording: Path, tmp_path: Path):
    ended = compiled.run("tasks", "backtest", str(each_recording), "--digest", cwd=tmp_path)
    assert (ended.stdout, ended.stderr) == (f"{digest_of_the_sources(each_recording)}\n", "")


def test_its_pipeline_gives_the_signals_that_the_sources_give(compiled: InstalledWheel, tmp_path: Path):
    feed = ["--seconds", "5", "--record", "demo.jsonl", "--json"]
    demo = compiled.run("demo", *feed, cwd=tmp_path, hangs_s=300)
    assert demo.returncode == 0, demo.stderr
    said = json.loads(demo.stdout)
    assert (said["events"] > 0, said["digest"]) == (True, digest_of_the_sources(tmp_path / "demo.jsonl"))


def test_a_strategy_is_checked_against_its_source(compiled: InstalledWheel, tmp_path: Path):
    checked = compiled.run("tasks", "strategies", "check", "price_velocity", cwd=tmp_path, hangs_s=300)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_its_version_says_that_it_is_compiled(compiled: InstalledWheel, tmp_path: Path):
    assert compiled.run("--version", cwd=tmp_path).stdout.endswith("(compiled)\n")


def test_without_a_c_compiler_there_is_one_line(tmp_path: Path):
    module("Cython")
    command = [sys.executable, "wheel/compiler.py", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env={"CC": "no-such-cc"}, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "There is no C compiler, no-such-cc: on Debian and Ubuntu, apt install gcc libc6-dev\n"
