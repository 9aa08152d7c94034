"""`python -m tasks strategies get|set|kill|revive|pause|resume|history|rollback`: the configuration in force."""

import getpass
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tasks import edits
from tasks.changes import Changes
from tasks.configuration import Configuration
from tasks.errors import LedgerError
from tasks.settings import load

app = typer.Typer()
out = Console(highlight=False)

Name = Annotated[str, typer.Argument(help="A strategy, or `all`.")]
Pool = Annotated[str, typer.Argument(help="A pool, as in the strategies file.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
Author = Annotated[str, typer.Option(help="Who; kept in the history.", show_default="you")]


def _put(changes: Changes, old: Configuration, new: Configuration, reason: str, author: str) -> None:
    if new.version == old.version:
        out.print("nothing to change")
        return
    change = changes.put(new, old.version, author or getpass.getuser(), reason)
    for line in edits.difference(old, new):
        out.print(f"  {line}")
    out.print(f"in force: version {change.version}, from the next batch of each lane on")


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="Only this strategy.")] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show the configuration in force, as far as it differs from the defaults."""
    configuration = Changes(load()).in_force()
    if as_json:
        typer.echo(configuration.canonical().decode())
        return
    out.print(f"version {configuration.version}")
    for line in edits.shown(configuration):
        if name in line:
            out.print(f"  {line}")


@app.command("set")
def set_(
    name: Name,
    values: Annotated[list[str], typer.Argument(help="levels=10 gate.min_confidence=0.7; `levels=` for the default.")],
    *,
    pool: Annotated[str, typer.Option(help="Only in this pool.")] = "",
    symbol: Annotated[str, typer.Option(help="Only for this symbol.")] = "",
    reason: Reason = "",
    author: Author = "",
) -> None:
    """Change parameters or gates of a strategy, while everything runs.

    Example: python -m tasks strategies set orderbook_skew levels=10 --symbol BTCUSDT --reason "thin book"
    """
    changes = Changes(load())
    old = changes.in_force()
    _put(changes, old, edits.apply(old, name, edits.assignments(values), pool, symbol), reason, author)


def _kill(name: str, reason: str, author: str, *, killed: bool) -> None:
    changes = Changes(load())
    old = changes.in_force()
    _put(changes, old, edits.apply(old, name, {"gate.killed": killed or None}), reason, author)


@app.command()
def kill(name: Name, *, reason: Reason = "", author: Author = "") -> None:
    """Hold back every signal of a strategy, or of `all`; states go on, so that `revive` is seamless."""
    _kill(name, reason, author, killed=True)


@app.command()
def revive(name: Name, *, reason: Reason = "", author: Author = "") -> None:
    """Let signals through again after `kill`."""
    _kill(name, reason, author, killed=False)


def _pause(pool: str, reason: str, author: str, *, paused: bool) -> None:
    changes = Changes(load())
    old = changes.in_force()
    _put(changes, old, edits.pause(old, pool, paused=paused), reason, author)


@app.command()
def pause(pool: Pool, *, reason: Reason = "", author: Author = "") -> None:
    """Hold back the signals of all strategies of a pool; states go on."""
    _pause(pool, reason, author, paused=True)


@app.command()
def resume(pool: Pool, *, reason: Reason = "", author: Author = "") -> None:
    """Let the signals of a pool through again."""
    _pause(pool, reason, author, paused=False)


@app.command()
def history(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False
) -> None:
    """List every change: version, when, who, why; the last is in force."""
    changes = Changes(load()).history()
    if as_json:
        for change in changes:
            typer.echo(msgspec.json.encode(change).decode())
        return
    table = Table("version", "when (UTC)", "who", "why", box=None, pad_edge=False)
    for change in changes:
        table.add_row(change.version, change.at, change.author, change.reason)
    out.print(table)


@app.command()
def rollback(
    version: Annotated[str, typer.Argument(help="From `history`; default: the one before the one in force.")] = "",
    *,
    reason: Reason = "",
    author: Author = "",
) -> None:
    """Put an earlier configuration in force again."""
    changes = Changes(load())
    old = changes.in_force()
    earlier = changes.history()[-1:] if not version else []
    wanted = version or "".join(change.previous for change in earlier)
    if not wanted:
        raise LedgerError("there is no earlier configuration")
    _put(changes, old, changes.read(wanted), reason or f"rollback to {wanted}", author)
