"""One case: a pipeline that is fed while faults happen to it, and the result."""

import http.client
import json
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

import psutil
import redis

from compose.local.processes import Process
from compose.local.servers import HOST
from tasks.ledger import summary
from tasks.ledger.reader import LedgerReader
from tests.faults import verdict
from tests.faults.rig import Rig, Setup, rig
from tests.faults.verdict import Event, Row
from tests.faults.wrapped import count
from tests.support.stacks.pipeline import lasting
from tests.support.waiting import wait_for

SEED = 20240808
POLL_S = 0.05
#: An event that waits for longer than this has not met with normal latency.
NORMAL_S = 0.5
#: As many messages of a stream may be in flight while all is well.
UNREAD = 500
CALM_WITHIN_S = 60.0
LOOK_S = 0.25
#: A batch that got lost is late by then.
SHOWS_S = 1.5
_OLDEST = re.compile(r"^ingest_oldest_event_seconds ([\d.e+-]+)$", re.MULTILINE)
_UNREAD = re.compile(r"^ingest_stream_unread ([\d.e+-]+)$", re.MULTILINE)


class FaultRun:
    """What a fault is given to work with."""

    def __init__(self, stack: Rig, mode: str) -> None:
        self.stack, self.mode = stack, mode
        self.dice = Random(SEED)
        self.reader = LedgerReader(stack.settings)
        self.redis = redis.Redis.from_url(stack.redis_url, retry=None, socket_timeout=10)
        #: Whether frames still come in.
        self.feeding = False
        self.times = 0
        #: What a ledger said that was destroyed since.
        self.before: list[Event] = []
        #: The longest time after a fault at which all was not well.
        self.recovery_s = 0.0
        self._over_s: float | None = None
        self._inside = 0
        self._looked_s = 0.0

    # What a fault says

    def hit(self, times: int = 1) -> None:
        """The fault happened, and is over by now."""
        self.times += times
        self._over_s = time.monotonic()

    def remember(self) -> None:
        """Keep what the ledger says, because it goes. Nobody may write to it meanwhile."""
        self.before += verdict.applied(self.reader)

    # What a fault does

    def kill(self, process: Process) -> None:
        """End a process and its children, and start it again at once."""
        self.stack.instance.kill(process)
        self.stack.instance.start_again(process)

    def command(self, *words: str | int) -> None:
        """Have Redis do something."""
        self.redis.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py's gap

    def restart(self, process: Process) -> None:
        """Stop a process in order, and start it again."""
        self.stack.instance.stop(process, grace_s=20)
        self.stack.instance.start_again(process)

    def signal(self, process: Process, number: int) -> None:
        """Send a signal to a process and its children."""
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process.pid)
            for each in [*parent.children(), parent]:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(number)

    @property
    def leader(self) -> Process:
        """The ingest process that takes frames in."""

        def leading() -> list[Process]:
            return [process for process in self.stack.ports if self.leads(process)]

        return wait_for(leading, "a leader")[0]

    def leads(self, process: Process) -> bool:
        """Whether this ingest process takes frames in."""
        status, body = self.ask(process, "/ready")
        return status == http.client.OK and bool(json.loads(body)["started"])

    # How it is

    @property
    def symptoms(self) -> str:
        """What there is to say when it does not get well."""
        probes = [self.ask(process, "/ready") for process in self.stack.ports]
        ages = [_OLDEST.findall(self.ask(process, "/metrics")[1]) for process in self.stack.ports]
        return f"{self.times} faults, {probes}, {ages}{self.stack.ingest.tail(20)}"

    def ask(self, process: Process, path: str) -> tuple[int, str]:
        """Ask an ingest process; (0, ""): it does not answer."""
        connection = http.client.HTTPConnection(HOST, self.stack.ports[process], timeout=1)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        return 0, ""

    def complete(self) -> bool:
        """Whether every process is there, every ingest process is ready, and every shard is led."""
        answers = {process: self.ask(process, "/ready") for process in self.stack.ports}
        if any(status != http.client.OK for status, _ in answers.values()):
            return False
        led = {shard(process) for process, (_, body) in answers.items() if json.loads(body)["started"]}
        workers = all(worker.returncode is None for worker in self.stack.workers)
        return workers and led == {shard(process) for process in answers}

    def calm(self) -> bool:
        """Whether all are there, and nothing waits longer than usual."""
        if not self.complete():
            return False
        for process in self.stack.ports:
            _, metrics = self.ask(process, "/metrics")
            oldest, unread = _OLDEST.search(metrics), _UNREAD.search(metrics)
            if not oldest or float(oldest[1]) > NORMAL_S or not unread or float(unread[1]) > UNREAD:
                return False
        return True

    def watch(self) -> None:
        """Start again what ended, note what happened inside of processes, and whether all is well again."""
        self.look_after()
        now_s = time.monotonic()
        if self._over_s is not None and now_s - self._looked_s > LOOK_S:
            self._looked_s = now_s
            if not self.calm():
                self.recovery_s = max(self.recovery_s, time.monotonic() - self._over_s)

    def look_after(self) -> None:
        """Start again what ended, and note what happened inside of processes."""
        self.stack.instance.watch()
        inside = sum(map(count, self.stack.inside.values()))
        if inside > self._inside:
            self.hit(inside - self._inside)
        self._inside = inside

    @property
    def recovered(self) -> bool:
        """Whether all is well again, and so long after the last fault that it would show if it were not."""
        return self._over_s is not None and time.monotonic() - self._over_s > SHOWS_S and self.calm()


