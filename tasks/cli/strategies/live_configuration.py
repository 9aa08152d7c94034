"""`./run tasks strategies get|set|kill|revive|pause|resume|reset`: what is in force, changed at run time."""

import getpass
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated

import typer

from tasks import invocation
from tasks.cli import command_line, name_completion
from tasks.cli.command_line import AsJson
from tasks.configuration import Configuration, edits, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.configuration.model import SHADOW
from tasks.configuration.overlay import ALL
from tasks.errors import SettingsError
from tasks.ledger.configurations import ConfigurationStore, EditResult, Wanted
from tasks.ledger.reader import LedgerReader
from tasks.ops import configuration_edits
from tasks.settings import load
from tasks.telemetry.terminal import one_line

app = typer.Typer()
out = command_line.Console(soft_wrap=True)

Name = Annotated[
    str,
    typer.Argument(
        help="A strategy, by the name its signals carry or that of the strategies file; or `all`.",
        autocompletion=name_completion.strategies_or_all,
    ),
]
PoolOrStrategy = Annotated[
    str,
    typer.Argument(
        help="A pool, as in the strategies file, or a strategy.", autocompletion=name_completion.pools_and_strategies
    ),
]
Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
Author = Annotated[str, typer.Option(help="Who; kept in the history.", show_default="you")]


def author_or_you(author: str) -> str:
    """Return who makes a change."""
    return author or getpass.getuser()


def show_change(result: EditResult) -> None:
    """Print the result of an edit."""
    if result.change is None:
        out.print("nothing to change")
        return
    differences = edits.difference(result.old.configuration, result.new)
    for line in differences:
        out.print(one_line(f"  {line}"))
    if not differences:
        out.print("  what is in force is the same; what is set at run time changed")
    out.print(f"in force: version {result.change.version}, from the next batch of each lane on")


@app.command()
def get(
    name: Annotated[
        str, typer.Argument(help="Only this strategy.", autocompletion=name_completion.strategies_or_all)
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Show the configuration in force, as far as it differs from the defaults, and what of it was set at run time."""
    found = ConfigurationStore(load()).in_force()
    if as_json:
        command_line.echo_packed(found.configuration.canonical())
        return
    if name and name != ALL:
        name = registry.configured_name(found.configuration, name)
    out.print(f"version {found.configuration.version}")
    for line in edits.shown(found.configuration):
        if name.replace(SHADOW, "shadow.") in line:
            out.print(one_line(f"  {line}"))
    for line in _revisions(found.configuration, name):
        out.print(line)
    at_run_time = [value for value in found.overlay if name in {"", value.strategy}]
    if at_run_time:
        hint = invocation.as_called("`./run tasks strategies reset KEY` takes the file's")
        out.print(f"set at run time, over the strategies file ({hint}):")
    for value in at_run_time:
        out.print(one_line(f"  {value}"))


def _revisions(chosen: Configuration, name: str) -> Iterator[str]:
    """Yield the revisions of a strategy, by pool and symbol; none where its module can't be imported here."""
    built: Mapping[str, Sequence[BoundStrategy]] = {}
    with suppress(SettingsError):
        built = registry.running(chosen)
    for pool, strategies in built.items():
        for bound in strategies if name in chosen.pools[pool].versions() else ():
            if bound.name == registry.run_name(name):
                for symbol, revision in bound.revisions.items():
                    yield f"  revision in pool {pool}{f' for {symbol}' if symbol else ''}: {revision or 'not known'}"


@app.command("set")
def set_(
    name: Name,
    values: Annotated[list[str], typer.Argument(help="levels=10 gate.min_confidence=0.7; `levels=` for the default.")],
    *,
    pool: Annotated[str, typer.Option(help="Only in this pool.")] = "",
    symbol: Annotated[str, typer.Option(help="Only for this symbol.", autocompletion=name_completion.symbols)] = "",
    force: Annotated[bool, typer.Option("--force", help="Accept a symbol that has had no events.")] = False,
    reason: Reason = "",
    author: Author = "",
) -> None:
    """Change parameters or gates of a strategy, while everything runs; it outlives restarts and edits of the file.

    Example: ./run tasks strategies set orderbook_skew levels=10 --symbol BTCUSDT --reason "thin book"
    """
    settings = load()
    wanted = configuration_edits.of_values(
        LedgerReader(settings), name, edits.assignments(values), pool, symbol, note=None if force else out.print
    )
    show_change(ConfigurationStore(settings).set(wanted, reason, author_or_you(author)))


def _set(wanted: Wanted, reason: str, author: str) -> None:
    show_change(ConfigurationStore(load()).set(wanted, reason, author_or_you(author)))


@app.command()
def kill(name: Name, *, reason: Reason = "", author: Author = "") -> None:
    """Hold back every signal of a strategy, or of `all`; strategies keep running, so `revive` needs no warm-up."""
    _set(configuration_edits.of_switch(name, configuration_edits.KILLED), reason, author)


@app.command()
def revive(name: Name, *, reason: Reason = "", author: Author = "") -> None:
    """Let signals through again after `kill`."""
    _set(configuration_edits.of_switch(name, configuration_edits.REVIVED), reason, author)


@app.command()
def pause(name: PoolOrStrategy, *, reason: Reason = "", author: Author = "") -> None:
    """Hold back the signals of a strategy, or of all in a pool; states go on."""
    _set(configuration_edits.of_pause(name, paused=True), reason, author)


@app.command()
def resume(name: PoolOrStrategy, *, reason: Reason = "", author: Author = "") -> None:
    """Let signals of a pool or a strategy through again, and run one that was switched off."""
    _set(configuration_edits.of_pause(name, paused=False), reason, author)


@app.command()
def reset(
    key: Annotated[
        str,
        typer.Argument(
            help="As `get` and the doctor name it: orderbook_skew.levels; or a strategy, for all of it.",
            autocompletion=name_completion.strategies_or_all,
        ),
    ] = "",
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that was set at run time.")] = False,
    reason: Reason = "",
    author: Author = "",
) -> None:
    """Drop what was set at run time: what the strategies file says is in force again.

    Example: ./run tasks strategies reset orderbook_skew.levels
    """
    if bool(key) == everything:
        raise SettingsError(
            "say which KEY to reset, or --all; `./run tasks strategies get` lists what was set at run time"
        )
    show_change(ConfigurationStore(load()).reset(key, reason, author_or_you(author)))
