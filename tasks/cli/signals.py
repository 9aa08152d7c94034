"""`./run tasks signals`: what the live pipeline has committed, and what it commits."""

from typing import Annotated, get_args

import typer

from tasks.cli import command_line, entry_listing, format_signals
from tasks.cli.command_line import AsJson
from tasks.errors import SettingsError
from tasks.ledger.entry_stream import EntryStream
from tasks.ledger.reader import LedgerReader
from tasks.ops.entry_filters import SignalFilter, decoded, strategy_names, symbol_spellings
from tasks.settings import load
from tasks.strategy import Action

app = typer.Typer()

_STREAM = "signal"
_ACTIONS: tuple[str, ...] = get_args(Action)


@app.command()
def signals(  # noqa: PLR0913 each argument is an option of the command line
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new signals until Ctrl-C.")] = False,
    strategy: entry_listing.Strategies = None,
    symbol: entry_listing.Symbols = None,
    action: Annotated[list[str] | None, typer.Option(help=f"Only this of {', '.join(_ACTIONS)}; repeatable.")] = None,
    last: entry_listing.Last = None,
    since: entry_listing.Since = "",
    as_json: AsJson = False,
    as_digest: Annotated[bool, typer.Option("--digest", help="Only the digest of all that was committed.")] = False,
) -> None:
    """Show the signals that the live pipeline has committed, oldest first.

    Example: ./run tasks signals --follow --last 20 --symbol BTCUSDT --symbol ETHUSDT
    """
    reader = LedgerReader.reach(load())
    if as_digest:
        command_line.echo(reader.digest())
        return
    if unknown := set(action or ()) - set(_ACTIONS):
        raise SettingsError(f"--action takes {', '.join(_ACTIONS)}, not {', '.join(sorted(unknown))}")
    chosen = SignalFilter(strategy_names(strategy, reader.aliases()), symbol_spellings(symbol), frozenset(action or ()))
    stream = EntryStream(reader, reader.keys.signals, b"signal", chosen.takes)
    found = entry_listing.listed(reader, stream, since, last, follow=follow)
    if as_json:
        entry_listing.echo(found)
        return
    console = command_line.Console()
    displayed = (decoded(format_signals.decode, packed, _STREAM) for packed in found)
    entry_listing.show(console, displayed, format_signals.SignalColumns(console))
