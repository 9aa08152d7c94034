"""The wheel: what is in it, what it says of itself, and its program, in a folder of somebody's own."""

import email.message
import email.policy
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tasks import configuration
from tasks.backtest import Backtest
from tasks.history import recordings
from tasks.version import VERSION
from tests.support.files import wheels
from tests.support.files.wheels import InstalledWheel

#: Of the Compose stack and the image: they need a checkout.
LEFT_OUT = ("compose/nats/", "compose/observability/", "compose/passwords.py", "compose/stack.yaml")

MINE = """
from collections.abc import Iterator

from tasks.events import Trade
from tasks.strategy import Params, Signal, State, Strategy


class Jump(Strategy[Params, State]):
    name = "jump"

    def on_trade(self, trade: Trade, state: State) -> Iterator[Signal]:
        yield Signal(action="buy", confidence=0.6, price=trade.price, current_price=trade.price)
        print(trade.prise)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> InstalledWheel:
    return InstalledWheel.unpack(wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files that have the names of our modules."""
    for name in ("tasks", "ingest", "compose", "celeryconfig"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder was taken')\n")
    return tmp_path


def digest_in_the_checkout(recording: Path) -> str:
    return Backtest(configuration.read(ROOT / "tasks" / "strategies.toml")).run(recordings.read(recording)).digest


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"realtime_strategies-{VERSION}.dist-info/{name}").decode()


def described(wheel: Path) -> email.message.EmailMessage:
    found = email.message_from_string(metadata(wheel, "METADATA"), policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    return found


def listed(file: str) -> Iterator[str]:
    """Yield the names of the packages in a file of requirements, with their extras."""
    for line in (ROOT / file).read_text().splitlines():
        if found := re.match(r"\w[\w.\[\]-]*", line):
            yield found[0].replace("backports.", "backports-")


def required(wheel: Path, extra: str) -> set[str]:
    lines = [str(line) for line in described(wheel).get_all("Requires-Dist", [])]
    of_extra = [line for line in lines if (f"extra == '{extra}'" in line if extra else "extra ==" not in line)]
    return {found[0] for line in of_extra if (found := re.match(r"[\w.\[\]-]+", line))}


def test_the_wheel_holds_every_file_of_the_packages_and_no_test(wheel: Path):
    files = subprocess.run(["git", "ls-files", "tasks", "ingest", "compose"], cwd=ROOT, capture_output=True, check=True)  # noqa: S607 git is where the tests are
    expected = {name for name in files.stdout.decode().splitlines() if not name.startswith(LEFT_OUT)}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected | {"celeryconfig.py", "flowerconfig.py"}
    assert {f"{package}/py.typed" for package in ("tasks", "ingest", "compose")} <= held


def test_the_wheel_requires_what_the_requirements_do(wheel: Path):
    assert required(wheel, "") == set(listed("requirements.in"))
    for extra in ("demo", "extras"):
        assert required(wheel, extra) == set(listed(f"requirements/{extra}.in"))


def test_the_wheel_says_version_licence_python_and_program(wheel: Path):
    said = described(wheel)
    assert (said["Name"], said["Version"], said["License-Expression"]) == ("realtime-strategies", VERSION, "Apache-2.0")
    assert said["Requires-Python"] == ">=3.11"
    assert f"{wheels.PROGRAM} = compose.program:main" in metadata(wheel, "entry_points.txt")


@pytest.mark.slow
def test_the_wheel_is_the_same_when_built_again(wheel: Path, tmp_path: Path):
    assert wheels.build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_program_backtests_as_the_checkout_does(installed: InstalledWheel, folder: Path, opening: Path):
    ended = installed.run("tasks", "backtest", str(opening), "--digest", cwd=folder)
    assert (ended.stdout, ended.stderr) == (f"{digest_in_the_checkout(opening)}\n", "")


def test_the_program_names_itself_in_its_help(installed: InstalledWheel, folder: Path):
    ended = installed.run("tasks", "signals", "--help", cwd=folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Example: realtime-strategies tasks signals --follow" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--help"], 0, "Usage: realtime-strategies [OPTIONS] COMMAND"),
        (["demo", "--help"], 0, "realtime-strategies demo --seconds 20"),
        (["tasks", "signals", "--wrong"], 2, "Usage: realtime-strategies tasks signals"),
        (["ingest", "record", "--help"], 0, "Usage: realtime-strategies ingest record"),
        (["celery", "--help"], 0, "Usage: realtime-strategies celery"),
    ],
)
def test_each_word_of_the_program_runs(
    installed: InstalledWheel, folder: Path, words: list[str], status: int, said: str
):
    ended = installed.run(*words, cwd=folder)
    assert ended.returncode == status
    assert said in ended.stdout + ended.stderr


