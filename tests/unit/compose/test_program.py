"""The program of the wheel: its words, its help, and how a shell completes it."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compose import celery_command, program
from compose.local.processes import ROOT
from tasks.cli.commands import TABLE
from tasks.cli.lazy_commands import LazyCommands
from tasks.settings import load
from tasks.version import VERSION

NAME = "realtime-strategies"


def printed(*words: str, **environment: str) -> str:
    return CliRunner().invoke(program.app, words, prog_name=NAME, env=environment).output


def completed(line: str) -> list[str]:
    """Return what bash would offer at the end of a line."""
    words = f"{NAME} {line}"
    at_end = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    return printed(_REALTIME_STRATEGIES_COMPLETE="complete_bash", **at_end).split()


def test_a_shell_completes_commands_of_every_depth():
    strategies = TABLE["strategies"]
    assert isinstance(strategies, LazyCommands)
    assert completed("") == ["demo", "tasks", "ingest", "celery"]
    assert completed("tasks s") == [name for name in TABLE if name.startswith("s")]
    assert completed("tasks strategies ") == [*strategies.commands]
    assert "record" in completed("ingest r")
    assert "--workers" in completed("demo --w")


def test_a_shell_completes_the_names_of_strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "strategies.toml"
    file.write_text('[pools.mine.strategies.iceberg]\n[pools.mine.strategies."my_package.mine:Mine"]\n')
    monkeypatch.setenv("STRATEGIES_FILE", str(file))
    load.cache_clear()
    for command in ("set", "kill", "revive", "reset", "get"):
        assert completed(f"tasks strategies {command} or") == ["orderbook_skew"]
    assert completed("tasks strategies kill a") == ["all"]
    assert completed("tasks strategies pause mi") == ["mine"]
    assert completed("tasks strategies describe my") == []
    for command in ("state show", "signals", "deadletters list"):
        assert completed(f"tasks {command} --strategy ice") == ["iceberg"]
    load.cache_clear()


def test_without_a_file_or_redis_a_shell_is_told_nothing_wrong(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STRATEGIES_FILE", "/nowhere.toml")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    load.cache_clear()
    assert completed("tasks strategies kill x") == completed("tasks signals --symbol B") == []
    load.cache_clear()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_program_prints_what_has_a_shell_complete_it(shell: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    script = printed("--show-completion", shell)
    assert "_REALTIME_STRATEGIES_COMPLETE" in script
    assert f"complete_{shell}" in script


def test_the_help_names_the_words_and_the_version_is_told():
    said = printed("--help")
    assert all(f" {word} " in said for word in program.TABLE)
    assert printed("--version") == f"{NAME} {VERSION}\n"


def test_a_word_that_there_is_not_is_refused():
    assert "No such command 'demmo'" in printed("demmo")


def test_the_demo_names_the_packages_that_it_lacks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", [NAME, "demo"])
    monkeypatch.setenv("RUN_CALLED_AS", "")
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    with pytest.raises(SystemExit, match="1"):
        program.main(demo_packages=("no_such_package",))
    assert capsys.readouterr().err == (
        "error: the demo needs more packages: pip install --require-hashes -r requirements/demo.txt\n"
    )


@pytest.mark.parametrize(("files", "expected"), [([], str(ROOT / "flowerconfig.py")), (["flowerconfig.py"], None)])
def test_flower_has_our_configuration_in_a_folder_without_one(
    files: list[str], expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in files:
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWER_CONF", "")
    monkeypatch.delenv("FLOWER_CONF")
    monkeypatch.setattr(sys, "argv", ["celery", "--version"])
    with pytest.raises(SystemExit):
        celery_command.main()
    assert os.environ.get("FLOWER_CONF") == expected


def test_the_program_is_called_by_name_where_that_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own = tmp_path / NAME
    own.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which(NAME) == str(own)
    assert program.called_as(str(own)) == NAME
    monkeypatch.setenv("PATH", "/nowhere")
    assert program.called_as(str(own)) == str(own)
