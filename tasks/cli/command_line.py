"""Shared by all command lines: how they print, `-h`, and `--version`."""

from typing import Annotated, Any

import rich.console
import typer._coercion
from pydantic import ValidationError
from rich.console import ConsoleDimensions
from rich.table import Column, Table
from rich.text import Text

from tasks.settings import validation
from tasks.version import VERSION


def _in_our_words(error: ValidationError) -> str:
    return "; ".join(map(validation.say, validation.faults(error)))


# Typer has pydantic look at values, and prints what that says of them; it asks nobody.
typer._coercion.get_error_msg = _in_our_words  # type: ignore[attr-defined,assignment]  # noqa: SLF001 the same

#: What is no terminal has no width.
_ENDLESS = 1_000_000


class Console(rich.console.Console):  # noqa: TID251 this is the one that is meant
    """A console on which `:boom:` and `[red]` are text like any other, and which cuts nothing in a file or a pipe."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False, **options: Any) -> None:
        """With `soft_wrap` it breaks no line; `options` are more of rich's."""
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False, **options)

    @property
    def size(self) -> ConsoleDimensions:
        """Width and height; where there is no terminal, wide enough for any line."""
        size = super().size
        return size if self.is_terminal else ConsoleDimensions(_ENDLESS, size.height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


def table(*heads: str, **options: Any) -> Table:
    """Return a table whose cells are never cut: on a narrow terminal they go on in the next line."""
    return Table(*(Column(head, overflow="fold") for head in heads), box=None, pad_edge=False, **options)


def print_line(out: Console, line: Text) -> None:
    """Print a line of a list, whole: what a narrow terminal has no room for goes on below."""
    if out.is_terminal:
        out.print(line, soft_wrap=True)
    else:
        out.file.write(f"{line.plain}\n")  # not through rich, which makes blanks of tabs


def print_table(out: Console, rows: Table) -> None:
    """Print a table; in a file or a pipe without the spaces that a terminal needs at the ends of its lines."""
    if out.is_terminal:
        out.print(rows)
        return
    with out.capture() as captured:
        out.print(rows)
    for line in captured.get().splitlines():
        out.print(line.rstrip(), soft_wrap=True)


def _show(wanted: bool) -> None:  # noqa: FBT001 called by typer
    if wanted:
        typer.echo(f"realtime-strategies {VERSION}")
        raise typer.Exit


def top(**options: Any) -> typer.Typer:
    """Return the app of a program; its commands have `-h` from there. `options` are more of typer's."""
    settings = {"help_option_names": ["-h", "--help"]}
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=settings, **options)


AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs, one object a line.")]
Version = Annotated[bool, typer.Option("--version", callback=_show, is_eager=True, help="Show the version and exit.")]