def test_a_new_strategys_project_passes_its_own_tests(installed: InstalledWheel, tmp_path: Path):
    # Its third test, of the rules for strategies, takes long; the long form of this one runs it.
    arguments = ["-m", "pytest", "-q", "-p", "no:cloudcoil", "-p", "no:cacheprovider", "-k", "not rules"]
    assert installed.run("tasks", "strategies", "new", "dip_buyer", cwd=tmp_path).returncode == 0
    ended = installed.run(*arguments, cwd=tmp_path / "dip_buyer", program=sys.executable)
    assert (ended.returncode, "4 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr


@pytest.mark.ci
def test_a_new_strategys_project_records_a_demo_and_backtests_it(installed: InstalledWheel, tmp_path: Path):
    assert installed.run("tasks", "strategies", "new", "dip_buyer", cwd=tmp_path).returncode == 0
    mine = tmp_path / "dip_buyer"
    text = (mine / "README.md").read_text()
    [exported] = re.findall("^    (export STRATEGIES_FILE=.*)$", text, re.MULTILINE)
    lines = re.findall("^    (.* demo .* --record .*|.* backtest .* --html .*)$", text, re.MULTILINE)
    assert len(lines) == 2
    digests = []
    for line in lines:
        command = f"{exported}; {line.replace('--seconds 60', '--seconds 4')}"
        ended = installed.run("-ec", command, cwd=mine, program="bash", hangs_s=120)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        digests += re.findall(r"^ *digest +(\w{64})$", ended.stdout, re.MULTILINE)
    assert digests == [digests[0]] * 2
    assert "<html" in (mine / "page.html").read_text()


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> InstalledWheel:
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    return InstalledWheel.install(wheel, venv, "demo", "mypy", "pytest", "ruff")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_new_environment_runs_the_demo_backtests_and_checks_types(fresh: InstalledWheel, folder: Path, opening: Path):
    demo = fresh.run("demo", "--seconds", "5", "--json", cwd=folder, hangs_s=300)
    assert demo.returncode == 0, demo.stderr
    assert json.loads(demo.stdout)["events"] > 0
    digest = fresh.run("tasks", "backtest", str(opening), "--digest", cwd=folder)
    assert digest.stdout == f"{digest_in_the_checkout(opening)}\n"
    for name in ("tasks", "ingest", "compose", "celeryconfig"):  # mypy takes those of the folder, as Python would
        (folder / f"{name}.py").unlink()
    (folder / "mine.py").write_text(MINE)
    checked = fresh.run("--strict", "mine.py", cwd=folder, program="mypy", hangs_s=300)
    assert checked.stdout.count("error:") == 1, checked.stdout
    assert 'mine.py:13: error: "Trade" has no attribute "prise"' in checked.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_new_strategys_project_works_in_a_new_environment(fresh: InstalledWheel, tmp_path: Path, opening: Path):
    assert fresh.run("tasks", "strategies", "new", "dip_buyer", cwd=tmp_path).returncode == 0
    mine = tmp_path / "dip_buyer"
    commands = {
        "pytest": ["-q"],
        "mypy": [],
        "ruff": ["check"],
        wheels.PROGRAM: ["tasks", "strategies", "check", "dip_buyer:DipBuyer"],
    }
    for program, arguments in commands.items():
        ended = fresh.run(*arguments, cwd=mine, program=program, hangs_s=300)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    own = fresh.run(
        "tasks", "backtest", str(opening), "--json", cwd=mine, hangs_s=300, more={"STRATEGIES_FILE": "strategies.toml"}
    )
    assert json.loads(own.stdout)["signals"]["dip_buyer"] > 0
