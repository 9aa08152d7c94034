"""The whole pipeline as processes, driven by a test."""

import http.client
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from compose.local.processes import Instance
from compose.local.servers import HOST
from compose.local.stack import Plan, Stack
from tasks import backtest, configuration
from tasks.history import recordings
from tasks.ledger import summary
from tasks.ledger.reader import LedgerReader
from tasks.ledger.summary import LedgerSummary
from tasks.settings import Settings
from tests.support import starting
from tests.support.waiting import wait_for

POLL_S = 0.05


@contextmanager
def running(plan: Plan, kind: Callable[[Instance, Plan], Stack] = Stack) -> Iterator[Stack]:
    """Start servers, ingest and workers; end them all behind the test."""
    environment = {"SIGNAL_MAX_AGE_S": "0", "INGEST_DRAIN_S": "90", "LOG_FORMAT": "json", **plan.environment}
    with Instance("test") as instance:
        stack = kind(instance, plan._replace(environment=environment))
        stack.wait_until_ready()
        yield stack


@contextmanager
def in_simulated_market(
    symbols: int, rate: int = 100, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Stack]:
    """Start a pipeline with one worker, which a simulated market feeds with `rate` events a second."""
    with running(Plan(1, "solo", environment=environment)) as stack:
        stack.start_feed(["simulate", "--symbols", str(symbols), "--rate", str(rate)])
        yield stack


def limited_plan(directory: Path, strategies: str, workers: int, pool: str, run_limit_s: int = 1) -> Plan:
    """Return a plan with these strategies and a limit for their runs; their file is written into the directory."""
    file = directory / "strategies.toml"
    file.write_text(strategies)
    return Plan(workers, pool, environment={"STRATEGIES_FILE": str(file), "RUN_LIMIT_S": str(run_limit_s)})


def replay(stack: Stack, files: Sequence[Path], speed: str, each: Callable[[], object] = lambda: None) -> None:
    """Replay recordings; call `each` every 50 ms meanwhile."""
    feed = stack.start_feed(["replay", *map(str, files), "--speed", speed])
    while feed.returncode is None:
        stack.instance.watch()
        each()
        time.sleep(POLL_S)
    feed.wanted = False
    assert feed.returncode == 0, feed.tail()


def applied_by(files: Sequence[Path]) -> int:
    """Return how many events the pools apply together: each once in every pool that takes it."""
    test = backtest.Backtest(configuration.read(Settings().strategies_file))
    test.work(recordings.merge(files))
    return test.ledger.counts.of("applied")


def lasting(files: Sequence[Path], seconds: float) -> str:
    """Return the speed at which recordings are replayed in `seconds`, at least."""
    times_ns = [line.received_at_ns for line in recordings.merge(files)]
    return f"{(times_ns[-1] - times_ns[0]) / 1e9 / seconds:.4g}"


def finish(stack: Stack) -> LedgerSummary:
    """Stop ingest, which works off what is left, and sum up."""
    # One that was killed holds the lead for a moment, and the next one stands by and would end with nothing done.
    wait_for(lambda: stack.instance.watch() is not None and leads(stack), "ingest's lead")
    stack.ingest.terminate()
    deadline_s = time.monotonic() + 120
    while stack.ingest.returncode is None:
        assert time.monotonic() < deadline_s, f"ingest does not end:{stack.ingest.tail()}"
        stack.instance.watch()
        time.sleep(POLL_S)
    assert stack.ingest.returncode == -signal.SIGTERM, stack.ingest.tail()
    return summary.read(stack.settings)


def leads(stack: Stack) -> bool:
    """Return whether ingest leads its shard."""
    return bool(ready(stack).get("started"))


def ready(stack: Stack, port: int | None = None) -> dict[str, Any]:
    """Return what /ready says, ingest's or that of a port; nothing while nobody answers."""
    connection = http.client.HTTPConnection(HOST, port or stack.http_port, timeout=1)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ready")
        said: dict[str, Any] = json.load(connection.getresponse())
        return said
    return {}


def deadletters(stack: Stack) -> list[bytes]:
    """Return every dead letter."""
    reader = LedgerReader(stack.settings)
    return [letter for _, letter in reader.entries(reader.keys.deadletters, b"letter")]


def backtested(files: Sequence[Path]) -> backtest.BacktestResult:
    """Run the same strategies over the recordings in this process; once, if they are those of another test."""
    return _backtested(Settings().strategies_file, *((file, file.stat().st_mtime_ns) for file in files))


@cache
def _backtested(strategies: Path, *files: tuple[Path, int]) -> backtest.BacktestResult:
    return backtest.run([file for file, _ in files], configuration.read(strategies))


def digests(run: backtest.BacktestResult | LedgerSummary) -> tuple[str, str]:
    """Return the digest of signals and records and that of the paper accounts."""
    return run.digest, run.positions_digest


def command(stack: Stack, *words: str) -> str:
    """Run `python -m tasks WORDS` against the stack; return what it prints."""
    done = starting.start(["tasks", *words], stack.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
