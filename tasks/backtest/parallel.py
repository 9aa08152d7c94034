"""The backtest spread over processes by symbol: the same result, sooner."""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from tasks.backtest.backtest import Backtest, BacktestPart, BacktestResult
from tasks.backtest.symbol_shard import SymbolShard
from tasks.configuration import Configuration
from tasks.configuration.audit import Audit
from tasks.engine import MemoryLedger
from tasks.errors import RealtimeStrategiesError
from tasks.frames.plausibility import DEFAULT_LIMITS, PlausibilityLimits
from tasks.history import recordings
from tasks.history.input_options import ALL, InputOptions
from tasks.history.input_report import CountingReport, InputReport
from tasks.scoring.prices import PriceHistory

#: Recordings of less are read sooner than another process is started.
MIN_BYTES_A_JOB = 2 * 1024 * 1024


class BacktestJob(NamedTuple):
    """The input of every process of a backtest."""

    paths: list[Path]
    configuration: Configuration
    audit: Audit | None = None
    #: Whether prices are kept.
    watch: bool = False
    limits: PlausibilityLimits = DEFAULT_LIMITS
    options: InputOptions = ALL

    def lines(self, report: InputReport) -> Iterator[recordings.RecordingLine]:
        """Yield the lines to process; `report` is told what can't be used. Raises RecordingError."""
        return recordings.merge(self.paths, report, self.options)

    def backtest(self, number: int, processes: int) -> Backtest:
        """Return the backtest of one shard. Raises SettingsError."""
        market = PriceHistory() if self.watch else None
        shard = SymbolShard(number, processes)
        return Backtest(self.configuration, audit=self.audit, shard=shard, market=market, limits=self.limits)


class FinishedBacktest(NamedTuple):
    """A finished backtest: its result, signals, records and states, and prices."""

    result: BacktestResult
    signals: list[bytes]
    #: Records and states, packed, by pool and field name.
    fields: Mapping[str, Mapping[str, bytes]]
    #: All that the recordings name.
    symbols: list[str]
    market: PriceHistory | None
    #: Whether any event was given to a pool.
    used: bool
    #: The first frame that was refused for each reason: its place, and why.
    refusals: dict[str, str]
    #: All of it.
    ledger: MemoryLedger


def processes_for(paths: list[Path]) -> int:
    """Return how many processes to use: one a core at most, each with at least `MIN_BYTES_A_JOB` to read."""
    size = sum(path.stat().st_size for path in paths if path.is_file())
    return max(1, min(os.cpu_count() or 1, size // MIN_BYTES_A_JOB))


def run(
    job: BacktestJob,
    processes: int = 1,
    progress: Callable[[int], None] = lambda _: None,
    report: InputReport | None = None,
) -> FinishedBacktest:
    """Run over recordings, merged by when they were received, in `processes` processes; this one is the first of them.

    `progress` is called with the number of further lines read, `report` is told what can't be used; without one it is
    passed over. Raises RecordingError, SettingsError, and LedgerError of an audit.
    """
    started_s = time.perf_counter()
    if processes > 1:
        recordings.refuse_pipes(job.paths, f"each of {processes} processes reads all of it")
    helpers = [_HelperProcess(job, number, processes) for number in range(1, processes)]
    try:
        backtest = job.backtest(0, processes)
        backtest.work(job.lines(report or CountingReport()), progress)
        for helper in helpers:
            backtest.add(helper.part())
    finally:
        for helper in helpers:
            helper.end()
    part = backtest.part()
    result = backtest.result(time.perf_counter() - started_s)
    used = bool(part.ledger.counts.of("applied") or part.ledger.counts.of("repeats"))
    refusals = {reason: text for reason, (_, text) in part.refusals.items()}
    ledger = part.ledger
    return FinishedBacktest(
        result, ledger.signals, ledger.fields, backtest.shard.symbols, part.market, used, refusals, ledger
    )


class _HelperProcess:
    """Another process with its own shard. Not of an executor, which can't end one in the middle of its work."""

    def __init__(self, job: BacktestJob, number: int, processes: int) -> None:
        context = get_context("spawn")  # A fork would copy the progress bar's thread half-way.
        self._answer, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_help, args=(theirs, job, number, processes), daemon=True)
        self._process.start()
        theirs.close()

    def part(self) -> BacktestPart:
        """Return the part of the process, once it is finished. Raises what it raised."""
        try:
            answer = self._answer.recv()
        except EOFError:
            raise RealtimeStrategiesError("a process of the backtest died; is there enough memory?") from None
        if isinstance(answer, RealtimeStrategiesError):
            raise answer
        return BacktestPart(*answer)

    def end(self) -> None:
        """End the process, wherever it is."""
        self._process.terminate()
        self._process.join()
        self._answer.close()


def _help(answer: "Connection[object, object]", job: BacktestJob, number: int, processes: int) -> None:
    """Run a helper's part of the backtest; Ctrl-C is the first process's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # As the command does: what is there by now stays.
    try:
        backtest = job.backtest(number, processes)
        backtest.work(job.lines(CountingReport()), _stay_while_wanted)
        answer.send(backtest.part())
    except RealtimeStrategiesError as error:
        answer.send(error)


def _stay_while_wanted(_: int) -> None:
    """End this process when the first one was killed. Called every thousand lines."""
    first = parent_process()
    if first and not first.is_alive():
        raise SystemExit(1)
