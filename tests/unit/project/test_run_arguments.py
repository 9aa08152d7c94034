"""What `./run` makes of its arguments: help, versions, and what it refuses."""

import re

import pytest

from tasks.version import VERSION
from tests import write_help
from tests.support.stacks.checkout import COMMANDS, FAKE_PYTHON, Checkout


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path, FAKE_PYTHON)


def test_without_a_command_the_menu_names_each_command(checkout):
    menu = checkout.run()
    assert menu.returncode == 0
    assert re.findall(r"^  (\w+) {2,}\S", menu.stdout, re.MULTILINE) == [*COMMANDS]


def test_an_unknown_command_gets_one_line(checkout):
    answer = checkout.run("dmeo")
    assert answer.returncode == 2
    assert answer.stderr == "error: there is no './run dmeo'; './run' shows the menu\n"


@pytest.fixture
def set_up(checkout):
    """The checkout as it is in use: installed, with caches and the files of a run."""
    checkout.run("demo")
    for name in (".run/demo-1/x.log", ".mypy_cache/x", "tasks/__pycache__/x"):
        (checkout.root / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout.root / name).touch()
    return checkout


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_needs_no_installation(checkout, name, flag):
    before = checkout.files
    _, file = write_help.COMMANDS.get(name, (None, None))
    expected = file.read_text() if file else checkout.run().stdout
    for arguments in ((flag,), ("--json", flag, "x")):
        answer = checkout.run(name, *arguments)
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, expected, "")
    assert checkout.run("help", name).stdout == expected
    assert checkout.files == before


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_changes_nothing(set_up, name, flag):
    before = set_up.files
    answer = set_up.run(name, flag)
    assert answer.returncode == 0
    assert answer.stdout.startswith("ran ") == (name in {"tasks", "ingest", "celery"}), "those explain their commands"
    assert (set_up.files, len(set_up.installs)) == (before, 1)


@pytest.mark.parametrize("arguments", [["--version"], ["x", "--version"]])
@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_the_version_and_changes_nothing(set_up, name, arguments):
    before = set_up.files
    (set_up.called_from / "tasks.py").write_text("raise SystemExit('a file of the folder was run')\n")
    answer = set_up.run(name, *arguments)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, f"realtime-strategies {VERSION}\n", "")
    assert (set_up.files, len(set_up.installs)) == (before, 1)


@pytest.mark.parametrize("argument", ["--dry-run", "--upgrad", "x"])
@pytest.mark.parametrize("name", ["check", "fix", "wheel", "site", "lock", "clean"])
def test_an_argument_that_a_command_does_not_take_is_refused(set_up, name, argument):
    before = set_up.files
    answer = set_up.run(name, argument)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == f"error: './run {name}' does not take '{argument}'; './run' shows the menu\n"
    assert (set_up.files, len(set_up.installs)) == (before, 1)


def test_a_program_learns_how_it_was_called(tmp_path):
    checkout = Checkout(tmp_path, FAKE_PYTHON.replace('echo "ran $*"', 'echo "as $RUN_CALLED_AS"'))
    for name in ("demo", "tasks", "ingest", "bench", "sim", "soak"):
        assert checkout.run(name).stdout == f"as {checkout.root / 'run'}\n"


@pytest.mark.parametrize("name", ["demo", "tasks", "ingest", "celery", "bench", "sim", "soak", "test"])
def test_a_program_gets_the_arguments_to_judge_them_itself(checkout, name):
    answer = checkout.run(name, "--dry-run", "--", "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith("ran ")
    assert answer.stdout.endswith(" --dry-run -- --help\n")


@pytest.mark.parametrize("name", [*write_help.COMMANDS])
def test_the_help_of_a_command_is_what_its_options_are(name):
    _, file = write_help.COMMANDS[name]
    assert file.read_text() == write_help.text(name), "written again by .venv/bin/python -m tests.write_help"
