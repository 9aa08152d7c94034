"""`./run tasks state prune`: what the ledger holds of symbols that are gone is removed."""

import getpass
from typing import Annotated

import typer

from tasks.cli import command_line
from tasks.errors import SettingsError
from tasks.ops.prune_plan import IdleSymbols
from tasks.ops.state_prune import StatePruner
from tasks.ops.time_arguments import length_ms
from tasks.protocol.findings import named_some
from tasks.protocol.utc_time import utc
from tasks.settings import load

app = typer.Typer()


@app.command()
def prune(
    *,
    idle: Annotated[str, typer.Option(help="Symbols that had no event for so long: 30d, 12h.")],
    reason: Annotated[str, typer.Option(help="Why; kept in `state history`.")] = "",
    author: Annotated[str, typer.Option(help="Who; kept in `state history`.", show_default="you")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove records, states and paper accounts of symbols that had no event for a long time, while everything runs.

    The time counts back from the newest event of all, so that a feed that stood still makes no symbol idle.

    A symbol goes whole, from every pool, or, if an event of it comes meanwhile, not at all; with it go its audit lines.

    A symbol that comes back starts as a new one. Signals stay, and so do states that symbols share.

    A backtest knows of no pruning: the digest lacks these symbols from here on, and `backtest --audit` refuses them.

    Example: ./run tasks state prune --idle 30d
    """
    idle_ms = length_ms(idle, "--idle")
    if not idle_ms:
        raise SettingsError("--idle takes more than 0: else no symbol would be left but one")
    pruner = StatePruner(load())
    found = pruner.find(idle_ms)
    if not found.symbols:
        newest = f"; the newest event is of {utc(found.newest_ms)}" if found.newest_ms else ""
        command_line.echo(f"no symbol was idle for {idle}{newest}")
        return
    if not yes:
        command_line.confirm(f"remove {_format(found)} for good?")
    removed = pruner.prune(found, idle_ms // 1_000, author or getpass.getuser(), reason)
    woke = len(found.symbols) - len(removed)
    kept = f"; {woke:,} had events meanwhile and stay" if woke else ""
    command_line.echo(f"removed {_symbols(len(removed))}{kept}")


def _format(found: IdleSymbols) -> str:
    names = named_some([str(symbol.name) for symbol in found.symbols])
    return (
        f"{found.count('record'):,} records, {found.count('state'):,} states and {found.count('paper'):,} paper accounts of "
        f"{_symbols(len(found.symbols))} without an event since {utc(found.since_ms)} ({names})"
    )


def _symbols(count: int) -> str:
    return f"{count:,} symbol{'s' * (count != 1)}"
