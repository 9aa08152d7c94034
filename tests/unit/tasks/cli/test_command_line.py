"""What all command lines have in common: `-h`, `--version`, and text that arrives as it is."""

import importlib
import io
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from compose.local import commands as demo
from compose.local.processes import ROOT
from ingest import __main__ as ingest
from tasks import version
from tasks.cli import command_line
from tasks.cli import main as tasks
from tasks.cli.command_line import Console
from tasks.settings import load
from tasks.telemetry.terminal import accept_any_text
from tasks.version import VERSION
from tests.bench import commands as bench

APPS = {"tasks": tasks.app, "ingest": ingest.app, "./run demo": demo.app, "./run bench": bench.app}


def commands(name: str) -> Iterator[tuple[str, ...]]:
    """Return every command of an app, the app itself and its groups among them."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for word, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*path, word))

    return walk(typer.main.get_command(APPS[name]), ())


ALL = [pytest.param(name, words, id=" ".join([name, *words])) for name in APPS for words in commands(name)]


@pytest.mark.parametrize(("name", "words"), ALL)
def test_every_command_takes_h_for_help(name, words):
    short, long = (CliRunner().invoke(APPS[name], [*words, option]) for option in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output
    assert "Usage" in short.output


@pytest.mark.parametrize("words", list(commands("tasks")))
def test_no_help_text_breaks_a_line_in_mid_sentence(words):
    """Rich keeps the line breaks of a docstring's later paragraphs, and wraps the lines themselves."""
    command: Any = typer.main.get_command(tasks.app)
    for word in words:
        command = command.commands[word]
    for paragraph in (command.help or "").split("\n\n")[1:]:
        for line in paragraph.splitlines()[:-1]:
            assert re.search(r"[.:;]$|^[a-z' ]{2,12}: ", line), line


@pytest.mark.parametrize(("name", "words"), ALL)
def test_every_program_and_each_of_its_commands_tells_the_version(name, words):
    shown = CliRunner().invoke(APPS[name], [*words, "--version"])
    assert (shown.exit_code, shown.output) == (0, f"realtime-strategies {VERSION}\n")


def written_in(encoding: str, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Have standard output know this encoding only, as a program finds it; return what arrives there."""
    arrived = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(arrived, encoding=encoding, write_through=True))
    accept_any_text()
    return arrived


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_what_an_encoding_does_not_know_is_written_as_an_escape(monkeypatch, encoding):
    arrived = written_in(encoding, monkeypatch)
    print("5 → 10")
    command_line.Console().print("5 → 10")
    command_line.echo("5 → 10")
    assert arrived.getvalue() == b"5 \\u2192 10\n" * 3


@pytest.mark.parametrize(
    "words", [["config", "show"], ["strategies", "list"], ["strategies", "describe", "spread_liquidity"], ["schema"]]
)
def test_commands_end_well_where_the_encoding_is_ascii(monkeypatch, words):
    arrived = written_in("ascii", monkeypatch)
    with pytest.raises(SystemExit) as ended:
        tasks.app(words)
    assert ended.value.code == 0
    assert arrived.getvalue()
    assert arrived.getvalue().isascii()


def printed(*, terminal: bool, width: int = 40) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return command_line.Console(file=file, force_terminal=terminal, width=width), file


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("text", ["boom:Boom", ":boom:", "mine:smile:", "[red]alert[/]", "[bold]", "[/]"])
def test_text_is_printed_as_it_is(terminal, text):
    out, file = printed(terminal=terminal)
    out.print(text)
    rows = command_line.table("name")
    rows.add_row(text)
    command_line.print_table(out, rows)
    assert file.getvalue().count(text) == 2


def test_in_a_pipe_a_table_is_as_wide_as_its_values():
    out, file = printed(terminal=False)
    rows = command_line.table("setting", "value")
    rows.add_row("X" * 60, "https://" + "y" * 200)
    rows.add_row("Z", "")
    command_line.print_table(out, rows)
    assert file.getvalue().splitlines()[1:] == ["X" * 60 + "  https://" + "y" * 200, "Z"]


def test_on_a_narrow_terminal_a_value_goes_on_in_the_next_line():
    out, file = printed(terminal=True)
    rows = command_line.table("setting", "value")
    rows.add_row("X" * 60, "y" * 90)
    command_line.print_table(out, rows)
    text = file.getvalue()
    assert (text.count("X"), text.count("y")) == (60, 90)
    assert "…" not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_a_line_of_a_list_is_whole_on_any_terminal(terminal):
    out, file = printed(terminal=terminal)
    tab = "" if terminal else "\t"
    command_line.print_line(out, Text("word " * 30 + ":boom:" + tab))
    assert file.getvalue() == "word " * 30 + ":boom:" + tab + "\n"


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "tasks" / "cli").glob("*.py")))
def test_nothing_but_the_reason_of_a_signal_is_cut(module):
    source = (ROOT / "tasks" / "cli" / f"{module}.py").read_text()
    assert source.count("ellipsis") == (module == "aligned_lines")


def test_settings_are_whole_in_a_pipe(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    shown = CliRunner().invoke(tasks.app, ["config", "show"]).output
    assert "BINANCE_USDM_TRADE_URL  " in shown
    assert "…" not in shown


def test_a_strategy_of_any_name_is_listed_as_it_is_called(monkeypatch, tmp_path):
    file = tmp_path / "mine.toml"
    name = "tests.support.strategies:Echo"
    shadow = f'[pools.trade.shadow."{name}"]\nof = "{name}"\n'
    file.write_text(f'[pools.trade]\nkinds = ["trade"]\n[pools.trade.strategies."{name}"]\n{shadow}')
    monkeypatch.setenv("STRATEGIES_FILE", str(file))
    load.cache_clear()
    try:
        shown = CliRunner().invoke(tasks.app, ["strategies", "list"]).output
    finally:
        load.cache_clear()
    assert re.search(rf"{name} +trade, trade \(shadow\) +trade ", shown)


def test_an_image_without_a_version_of_its_own_has_the_checkouts(monkeypatch):
    monkeypatch.delenv("APP_VERSION", raising=False)
    assert f"ARG VERSION={importlib.reload(version).VERSION}\n" in (ROOT / "Dockerfile").read_text()


def test_the_changelogs_newest_release_is_the_version(monkeypatch):
    monkeypatch.delenv("APP_VERSION", raising=False)
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (\S+) - \d{4}-\d\d-\d\d$", text, re.MULTILINE)[0] == importlib.reload(version).VERSION


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("tasks", ["backtest", "x", "--jobs", "many"], "Invalid value for '--jobs': must be a whole number"),
        ("tasks", ["deadletters", "retry", "1-0", "--wait", "x"], "Invalid value for '--wait': must be a number"),
        ("ingest", ["simulate", "--rate", "x"], "Invalid value for '--rate': must be a number"),
        ("./run demo", ["demo", "--workers", "x"], "Invalid value for '--workers': must be a whole number"),
    ],
)
def test_an_option_that_cant_be_read_is_told_in_our_words(name, words, said):
    ended = CliRunner().invoke(APPS[name], words, terminal_width=200)
    assert ended.exit_code == 2
    assert said in ended.output
