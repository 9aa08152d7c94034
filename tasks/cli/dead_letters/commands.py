"""`./run tasks deadletters list|show|drop`: what could not be used, and its end."""

from typing import Annotated

import typer
from rich.text import Text

from tasks.cli import command_line, format_dead_letters
from tasks.cli.command_line import AsJson
from tasks.cli.dead_letters.selection import (
    Ids,
    Last,
    Reasons,
    Since,
    Symbols,
    Until,
    chosen_letters,
    named_letters,
)
from tasks.cli.entry_listing import Strategies
from tasks.ledger.dead_letters import DeadLetterStore
from tasks.ledger.reader import LedgerReader
from tasks.ops.dead_letter_facts import facts
from tasks.settings import load

app = typer.Typer()


@app.command("list")
def list_letters(
    *,
    reason: Reasons = None,
    strategy: Strategies = None,
    symbol: Symbols = None,
    since: Since = "",
    until: Until = "",
    last: Last = None,
    as_json: AsJson = False,
) -> None:
    """List refused frames, events on which a strategy raised or workers died, and unpublishable signals, oldest first.

    Example: ./run tasks deadletters list --reason strategy_error --symbol BTCUSDT --since 2h
    """
    store = DeadLetterStore(LedgerReader.reach(load()))
    out, count = command_line.Console(), 0
    for letter in store.choose(chosen_letters(store, reason, strategy, symbol, since, until, last)):
        count += 1
        if as_json:
            command_line.echo_json(facts(letter))
        else:
            command_line.print_line(out, Text(format_dead_letters.line(letter)))
    if not count and not as_json:
        command_line.echo("no dead letters")


@app.command()
def show(
    ids: Annotated[list[str], typer.Argument(help="Ids, as `list` shows them.")], *, as_json: AsJson = False
) -> None:
    """Show everything about dead letters: the frame or the event, and why, with the traceback."""
    for number, letter in enumerate(DeadLetterStore(LedgerReader.reach(load())).get(ids)):
        if as_json:
            command_line.echo_json(facts(letter))
        else:
            command_line.echo("\n".join([*[""] * bool(number), *format_dead_letters.whole(letter)]))


@app.command()
def drop(  # noqa: PLR0913 each argument is an option of the command line
    ids: Ids = None,
    *,
    reason: Reasons = None,
    strategy: Strategies = None,
    symbol: Symbols = None,
    since: Since = "",
    until: Until = "",
    last: Last = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove dead letters, by ids or by filters. Asks first when it is more than one. Records and states stay.

    Example: ./run tasks deadletters drop --until 7d
    """
    store = DeadLetterStore(LedgerReader.reach(load()))
    chosen = chosen_letters(store, reason, strategy, symbol, since, until, last)
    found = [letter.id for letter in named_letters(store, ids or (), chosen)]
    if len(found) > 1 and not yes:
        command_line.confirm(f"drop {len(found):,} dead letters for good?")
    command_line.echo(f"dropped {store.drop(found):,}")