def shard(ingest: Process) -> str:
    """Return which shard it is to lead."""
    return ingest.environment.get("INGEST_SHARD", "0/1")


#: Does something to a pipeline, step by step; yields how many seconds to wait until the next step.
Fault = Callable[[FaultRun], Iterator[float]]


class Case(NamedTuple):
    """One fault."""

    name: str
    fault: Fault
    setup: Setup = Setup()
    #: Without a stream, what comes in meanwhile may be gone.
    core_loses: bool = False
    #: Redis's own data goes.
    forgets: bool = False
    #: How long the replay takes, at least, when nothing goes wrong.
    lasts_s: float = 6.0


def _steps(run: FaultRun, fault: Iterator[float], feed: Process) -> Iterator[None]:
    """Let the fault go on when it is due, until it has ended and the feed has too."""
    due_s, left = 0.0, True
    while left or feed.returncode is None:
        run.feeding = feed.returncode is None
        if left and time.monotonic() >= due_s:
            try:
                due_s = time.monotonic() + next(fault)
            except StopIteration:
                left = False
        run.watch()
        yield


def feed(run: FaultRun, files: Sequence[Path], speed: str, fault: Iterator[float]) -> None:
    """Replay recordings while a fault happens; wait until all is well again."""
    before = run.reader.counters().of("applied")
    process = run.stack.start_feed(["replay", *map(str, files), "--speed", speed])
    wait_for(lambda: run.reader.counters().of("applied") > before or process.returncode is not None, "events")
    for _ in _steps(run, fault, process):
        time.sleep(POLL_S)
    process.wanted = False
    assert process.returncode == 0, process.tail()
    deadline_s = time.monotonic() + CALM_WITHIN_S
    while not run.recovered:
        assert time.monotonic() < deadline_s, f"still not well: {run.symptoms}"
        run.watch()
        time.sleep(POLL_S)


def stop_ingest(run: FaultRun) -> None:
    """Stop every ingest process in order, which works off what is left."""
    for process in reversed(run.stack.ports):
        process.terminate()
        wait_for(
            lambda: run.stack.instance.watch() is not None and process.returncode is not None,  # noqa: B023 called at once
            process.name,
            hangs_s=90,
        )
        assert process.returncode == -signal.SIGTERM, process.tail(20)


def finish(run: FaultRun) -> summary.LedgerSummary:
    """Stop ingest in order, and sum up."""
    stop_ingest(run)
    return summary.read(run.stack.settings)


def none(_: FaultRun) -> Iterator[float]:
    """No fault."""
    yield from ()


def run_case(case: Case, mode: str, halves: tuple[Path, Path]) -> Row:
    """Run a case, and assert what is promised under its fault."""
    whole, speed = verdict.expected(halves), lasting(halves, case.lasts_s)
    lossy = mode == "core" and case.core_loses
    with rig(case.setup, mode) as stack:
        run = FaultRun(stack, mode)
        if lossy:
            feed(run, halves[:1], speed, case.fault(run))
            feed(run, halves[1:], speed, none(run))
        else:
            feed(run, halves, speed, case.fault(run))
        live = finish(run)
        events = verdict.applied(run.reader)
        letters = verdict.dead_letters(run.reader)
        log = stack.ingest.tail(40)
    lost = set(whole.events) - set(run.before) - set(events)
    row = Row(
        case.name,
        mode,
        run.times,
        len(lost),
        verdict.repeated(events),
        verdict.out_of_order(events, whole.events),
        len(set(run.before) - set(events)),
        len(set(run.before) & set(events)),
        run.recovery_s,
        live.resends,
        live.fenced,
    )
    said = f"{row}; ingest says:{log}"
    assert row.times > 0, said
    assert (row.repeated, row.out_of_order, letters) == (0, 0, []), said
    # What came in after the fault is whole, whatever went with it.
    assert not lost - set(verdict.expected(halves[:1]).events if lossy else ()), said
    if not lossy and not case.forgets:
        assert (live.digest, live.positions_digest, live.dropped) == (whole.digest, whole.positions_digest, {}), said
    return row
