"""The command line for what the workers do: `python -m tasks --help`."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import redis
import structlog
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tasks import configuration
from tasks.backtest import Result, html_report, parallel
from tasks.cli import command_line
from tasks.cli.dead_letters import app as deadletters_app
from tasks.cli.doctor import app as doctor_app
from tasks.cli.history import app as history_app
from tasks.cli.live_configuration import app as changes_app
from tasks.cli.signals import app as signals_app
from tasks.cli.states import app as state_app
from tasks.cli.strategies import app as strategies_app
from tasks.configuration import edits
from tasks.engine.signal_message import SignalMessage, digest_line
from tasks.errors import RealtimeStrategiesError, RecordingError, SettingsError
from tasks.ledger.reader import Outbox
from tasks.protocol.findings import none_used
from tasks.protocol.plausibility import Limits
from tasks.settings import load, mask
from tasks.telemetry import terminal
from tasks.telemetry.logs import tell_hints

app = typer.Typer(
    help="Backtest strategies, look at signals and dead letters, find what is wrong, show the settings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings=command_line.CONTEXT,
)
config_app = typer.Typer(help="The settings in force.", no_args_is_help=True)
app.add_typer(deadletters_app, name="deadletters")
app.add_typer(state_app, name="state")
app.add_typer(config_app, name="config")
strategies_app.add_typer(changes_app)
strategies_app.add_typer(history_app)
app.add_typer(strategies_app, name="strategies")
app.add_typer(signals_app)
app.add_typer(doctor_app)

Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="STRATEGY.NAME=VALUE, as in `strategies set`; repeatable.")
]
Audited = Annotated[
    bool, typer.Option(help="Run each event under the configuration it had in the live run of this NAMESPACE.")
]
HtmlPage = Annotated[
    Path | None, typer.Option(help="Write a page with prices, signals and what came of them; needs plotly.")
]
Processes = Annotated[
    int, typer.Option("--jobs", min=0, help="Processes to share the symbols out to; 0: as many as pay.")
]
SignalsFile = Annotated[Path | None, typer.Option(help="Write the signals, one JSON object a line, by event time.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
AsDigest = Annotated[bool, typer.Option("--digest", help="Only the digest: equal for runs with equal signals.")]
out = command_line.Console()
err = command_line.Console(stderr=True)


@app.command()
def backtest(  # noqa: PLR0913 each argument is an option of the command line
    *,
    files: Annotated[list[Path], typer.Argument(help="Recordings, .jsonl or .jsonl.gz; several are merged by time.")],
    symbols: Annotated[str, typer.Option(help="Only these, with commas between.")] = "",
    strategies: Annotated[str, typer.Option(help="Only these, with commas between.")] = "",
    changes: Assignments = None,
    audit: Audited = False,
    html: HtmlPage = None,
    processes: Processes = 0,
    signals: SignalsFile = None,
    salvage: Annotated[bool, typer.Option("--salvage", help="Use what is whole of a damaged recording.")] = False,
    as_json: AsJson = False,
    as_digest: AsDigest = False,
) -> None:
    """Run the strategies over recordings, in this process, without servers.

    Examples: python -m tasks backtest recording.jsonl.gz --set orderbook_skew.levels=10

    python -m tasks backtest monday.jsonl.gz tuesday.jsonl.gz --html page.html
    """
    chosen = _chosen(symbols, strategies, changes or [])
    if html:
        html_report.plotly()  # Better missed now than after the run.
    ran = _run(_task(files, chosen, audit=audit, watch=html is not None, salvage=salvage), processes)
    if not ran.result.frames and not symbols:
        _warn(f"there is nothing in {', '.join(map(str, files))}")
    elif ran.result.frames and not ran.used:
        _warn(none_used(ran.result.events, ran.result.skipped, ran.result.refused))
    _refuse_unknown(_words(symbols), ran.symbols)
    if html and ran.market:
        _write_page(html, html_report.Content(files, chosen, ran.result, ran.signals, ran.market))
    if signals:
        _write_signals(signals, ran.signals)
    _show(ran.result, as_json=as_json, as_digest=as_digest)


def _task(
    files: list[Path], chosen: configuration.Configuration, *, audit: bool, watch: bool, salvage: bool
) -> parallel.Task:
    own = load()
    audited = Outbox.reach(own).audit() if audit else None
    limits = Limits(own.max_clock_lead_s, own.max_book_jump)
    return parallel.Task(files, chosen, audited, watch=watch, salvage=salvage, limits=limits)


def _run(task: parallel.Task, processes: int) -> parallel.Ran:
    """Run a backtest in so many processes, or as many as pay, and show how far it is."""
    with _progress() as progress:
        bar = progress.add_task("lines", total=None)
        return parallel.run(
            task, processes or parallel.jobs_for(task.paths), lambda lines: progress.advance(bar, lines), _warn
        )


def _write_page(path: Path, content: html_report.Content) -> None:
    size = html_report.write(path, content)
    err.print(f"{path}: {size / 1e6:.1f} MB, opens without a network", highlight=False, soft_wrap=True)


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _write_signals(path: Path, signals: list[bytes]) -> None:
    """Write signals as `signals --json` prints them. Raises SettingsError: the file can't be written."""
    try:
        path.write_bytes(b"".join(packed + b"\n" for packed in sorted(signals, key=digest_line)))
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror or error}") from None


