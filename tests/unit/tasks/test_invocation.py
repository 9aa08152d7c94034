"""How commands are named in help and hints: as the program of this process was called."""

import os
import sys
from types import SimpleNamespace

import pytest

from tasks import invocation
from tests.support.starting import start


def started(monkeypatch: pytest.MonkeyPatch, module: str, *, run: str = "", program: str = "pytest") -> None:
    """Pretend that this process was started as a module, or as a program; by `run` if that is given."""
    spec = SimpleNamespace(name=module) if module else None
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=spec))
    monkeypatch.setattr("sys.argv", [program])
    monkeypatch.delenv(invocation.VARIABLE, raising=False)
    if run:
        monkeypatch.setenv(invocation.VARIABLE, run)


@pytest.mark.parametrize(
    ("module", "program", "run", "expected"),
    [
        ("tasks.__main__", "/app/tasks/__main__.py", "", ["python -m tasks", "python -m ingest", "celery"]),
        ("ingest.__main__", "/app/ingest/__main__.py", "", ["python -m tasks", "python -m ingest", "celery"]),
        ("celery.__main__", "/lib/celery/__main__.py", "", ["python -m tasks", "python -m ingest", "celery"]),
        ("", "/opt/venv/bin/celery", "", ["python -m tasks", "python -m ingest", "celery"]),
        ("pytest.__main__", "pytest", "", ["./run tasks", "./run ingest", "./run celery"]),
        ("", "/usr/bin/else", "", ["./run tasks", "./run ingest", "./run celery"]),
        ("tasks.__main__", "x", "./run", ["./run tasks", "./run ingest", "./run celery"]),
        ("ingest.__main__", "x", "/my rs/run", ["'/my rs/run' tasks", "'/my rs/run' ingest", "'/my rs/run' celery"]),
    ],
)
def test_commands_are_named_as_the_process_was_started(monkeypatch, module, program, run, expected):
    started(monkeypatch, module, program=program, run=run)
    assert [invocation.command(name) for name in ("tasks", "ingest", "celery")] == expected


def test_a_text_names_commands_as_they_are_called_here(monkeypatch):
    text = "./run tasks doctor, ./run ingest; ./run celery -A tasks worker; ./run demo --seconds 3, ./runs"
    started(monkeypatch, "tasks.__main__")
    assert invocation.as_called(text) == (
        "python -m tasks doctor, python -m ingest; celery -A tasks worker; ./run demo --seconds 3, ./runs"
    )
    started(monkeypatch, "tasks.__main__", run="/p/run")
    assert invocation.as_called(text) == text.replace("./run ", "/p/run ")


@pytest.mark.parametrize(
    ("arguments", "run", "said"),
    [
        ("tasks signals -h", "/p/run", "Example: /p/run tasks signals --follow"),
        ("tasks signals --wrong", "/p/run", "Usage: /p/run tasks signals"),
        ("tasks signals --wrong", "", "Usage: python -m tasks signals"),
        ("ingest recrd", "./run", "Usage: ./run ingest"),
        ("compose.local demo --help", "/p/run", "/p/run demo --seconds 20"),
        ("compose.local demo --wrong", "/p/run", "Usage: /p/run demo"),
    ],
)
def test_help_and_usage_errors_name_the_command_as_it_was_typed(arguments, run, said):
    environment = {name: value for name, value in os.environ.items() if name != invocation.VARIABLE}
    environment |= {invocation.VARIABLE: run} if run else {}
    ended = start(arguments.split(), environment)
    assert said in ended.stdout + ended.stderr


@pytest.mark.parametrize("option", ["-h", "--wrong"])
@pytest.mark.parametrize(
    "module",
    [
        "compose.passwords",
        "tests.pin_images",
        "tests.write_help",
        "tests.draw_packages",
        "tests.data.make_recording",
        "tests.data.make_release",
        "tests.report_simulator",
    ],
)
def test_a_program_that_writes_files_is_asked_without_writing_any(tmp_path, module, option):
    ended = start([module, option], os.environ, tmp_path)
    assert ended.returncode == (0 if option == "-h" else 2)
    assert "usage: " in (ended.stdout if option == "-h" else ended.stderr)
    assert list(tmp_path.iterdir()) == []
