"""`./run tasks backtest`: the strategies over recordings, in this process, without servers."""

import gc
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from tasks import configuration
from tasks.backtest import BacktestResult, html_document, html_report, parallel
from tasks.backtest.paper_statistics import PaperRow
from tasks.backtest.symbol_shard import refuse_unknown
from tasks.cli import command_line, files, format_paper
from tasks.cli.command_line import AsJson
from tasks.configuration import edits, named_strategies
from tasks.configuration.audit import Audit
from tasks.errors import RecordingError, SettingsError
from tasks.history import input_options
from tasks.history.input_options import InputOptions
from tasks.history.input_report import CountingReport
from tasks.protocol.digest import digest_line
from tasks.protocol.findings import none_used, untaken
from tasks.scoring import strategy_returns
from tasks.scoring.forward_returns import read_signals
from tasks.scoring.prices import PriceHistory
from tasks.settings import Settings, frame_limits, load

app = typer.Typer()

Recordings = Annotated[
    list[Path],
    typer.Argument(
        metavar="files",
        callback=command_line.standard_input,
        help="Recordings, or files of Binance's public data, Tardis or hftbacktest, packed or not; several are merged by "
        "time; - is standard input.",
    ),
]
StrategyNames = Annotated[str, typer.Option(help="Only these, with commas between.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="STRATEGY.NAME=VALUE, as in `strategies set`; repeatable.")
]
Audited = Annotated[
    bool, typer.Option(help="Run each event under the configuration it had in the live run of this NAMESPACE.")
]
HtmlPage = Annotated[
    Path | None, typer.Option(help="Write a page with what was earned, prices and signals; needs plotly.")
]
Processes = Annotated[
    int,
    typer.Option(
        "--jobs", min=0, help="Processes among which symbols are partitioned; 0: chosen by cores and file sizes."
    ),
]
SignalsFile = Annotated[Path | None, typer.Option(help="Write the signals, one JSON object a line, by event time.")]
ReturnsFile = Annotated[
    Path | None, typer.Option(help="Write the price after the signals of each strategy as JSON: EXPECTED_RETURNS_FILE.")
]
AsDigest = Annotated[bool, typer.Option("--digest", help="Only the digest: equal for runs with equal signals.")]
out = command_line.Console()
err = command_line.Console(stderr=True)


@app.command()
def backtest(  # noqa: PLR0913 each argument is an option of the command line
    *,
    paths: Recordings,
    symbols: files.Symbols = "",
    strategies: StrategyNames = "",
    changes: Assignments = None,
    audit: Audited = False,
    html: HtmlPage = None,
    processes: Processes = 0,
    signals: SignalsFile = None,
    returns: ReturnsFile = None,
    venue: files.VenueName = "",
    begin: files.Begin = "",
    end: files.End = "",
    book_interval_ms: files.BookInterval = 100,
    salvage: files.Salvage = False,
    as_json: AsJson = False,
    as_digest: AsDigest = False,
) -> None:
    """Run the strategies over recordings, in this process, without servers.

    Examples: ./run tasks backtest recording.jsonl.gz --set orderbook_skew.levels=10

    ./run tasks backtest monday.jsonl.gz tuesday.jsonl.gz --html page.html
    """
    chosen = chosen_configuration(symbols, strategies, changes or [])
    part = input_options.options(symbols, venue, begin, end, book_interval_ms)
    to_run = job(paths, chosen, part, audit=audit, watch=bool(html or returns))
    if html:
        html_document.plotly()  # Better missed now than after the run.
    report = CountingReport(warn, compares_files=len(paths) > 1)
    finished = run_job(to_run, processes, report)
    report.warn_of_refusals(paths)
    check_use(paths, finished, symbols, part)
    if html and finished.market:
        _write_page(html, paths, chosen, finished, finished.market)
    _write_files(finished, signals, returns)
    _show(finished.result, as_json=as_json, as_digest=as_digest)
    if report.is_damaged and not salvage:
        raise typer.Exit(files.DAMAGED)


def check_use(paths: list[Path], finished: parallel.FinishedBacktest, symbols: str, part: InputOptions) -> None:
    """Warn of frames that were not used.

    Raises RecordingError: there is none that can be used, or none of a symbol that was asked for.
    """
    result = finished.result
    if not result.frames:
        raise RecordingError(part._replace(symbols=frozenset()).nothing(paths))
    refuse_unknown(words(symbols), finished.symbols)
    refused = [
        f"{count:,} refused as {reason}, the first: {finished.refusals[reason]}"
        for reason, count in result.refused.items()
    ]
    if refused and not result.events and not result.skipped:
        raise RecordingError(f"nothing in {', '.join(map(str, paths))} can be used: {refused[0]}")
    for text in refused:
        warn(text)
    if not finished.used:
        warn(none_used(result.events, result.skipped, result.refused))
    for text in untaken(result.skipped):
        note(text)


def job(
    paths: list[Path],
    chosen: configuration.Configuration,
    part: InputOptions,
    *,
    audit: bool = False,
    watch: bool = False,
) -> parallel.BacktestJob:
    """Return the input of a backtest under a configuration. Raises LedgerError of an audit."""
    own = load()
    audited = _audited(own) if audit else None
    limits = frame_limits(own)
    # Symbols are filtered by the strategies, so that what is not there can be told.
    every_symbol = part._replace(symbols=frozenset())
    return parallel.BacktestJob(paths, chosen, audited, watch=watch, limits=limits, options=every_symbol)


def _audited(own: Settings) -> Audit:
    from tasks.ledger.reader import LedgerReader  # noqa: PLC0415 brings Redis, which no other backtest needs

    return LedgerReader.reach(own).audit()


def run_job(to_run: parallel.BacktestJob, processes: int, report: CountingReport) -> parallel.FinishedBacktest:
    """Run a backtest in `processes` processes (0: as `processes_for` chooses), and show its progress."""
    with command_line.progress(err) as progress:
        bar = progress.add_task("lines", total=None)
        # What is there by now stays. Without this, full collections look through it again and again: 6 % of the time.
        gc.freeze()
        return parallel.run(
            to_run,
            processes or parallel.processes_for(to_run.paths),
            lambda lines: progress.advance(bar, lines),
            report,
        )


def _write_page(
    path: Path,
    files: list[Path],
    chosen: configuration.Configuration,
    finished: parallel.FinishedBacktest,
    market: PriceHistory,
) -> None:
    made = finished.result, finished.signals, market, finished.ledger.positions
    size = html_report.write(path, html_report.ReportContent(files, chosen, *made))
    err.print(f"{path}: {size / 1e6:.1f} MB, opens without a network", highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning."""
    command_line.echo(f"warning: {text}", err=True)


def note(text: str) -> None:
    """Print what is no warning, and good to know."""
    command_line.echo(f"note: {text}", err=True)


def _write_files(finished: parallel.FinishedBacktest, signals: Path | None, returns: Path | None) -> None:
    """Write signals as `signals --json` prints them, and the price after them. Raises SettingsError."""
    if signals:
        _write(signals, b"".join(packed + b"\n" for packed in sorted(finished.signals, key=digest_line)))
    if returns and finished.market:
        found = strategy_returns.score(read_signals(finished.signals), finished.market.series)
        _write(returns, strategy_returns.pack(found) + b"\n")


def _write(path: Path, content: bytes) -> None:
    """Write a file. Raises SettingsError: it can't be written."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror or error}") from None


def chosen_configuration(symbols: str, strategies: str, changes: list[str]) -> configuration.Configuration:
    """Return the strategies file with these symbols and strategies only, and changed so. Raises SettingsError."""
    read = configuration.read(load().strategies_file)
    return named_strategies.narrowed(read, words(symbols), words(strategies), map(edits.assignment, changes))


def _show(result: BacktestResult, *, as_json: bool, as_digest: bool) -> None:
    if as_digest:
        command_line.echo(result.digest)
    elif as_json:
        command_line.echo_json(result)
    else:
        facts = msgspec.to_builtins(result)
        rows, unfilled = result.paper, facts.pop("unfilled")
        del facts["paper"]
        command_line.print_table(out, _facts(facts))
        _show_paper(rows, unfilled)


def _show_paper(rows: list[PaperRow], unfilled: dict[str, int]) -> None:
    if rows:
        table, left_out = format_paper.paper_table(rows, out.width)
        out.print("\npaper account: profit after fees and funding, in quote currency", style="bold", soft_wrap=True)
        command_line.print_table(out, table)
        if left_out:
            out.print(f"wider terminals show {', '.join(left_out)} too", style="dim", soft_wrap=True)
    if text := format_paper.unfilled_line(unfilled):
        out.print(text, soft_wrap=True)


def words(text: str) -> list[str]:
    """Return what stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _facts(facts: dict[str, Any]) -> Table:
    table = command_line.table("", "", show_header=False)
    for name, value in facts.items():
        text = ", ".join(f"{key} {count:,}" for key, count in value.items()) if isinstance(value, dict) else value
        table.add_row(Text(name, "bold"), f"{text:,}" if isinstance(text, int) else str(text or "none"))
    return table
