import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tests import write_help
from tests.support.waiting import wait_for

# Stands for a Python: makes a `.venv` that holds itself, notes what pip is asked for, and does the rest for real.
FAKE_PYTHON = f"""#!/bin/sh
case "$*" in
*ensurepip*) [ ! -e "$FAKE/no-ensurepip" ] ;;
"-I -m venv --clear "*) rm -rf "$5" && mkdir -p "$5/bin" && cp "$0" "$5/bin/python" ;;
"-I -m pip "*)
    echo "$*" >>"$FAKE/pip"
    while [ -e "$FAKE/slow-network" ]; do sleep 0.02; done
    [ ! -e "$FAKE/no-network" ]
    ;;
"-m pytest"* | "-m compose.local"* | "-m tests.bench"*) echo "ran $*" ;;
*realpath*) echo "$FAKE/python3" ;;
*) exec "{sys.executable}" "$@" ;;
esac
"""
OLD_PYTHON = '#!/bin/sh\n[ "$*" != --version ] && exit 1\necho "Python 3.9.2"\n'
NAMES = ("python", "python3", *(f"python3.{minor}" for minor in range(11, 16)))


class Checkout:
    """A copy of what `run` needs, and a machine whose only Python is `python`."""

    def __init__(self, folder: Path, python: str) -> None:
        self.root = folder / "checkout"
        self.fake = folder / "fake"
        self.called_from = folder
        for directory in (self.root, self.fake):
            directory.mkdir()
        shutil.copy(ROOT / "run", self.root)
        for _, file in write_help.COMMANDS.values():
            copy = self.root / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True)
            shutil.copy(file, copy)
        for name in ("demo", "dev", "bench"):
            (self.root / f"requirements-{name}.txt").write_text(f"{name}==1\n")
        for name in NAMES:
            program = self.fake / name
            program.write_text(python)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHON"}
        path = f"{self.fake}:{os.environ['PATH']}"
        return subprocess.Popen(
            [self.root / "run", *arguments],
            cwd=self.called_from,
            env=clean | {"PATH": path, "FAKE": str(self.fake)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def installs(self) -> list[str]:
        log = self.fake / "pip"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path, FAKE_PYTHON)


def test_without_a_command_the_menu_names_each_command(checkout):
    menu = checkout.run()
    assert menu.returncode == 0
    assert re.findall(r"^  (\w+) {2,}\S", menu.stdout, re.MULTILINE) == [
        "demo",
        "tasks",
        "ingest",
        "celery",
        "bench",
        "test",
        "check",
        "fix",
        "lock",
        "clean",
    ]


def test_an_unknown_command_gets_one_line(checkout):
    answer = checkout.run("dmeo")
    assert answer.returncode == 2
    assert answer.stderr == "error: there is no './run dmeo'; './run' shows the menu\n"


def test_a_python_that_is_too_old_gets_one_line(tmp_path):
    answer = Checkout(tmp_path, OLD_PYTHON).run("demo")
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: Python 3.11 or newer is needed (found: Python 3.9.2)")
    assert answer.stderr.count("\n") == 1


def test_a_python_that_was_asked_for_and_is_too_old_is_named(tmp_path, checkout):
    old = tmp_path / "old"
    old.write_text(OLD_PYTHON)
    old.chmod(0o755)
    answer = checkout.run("demo", PYTHON=str(old))
    assert answer.returncode == 1
    assert answer.stderr == f"error: PYTHON={old} is no Python 3.11 or newer\n"


def test_a_python_without_venv_gets_one_line_that_says_what_to_install(checkout):
    (checkout.fake / "no-ensurepip").touch()
    answer = checkout.run("demo")
    assert answer.returncode == 1
    assert answer.stderr == "error: python3.13 has no venv module; on Debian and Ubuntu: apt install python3-venv\n"


def test_the_first_run_installs_with_hashes_and_the_second_needs_no_pip(checkout):
    first = checkout.run("demo", "--seconds", "3")
    assert first.stdout == "ran -m compose.local demo --seconds 3\n"
    assert first.stderr.count("\n") == 1, "one line says what is going on"
    [install] = checkout.installs
    assert "--require-hashes" in install
    assert install.endswith("requirements-demo.txt")

    (checkout.fake / "no-network").touch()
    second = checkout.run("demo")
    assert second.stdout == "ran -m compose.local demo\n"
    assert second.stderr == ""
    assert len(checkout.installs) == 1


def test_no_file_of_the_callers_folder_takes_part_in_the_installation(checkout):
    for name in ("ensurepip", "fcntl", "hashlib", "pathlib", "pip", "signal", "venv"):
        (checkout.called_from / f"{name}.py").write_text("raise SystemExit('a file of the folder was run')\n")
    answer = checkout.run("demo")
    assert answer.stdout == "ran -m compose.local demo\n"
    assert "was run" not in answer.stderr


def test_an_install_that_broke_off_is_done_again(checkout):
    (checkout.fake / "no-network").touch()
    broken = checkout.run("test")
    assert broken.returncode == 1
    assert "error: can't install" in broken.stderr
    left_over = checkout.root / ".venv" / "half-installed"
    left_over.touch()

    (checkout.fake / "no-network").unlink()
    assert checkout.run("test").stdout == "ran -m pytest --numprocesses 3 --dist loadfile\n"
    assert len(checkout.installs) == 2
    assert not left_over.exists()


@pytest.mark.parametrize("other", ["demo", "test"])
def test_two_at_once_install_one_after_the_other(checkout, other):
    slow = checkout.fake / "slow-network"
    slow.touch()
    first = checkout.start("test")
    wait_for(lambda: checkout.installs, "the first one to install")
    second = checkout.start(other)
    assert second.stderr.readline() == "Another ./run is installing; waiting for it ...\n"
    slow.unlink()
    answers = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert answers[0] == "ran -m pytest --numprocesses 3 --dist loadfile\n"
    assert answers[1].startswith("ran -m ")
    assert (first.returncode, second.returncode, len(checkout.installs)) == (0, 0, 1)


def test_ctrl_c_ends_the_wait_for_another_without_a_traceback(checkout):
    slow = checkout.fake / "slow-network"
    slow.touch()
    first = checkout.start("test")
    wait_for(lambda: checkout.installs, "the first one to install")
    second = checkout.start("demo")
    second.stderr.readline()
    os.killpg(second.pid, signal.SIGINT)
    assert second.communicate(timeout=60) == ("", "")
    assert second.returncode in {-signal.SIGINT, 128 + signal.SIGINT}
    slow.unlink()
    first.communicate(timeout=60)


def test_one_that_was_killed_while_it_installed_holds_up_no_other(checkout):
    slow = checkout.fake / "slow-network"
    slow.touch()
    with checkout.start("test") as killed:
        wait_for(lambda: checkout.installs, "it to install")
        os.killpg(killed.pid, signal.SIGKILL)
    slow.unlink()
    answer = checkout.run("test")
    assert answer.returncode == 0
    assert "Another" not in answer.stderr
    assert len(checkout.installs) == 2, "what the first one left is no environment"


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", [*write_help.COMMANDS])
def test_the_help_of_a_command_needs_no_installation(checkout, name, flag):
    _, file = write_help.COMMANDS[name]
    answer = checkout.run(name, "--json", flag)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, file.read_text(), "")
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("name", [*write_help.COMMANDS])
def test_the_help_of_a_command_is_what_its_options_are(name):
    _, file = write_help.COMMANDS[name]
    assert file.read_text() == write_help.text(name), "written again by .venv/bin/python -m tests.write_help"


