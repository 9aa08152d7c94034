import os
import re
import signal

import pytest

from compose.local.processes import ROOT
from tests.support.stacks.checkout import FAKE_PYTHON, OLD_PYTHON, Checkout
from tests.support.waiting import wait_for


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path, FAKE_PYTHON)


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
    assert install.endswith("requirements/demo.txt")

    (checkout.fake / "no-network").touch()
    second = checkout.run("demo")
    assert second.stdout == "ran -m compose.local demo\n"
    assert second.stderr == ""
    assert len(checkout.installs) == 1


def test_the_bridge_to_other_exchanges_has_an_environment_of_its_own(checkout):
    assert checkout.run("ingest", "record", "x").stdout == "ran -m ingest record x\n"
    first = checkout.run("ingest", "ccxt", "kraken", "BTC/USD")
    assert first.stdout == "ran -m ingest ccxt kraken BTC/USD\n"
    assert "Setting up .venv-ccxt for 'ccxt'" in first.stderr
    demo, bridge = checkout.installs
    assert demo.endswith("/requirements/demo.txt")
    assert bridge.endswith("/ccxt_bridge/requirements.txt")
    assert {path.name for path in (checkout.root / ".venv-ccxt").glob("installed-*")} == {"installed-ccxt"}

    (checkout.fake / "no-network").touch()
    assert checkout.run("ingest", "ccxt", "--help").stdout == "ran -m ingest ccxt --help\n"
    for words in (("ingest", "ccxt", "okx", "X"), ("ingest", "record", "x")):
        assert checkout.run(*words).stderr == ""
    assert len(checkout.installs) == 2


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
    assert checkout.run("test").stdout == "ran -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder\n"
    assert len(checkout.installs) == 2
    assert not left_over.exists()


def test_an_environment_that_is_a_link_is_not_changed(tmp_path, checkout):
    """It is another checkout's, whose tests may run from it at this moment."""
    others = tmp_path / "others"
    others.mkdir()
    (others / "installed-dev").write_text("what they need")
    (checkout.root / ".venv").symlink_to(others)
    answer = checkout.run("demo")
    assert answer.returncode == 1
    [line] = answer.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith("/.venv is a link, and what it leads to does not hold requirements/demo.txt: remove the link")
    assert [file.name for file in others.iterdir()] == ["installed-dev"]


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
    assert answers[0] == "ran -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder\n"
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


def test_other_requirements_are_installed(checkout):
    checkout.run("demo")
    (checkout.root / "requirements/demo.txt").write_text("demo==2\n")
    assert checkout.run("demo").returncode == 0
    assert len(checkout.installs) == 2


def test_what_the_tests_need_serves_the_demo_too(checkout):
    checkout.run("test")
    assert checkout.run("demo").stdout == "ran -m compose.local demo\n"
    assert len(checkout.installs) == 1


def test_tests_keep_bytecode_also_where_a_shell_forbids_to_write_any(tmp_path):
    """Without it each of pytest's workers compiles every test again, and each process of theirs every module."""
    told = FAKE_PYTHON.replace('echo "ran $*"', 'echo "ran $*, ${PYTHONDONTWRITEBYTECODE-writes}"')
    checkout = Checkout(tmp_path, told)
    assert checkout.run("test", "x", PYTHONDONTWRITEBYTECODE="1").stdout == "ran -m pytest x, writes\n"
    assert checkout.run("demo", PYTHONDONTWRITEBYTECODE="1").stdout == "ran -m compose.local demo, 1\n"


def test_the_benchmark_installs_its_contenders_and_serves_the_demo_too(checkout):
    assert checkout.run("bench", "--quick").stdout == "ran -m tests.bench bench --quick\n"
    assert checkout.run("demo").stdout == "ran -m compose.local demo\n"
    [install] = checkout.installs
    assert install.endswith("requirements/bench.txt")


def test_the_site_installs_its_generator_and_serves_the_demo_too(checkout):
    assert checkout.run("site").stdout == "ran -m website\n"
    assert checkout.run("demo").stdout == "ran -m compose.local demo\n"
    [install] = checkout.installs
    assert install.endswith("requirements/docs.txt")


def test_the_demos_requirements_are_locked_to_the_versions_of_the_tests():
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==[\w.]+", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.txt") < pins("requirements/demo.txt") < pins("requirements/dev.txt")
    assert pins("requirements/demo.txt") < pins("requirements/docs.txt")


def test_locked_requirements_name_no_index():
    for file in (
        *ROOT.glob("requirements.txt"),
        *ROOT.glob("requirements/*.txt"),
        *ROOT.glob("ingest/**/requirements.txt"),
    ):
        assert "index-url" not in file.read_text()
        assert "find-links" not in file.read_text()


def test_clean_removes_what_was_made_and_nothing_else(checkout):
    before = checkout.files
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
    assert checkout.files == before
