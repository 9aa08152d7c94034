"""`./run tasks positions`: what the paper accounts have closed, and what they hold."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from tasks.cli import command_line, entry_listing
from tasks.cli.command_line import AsJson
from tasks.cli.format_positions import ClosedColumns, OpenColumns, decode
from tasks.errors import SettingsError
from tasks.ledger.entry_stream import EntryStream
from tasks.ledger.reader import LedgerReader
from tasks.ops.entry_filters import PositionFilter, decoded, strategy_names, symbol_spellings
from tasks.paper.open_row import OpenRow
from tasks.settings import load

app = typer.Typer()

_STREAM = "position"


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
    chosen = PositionFilter(strategy_names(strategy, reader.aliases()), symbol_spellings(symbol))
    if not is_open:
        stream = EntryStream(reader, reader.keys.positions, b"position", chosen.takes)
        _show_closed(entry_listing.listed(reader, stream, since, last, follow=follow), as_json=as_json)
    elif follow or last is not None or since:
        raise SettingsError("--open shows what is held now: without --follow, --last and --since")
    else:
        _show_open(chosen.open_rows(reader), as_json=as_json)


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
