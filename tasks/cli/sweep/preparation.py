"""Prepares the recordings of a sweep, and says what it found in them."""

from pathlib import Path
from typing import NamedTuple

from tasks.backtest.symbol_shard import refuse_unknown
from tasks.cli import command_line
from tasks.cli.backtest import warn
from tasks.errors import RecordingError
from tasks.history.input_options import InputOptions
from tasks.history.input_report import CountingReport
from tasks.settings import Settings, frame_limits
from tasks.sweep.datasets import cache, writer
from tasks.sweep.datasets.dataset import Dataset


class Prepared(NamedTuple):
    """The recordings as datasets, in the order given."""

    datasets: list[Dataset]
    #: Whether only a part of some file was used.
    is_damaged: bool


def prepare(settings: Settings, paths: list[Path], options: InputOptions, err: command_line.Console) -> Prepared:
    """Return the datasets of recordings. Raises RecordingError, DatasetError."""
    limits = frame_limits(settings)
    made: list[Dataset] = []
    damaged = False
    total = sum(path.stat().st_size for path in paths if path.is_file())
    with command_line.progress(err) as progress:
        bar = progress.add_task("bytes read", total=total)
        for path in dict.fromkeys(paths):
            report = CountingReport(warn)
            made.append(
                writer.prepare(
                    path,
                    options,
                    limits,
                    directory=settings.research_path,
                    report=report,
                    progress=lambda size: progress.advance(bar, size),
                )
            )
            damaged |= report.is_damaged
    if not any(dataset.files for dataset in made):
        raise RecordingError(
            options.nothing(paths) if options.cuts else f"nothing in {', '.join(map(str, paths))} can be used"
        )
    cache.trim_datasets(settings, [dataset.key for dataset in made])
    return Prepared(made, damaged)


def check_symbols(prepared: Prepared, wanted: list[str]) -> None:
    """Raise RecordingError for symbols that were asked for and are in no recording."""
    refuse_unknown(wanted, {each.symbol for dataset in prepared.datasets for each in dataset.files})
