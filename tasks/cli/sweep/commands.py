"""The command `sweep`."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from tasks import configuration
from tasks.backtest import html_document
from tasks.cli import command_line, files
from tasks.cli.backtest import words
from tasks.cli.command_line import AsJson
from tasks.cli.sweep import display, page_content, preparation, table_files
from tasks.cli.sweep.display import SweepReport
from tasks.cli.sweep.session import SweepOptions, SweepSession
from tasks.configuration import Configuration, named_strategies, registry
from tasks.errors import SettingsError
from tasks.history import input_options
from tasks.settings import load
from tasks.sweep import Sweep
from tasks.sweep.page import html_page
from tasks.sweep.walk_forward import WindowLengths

app = typer.Typer()
out = command_line.Console()
err = command_line.Console(stderr=True)

SweepFile = Annotated[Path, typer.Argument(metavar="sweep", help="What to try: a TOML file (docs/research/sweeps.md).")]
Recordings = Annotated[
    list[Path],
    typer.Argument(
        metavar="files",
        callback=command_line.standard_input,
        help="Recordings, or files of Binance's public data, Tardis or hftbacktest, packed or not. Those that overlap in "
        "time are merged.",
    ),
]
HtmlPage = Annotated[Path | None, typer.Option("--html", help="Write a page with heat maps and tables; needs plotly.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write the rows as CSV.")]
ParquetFile = Annotated[Path | None, typer.Option("--parquet", help="Write the rows as Parquet; needs pyarrow.")]
Windows = Annotated[
    str | None,
    typer.Option(
        "--walk-forward",
        metavar="train=2h,test=30m,step=30m",
        help="Choose the best set of each train window, and report on the test window after it.",
    ),
]
Parts = Annotated[
    bool, typer.Option("--parts", help="A row for each recording and symbol too: in --json as `parts`, else alone.")
]
Local = Annotated[bool, typer.Option("--local", help="In processes of this machine, whether or not workers are there.")]
Processes = Annotated[int, typer.Option("--jobs", min=0, max=1_000, help="Processes of this machine; 0: one a core.")]
Upload = Annotated[
    bool, typer.Option("--upload", help="Send the recordings to workers through NATS instead of a shared folder.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what was done before.")]
Yes = Annotated[bool, typer.Option("--yes", help="Try a grid of more than a million sets.")]


@app.command()
def sweep(  # noqa: PLR0913 each argument is an option of the command line
    *,
    sweep_path: SweepFile,
    paths: Recordings,
    html: HtmlPage = None,
    csv: CsvFile = None,
    parquet: ParquetFile = None,
    windows: Windows = None,
    parts: Parts = False,
    local: Local = False,
    processes: Processes = 0,
    upload: Upload = False,
    resume: Resume = False,
    yes: Yes = False,
    symbols: files.Symbols = "",
    venue: files.VenueName = "",
    begin: files.Begin = "",
    end: files.End = "",
    book_interval_ms: files.BookInterval = 100,
    salvage: files.Salvage = False,
    as_json: AsJson = False,
) -> None:
    """Try many parameter sets of strategies over recordings, on workers or in processes of this machine.

    Example: ./run tasks sweep sweep.toml recording.jsonl.gz --html page.html
    """
    lengths = None if windows is None else WindowLengths.parse(windows)
    outputs = SweepOutputs(html, csv, parquet, as_json=as_json)
    asked = Sweep.read(sweep_path)
    _check(asked, outputs, lengths)
    how = SweepOptions(lengths, local, processes, upload, resume, yes, parts)
    session = SweepSession(load(), _configuration(asked, symbols), asked, how, err)
    options = input_options.options(symbols, venue, begin, end, book_interval_ms)._replace(symbols=frozenset())
    prepared = preparation.prepare(load(), paths, options, err)
    preparation.check_symbols(prepared, words(symbols))
    _write(session.run(prepared.datasets), paths, outputs)
    if prepared.is_damaged and not salvage:
        raise typer.Exit(files.DAMAGED)


class SweepOutputs(NamedTuple):
    """What is written and printed."""

    html: Path | None
    csv: Path | None
    parquet: Path | None
    as_json: bool


def _configuration(asked: Sweep, symbols: str) -> Configuration:
    """Return the strategies file with these symbols only.

    Raises SettingsError: also where a strategy that is asked for takes none of them.
    """
    whole = configuration.read(load().strategies_file)
    chosen = named_strategies.only(whole, words(symbols), ())
    for name in asked.strategies:
        if _has(whole, name) and not _has(chosen, name):
            raise SettingsError(f"{name} takes none of the symbols {symbols}")
    return chosen


def _has(chosen: Configuration, name: str) -> bool:
    try:
        return bool(registry.configured_name(chosen, name))
    except SettingsError:
        return False


def _check(asked: Sweep, outputs: SweepOutputs, lengths: WindowLengths | None) -> None:
    """Raise SettingsError for what would fail after the run."""
    if asked.method == "optuna" and lengths is not None:
        raise SettingsError("walk-forward needs every set in every window: use the methods grid or random with it")
    for path in (outputs.html, outputs.csv, outputs.parquet):
        if path:
            table_files.require_writable(path)
    if outputs.html:
        html_document.plotly()
    if outputs.parquet:
        table_files.require(outputs.parquet)


def _write(report: SweepReport, paths: list[Path], outputs: SweepOutputs) -> None:
    """Write the files and print the report.

    Raises SettingsError, and Exit with the status of what Ctrl-C ends where the report is not whole.
    """
    rows = report.rows if report.parts is None else report.parts
    if outputs.csv:
        table_files.write_csv(outputs.csv, rows, report.sample)
    if outputs.parquet:
        table_files.write_parquet(outputs.parquet, rows, report.sample)
    if outputs.html:
        size = html_page.write(outputs.html, page_content.of_report(report, paths))
        err.print(f"{outputs.html}: {size / 1e6:.1f} MB, opens without a network", soft_wrap=True)
    if outputs.as_json:
        command_line.echo_json(report)
    else:
        display.show(out, report)
    if report.unfinished:
        raise typer.Exit(130)
