"""`./run tasks export`: events, signals and bars of recordings as files for notebooks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tasks import configuration
from tasks.cli import command_line, name_completion
from tasks.cli.backtest import Assignments, Recordings
from tasks.cli.files import VenueName
from tasks.configuration import edits, named_strategies
from tasks.events import KINDS
from tasks.export import bars as exported_bars
from tasks.export import event_columns, files
from tasks.export import events as exported_events
from tasks.export import signals as exported_signals
from tasks.export.rows import RecordingInput, RowSource
from tasks.frames.model import MAX_LEVELS
from tasks.settings import frame_limits, load

app = typer.Typer()
err = command_line.Console(stderr=True)

Target = Annotated[
    Path, typer.Option("--to", help=f"The file to write; its suffix says the format: {', '.join(files.SUFFIXES)}.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]
Symbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", help="Only this symbol; repeatable. A single one is also that of files that name none."),
]
Strategies = Annotated[
    list[str] | None,
    typer.Option("--strategy", help="Only this strategy; repeatable.", autocompletion=name_completion.strategies),
]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help=f"Only this kind of event ({', '.join(KINDS)}); repeatable.")
]
Levels = Annotated[int, typer.Option(min=0, max=MAX_LEVELS, help="Levels of each book that have columns.")]
Salvage = Annotated[bool, typer.Option("--salvage", help="Use the readable part of a damaged recording.")]


@app.command()
def events(  # noqa: PLR0913 each argument is an option of the command line
    *,
    recordings: Recordings,
    to: Target,
    kinds: Kinds = None,
    symbols: Symbols = None,
    venue: VenueName = "",
    levels: Levels = event_columns.DEFAULT_LEVELS,
    force: Force = False,
    salvage: Salvage = False,
) -> None:
    """Write the events of recordings, as strategies would get them: a row each, in the order of the frames.

    Example: ./run tasks export events recording.jsonl.gz --kind trade --to trades.parquet
    """
    read = _input(recordings, symbols, venue, salvage=salvage)
    _write(to, read, partial(exported_events.source, kinds=kinds or KINDS, levels=levels), force=force)


@app.command()
def signals(  # noqa: PLR0913 each argument is an option of the command line
    *,
    recordings: Recordings,
    to: Target,
    symbols: Symbols = None,
    venue: VenueName = "",
    strategies: Strategies = None,
    changes: Assignments = None,
    force: Force = False,
    salvage: Salvage = False,
) -> None:
    """Write the signals of a backtest over recordings, a row each.

    Example: ./run tasks export signals recording.jsonl.gz --to signals.csv
    """
    chosen = named_strategies.narrowed(
        configuration.read(load().strategies_file),
        symbols or [],
        strategies or [],
        map(edits.assignment, changes or []),
    )
    read = _input(recordings, symbols, venue, salvage=salvage)
    _write(to, read, partial(exported_signals.source, configuration=chosen), force=force)


@app.command()
def bars(  # noqa: PLR0913 each argument is an option of the command line
    *,
    recordings: Recordings,
    to: Target,
    bar: Annotated[str, typer.Option(help="Which bars: 1s, 1m, 1h, 1000tick, 50volume, 1000000dollar, ...")] = "1m",
    kind: Annotated[str, typer.Option(help="Of which trades: trade or agg_trade.")] = "trade",
    symbols: Symbols = None,
    venue: VenueName = "",
    force: Force = False,
    salvage: Salvage = False,
) -> None:
    """Write the bars of recorded trades, as strategies would get them, a row each.

    Example: ./run tasks export bars recording.jsonl.gz --bar 5m --to bars.parquet
    """
    read = _input(recordings, symbols, venue, salvage=salvage)
    _write(to, read, partial(exported_bars.source, bar=bar, kind=kind), force=force)


def _input(paths: list[Path], symbols: list[str] | None, venue: str, *, salvage: bool) -> RecordingInput:
    own = load()
    limits = frame_limits(own)
    return RecordingInput(paths, symbols or [], salvage, limits, venue, warn=_warn)


def _write(to: Path, read: RecordingInput, source: Callable[[RecordingInput], RowSource], *, force: bool) -> None:
    """Write a table, show the progress, and say what came out."""
    with command_line.progress(err) as progress:
        bar = progress.add_task("lines", total=None)
        made = source(read._replace(progress=lambda lines: progress.advance(bar, lines)))
        written = files.write(to, made, force=force)
    for finding in made.findings():
        _warn(finding)
    said = f"{to}: {written.rows:,} {made.schema.name}, {written.size_bytes / 1e6:.1f} MB"
    err.print(said, highlight=False, soft_wrap=True)


def _warn(text: str) -> None:
    err.print(f"warning: {text}", soft_wrap=True)
