"""`./run tasks state seed`: states that a backtest of recordings computes are put into the ledger."""

import getpass
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from tasks.cli import backtest, command_line, files
from tasks.configuration import Configuration, named_strategies
from tasks.errors import RecordingError, SettingsError
from tasks.history import input_options
from tasks.history.input_options import InputOptions
from tasks.history.input_report import CountingReport
from tasks.ops.seed_plan import PoolSeed
from tasks.ops.state_seed import SeedContent, StateSeeder
from tasks.settings import load

app = typer.Typer()


@app.command()
def seed(  # noqa: PLR0913 each argument is an option of the command line
    *,
    paths: backtest.Recordings,
    strategies: Annotated[
        str, typer.Option("--strategy", help="Only states of these, with commas between.", show_default="all")
    ] = "",
    symbols: files.Symbols = "",
    venue: files.VenueName = "",
    begin: files.Begin = "",
    end: files.End = "",
    book_interval_ms: files.BookInterval = 100,
    salvage: Annotated[bool, typer.Option("--salvage", help="Use what can be read of a damaged file.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite records and states that are there.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept in `state history`.")] = "",
    author: Annotated[str, typer.Option(help="Who; kept in `state history`.", show_default="you")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Start strategies warm: compute their states from recordings, and put them into the ledger.

    They go on with the first event after the recordings, as if they had run over those too; signals of those are not sent.

    Bars, warm-up, cool-down and paper accounts come along. An event of the recordings is a repeat when it comes live.

    All is put in at once, or nothing, of several ledgers each; batches in flight are refused and sent again.

    Refused where the ledger has had events that the recordings lack, and without --replace where something is there.

    Example: ./run tasks state seed yesterday.jsonl.gz
    """
    part = input_options.options(symbols, venue, begin, end, book_interval_ms)
    seeder = StateSeeder(load())
    content = _content(seeder, paths, strategies, part, symbols, salvage=salvage)
    overwritten = sum(each.overwritten for each in seeder.plan(content, replace=replace))
    if overwritten and not yes:
        command_line.confirm(f"overwrite {overwritten:,} records and states for good?")
    done = seeder.seed(content, author or getpass.getuser(), reason, replace=replace)
    _echo_seeded(done)


def _echo_seeded(done: list[PoolSeed]) -> None:
    states, records = Counter[str](), Counter[str]()
    for each in done:
        states[each.pool] += each.states
        records[each.pool] += each.records
    for pool in states:
        command_line.echo(f"pool {pool}: put in {states[pool]:,} states and {records[pool]:,} records")
    if not done:
        command_line.echo("the ledger holds all of these already")


class _WholeFiles(CountingReport):
    """Counts what can't be used, but takes no part of a damaged file: its end would be missing in the states."""

    def damaged(self, path: Path, whole: int, error: object) -> None:
        """Raise RecordingError."""
        super(CountingReport, self).damaged(path, whole, error)


def _content(
    seeder: StateSeeder, paths: list[Path], strategies: str, part: InputOptions, symbols: str, *, salvage: bool
) -> SeedContent:
    """Return the states after the recordings, of the configuration in force. Raises what a person can fix."""
    in_force = seeder.configuration()
    chosen = named_strategies.narrowed(in_force, backtest.words(symbols), backtest.words(strategies), ())
    _refuse_switched_off(chosen, backtest.words(strategies))
    report = (CountingReport if salvage else _WholeFiles)(backtest.warn, compares_files=len(paths) > 1)
    finished = backtest.run_job(backtest.job(paths, chosen, part), 0, report)
    report.warn_of_refusals(paths)
    backtest.check_use(paths, finished, symbols, part)
    if not any(field.startswith("state:") for fields in finished.fields.values() for field in fields):
        raise RecordingError(f"no strategy takes anything of {', '.join(map(str, paths))}; nothing was put in")
    for name, count in finished.result.errors.items():
        backtest.warn(f"{name} raised on {count:,} events of the recordings, which its states lack")
    pools = {pool.name: pool for pool in in_force.routes()}
    return SeedContent(finished.fields, in_force.version, strategies, symbols, tuple(map(str, paths)), pools)


def _refuse_switched_off(chosen: Configuration, strategies: list[str]) -> None:
    for name in strategies:
        if any(named_strategies.is_off(chosen, pool, name) for pool in chosen.pools):
            raise SettingsError(
                f"{name} is switched off, so it has no states; first `./run tasks strategies resume {name}`"
            )
