"""Many faults, one after the other, for minutes: the digest stays equal, and memory stays flat.

SOAK_MINUTES says how long (15).
"""

import os
import re
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest

from compose.local.processes import ROOT
from tasks import backtest, configuration
from tasks.history import recordings
from tests.faults import to_connections, to_nats, to_processes, to_redis
from tests.faults.rig import LINKS, Setup, rig
from tests.faults.run import Fault, FaultRun, feed, finish
from tests.support.stacks.pipeline import digests

MINUTES = float(os.environ.get("SOAK_MINUTES", "15"))
SPEED = 2.0
#: From the beginning of one round of the recording to that of the next.
ROUND_MS = 92_000
ROUND_IDS = 10**9
_TIMES = re.compile(rb'("[ET]":)(\d+)')
_IDS = re.compile(rb'("(?:t|u|U|pu)":)(\d+)')
_RECEIVED = re.compile(rb'("received_at":)(\d+)')
SAMPLE_S = 5.0
MIB = 2**20


def rounds(file: Path, count: int) -> Iterator[bytes]:
    """Yield the lines of a recording again and again, each time with later times and higher ids."""
    lines = [line.raw for line in recordings.read(file)]

    def later(line: bytes, pattern: re.Pattern[bytes], by: int) -> bytes:
        return pattern.sub(lambda found: b"%b%d" % (found[1], int(found[2]) + by), line)

    for number in range(count):
        for line in lines:
            moved = later(later(line, _TIMES, number * ROUND_MS), _IDS, number * ROUND_IDS)
            yield later(moved, _RECEIVED, number * ROUND_MS * 1_000_000)


def killed_worker(run: FaultRun) -> Iterator[float]:
    worker = run.dice.choice(run.stack.workers)
    if worker.returncode is None:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(worker.pid)
            run.dice.choice([parent, *parent.children()]).kill()
            run.hit()
    yield 0.0


def ended_worker(run: FaultRun) -> Iterator[float]:
    worker = run.dice.choice(run.stack.workers)
    if worker.returncode is None:
        worker.send(signal.SIGTERM)
        run.hit()
    yield 0.0


def stopped_leader(run: FaultRun) -> Iterator[float]:
    leader = run.leader
    run.signal(leader, signal.SIGSTOP)
    yield run.dice.uniform(1, 12)
    run.signal(leader, signal.SIGCONT)
    run.hit()


def killed_leader(run: FaultRun) -> Iterator[float]:
    run.leader.send(signal.SIGKILL)
    run.hit()
    yield 0.0


FAULTS: dict[str, Fault] = {
    "worker killed": killed_worker,
    "worker told to end": ended_worker,
    "worker stopped": to_processes.stopped_worker,
    "leader killed": killed_leader,
    "leader stopped": stopped_leader,
    "Redis paused": to_redis.paused,
    "Redis asleep": to_redis.asleep,
    "Redis restarted": to_redis.restarted,
    "Redis older": to_redis.older,
    "Redis full": to_redis.full,
    "Redis read-only": to_redis.read_only,
    "NATS restarted": to_nats.restarted,
    "NATS unavailable": to_nats.unavailable,
    "all connections slow": to_connections.late,
    **{f"{link} half-open": partial(to_connections.silent, link=link) for link in LINKS},
}


class Soak:
    """Random faults, one at a time, and what the processes weigh meanwhile."""

    def __init__(self) -> None:
        self.happened: Counter[str] = Counter()
        #: MiB by process, in samples of five seconds.
        self.rss_mib: dict[str, list[float]] = defaultdict(list)
        self._sampled_s = 0.0

    def fault(self, run: FaultRun) -> Iterator[float]:
        to_processes.stand_by(run)
        while run.feeding:
            name = run.dice.choice(list(FAULTS))
            self.happened[name] += 1
            for pause_s in FAULTS[name](run):
                yield from self._sampling(run, pause_s)
            yield from self._sampling(run, run.dice.uniform(1, 6))

    def _sampling(self, run: FaultRun, pause_s: float) -> Iterator[float]:
        if time.monotonic() - self._sampled_s > SAMPLE_S:
            self._sampled_s = time.monotonic()
            for process in run.stack.instance.processes:
                self._weigh(process.name, process.pid)
        yield pause_s

    def _weigh(self, name: str, pid: int) -> None:
        try:
            parent = psutil.Process(pid)
            family = [parent, *parent.children()]
            self.rss_mib[name].append(max(each.memory_info().rss for each in family) / MIB)
        except psutil.NoSuchProcess:
            pass  # it is being started again

    def grown_mib(self, name: str) -> float:
        """Return how much heavier its heaviest process was in the last third than in the middle one."""
        samples = self.rss_mib[name]
        third = len(samples) // 3
        return max(samples[2 * third :]) - max(samples[third : 2 * third])


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 180 + 600)
def test_after_minutes_of_random_faults_digest_is_equal_and_memory_flat(recording: Path, tmp_path: Path, capsys):
    file = tmp_path / "rounds.jsonl"
    count = max(1, round(MINUTES * 60_000 * SPEED / ROUND_MS))
    with file.open("wb") as made:
        made.writelines(line + b"\n" for line in rounds(recording, count))
    soak = Soak()
    with rig(Setup(3, "prefork", links=tuple(LINKS), strategies=None), "jetstream") as stack:
        run = FaultRun(stack, "jetstream")
        began_s = time.monotonic()
        feed(run, [file], str(SPEED), soak.fault(run))
        took_s = time.monotonic() - began_s
        live = finish(run)
        letters = list(run.reader.entries(run.reader.keys.deadletters, b"letter"))
        expected = backtest.run([file], configuration.read(stack.settings.strategies_file))
    found = {
        "minutes": round(took_s / 60, 1),
        "events": expected.events,
        "signals": sum(expected.signals.values()),
        "times": run.times,
        "faults": dict(sorted(soak.happened.items())),
        "recovery_s": round(run.recovery_s, 1),
        "resends": live.resends,
        "fenced": live.fenced,
        "rss_mib": {name: [round(min(each)), round(max(each))] for name, each in soak.rss_mib.items()},
        "digests_equal": digests(live) == digests(expected),
    }
    (ROOT / ".run" / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    with capsys.disabled():
        print(f"\n{found}")
    assert (letters, live.dropped) == ([], {})
    assert digests(live) == digests(expected)
    for name in ("ingest", "worker-1", "worker-2", "worker-3"):
        assert soak.grown_mib(name) < 16, (name, soak.rss_mib[name])


def test_rounds_of_a_recording_differ_in_times_and_ids_only(tmp_path: Path):
    file = tmp_path / "one.jsonl"
    line = '{"stream":"s","data":{"E":%d,"T":%d,"t":%d,"u":%d,"U":%d,"pu":%d,"q":"5"},"received_at":%d}'
    file.write_text(line % (1, 2, 3, 4, 5, 6, 7) + "\n")
    ids = (number + ROUND_IDS for number in (3, 4, 5, 6))
    again = line % (1 + ROUND_MS, 2 + ROUND_MS, *ids, 7 + ROUND_MS * 1_000_000)
    assert list(rounds(file, 2)) == [(line % (1, 2, 3, 4, 5, 6, 7)).encode(), again.encode()]