@pytest.mark.parametrize("name", ["test", "check", "fix", "lock", "clean"])
def test_the_help_of_a_command_without_options_is_the_menu(checkout, name):
    assert checkout.run(name, "--help").stdout == checkout.run().stdout
    assert not (checkout.root / ".venv").exists()


def test_other_requirements_are_installed(checkout):
    checkout.run("demo")
    (checkout.root / "requirements-demo.txt").write_text("demo==2\n")
    assert checkout.run("demo").returncode == 0
    assert len(checkout.installs) == 2


def test_what_the_tests_need_serves_the_demo_too(checkout):
    checkout.run("test")
    assert checkout.run("demo").stdout == "ran -m compose.local demo\n"
    assert len(checkout.installs) == 1


def test_the_benchmark_installs_its_contenders_and_serves_the_demo_too(checkout):
    assert checkout.run("bench", "--quick").stdout == "ran -m tests.bench bench --quick\n"
    assert checkout.run("demo").stdout == "ran -m compose.local demo\n"
    [install] = checkout.installs
    assert install.endswith("requirements-bench.txt")


def test_the_demos_requirements_are_locked_to_the_versions_of_the_tests():
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==[\w.]+", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.txt") < pins("requirements-demo.txt") < pins("requirements-dev.txt")


def test_locked_requirements_name_no_index():
    for file in ROOT.glob("requirements*.txt"):
        assert "index-url" not in file.read_text()
        assert "find-links" not in file.read_text()


def test_clean_removes_what_was_made_and_nothing_else(checkout):
    before = {*checkout.root.rglob("*")}
    checkout.run("demo")
    made = [
        ".run/demo-1/x.log",
        ".mypy_cache/x",
        ".ruff_cache/x",
        ".pytest_cache/x",
        ".hypothesis/x",
        "tasks/__pycache__/x",
    ]
    for name in made:
        (checkout.root / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout.root / name).touch()
    assert checkout.run("clean").returncode == 0
    assert {*checkout.root.rglob("*")} - before == {checkout.root / "tasks"}
