"""The page of all commands, from what their help says."""

from collections.abc import Iterator
from typing import Any

import typer

from compose.local import commands as demo
from ingest import __main__ as ingest
from tasks.cli import main as tasks
from website.reference.markdown import code, prose, table

_INTRODUCTION = """\
# Commands

`./run` calls every command in a checkout. An installed wheel has the same ones as the program `realtime-strategies`, the
image as `python -m tasks` and `python -m ingest`. `--help` prints what this page says of a command. What a command
reads from the environment: [settings](settings.md).
"""
_PROGRAMS = {"demo": (demo.app, "./run"), "ingest": (ingest.app, "./run ingest"), "tasks": (tasks.app, "./run tasks")}


def page() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *(part for name in _PROGRAMS for part in _program(name))])


def _program(name: str) -> Iterator[str]:
    app, called = _PROGRAMS[name]
    command = typer.main.get_command(app)
    context = command.make_context(called, [], resilient_parsing=True)
    if name == "demo":
        yield from _command(command.commands["demo"], context, "demo")  # type: ignore[attr-defined]  # it is a group
    else:
        yield from _command(command, context)


def _command(command: Any, parent: Any, name: str = "") -> Iterator[str]:
    """Yield the sections of a command and of those below it."""
    context = command.make_context(name, [], parent, resilient_parsing=True) if name else parent
    path = context.command_path
    below = getattr(command, "commands", {})
    usage = "" if below else f"```text\n{' '.join(command.get_usage(context).removeprefix('Usage: ').split())}\n```\n\n"
    yield f"## {path}\n\n{usage}{_help(command.help or '')}\n"
    if records := [*_records(command, context)]:
        yield table(["option", "what it does"], records)
    for each in below:
        yield from _command(below[each], context, each)


def _records(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and not {"--version", "--install-completion"} & {*parameter.opts}:
            yield code(record[0]), prose(record[1])


def _help(text: str) -> str:
    """Return a help text as Markdown: its examples are commands."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return "\n\n".join(map(_paragraph, paragraphs))


def _paragraph(text: str) -> str:
    before, example, command = text.partition("Example: ")
    if example and not before:
        return f"```sh\n{command}\n```"
    return f"```sh\n{text}\n```" if text.startswith("./run ") else prose(text)
