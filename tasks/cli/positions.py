"""`./run tasks positions`: what the paper accounts have closed, and what they hold."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec
import typer

from tasks.cli import command_line, entry_listing
from tasks.cli.command_line import AsJson
from tasks.cli.entry_listing import decoded
from tasks.cli.format_positions import ClosedColumns, OpenColumns, decode
from tasks.configuration import registry
from tasks.errors import SettingsError
from tasks.frames.symbols import spellings
from tasks.ledger.entry_stream import EntryStream
from tasks.ledger.reader import LedgerReader
from tasks.paper.open_row import OpenRow, open_rows
from tasks.settings import load

app = typer.Typer()

_STREAM = "position"


class _Names(msgspec.Struct):
    strategy: str
    symbol: str


_about = msgspec.json.Decoder(_Names).decode


class PositionFilter(NamedTuple):
    """The positions to show; an empty set stands for all."""

    strategies: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()

    def takes(self, packed: bytes) -> bool:
        """Whether a closed position, as JSON, is one of them. Raises LedgerError: it is no position."""
        if not any(self):
            return True
        names = decoded(_about, packed, _STREAM)
        return self.takes_names(names.strategy, names.symbol)

    def takes_names(self, strategy: str, symbol: str) -> bool:
        """Whether a position of a strategy and symbol is one of them."""
        return all(not wanted or name in wanted for name, wanted in zip((strategy, symbol), self, strict=True))


@app.command()
def positions(  # noqa: PLR0913 each argument is an option of the command line
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    is_open: Annotated[
        bool, typer.Option("--open", help="Those that are open instead, with what closing them now would leave.")
    ] = False,
    strategy: entry_listing.Strategies = None,
    symbol: entry_listing.Symbols = None,
    last: entry_listing.Last = None,
    since: entry_listing.Since = "",
    as_json: AsJson = False,
    as_digest: Annotated[
        bool, typer.Option("--digest", help="Only the digest of all that was closed and is held.")
    ] = False,
) -> None:
    """Show the positions that the paper accounts of the live pipeline have closed, oldest first, or those that are open.

    Example: ./run tasks positions --follow --last 20 --strategy orderbook_skew
    """
    reader = LedgerReader.reach(load())
    if as_digest:
        command_line.echo(reader.positions_digest())
        return
    chosen = PositionFilter(
        frozenset(map(registry.carried_name, strategy or ())), frozenset().union(*map(spellings, symbol or ()))
    )
    if not is_open:
        stream = EntryStream(reader, reader.keys.positions, b"position", chosen.takes)
        _show_closed(entry_listing.listed(reader, stream, since, last, follow=follow), as_json=as_json)
    elif follow or last is not None or since:
        raise SettingsError("--open shows what is held now: without --follow, --last and --since")
    else:
        _show_open(_open(reader, chosen), as_json=as_json)


def _show_closed(found: Iterator[bytes], *, as_json: bool) -> None:
    if as_json:
        entry_listing.echo(found)
        return
    console = command_line.Console()
    entry_listing.show(console, (decoded(decode, packed, _STREAM) for packed in found), ClosedColumns(console))


def _show_open(rows: list[OpenRow], *, as_json: bool) -> None:
    if as_json:
        entry_listing.echo(map(msgspec.json.encode, rows))
        return
    console = command_line.Console()
    entry_listing.show(console, rows, OpenColumns(console))


def _open(reader: LedgerReader, chosen: PositionFilter) -> list[OpenRow]:
    """Return the open positions, the one that was opened first first. Raises LedgerError: an account can't be read."""
    rows = open_rows(reader.stored_accounts())
    return sorted((row for row in rows if chosen.takes_names(row.strategy, row.symbol)), key=lambda row: row.opened_ms)
