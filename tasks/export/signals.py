"""The signals of a backtest over recordings as a table: those of `tasks backtest`, without holding all in memory."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from tasks.backtest import Backtest
from tasks.backtest.symbol_shard import refuse_unknown
from tasks.configuration import Configuration
from tasks.export import signal_columns
from tasks.export.rows import RecordingInput, RowSource
from tasks.protocol.findings import none_used

#: After so many lines what waits in the lanes is run, and the signals are handed on. It changes no signal, as the
#: size of a batch never does.
CHUNK_LINES = 5_000


def source(recordings: RecordingInput, configuration: Configuration, chunk_lines: int = CHUNK_LINES) -> RowSource:
    """Return the signals of the strategies of a configuration, which has `recordings.symbols` only.

    They come in the order of their events' arrival, `chunk_lines` lines at a time; within those by event time and id.
    Raises SettingsError.
    """
    run = _BacktestRun(recordings, configuration, chunk_lines)
    metadata = recordings.metadata(signal_columns.TABLE, config_version=configuration.version)
    return RowSource(signal_columns.TABLE, run.rows(), metadata, run.findings)


class _BacktestRun:
    def __init__(self, recordings: RecordingInput, configuration: Configuration, chunk_lines: int) -> None:
        self._input, self._chunk_lines = recordings, chunk_lines
        self._backtest = Backtest(configuration, limits=recordings.limits)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every signal's contract, decoded. Raises RecordingError."""
        lines = self._input.lines()
        for first in lines:
            self._backtest.work(chain([first], islice(lines, self._chunk_lines - 1)))
            signals = map(msgspec.json.decode, self._backtest.ledger.take_signals())
            yield from sorted(signals, key=lambda signal: (signal["event_time_ms"], signal["id"]))
        refuse_unknown(self._input.symbols, self._backtest.shard.symbols)

    def findings(self) -> list[str]:
        """Return what a person should know: that there was nothing or nothing of use; strategies that raised."""
        counts = self._backtest.part().counts
        done = self._backtest.ledger.counts
        if not counts.of("frames"):
            return [self._input.nothing]
        found = []
        if not done.of("applied") and not done.of("repeats"):
            found.append(none_used(counts.of("events"), counts.by_label("skipped"), counts.by_label("refused")))
        for strategy, errors in done.by_label("errors").items():
            found.append(f"{strategy} raised an exception on {errors:,} events, which gave no signals")
        return found
