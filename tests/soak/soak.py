"""The soak: a stream is fed for hours while faults happen, and every few minutes all results are compared."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.pool import AsyncResult
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import msgspec

from compose.local.processes import ROOT, Process
from tasks.clients.redis_client import FAILED
from tasks.errors import RealtimeStrategiesError
from tests.data import RECORDING
from tests.faults.rig import LINKS, Rig, Setup, rig
from tests.faults.run import POLL_S, Case, FaultRun, stop_ingest
from tests.faults.to_processes import stand_by
from tests.soak.chaos import FAULTS, Chaos
from tests.soak.committed import Check, Committed, Violation
from tests.soak.reference import Expected, Reference, reference
from tests.soak.rounds import Rounds
from tests.soak.samples import MIB, Samples, Series

FOLDER = ROOT / ".run" / "soak"
#: The project's strategies, and one whose state has a version, for workers of two releases.
STRATEGIES = ROOT / "tasks" / "strategies.toml"
RELEASED = '\n[pools.trade.strategies."tests.faults.strategies:Released"]\n'
#: Bounds of the stream: more than what waits during the longest outage.
STREAM_BYTES = (16 * MIB, 64 * MIB)
#: Celery keeps results for an hour, so a run that is not much longer would see nothing but more of them.
RESULTS_S = 60
#: Rounds that are worked through before it begins, to learn how many signals there are.
LEARNT = 3
#: Nothing is committed for so long: nothing will be.
STALL_S = 300.0
PROGRESS_S = 30.0


Counter = Literal["applied", "frames"]


class Options(NamedTuple):
    """How long, how fast, under what."""

    #: Of event time.
    hours: float = 12.0
    #: So many times as fast as it was recorded.
    pace: float = 12.0
    check_minutes: float = 10.0
    #: Of more, some are left out of each round.
    frames_per_second: float | None = None
    seed: int = 1
    recording: Path = RECORDING
    workers: int = 3
    faults: Sequence[Case] = FAULTS


class Outcome(msgspec.Struct):
    """What the command writes as JSON."""

    seed: int
    pace: float
    #: Of event time that was published, and of time.
    event_hours: float = 0.0
    minutes: float = 0.0
    frames: int = 0
    checks: list[Check] = []
    #: How often each fault was caused, and how many kinds there are.
    faults: dict[str, int] = {}
    fault_kinds: int = 0
    longest_recovery_s: float = 0.0
    resends: int = 0
    fenced: int = 0
    samples: dict[str, Series] = {}
    interrupted: bool = False
    violation: str | None = None
    #: Where the logs of the processes are, after a violation.
    logs: str | None = None


class Soak:
    """One run."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        """`say` is given lines for a person."""
        self._options, self._say = options, say
        rounds = Rounds.read(options.recording)
        round_s = rounds.round_ms / 1000 / options.pace
        at_most = round(options.frames_per_second * round_s) if options.frames_per_second else len(rounds.recording)
        self._a_round = Rounds.read(options.recording, max(1, at_most))
        self._lines = len(self._a_round.recording)
        self._round_h = rounds.round_ms / 3_600_000
        self._rounds_a_check = max(LEARNT, round(options.check_minutes * 60 / round_s))
        self._rounds = max(self._rounds_a_check, round(options.hours / self._round_h))
        dice = Random(options.seed)
        self._chaos = Chaos(dice, options.faults)
        self._dice = dice
        self._outcome = Outcome(options.seed, options.pace, fault_kinds=len(options.faults))
        self._began_s = self._said_s = time.monotonic()

    def run(self) -> Outcome:
        """Run it; what is promised and does not hold is the outcome's violation."""
        with ExitStack() as closing:
            strategies = Path(closing.enter_context(TemporaryDirectory())) / "strategies.toml"
            strategies.write_text(STRATEGIES.read_text(encoding="utf-8") + RELEASED, encoding="utf-8")
            compared = closing.enter_context(reference(strategies, self._options.recording, self._lines))
            signals = [compared.advance(number, 1).get().signals for number in range(LEARNT)]
            self._supervise(
                closing.enter_context(rig(self._setup(strategies, signals[-1] - signals[0]), "jetstream")), compared
            )
        return self._outcome

    def _setup(self, strategies: Path, learnt: int) -> Setup:
        # The stream of signals must keep those from one check to the next, and is full soon enough to see no growth.
        keep = max(1_000, 2 * learnt * self._rounds_a_check // (LEARNT - 1))
        # So is the stream of frames.
        frame_bytes = sum(len(line.raw) for line in self._a_round.recording) * self._rounds
        stream_bytes = min(max(frame_bytes // 6, STREAM_BYTES[0]), STREAM_BYTES[1])
        return Setup(
            self._options.workers,
            "prefork",
            links=tuple(LINKS),
            strategies=strategies,
            environment={"SIGNALS_KEEP": str(keep), "INGEST_STREAM_MAX_BYTES": str(stream_bytes)},
            worker_options=("--", f"result_expires={RESULTS_S}"),
        )

    def _supervise(self, stack: Rig, compared: Reference) -> None:
        """Run it in this stack, and say how it ended; keep the logs where it failed."""
        run = FaultRun(stack, "jetstream")
        run.dice = self._dice
        stand_by(run)
        self._began_s = self._said_s = time.monotonic()
        self._run, self._samples, self._committed = run, Samples(run), Committed(run.reader)
        try:
            self._soak(compared)
        except KeyboardInterrupt:
            self._outcome.interrupted = True
        except (Violation, AssertionError, OSError, RealtimeStrategiesError, *FAILED) as error:
            self._outcome.violation = f"{str(error) or type(error).__name__} (after {self._chaos.last!r})"
        self._sum_up()
        if self._outcome.violation:
            self._outcome.logs = str(_keep_logs(stack.instance.directory, self._options.seed))

    def _soak(self, compared: Reference) -> None:
        for first in range(0, self._rounds, self._rounds_a_check):
            count = min(self._rounds_a_check, self._rounds - first)
            # The first rounds are worked through already.
            begun = max(0, min(LEARNT, first + count) - first)
            expecting = compared.advance(first + begun, count - begun)
            self._feed(first, count)
            self._check(expecting)
        self._say("stopping the ingest processes in order")
        stop_ingest(self._run)

    def _feed(self, first: int, count: int) -> None:
        """Publish rounds while faults happen; return when both have ended."""
        options = self._options
        words = ["-m", "tests.soak.feed", str(options.recording), *map(str, (self._lines, first, count, options.pace))]
        feed = self._run.stack.start_part("feed", words)
        for pause_s in self._faults(feed):
            due_s = time.monotonic() + pause_s
            self._look_after()
            while time.monotonic() < due_s:
                self._look_after()
            self._run.feeding = feed.returncode is None and self._chaos.lasts(self._run)
        if feed.returncode:
            raise Violation(f"the feed {feed.ended}: {feed.tail()}")

    def _faults(self, feed: Process) -> Iterator[float]:
        while feed.returncode is None:
            yield from self._chaos.steps(self._run)

    def _look_after(self) -> None:
        self._run.look_after()
        self._samples.take_if_due()
        if time.monotonic() - self._said_s > PROGRESS_S:
            self._said_s = time.monotonic()
            self._say(self._progress())
        time.sleep(POLL_S)

    def _check(self, expecting: "AsyncResult[Expected]") -> None:
        ended_s = time.monotonic()
        while not expecting.ready():
            self._look_after()
        expected = expecting.get()
        self._wait_until_counted("applied", expected.applied)
        drained_s = time.monotonic() - ended_s
        self._wait_until_counted("frames", expected.frames)
        self._committed.verify_nothing_lost()
        check = self._committed.compare(expected, (time.monotonic() - self._began_s) / 60, drained_s)
        self._outcome.checks.append(check)
        self._say(
            f"check {len(self._outcome.checks)}: {check.frames:,} frames, {check.applied:,} events applied, "
            f"{check.signals:,} signals, {check.positions:,} positions: the digest is equal ({drained_s:.1f} s)"
        )

    def _wait_until_counted(self, name: Counter, wanted: int) -> None:
        """Wait until the ledger's counter says so. Raises Violation: it has stopped before, or says more."""
        last, moved_s = -1, time.monotonic()
        while (counted := self._counted(name)) != wanted:
            if counted != last:
                last, moved_s = counted, time.monotonic()
            if time.monotonic() - moved_s > STALL_S or counted > wanted:
                raise Violation(f"{counted:,} {name} instead of {wanted:,}: {self._run.symptoms}")
            self._look_after()

    def _counted(self, name: Counter) -> int:
        with suppress(*FAILED):
            return self._run.reader.counters().of(name)
        return 0

    def _progress(self) -> str:
        frames = self._counted("frames")
        happened = self._chaos.happened
        return (
            f"event time {self._event_hours(frames):.2f} h, {frames:,} frames, {happened.total()} faults "
            f"({len(happened)} of {len(self._options.faults)} kinds; {self._chaos.last}), "
            f"{len(self._outcome.checks)} checks"
        )

    def _event_hours(self, frames: int) -> float:
        return frames / self._lines * self._round_h

    def _sum_up(self) -> None:
        outcome, happened = self._outcome, self._chaos.happened
        outcome.minutes = round((time.monotonic() - self._began_s) / 60, 1)
        outcome.faults = dict(sorted(happened.items()))
        outcome.longest_recovery_s = round(self._chaos.longest_recovery_s, 1)
        with suppress(*FAILED):
            counters = self._run.reader.counters()
            outcome.frames, outcome.resends = counters.of("frames"), counters.of("resends")
            outcome.fenced = counters.of("fenced")
            outcome.event_hours = round(self._event_hours(outcome.frames), 2)
        outcome.samples = self._samples.in_brief()
        grown = [name for name, each in outcome.samples.items() if not each.flat]
        if grown and not outcome.violation:
            said = (f"{name} from {outcome.samples[name].middle:g} to {outcome.samples[name].last:g}" for name in grown)
            outcome.violation = f"not flat from the middle third to the last: {', '.join(said)}"


def _keep_logs(directory: Path, seed: int) -> Path:
    """Copy the logs; return where they are."""
    kept = FOLDER / f"logs-{seed}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for log in directory.glob("*.log*"):
        shutil.copy(log, kept)
    return kept
