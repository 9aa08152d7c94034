"""Shared by all command lines: how they print, `-h`, and `--version`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import rich.console
import typer
import typer._coercion
from rich.console import ConsoleDimensions, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text
from typer.core import TyperGroup

from tasks import invocation
from tasks.cli import lazy_commands
from tasks.cli.lazy_commands import LazyGroup, LoadedCommands
from tasks.telemetry.terminal import one_line, printable, printable_json
from tasks.version import VERSION


def _in_our_words(error: Any) -> str:
    from tasks.settings import validation  # noqa: PLC0415 help pages need neither settings nor pydantic

    return "; ".join(map(validation.say, validation.faults(error)))


# Typer has pydantic look at values, and prints what that says of them; it asks nobody.
typer._coercion.get_error_msg = _in_our_words  # type: ignore[attr-defined,assignment]  # noqa: SLF001 the same

#: Of every program's settings, Celery's too.
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
_SHOWS_VERSION = "Show the version and exit."
#: What is no terminal has no width.
_ENDLESS = 1_000_000


class Console(rich.console.Console):  # noqa: TID251 this is the one that is meant
    """A console on which `:boom:` and `[red]` are text like any other, and which cuts nothing in a file or a pipe."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False, **options: Any) -> None:
        """With `soft_wrap` it breaks no line; `options` are more of rich's."""
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Called by rich: what is text has nothing in it that a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    @property
    def size(self) -> ConsoleDimensions:
        """Width and height; where there is no terminal, wide enough for any line."""
        size = super().size
        return size if self.is_terminal else ConsoleDimensions(_ENDLESS, size.height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


def echo(text: str, *, err: bool = False) -> None:
    """Print lines for a person, to standard output or error."""
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)


def confirm(question: str) -> None:
    """Ask a person; end the command where the answer is no."""
    typer.confirm(one_line(question), abort=True, err=True)  # noqa: TID251 it is the one


def echo_json(value: Any, *, indent: int = 0) -> None:
    """Print an object for a program: in a line, or in many if there is an indent."""
    packed = msgspec.json.encode(value)
    echo_packed(msgspec.json.format(packed, indent=indent) if indent else packed)


def echo_packed(packed: bytes) -> None:
    """Print JSON as it is; on a terminal without what that would obey."""
    if sys.stdout.isatty():
        print(printable_json(packed.decode(errors="backslashreplace")), flush=True)
    else:
        typer.echo(packed)  # noqa: TID251 bytes stay as they are


def table(*heads: str, **options: Any) -> Table:
    """Return a table whose cells are never cut: on a narrow terminal they go on in the next line."""
    return Table(*(Column(head, overflow="fold") for head in heads), box=None, pad_edge=False, **options)


def print_line(out: Console, line: Text) -> None:
    """Print a line of a list, whole: what a narrow terminal has no room for goes on below."""
    if out.is_terminal:
        out.print(line, soft_wrap=True)
    else:
        out.file.write(f"{printable(line.plain)}\n")  # not through rich, which makes blanks of tabs


def print_table(out: Console, rows: Table) -> None:
    """Print a table; in a file or a pipe without the spaces that a terminal needs at the ends of its lines."""
    if out.is_terminal:
        out.print(rows)
        return
    with out.capture() as captured:
        out.print(rows)
    for line in captured.get().splitlines():
        out.print(line.rstrip(), soft_wrap=True)


def progress(err: Console) -> Progress:
    """Return a display of how much is done, for a terminal; elsewhere it shows nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 called by typer
    if wanted:
        echo(f"realtime-strategies {VERSION}")
        raise typer.Exit


class _Program(TyperGroup):
    """A program: it and each of its commands has `--version`, and names commands in its help as they are called here."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        _equip(self, _version_option())


class _LazyProgram(_Program, LazyGroup):
    """A program that loads the modules of commands as they are called."""


def _equip(command: Any, version: Any) -> None:
    command.params.append(version)
    command.help = command.help and invocation.as_called(command.help)
    inner = getattr(command, "commands", {})
    if isinstance(inner, LoadedCommands):
        inner.on_load(lambda loaded: _equip(loaded, version))
        return
    for each in inner.values():
        _equip(each, version)


def _version_option() -> Any:
    app = typer.Typer(add_completion=False)

    @app.command()
    def _command(
        *,
        shows_version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help=_SHOWS_VERSION)
        ] = False,
    ) -> None:
        """Have the option made by typer, whose own classes take what changes from release to release."""

    [option] = typer.main.get_command(app).params
    option.expose_value = False
    return option


def top(table: lazy_commands.Table | None = None, *, add_completion: bool = False, **options: Any) -> typer.Typer:
    """Return the app of a program; its commands have `-h` and `--version` from there. `options` are more of typer's.

    Its commands are those of `table`, or else those that are added to it. With `add_completion` it has options by which a
    shell completes them.
    """
    cls = lazy_commands.of(table, _LazyProgram) if table else _Program
    return typer.Typer(
        cls=cls,
        add_completion=add_completion,
        pretty_exceptions_enable=False,
        context_settings=HELP_OPTIONS,
        **options,
    )


def standard_input(paths: list[Path]) -> list[Path]:
    """Return files to read, given as people do: `-` is standard input."""
    return [Path("/dev/stdin") if str(path) == "-" else path for path in paths]


AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs, one object a line.")]
