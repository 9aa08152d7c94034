"""Shared by `./run tasks signals` and `positions`: the entries of a stream, oldest first, and on with new ones."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated, Protocol, TypeVar

import typer
from rich.text import Text

from tasks.cli import command_line, name_completion
from tasks.ledger.entry_stream import EntryStream
from tasks.ledger.reader import LedgerReader
from tasks.ops.time_arguments import since_ms
from tasks.telemetry.terminal import one_line

Strategies = Annotated[
    list[str] | None,
    typer.Option("--strategy", help="Only of this strategy; repeatable.", autocompletion=name_completion.strategies),
]
Symbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", help="Only for this symbol; repeatable.", autocompletion=name_completion.symbols),
]
Last = Annotated[
    int | None, typer.Option("--last", "-n", min=0, help="Begin with so many of the newest.", show_default="all")
]
Since = Annotated[str, typer.Option(help="Committed since then: 90s, 10m, 2h, 1d ago, or a time in UTC.")]

T = TypeVar("T")
Entry_contra = TypeVar("Entry_contra", contravariant=True)


def listed(reader: LedgerReader, stream: EntryStream, since: str, last: int | None, *, follow: bool) -> Iterator[bytes]:
    """Yield the entries committed `since` (as the option takes it; empty: ever), of them the `last` ones, and new ones."""
    begin_ms = _begin_ms(reader, since)
    stored = stream.stored(begin_ms) if last is None else iter(stream.newest(last, begin_ms))
    return chain(stored, stream.follow(_say)) if follow else stored


def _begin_ms(reader: LedgerReader, since: str) -> int:
    if not since:
        return 0
    # By Redis's clock: it dates the entries of the stream.
    now_s, now_us = reader.client.time()
    return since_ms(since, now_s * 1_000 + now_us // 1_000)


def _say(text: str) -> None:
    command_line.Console(stderr=True).print(Text(text, style="yellow"), soft_wrap=True)


def echo(lines: Iterable[bytes]) -> None:
    """Print lines as they are."""
    for packed in lines:
        command_line.echo_packed(packed)


class EntryColumns(Protocol[Entry_contra]):
    """How the entries of a stream are printed."""

    def header(self) -> None:
        """Print what the columns are."""

    def show(self, entry: Entry_contra, /) -> None:
        """Print an entry for a terminal, in columns."""

    def plain(self, entry: Entry_contra, /) -> str:
        """Return its line for a file or a pipe: whole, with the date, as wide as it is."""

    def day(self, entry: Entry_contra, /) -> str:
        """Return the day of its time of day: 2024-08-09."""


def show(console: command_line.Console, entries: Iterable[T], columns: EntryColumns[T]) -> None:
    """Print lines: for a terminal in columns, with a line where a new day begins; else whole."""
    day = ""
    if console.is_terminal:
        columns.header()
    for entry in entries:
        if not console.is_terminal:
            command_line.echo(one_line(columns.plain(entry)))
            continue
        if day != (day := columns.day(entry)):
            console.print(Text(day, style="dim bold"))
        columns.show(entry)