def _chosen(symbols: str, strategies: str, changes: list[str]) -> configuration.Configuration:
    chosen = edits.only(configuration.read(load().strategies_file), _words(symbols), _words(strategies))
    for change in changes:
        name, assigned = edits.assignment(change)
        chosen = edits.apply(chosen, name, assigned)
    return chosen


def _show(result: Result, *, as_json: bool, as_digest: bool) -> None:
    if as_digest:
        print(result.digest)
    elif as_json:
        print(msgspec.json.encode(result).decode())
    else:
        command_line.print_table(out, _facts(msgspec.to_builtins(result)))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _refuse_unknown(wanted: list[str], known: list[str]) -> None:
    if unknown := sorted({symbol.upper() for symbol in wanted} - set(known)):
        raise RecordingError(f"no {', '.join(unknown)} in what was read; it has {', '.join(known) or 'no symbols'}")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _facts(facts: dict[str, Any]) -> Table:
    table = command_line.table("", "", show_header=False)
    for name, value in facts.items():
        text = ", ".join(f"{key} {count:,}" for key, count in value.items()) if isinstance(value, dict) else value
        table.add_row(Text(name, "bold"), f"{text:,}" if isinstance(text, int) else str(text or "none"))
    return table


@app.command()
def schema() -> None:
    """Print the signal contract as JSON Schema."""
    print(msgspec.json.format(msgspec.json.encode(SignalMessage.model_json_schema()), indent=2).decode())


@config_app.command("show")
def show_config(*, as_json: AsJson = False) -> None:
    """Show every setting: its environment name, its value (passwords masked), and what it means."""
    settings = load()
    shown = settings.shown()
    if as_json:
        print(msgspec.json.encode(shown).decode())
        return
    table = command_line.table("setting", "value", "what it is")
    for name, field in type(settings).model_fields.items():
        value = shown[name.upper()]
        given = "bold" if name in settings.model_fields_set else ""
        table.add_row(name.upper(), Text(value, given), field.description)
    command_line.print_table(out, table)


@app.callback()
def _hints(context: typer.Context, *, version: command_line.Version = False) -> None:  # noqa: ARG001 typer shows it
    if context.invoked_subcommand == "doctor":
        return  # it says them as findings
    with suppress(SettingsError):  # the command says it, if it needs them
        tell_hints(load())


def main() -> None:
    """Run a command; one line and exit code 1 for what a person can mend."""
    terminal.accept_any_text()
    # Standard output is for what was asked for.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        app()
    except RealtimeStrategiesError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except redis.RedisError as error:
        print(f"error: Redis at {mask(load().ledger)}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
