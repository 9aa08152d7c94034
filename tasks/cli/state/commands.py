"""`./run tasks state`: where each symbol stands, how a strategy's states are removed, and what was done to them."""

import getpass
from collections.abc import Callable
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from tasks.cli import command_line, format_states, name_completion
from tasks.cli.command_line import AsJson
from tasks.configuration import registry
from tasks.errors import LedgerError, SettingsError
from tasks.ledger.configurations import ConfigurationStore
from tasks.ops.record_reset import RecordReset
from tasks.ops.state_reset import found_states, removed_states
from tasks.ops.states import StateField, StateFilter, StateStore
from tasks.protocol.findings import age
from tasks.protocol.utc_time import utc
from tasks.settings import Settings, load
from tasks.strategy import AnyStrategy
from tasks.telemetry.terminal import one_line

app = typer.Typer()

Pool = Annotated[str, typer.Option(help="Only in this pool.", show_default="all")]
Venue = Annotated[str, typer.Option(help="Only of this venue: spot, usdm, kraken ...", show_default="all")]
Symbol = Annotated[
    str,
    typer.Option(
        help="Only of this symbol; `all` is the state that symbols share.",
        show_default="every",
        autocompletion=name_completion.symbols,
    ),
]


def _chosen(pool: str, venue: str, symbol: str, strategy: str) -> StateFilter:
    return StateFilter(pool, venue, symbol, registry.carried_name(strategy))


@app.command()
def show(
    *,
    pool: Pool = "",
    strategy: Annotated[
        str,
        typer.Option(
            help="Only states of this strategy.", show_default="all", autocompletion=name_completion.strategies
        ),
    ] = "",
    venue: Venue = "",
    symbol: Symbol = "",
    as_json: AsJson = False,
) -> None:
    """Show the record of each symbol and the states beside it; with --json also what the states hold.

    Example: ./run tasks state show --symbol BTCUSDT
    """
    settings = load()
    found = StateStore(settings).find(_chosen(pool, venue, symbol, strategy))
    if as_json:
        for each in found:
            command_line.echo_json(format_states.facts(each))
        return
    strategy_of = _strategy_finder(settings)
    rows = sorted((each.name, format_states.row(each, strategy_of(each.name))) for each in found)
    if not rows:
        command_line.echo(f"no such record or state in the namespace {settings.namespace!r}")
        return
    console = command_line.Console()
    for line in format_states.lines(row for _, row in rows):
        command_line.print_line(console, Text(line))


def _strategy_finder(settings: Settings) -> Callable[[StateField], AnyStrategy | None]:
    """Return a function that finds the strategy of a state as it is in force; it returns None where that is unknown."""
    store = ConfigurationStore(settings)
    try:
        built = registry.build(store.read(store.version()))
    except (LedgerError, SettingsError):
        built = {}
    known = {(pool, each.name): each for pool, strategies in built.items() for each in strategies}

    def find(name: StateField) -> AnyStrategy | None:
        bound = known.get((name.pool, name.what)) if name.is_state else None
        return bound.for_symbol(name.symbol) if bound else None

    return find


@app.command()
def reset(  # noqa: PLR0913 each argument is an option of the command line
    strategy: Annotated[
        str, typer.Argument(help="A strategy, as `state show` names it.", autocompletion=name_completion.strategies)
    ] = "",
    *,
    records: Annotated[
        bool, typer.Option("--records", help="Instead: let the next events of --symbol be new, whatever their ids.")
    ] = False,
    pool: Pool = "",
    venue: Venue = "",
    symbol: Symbol = "",
    reason: Annotated[str, typer.Option(help="Why; kept in `state history`.")] = "",
    author: Annotated[str, typer.Option(help="Who; kept in `state history`.", show_default="you")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove the states of a strategy, or mend the records of a symbol, while everything runs.

    The strategy starts from an empty state with the next event, and warms up again.

    Batches of the pool that are in flight are refused and sent again, so no event sees half of it.

    Records, signals and other strategies stay as they are. With --records, states stay instead.

    Then records forget the id of their last event, for a symbol that a wrong one muted.

    A backtest knows of no reset: its digest may differ from here on.

    Example: ./run tasks state reset iceberg --symbol BTCUSDT --reason "bad prices at 3:12"
    """
    chosen = _chosen(pool, venue, symbol, strategy)
    author = author or getpass.getuser()
    if records:
        _reset_records(chosen, author, reason, ask=not yes)
    elif strategy:
        _reset_states(chosen, author, reason, ask=not yes)
    else:
        raise SettingsError("name a strategy, or give --records and --symbol")


def _reset_states(chosen: StateFilter, author: str, reason: str, *, ask: bool) -> None:
    states = StateStore(load())
    names = found_states(states, chosen)
    if ask:
        command_line.confirm(f"remove {_format_names(names)} for good?")
    for pool, count in removed_states(states, names, chosen, author, reason).items():
        command_line.echo(f"pool {pool}: removed {count:,}")


def _reset_records(chosen: StateFilter, author: str, reason: str, *, ask: bool) -> None:
    if chosen.strategy or not chosen.symbol:
        raise SettingsError("--records takes a --symbol, and no strategy")
    resetter = RecordReset(load())
    found = resetter.find(chosen)
    if not found:
        raise LedgerError(
            f"there is no such record of {chosen.symbol!r}; `./run tasks state show` lists those that there are"
        )
    if ask:
        names = ", ".join(f"{each.name.pool} {each.name.venue} {each.name.what}" for each in found)
        command_line.confirm(f"let the next event of {found[0].name.symbol} be new ({names})?")
    count = resetter.reset(chosen, author, reason)
    command_line.echo(f"records reset: {count:,}")


def _format_names(names: list[StateField]) -> str:
    first = ", ".join(f"{name.venue} {name.symbol}" for name in names[:5])
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"{len(names):,} state{'s' if len(names) > 1 else ''} of {names[0].what} ({first}{more})"


@app.command()
def history(*, as_json: AsJson = False) -> None:
    """List resets, seedings and prunings, oldest first: when, what, how many states, who, why, and from which files."""
    done = list(StateStore(load()).history())
    for each in done:
        of = each.reset
        if as_json:
            told = {"at_ms": each.at_ms, "states": each.states, **msgspec.to_builtins(of)}
            told |= {"symbols": each.symbols} if of.idle_s else {}
            command_line.echo_json(told)
            continue
        strategy, symbol = of.strategy or ("records" if of.records else "every strategy"), of.symbol or "every symbol"
        if of.idle_s:
            symbol = f"{each.symbols:,} symbols idle for {age(of.idle_s)}"
        what = " ".join(word for word in (of.pool, strategy, of.venue, symbol) if word)
        source = f"  from {', '.join(of.files)}" if of.files else ""
        said = f"{utc(each.at_ms)}  {what}  {each.states:,} states  {of.author}  {of.reason}".rstrip() + source
        command_line.echo(one_line(said))
    if not done and not as_json:
        command_line.echo("no state was ever reset, seeded or pruned")
