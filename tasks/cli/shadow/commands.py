"""`./run tasks shadow`: the difference between strategies and their shadows, and who of them emits."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from tasks.backtest.parallel import FinishedBacktest
from tasks.backtest.shadow_report import ComparedRun, RunningPool, ShadowDifference, report
from tasks.cli import command_line
from tasks.cli.backtest import Assignments, Processes, check_use, chosen_configuration, job, run_job, warn
from tasks.cli.command_line import AsJson
from tasks.cli.shadow import format_differences
from tasks.cli.strategies.live_configuration import Author, Reason, author_or_you, show_change
from tasks.configuration import Configuration, audit, registry
from tasks.errors import LedgerError, SettingsError
from tasks.history import input_options
from tasks.history.input_report import CountingReport
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.entry_id import EntryId
from tasks.ledger.reader import LedgerReader
from tasks.ops import configuration_edits
from tasks.paper import read_accounts
from tasks.settings import load

app = typer.Typer()
out = command_line.Console()
err = command_line.Console(stderr=True)

Recordings = Annotated[
    list[Path] | None,
    typer.Option(
        "--from", metavar="files", help="Recordings: of a backtest over them, under the strategies file; repeatable."
    ),
]


@app.command("report")
def show_report(
    name: Annotated[str, typer.Argument(help="Only this shadow, or the shadows of this strategy.")] = "",
    *,
    recordings: Recordings = None,
    changes: Assignments = None,
    processes: Processes = 0,
    as_json: AsJson = False,
) -> None:
    """Show what differs between strategies and their shadows since both run: signals and profit, by symbol.

    Without --from it reads what the live pipeline has committed. The price after signals is known with --from only.

    Examples: ./run tasks shadow report

    ./run tasks shadow report --from recording.jsonl.gz --set shadow~orderbook_skew.levels=10
    """
    if changes and not recordings:
        raise SettingsError("--set goes with --from; `./run tasks strategies set` changes what runs live")
    run = _backtest(recordings, changes or [], processes) if recordings else _live()
    found = [each for each in report(run) if not name or registry.carried_name(name) in {each.shadow, each.original}]
    if name and not found:
        raise SettingsError(f"{name} has no shadow, and is none that runs")
    if as_json:
        command_line.echo_json(found)
    else:
        _show(found, run)


def _show(found: list[ShadowDifference], run: ComparedRun) -> None:
    for each in found:
        out.print(Text(format_differences.headline(each), "bold"))
        if each.began_ms is not None:
            command_line.print_table(out, format_differences.table(each))
    if not found:
        out.print("no strategy has a shadow that runs beside it")
    for note in format_differences.notes(run):
        err.print(note)


def _backtest(paths: list[Path], changes: list[str], processes: int) -> ComparedRun:
    chosen = chosen_configuration("", "", changes)
    counting = CountingReport(warn, compares_files=len(paths) > 1)
    finished = run_job(job(paths, chosen, input_options.ALL, watch=True), processes, counting)
    counting.warn_of_refusals(paths)
    check_use(paths, finished, "", input_options.ALL)
    return of_backtest(finished, chosen)


def of_backtest(finished: FinishedBacktest, chosen: Configuration) -> ComparedRun:
    """Return what a backtest with prices left behind. Raises SettingsError."""
    ledger = finished.ledger
    return ComparedRun(
        {chosen.version: _running(chosen)},
        chosen.version,
        [audit.read_line(line) for line in ledger.audit],
        ledger.signals,
        ledger.shadowed,
        ledger.positions,
        read_accounts(ledger.accounts()),
        finished.market.series if finished.market else None,
    )


def _live() -> ComparedRun:
    """Return what the live pipeline has committed. Raises LedgerError: no configuration is in force yet."""
    settings = load()
    reader, store = LedgerReader.reach(settings), ConfigurationStore(settings)
    keys, until_ms = reader.keys, reader.clocks_ms()

    def committed(stream: str, field: bytes) -> Iterator[bytes]:
        # What one commit wrote into several streams has one time: of each commit all is taken, or nothing.
        found = ((EntryId.parse(name), packed) for name, packed in reader.entries(stream, field))
        return (packed for entry, packed in found if entry.ms < until_ms[entry.ledger])

    in_force = store.in_force().configuration
    lines = list(map(audit.read_line, committed(keys.audit, b"line")))
    pools = {in_force.version: _running(in_force)}
    for version in {line.config_version for line in lines} - pools.keys():
        # What can't be made any more is as what did not run: the comparison begins after it.
        with suppress(SettingsError, LedgerError):
            pools[version] = _running(store.read(version))
    return ComparedRun(
        pools,
        in_force.version,
        lines,
        committed(keys.signals, b"signal"),
        committed(keys.shadowed, b"shadowed"),
        committed(keys.positions, b"position"),
        reader.stored_accounts(),
        None,
        _kept_since_ms(reader),
    )


class _Dated(msgspec.Struct):
    """The time in an entry of the streams that are compared."""

    event_time_ms: int = 0
    closed_ms: int = 0
    signal: "_Dated | None" = None

    @property
    def at_ms(self) -> int:
        return self.signal.at_ms if self.signal else max(self.event_time_ms, self.closed_ms)


def _kept_since_ms(reader: LedgerReader) -> int:
    """Return the time since which the streams hold all, by their first entries; 0: they were never trimmed."""
    keys = reader.keys
    streams = ((keys.signals, b"signal"), (keys.shadowed, b"shadowed"), (keys.positions, b"position"))
    first = (packed for each in streams for packed in reader.first_kept(*each))
    return max((msgspec.json.decode(packed, type=_Dated).at_ms for packed in first), default=0)


def _running(chosen: Configuration) -> list[RunningPool]:
    """Return what runs under a configuration. Raises SettingsError: a strategy of it can't be made here."""
    running = registry.running(chosen)
    return [RunningPool(pool, running[pool.name]) for pool in chosen.routes()]


@app.command()
def promote(
    name: Annotated[
        str, typer.Argument(help="The version that is to emit: shadow~NAME, or the original, to take it back.")
    ],
    *,
    reason: Reason = "",
    author: Author = "",
) -> None:
    """Let a shadow emit in place of its original, which then runs as the shadow; from the next batch of each lane on.

    Each version keeps its state and its paper account. `strategies rollback` undoes it.

    Example: ./run tasks shadow promote shadow~orderbook_skew --reason "twice the profit in a week"
    """
    show_change(ConfigurationStore(load()).set(configuration_edits.of_promotion(name), reason, author_or_you(author)))
